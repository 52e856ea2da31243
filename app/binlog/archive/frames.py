"""
The bytes of a tail that is encrypted: frames, each a whole file of age with the bytes of one sync.

A file of age cannot be appended to, and a tail must be: so it is a row of small ones. Before each stand eight
bytes, its size and that of what it holds, so that a tail is measured without a key, and what is torn at its
end is known. That frames follow each other is proven by the events in them. All calls block.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple, Self

from app.age.encryptor import encrypt
from app.binlog.archive.keys import LogKeys
from app.binlog.events.headers import Malformed
from app.errors import DecryptionFailedError
from app.storage.files import RangedFile, WriteFile
from app.storage.layout import PARTIAL
from app.storage.local import LocalDirectory


_PREFIX: Final = Struct(">II")
# What is held back at most, and what a reader has in memory.
_FRAME_BYTES: Final = 4 << 20


class Frame(NamedTuple):
    """
    Where a frame lies.

    Attributes:
        offset: Of its file of age.
        stored: Bytes of that.
        start: Of its bytes among those of the tail.
        end: Behind the last of them.
    """

    offset: int
    stored: int
    start: int
    end: int


def frames_of(file: RangedFile) -> Iterator[Frame]:
    """Find the frames that are there as a whole."""
    offset = start = 0
    while offset + _PREFIX.size <= file.size:
        stored, raw = _PREFIX.unpack(file.read(offset, _PREFIX.size))
        offset += _PREFIX.size
        if not stored or offset + stored > file.size:
            return
        yield Frame(offset, stored, start, start + raw)
        offset, start = offset + stored, start + raw


def raw_size(file: RangedFile) -> int:
    """Return how many bytes of the log whole frames hold."""
    return max((frame.end for frame in frames_of(file)), default=0)


def frame_blocks(file: RangedFile, start: int, end: int, keys: LogKeys) -> Iterator[bytes]:
    """
    Read a part of a tail, counted in bytes of the log from its beginning.

    Yields:
        Blocks in order.

    Raises:
        Malformed: A frame was changed.
        NoIdentityError: It is encrypted for others.
        StorageError: The medium does not answer.
    """
    for frame in frames_of(file):
        if frame.end <= start:
            continue
        if frame.start >= end:
            return
        stored = file.read(frame.offset, frame.stored)
        try:
            raw = keys.open_tail(stored, file.name)
        except DecryptionFailedError as exc:
            raise Malformed(str(exc)) from exc
        if len(raw) != frame.end - frame.start:
            raise Malformed(f"{file.name}: a frame does not hold what is written before it")
        yield raw[max(0, start - frame.start) : end - frame.start]


class FramedFile:
    """
    A tail that is written in frames, at each sync and whenever one is full.

    Attributes:
        size: Bytes of the log in it, written or held back.
    """

    def __init__(self, file: WriteFile, size: int, keys: LogKeys) -> None:
        self.size = size
        self._file = file
        self._recipients = keys.for_tails()
        self._pending = bytearray()

    @classmethod
    def resume(cls, directory: LocalDirectory, name: str, size: int, keys: LogKeys) -> Self:
        """Go on with a tail, cut to so many bytes of the log; it is as before until all of it is on the medium."""
        directory.remove(name + PARTIAL)
        with directory.watch(name) as old:
            whole = list(frames_of(old))
            stored = whole[-1].offset + whole[-1].stored if whole else 0
            if (stored, whole[-1].end if whole else 0) == (old.size, size):
                return cls(directory.reopen(name), size, keys)
            with directory.create(name + PARTIAL) as file:
                framed = cls(file, 0, keys)
                for block in frame_blocks(old, 0, size, keys):
                    framed.write(block)
                framed.sync()
                file.rename(name)
                file.keep()
        directory.sync()
        return cls(directory.reopen(name), size, keys)

    def write(self, data: bytes) -> None:
        """Append bytes of the log; raises StorageError."""
        self._pending += data
        self.size += len(data)
        while len(self._pending) >= _FRAME_BYTES:
            self._put(_FRAME_BYTES)

    def sync(self) -> None:
        """Force all to the medium; raises StorageError."""
        if self._pending:
            self._put(len(self._pending))
        self._file.sync()

    def keep(self) -> None:
        """Close the file; what is held back is forgotten."""
        self._file.keep()

    def _put(self, size: int) -> None:
        data = encrypt(bytes(self._pending[:size]), self._recipients)
        del self._pending[:size]
        self._file.write(_PREFIX.pack(len(data), size) + data)
