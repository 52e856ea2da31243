"""
Reads any part of an encrypted file, by the chunks that it lies in.

1. The last chunk is authenticated when the file is opened, so that its end is known: a file that was
cut, or lengthened, is never read. 2. Each other chunk is authenticated before a byte of it is given. 3. A chunk
that a range ends in is kept for the next one, so what is read in order is read once, and without a gap: whoever
fetches the encrypted file can see what comes next.

Not guaranteed: that it is the file it should be. Whoever knows a recipient can make another one.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
# As many read in order side by side: twice the tables that are restored at once, which all begin somewhere.
_MOST_KEPT: Final = 8
_HINT: Final = "The file was damaged or changed; restore from another backup or copy."


class DecryptedFile:
    """
    An encrypted file as its plain text; any number of threads may read it at once.

    It keeps its last chunk, and eight others at most.

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
        # By number; those that ranges ended in last.
        self._kept: OrderedDict[int, bytes] = OrderedDict()
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
        first, last = offset // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        skipped = offset - first * CHUNK_BYTES
        if first == self._layout.count - 1:
            return self._last[skipped : skipped + end - offset]
        with translated(self._source):
            chunks = self._chunks(first, min(last + 1, self._layout.count - 1))
        if last == self._layout.count - 1:
            chunks += self._last
        elif end % CHUNK_BYTES:
            self._keep(last, bytes(memoryview(chunks)[-CHUNK_BYTES:]))
        return bytes(memoryview(chunks)[skipped : skipped + end - offset])

    def _chunks(self, first: int, end: int) -> bytearray:
        """Decrypt the chunks from `first` to before `end`, of which none is the last one of the file."""
        kept = self._kept.get(first, b"")
        plain = bytearray(kept).ljust((end - first) * CHUNK_BYTES, b"\0")
        begin = first + bool(kept)
        stored = memoryview(self._stored(begin, end)) if begin < end else memoryview(b"")
        for place, number in enumerate(range(begin, end)):
            self._key.open_into(
                number,
                stored[place * SEALED_BYTES : (place + 1) * SEALED_BYTES],
                memoryview(plain)[
                    (number - first) * CHUNK_BYTES : (number - first + 1) * CHUNK_BYTES
                ],
                is_last=False,
            )
        return plain

    def _keep(self, number: int, chunk: bytes) -> None:
        with self._lock:
            self._kept[number] = chunk
            self._kept.move_to_end(number)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

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


def _exactly(read: ReadStored, offset: int, size: int) -> bytes:
    data = read(offset, size)
    if len(data) != size:
        raise MalformedError(f"it ends before byte {offset + size}")
    return data
