"""The one place where an `OSError` of a backup directory becomes an error of this program."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import StorageDeniedError, StorageError, StorageFullError, StorageUnavailableError


FULL = {
    errno.ENOSPC: "Free some space, or lower the number of backups that are kept.",
    errno.EDQUOT: "Raise the quota of this user, or lower the number of backups that are kept.",
    errno.EFBIG: "Raise the file size limit of this process or file system.",
}
_DENIED = {
    errno.EACCES: "Give the user that runs this program read and write access to the directory.",
    errno.EPERM: "Give the user that runs this program read and write access to the directory.",
    errno.EROFS: "The file system is mounted read-only; mount it writable or choose another one.",
    errno.ELOOP: "Symbolic links in a backup directory are never followed; remove it.",
}
_MISSING = "Check that the backup directory exists and its file system is mounted."


@contextmanager
def translated(name: str) -> Iterator[None]:
    """
    Turn every `OSError` of the block into a `StorageError` that names the file.

    Args:
        name: What the messages call the file: its own name, no directory.

    Raises:
        StorageFullError: No space, quota used up, or the file would be too large.
        StorageDeniedError: No permission, a read-only file system, or a symbolic link.
        StorageUnavailableError: Missing, or the medium does not answer.
    """
    try:
        yield
    except OSError as exc:
        error = _translation(name, exc)
        raise error from exc


def _translation(name: str, exc: OSError) -> StorageError:
    message = f"{name}: {(exc.strerror or type(exc).__name__).lower()}"
    if exc.errno in FULL:
        return StorageFullError(message, hint=FULL[exc.errno])
    if exc.errno in _DENIED:
        return StorageDeniedError(message, hint=_DENIED[exc.errno])
    if exc.errno == errno.EEXIST:
        return StorageError(message)
    hint = _MISSING if exc.errno in {errno.ENOENT, errno.ENOTDIR} else ""
    return StorageUnavailableError(message, hint=hint)
