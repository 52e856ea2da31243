"""
Reads any part of an encrypted file, by the chunks that it lies in.

1. The last chunk is authenticated when the file is opened, so that its end is known: a file that was
cut, or lengthened, is never read. 2. Each other chunk is authenticated before a byte of it is given. 3. A chunk
that ranges share is read by whoever comes first, and kept for the others: what several threads read side by side
is read once, and without a gap, so that whoever fetches the encrypted file can see what comes next.

Not guaranteed: that it is the file it should be. Whoever knows a recipient can make another one.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, TypeAlias

from app.age.header import Unwrapper
from app.age.malformed import MalformedError
from app.age.opening import HEAD_BYTES, Opening, open_head
from app.age.stream import CHUNK_BYTES, SEALED_BYTES, Layout
from app.age.wrapping import TAG_BYTES
from app.errors import DecryptionFailedError


# Reads exactly so many bytes of the encrypted file from an offset on.
ReadStored: TypeAlias = Callable[[int, int], bytes]
# What is read side by side has two ends each: twice that of the tables that are restored at once.
_MOST_SHARED: Final = 16
_HINT: Final = "The file was damaged or changed; restore from another backup or copy."


@dataclass(slots=True, eq=False)
class _Shared:
    """A chunk of which somebody wants a part, and how many of its bytes nobody has asked for yet."""

    plain: "Future[bytes]" = field(default_factory=Future)
    left: int = CHUNK_BYTES


class DecryptedFile:
    """
    An encrypted file as its plain text; any number of threads may read it at once.

    It keeps its last chunk, and sixteen others at most.

    Attributes:
        size: Bytes of plain text.
    """

    def __init__(
        self, read: ReadStored, stored_size: int, opening: Opening, *, source: str
    ) -> None:
        """
        Find the end of the file, and authenticate it.

        Args:
            read: Reads the encrypted file; called by whichever thread calls `read` here.
            stored_size: Of the encrypted file, in bytes.
            opening: Of this file: by its header, or of the encryptor that wrote it.
            source: Name for messages.

        Raises:
            DecryptionFailedError: It was cut or changed at its end.
        """
        self._read = read
        self._key = opening.key
        self._source = source
        with translated(source):
            self._layout = Layout.of(opening.start, stored_size)
            number = self._layout.count - 1
            stored = self._stored(number, number + 1)
            last = bytearray(len(stored) - TAG_BYTES)
            self._key.open_into(number, stored, memoryview(last), is_last=True)
        self._last = bytes(last)
        # By number; those that somebody wanted a part of last.
        self._shared: OrderedDict[int, _Shared] = OrderedDict()
        self._lock = Lock()
        self.size = self._layout.size

    def read(self, offset: int, size: int) -> bytes:
        """
        Read a range of the plain text, by one reading of the encrypted file at most.

        Args:
            offset: Of its first byte, 0 or more.
            size: Its bytes; memory is about three times that, and two chunks.

        Returns:
            The bytes; fewer where the file ends before, none behind its end.

        Raises:
            DecryptionFailedError: A chunk in it was changed.
            ValueError: A negative offset or size.
        """
        if offset < 0 or size < 0:
            raise ValueError("a range has no negative ends")
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        first, count = offset // CHUNK_BYTES, self._layout.count - 1
        skipped = offset - first * CHUNK_BYTES
        if first == count:
            return self._last[skipped : skipped + end - offset]
        with translated(self._source):
            chunks = self._chunks(offset, min(end, count * CHUNK_BYTES))
        if end > count * CHUNK_BYTES:
            chunks += self._last
        return bytes(memoryview(chunks)[skipped : skipped + end - offset])

    def _chunks(self, offset: int, end: int) -> bytearray:
        """Return the chunks that a range lies in, none of them the last one of the file."""
        first, behind = offset // CHUNK_BYTES, -(-end // CHUNK_BYTES)
        ours, others = self._share(offset, end)
        plain = bytearray((behind - first) * CHUNK_BYTES)
        try:
            begin = first + (first in others)
            self._open_into(plain, first, begin, max(begin, behind - (behind - 1 in others)))
            for number, shared in ours.items():
                shared.plain.set_result(bytes(_place(plain, number - first)))
        except BaseException as exc:
            self._forget(ours, exc)
            raise
        # Ours are there before we wait for anybody, so nobody waits for each other.
        for number, shared in others.items():
            _place(plain, number - first)[:] = shared.plain.result()
        return plain

    def _share(self, offset: int, end: int) -> tuple[dict[int, _Shared], dict[int, _Shared]]:
        """Find the chunks that a range wants a part of: those that are ours to read, and those of others."""
        ours, others = {}, {}
        with self._lock:
            for number in {offset // CHUNK_BYTES, (end - 1) // CHUNK_BYTES}:
                begin = number * CHUNK_BYTES
                part = min(end, begin + CHUNK_BYTES) - max(offset, begin)
                shared = self._shared.pop(number, None)
                if shared is not None:
                    others[number] = shared
                elif part < CHUNK_BYTES:
                    shared = ours[number] = _Shared()
                if shared is not None and part < shared.left:
                    shared.left -= part
                    self._shared[number] = shared
            while len(self._shared) > _MOST_SHARED:
                self._shared.popitem(last=False)
        return ours, others

    def _forget(self, ours: dict[int, _Shared], exc: BaseException) -> None:
        """Let nobody wait for chunks that could not be read; who asks later reads them again."""
        with self._lock:
            for number, shared in ours.items():
                if self._shared.get(number) is shared:
                    del self._shared[number]
        for shared in ours.values():
            if not shared.plain.done():
                shared.plain.set_exception(exc)

    def _open_into(self, plain: bytearray, first: int, begin: int, end: int) -> None:
        """Read and decrypt the chunks from `begin` to before `end`, if any, to where they lie behind `first`."""
        if begin == end:
            return
        stored = memoryview(self._stored(begin, end))
        for place, number in enumerate(range(begin, end)):
            sealed = stored[place * SEALED_BYTES : (place + 1) * SEALED_BYTES]
            self._key.open_into(number, sealed, _place(plain, number - first), is_last=False)

    def _stored(self, first: int, end: int) -> bytes:
        begin, size = self._layout.stored(first, end)
        return _exactly(self._read, begin, size)


def open_file(
    read: ReadStored, stored_size: int, identities: Sequence[Unwrapper], *, source: str
) -> DecryptedFile:
    """
    Open an encrypted file by its header.

    Args:
        read: Reads the encrypted file.
        stored_size: Of the encrypted file, in bytes.
        identities: Who tries, in this order.
        source: Name for messages.

    Returns:
        Its plain text.

    Raises:
        DecryptionFailedError: Not such a file, or it was changed or cut.
        NoIdentityError: It is encrypted for others.
    """
    opening = open_header(read, stored_size, identities, source=source)
    return DecryptedFile(read, stored_size, opening, source=source)


def open_header(
    read: ReadStored, stored_size: int, identities: Sequence[Unwrapper], *, source: str
) -> Opening:
    """Return what opens the payload of an encrypted file; takes and raises what `open_file` does."""
    with translated(source):
        head = _exactly(read, 0, min(stored_size, HEAD_BYTES))
        return open_head(head, identities, source=source)


def decrypt(data: bytes, identities: Sequence[Unwrapper], *, source: str) -> bytes:
    """Decrypt a small file whole; raises as `open_file` does."""
    file = open_file(
        lambda offset, size: data[offset : offset + size], len(data), identities, source=source
    )
    return file.read(0, file.size)


@contextmanager
def translated(source: str) -> Iterator[None]:
    """Say which file is malformed; raises DecryptionFailedError for a MalformedError of the block."""
    try:
        yield
    except MalformedError as exc:
        raise DecryptionFailedError(f"{source}: {exc}", hint=_HINT) from exc


def _place(plain: bytearray, number: int) -> memoryview:
    """Return where a chunk lies in those that were decrypted."""
    return memoryview(plain)[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]


def _exactly(read: ReadStored, offset: int, size: int) -> bytes:
    data = read(offset, size)
    if len(data) != size:
        raise MalformedError(f"it ends before byte {offset + size}")
    return data
