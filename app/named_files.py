"""
Files that a setting or an option names: opened here alone, whatever it is that they turn out to be.

Links are followed, as those of a mounted secret are. Nobody waits for the other end of a pipe, and of a device or
of what is larger than such a file can be nothing is read. All calls block, for moments.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple


# The authorities that a machine trusts are a fourth of that, and nothing that settings name is larger.
MOST_BYTES: Final = 1 << 20


class UnusableFileError(OSError):
    """What a name leads to is no file, or none that could be meant; `strerror` says so."""

    def __init__(self, reason: str) -> None:
        """Take the reason, in the words of the system's own."""
        super().__init__(errno.EINVAL, reason)


class NamedFile(NamedTuple):
    """
    What was read.

    Attributes:
        data: All its bytes.
        mode: Who may read and write it.
    """

    data: bytes
    mode: int


def read_named(path: Path, limit: int = MOST_BYTES) -> NamedFile:
    """
    Read a file that a setting or an option names.

    Args:
        path: Where it is.
        limit: Bytes that it has at most.

    Returns:
        All of it.

    Raises:
        UnusableFileError: It is no regular file, or larger.
        OSError: There is none, or it cannot be read.
    """
    with _opened(path, limit) as fd, open(fd, "rb", closefd=False) as file:
        data = file.read(limit + 1)
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if len(data) > limit:  # it grew, or is one of the kernel's, which tell no size
        raise UnusableFileError(_too_large(limit))
    return NamedFile(data, mode)


def require_named(path: Path, limit: int = MOST_BYTES) -> None:
    """Refuse what `read_named` would refuse, for whoever can only be told a path; raises OSError."""
    with _opened(path, limit):
        pass


@contextmanager
def _opened(path: Path, limit: int) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise UnusableFileError("no path, for a NUL in it") from None
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise UnusableFileError("not a regular file")
        if facts.st_size > limit:
            raise UnusableFileError(_too_large(limit))
        yield fd
    finally:
        os.close(fd)


def _too_large(limit: int) -> str:
    return f"larger than {limit} bytes"
