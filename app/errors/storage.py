"""Bytes could not be written or read."""

from app.errors.root import AppError


class StorageError(AppError):
    """Bytes could not be written or read."""

    code = "storage"
    title = "Storage error"


class StorageFullError(StorageError):
    """The disk, the quota or the store is full."""

    code = "storage-full"
    title = "Insufficient disk space"


class StorageDeniedError(StorageError):
    """The file system or the store refuses this user."""

    code = "storage-denied"
    title = "Permission denied"


class StorageUnavailableError(StorageError):
    """The directory is missing, or the medium or the store does not answer."""

    code = "storage-unavailable"
    title = "Storage unavailable"
    retryable = True


class HostKeyError(StorageError):
    """The server shows another host key than the one that is pinned."""

    code = "host-key"
    title = "Other host key"


class ControlUnavailableError(StorageError):
    """The control database does not answer, or refused."""

    code = "control-unavailable"
    title = "Control database unavailable"
    retryable = True
