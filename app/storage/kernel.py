"""
Every system call that touches a backup directory, behind one seam.

Tests pass another `Kernel` to fail, cut short or record the k-th call; nothing else in the program
calls `os` on a backup directory. Beside it what the C library is told of the memory of this process.
"""

import ctypes
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, ParamSpec, TypeVar


P = ParamSpec("P")
T = TypeVar("T")

# Rows, members, parts and ranges are made and dropped by a dozen threads. The C library gives each thread an
# arena of its own, and keeps in it what was freed: 12 MB of a backup of 35 MB that nobody uses, with a store as
# much again; two for all still 4 MB, and 20 now and then. One for all takes no more time. What it gives back after
# each chunk it has to be given again for the next one, page by page: to keep as much as all chunks in work take
# spares a thirtieth of the time that a backup computes, for 2 MB. Parts of uploads are larger, and to keep them,
# too, would cost 6 MB. The numbers are those of `malloc.h`.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 1
_KEPT_BYTES: Final = 32 << 20
_KEPT_BLOCK_BYTES: Final = 8 << 20
_LARGE_BYTES: Final = 1 << 20


class Kernel:
    """The operating system itself; each method is one call and raises plain `OSError`."""

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        """Open a file; never follows a symbolic link in the last component."""
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)

    def open_directory(self, path: str) -> int:
        """Open a directory to sync it."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def write(self, fd: int, data: memoryview) -> int:
        """Write some bytes at the end, or where the descriptor stands; may be fewer than given."""
        return os.write(fd, data)

    def truncate(self, fd: int, size: int = 0) -> None:
        """Cut an open file."""
        os.ftruncate(fd, size)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Read some bytes at an offset; may be fewer than asked."""
        return os.pread(fd, size, offset)

    def fsync(self, fd: int) -> None:
        """Force a file or directory to the medium."""
        os.fsync(fd)

    def fstat(self, fd: int) -> os.stat_result:
        """Describe an open file."""
        return os.fstat(fd)

    def stat(self, path: str) -> os.stat_result:
        """Describe what a name leads to."""
        return os.stat(path)  # noqa: PTH116 - one function, one system call

    def lstat(self, path: str) -> os.stat_result:
        """Describe a name without following it."""
        return os.lstat(path)

    def rename(self, source: str, target: str) -> None:
        """Give a file another name."""
        os.rename(source, target)  # noqa: PTH104 - one function, one system call

    def link(self, source: str, target: str) -> None:
        """Give a file a second name."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Remove a name."""
        os.unlink(path)  # noqa: PTH108 - one function, one system call

    def mkdir(self, path: str) -> None:
        """Make a directory for its owner only."""
        os.mkdir(path, 0o700)  # noqa: PTH102 - one function, one system call

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        os.rmdir(path)  # noqa: PTH106 - one function, one system call

    def listdir(self, path: str) -> list[str]:
        """List the names in a directory."""
        return os.listdir(path)  # noqa: PTH208 - one function, one system call

    def statvfs(self, path: str) -> os.statvfs_result:
        """Describe a file system."""
        return os.statvfs(path)

    def flock(self, fd: int, operation: int) -> None:
        """Take or change a lock; it belongs to the open file and dies with the process."""
        fcntl.flock(fd, operation)

    def drop_cache(self, fd: int) -> None:
        """
        Drop a file's clean pages from the cache, so that the next read comes from the medium.

        Of the others Linux begins to write all, and waits for none.
        """
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


KERNEL = Kernel()


def uninterrupted(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Repeat a call that a signal interrupted.

    Returns:
        What the call returns.

    Source:
        https://peps.python.org/pep-0475/ - Python does so itself, except through a foreign kernel.
    """
    while True:
        try:
            return call(*args, **kwargs)
        except InterruptedError:
            continue


def close(kernel: Kernel, fd: int) -> None:
    """
    Close a descriptor once.

    Source:
        https://man7.org/linux/man-pages/man2/close.2.html - an interrupted close has closed it.
    """
    with suppress(InterruptedError):
        kernel.close(fd)


def share_freed_memory() -> None:
    """Let threads that begin later share what the C library keeps, where it is glibc; again is harmless."""
    _set_malloc(_M_ARENA_MAX, _ARENAS)
    _set_malloc(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    _set_malloc(_M_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)


def give_memory_back() -> None:
    """Let it give back at once what is large, too; for parts of uploads, which are larger than anything else."""
    share_freed_memory()
    _set_malloc(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def trim_memory() -> None:
    """Give back now what was freed, wherever it lies; milliseconds, so where something large comes next."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set_malloc(option: int, value: int) -> None:
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(option, value)
