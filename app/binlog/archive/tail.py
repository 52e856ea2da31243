"""
The segment that grows: bytes of the log, raw or in encrypted frames, and beside them when they came.

`.head` holds the document of what was known when it began, then a line `[position, milliseconds]` for each
sync. A line is written after the bytes before its position were synced: what is wrong before the last line is
damage, what is torn after it was never promised. All calls block.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Self

from app.binlog.archive.documents import HEADS, HINT, MOST_BYTES, Head, Received
from app.binlog.archive.frames import FramedFile, frame_blocks, raw_size
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import HEAD, TAIL, Stem
from app.binlog.events.headers import MAGIC
from app.errors import BinlogDamagedError
from app.storage.files import RangedFile, WriteFile
from app.storage.local import LocalDirectory


BLOCK_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class KnownTail:
    """
    What is known of a tail.

    Attributes:
        clock: What was noted at its syncs.
    """

    stem: Stem
    head: Head
    clock: tuple[Received, ...]

    @property
    def synced(self) -> int:
        """Position before which everything was synced."""
        return self.clock[-1][0] if self.clock else self.stem.start


def read_head(directory: LocalDirectory, stem: Stem) -> KnownTail:
    """Read what is known of a tail; raises BinlogDamagedError, StorageError."""
    name = f"{stem}{HEAD}"
    document, _, lines = directory.read(name, MOST_BYTES).partition(b"\n")
    head = HEADS.parse(document + b"\n", name)
    if Stem(head.number, head.start) != stem:
        raise BinlogDamagedError(f"{name}: it is of another segment", hint=HINT)
    return KnownTail(stem, head, tuple(_noted(lines)))


def _noted(lines: bytes) -> Iterator[Received]:
    for line in lines.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            position, moment = map(int, json.loads(line))
        except (ValueError, TypeError):
            return
        yield position, moment


def file_blocks(file: RangedFile, start: int, end: int) -> Iterator[bytes]:
    """Read a part of an open file in blocks; raises StorageError."""
    while start < end:
        block = file.read_some(start, min(BLOCK_BYTES, end - start))
        if not block:
            return
        start += len(block)
        yield block


def tail_blocks(
    file: RangedFile, head: Head, start: int, end: int, keys: LogKeys
) -> Iterator[bytes]:
    """
    Read a part of an open tail, counted from its beginning.

    Returns:
        Its blocks, in order.

    Raises:
        Malformed: It was changed, where it is encrypted.
        NoIdentityError: It is encrypted for others.
        StorageError: The medium does not answer.
    """
    if head.is_framed:
        return frame_blocks(file, start, end, keys)
    return file_blocks(file, start, end)


def tail_size(directory: LocalDirectory, stem: Stem, head: Head) -> tuple[int, int]:
    """
    Measure a tail; needs no key.

    Returns:
        Bytes of the log in it, and when it was written last, milliseconds since 1970; nothing where it is missing.

    Raises:
        StorageError: The medium does not answer.
    """
    facts = directory.stat(f"{stem}{TAIL}")
    if facts is None:
        return 0, 0
    size = facts.st_size
    if head.is_framed:
        with directory.watch(f"{stem}{TAIL}") as file:
            size = raw_size(file)
    return size, facts.st_mtime_ns // 1_000_000


class Tail:
    """
    A tail that is open to be written, by one at a time.

    Attributes:
        known: What is known of it.
        clock: What was noted at its syncs, so far.
    """

    def __init__(self, known: KnownTail, data: WriteFile | FramedFile, notes: WriteFile) -> None:
        self.known = known
        self.clock = [*known.clock]
        self._data = data
        self._notes = notes

    @classmethod
    def begin(cls, directory: LocalDirectory, head: Head, keys: LogKeys) -> Self:
        """Make an empty one; a crash leaves the head alone, or both. Raises StorageError."""
        stem = Stem(head.number, head.start)
        head = replace(head, is_framed=bool(keys.backups.recipients()))
        directory.replace(f"{stem}{HEAD}", HEADS.dump(head))
        directory.remove(f"{stem}{TAIL}")
        with directory.create(f"{stem}{TAIL}") as file:
            file.keep()
        directory.sync()
        return cls.resume(directory, KnownTail(stem, head, ()), stem.start, keys)

    @classmethod
    def resume(cls, directory: LocalDirectory, known: KnownTail, end: int, keys: LogKeys) -> Self:
        """
        Go on with one that is there, cut at a position; what was noted of bytes behind it is forgotten.

        Returns:
            It, at its end, encrypted or not as it began.

        Raises:
            NoIdentityError: It must be cut, and is encrypted for others.
            StorageError: The medium refused.
        """
        clock = tuple(noted for noted in known.clock if noted[0] <= end)
        stem = known.stem
        lines = b"".join(b"[%d, %d]\n" % noted for noted in clock)
        # Before the bytes go: what the notes promise is always there.
        directory.replace(f"{stem}{HEAD}", HEADS.dump(known.head) + lines)
        data = _reopened(directory, known, end - stem.start, keys)
        try:
            notes = directory.reopen(f"{stem}{HEAD}")
        except BaseException:
            data.keep()
            raise
        return cls(KnownTail(stem, known.head, clock), data, notes)

    @property
    def size(self) -> int:
        """Bytes in it."""
        return self._data.size

    @property
    def end(self) -> int:
        """Position behind its last byte."""
        return self.known.stem.start + self._data.size

    def write(self, data: bytes) -> None:
        """Append bytes, and the file's magic before the first of a file; raises StorageError."""
        if not self._data.size and not self.known.stem.start:
            data = MAGIC + data
        self._data.write(data)

    def sync(self, received_ms: int) -> None:
        """Force the bytes to the medium, and note until where and when; raises StorageError."""
        self._data.sync()
        noted = (self.end, received_ms)
        self._notes.write(b"[%d, %d]\n" % noted)
        self.clock.append(noted)

    def close(self) -> None:
        """Close both files; they stay."""
        for file in (self._data, self._notes):
            with suppress(OSError):
                file.keep()


def _reopened(
    directory: LocalDirectory, known: KnownTail, size: int, keys: LogKeys
) -> WriteFile | FramedFile:
    """Open what is there, cut to so many bytes of the log."""
    name = f"{known.stem}{TAIL}"
    if known.head.is_framed:
        return FramedFile.resume(directory, name, size, keys)
    file = directory.reopen(name)
    try:
        file.cut(size)
        file.sync()
    except BaseException:
        file.keep()
        raise
    return file
