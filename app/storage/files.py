"""Open files of a backup directory: one kind to read, one kind that is being written."""

import fcntl
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, Self

from app.errors import StorageUnavailableError, TruncatedFileError
from app.storage import layout
from app.storage.failures import translated
from app.storage.kernel import Kernel, close, uninterrupted


# Linux keeps what is written for half a minute, and a sync at the end would wait for all of it.
_HELD_BYTES: Final = 8 << 20


class FileFacts(NamedTuple):
    """
    What is known of a file without reading it.

    Attributes:
        size: Bytes.
        changed_ns: When it was changed last, nanoseconds.
        identity: Another one when the file was replaced, where that can be told.
        is_regular: Whether it is a file, and no link, directory or device.
    """

    size: int
    changed_ns: int
    identity: int
    is_regular: bool


class RangedFile(Protocol):
    """A file of a backup that is open to be read, wherever it lies."""

    @property
    def name(self) -> str:
        """Name in its directory."""
        ...

    @property
    def size(self) -> int:
        """Bytes in it."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly these bytes; raises TruncatedFileError, StorageError."""
        ...

    def read_some(self, offset: int, size: int) -> bytes:
        """Return up to so many bytes; empty only at the end. Raises StorageError."""
        ...


class ReadFile:
    """
    An open file; its lock lasts until `close`.

    Attributes:
        name: Name in its directory.
        size: Bytes in it; set by `check_regular`, and counted while writing.
    """

    def __init__(self, kernel: Kernel, directory: str, name: str, fd: int) -> None:
        self.name = name
        self.size = 0
        self._kernel = kernel
        self._directory = directory
        self._fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def check_regular(self) -> None:
        """
        Learn the size.

        Raises:
            StorageUnavailableError: A directory, a device or a pipe.
        """
        with translated(self.name):
            facts = uninterrupted(self._kernel.fstat, self._fd)
        if not stat.S_ISREG(facts.st_mode):
            raise StorageUnavailableError(f"{self.name}: not a regular file")
        self.size = facts.st_size

    def is_current(self) -> bool:
        """Tell whether the name still names this very file."""
        with translated(self.name):
            mine = uninterrupted(self._kernel.fstat, self._fd)
            try:
                there = uninterrupted(self._kernel.lstat, self._path(self.name))
            except FileNotFoundError:
                return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def read(self, offset: int, size: int) -> bytes:
        """
        Read a range.

        Returns:
            Exactly `size` bytes.

        Raises:
            TruncatedFileError: The file ends before that.
            StorageError: The medium does not answer.
        """
        data = self.read_some(offset, size)
        if len(data) == size:
            return data
        pieces = [data]
        missing = size - len(data)
        while missing:
            data = self.read_some(offset + size - missing, missing)
            if not data:
                raise TruncatedFileError(
                    f"{self.name}: ends {missing} bytes before byte {offset + size}",
                    hint="The file was cut short; restore from another backup.",
                )
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def read_some(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes; empty only at the end of the file."""
        with translated(self.name):
            return uninterrupted(self._kernel.pread, self._fd, size, offset)

    def drop_cache(self) -> None:
        """Let the next reads come from the medium instead of the page cache, where the system can."""
        with suppress(OSError):  # advice, and nobody's duty
            self._kernel.drop_cache(self._fd)

    def close(self) -> None:
        """Close the file and release its lock; again is harmless."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with translated(self.name):
                close(self._kernel, fd)

    @property
    def full_path(self) -> str:
        """Return the file's path under the name that it has now."""
        return self._path(self.name)

    def _path(self, name: str) -> str:
        return layout.join(self._directory, name)


class WriteFile(ReadFile):
    """
    A file of our own that is removed when it is closed, unless it is kept.

    As a context manager it leaves nothing behind when the block fails, for any reason at all.
    """

    def __exit__(self, *_exc: object) -> None:
        self.discard()

    def write(self, data: bytes | memoryview) -> None:
        """
        Append all of `data`.

        Raises:
            StorageError: The medium refused; how much was written is unknown.
        """
        rest, before = memoryview(data), self.size
        with translated(self.name):
            while rest:
                count = uninterrupted(self._kernel.write, self._fd, rest)
                self.size += count
                rest = rest[count:]
        if self.size // _HELD_BYTES > before // _HELD_BYTES:
            self.drop_cache()  # of what is not on the medium yet the system begins to write all

    def sync(self) -> None:
        """
        Force the bytes to the medium.

        Raises:
            StorageError: The bytes may be lost and a second try proves nothing; give the file up.
            TruncatedFileError: The file is not as long as what was written; somebody else touched it.

        Source:
            https://lwn.net/Articles/752063/ - a failed fsync drops the pages it could not write.
        """
        with translated(self.name):
            uninterrupted(self._kernel.fsync, self._fd)
            size = uninterrupted(self._kernel.fstat, self._fd).st_size
        if size != self.size:
            raise TruncatedFileError(f"{self.name}: {size} bytes on disk, wrote {self.size}")

    def cut(self, size: int) -> None:
        """Let the file end after `size` bytes; durable after `sync`."""
        with translated(self.name):
            uninterrupted(self._kernel.truncate, self._fd, size)
        self.size = size

    def rename(self, name: str) -> None:
        """Give the file another name; its lock stays. Durable after the directory's `sync`."""
        with translated(self.name):
            uninterrupted(self._kernel.rename, self._path(self.name), self._path(name))
        self.name = name

    def keep(self) -> None:
        """Close the file and let it stay."""
        super().close()

    def close(self) -> None:
        """Close the file and remove it; the same as `discard`."""
        self.discard()

    def discard(self) -> None:
        """Remove the file under whichever name it has now, then release its lock."""
        if self._fd < 0:
            return
        try:
            with translated(self.name):
                uninterrupted(self._kernel.unlink, self._path(self.name))
        except StorageUnavailableError as exc:
            if not isinstance(exc.__cause__, FileNotFoundError):
                raise
        finally:
            super().close()


def in_use(kernel: Kernel, directory: str, names: Iterable[str]) -> set[str]:
    """
    Tell which files somebody reads or deletes right now.

    There may be ten thousand, and a page waits for it: no more is done with each than its lock takes.

    Args:
        kernel: Opens and locks.
        directory: Path of theirs.
        names: Of regular files; of one that is gone meanwhile there is nobody.

    Returns:
        Their names.

    Raises:
        StorageError: The medium does not answer, or one is a symbolic link.
    """
    found = set()
    for name in names:
        with translated(name):
            try:
                fd = uninterrupted(
                    kernel.open, layout.join(directory, name), os.O_RDONLY | os.O_NONBLOCK
                )
            except FileNotFoundError:
                continue
            try:
                uninterrupted(kernel.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.add(name)
            finally:
                close(kernel, fd)
    return found
