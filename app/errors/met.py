"""Errors of what was met: the server, the storage, the bytes themselves."""

from app.errors.root import AppError


class DatabaseError(AppError):
    """The MySQL or MariaDB server failed us."""

    code = "database"
    title = "Database error"


class ConnectionFailedError(DatabaseError):
    """No connection could be opened."""

    code = "connection-failed"
    title = "Database connection failed"
    retryable = True


class ConnectionLostError(DatabaseError):
    """The server went away in the middle of a conversation."""

    code = "connection-lost"
    title = "Database connection lost"
    retryable = True


class PermissionDeniedError(DatabaseError):
    """The database user lacks a privilege; the hint holds the GRANT."""

    code = "permission-denied"
    title = "Permission denied"


class SnapshotError(DatabaseError):
    """No consistent view could be opened or kept."""

    code = "snapshot"
    title = "No consistent snapshot"
    retryable = True


class StatementError(DatabaseError):
    """
    The server refused a statement, or took it with a warning.

    Attributes:
        errno: The server's error number.
    """

    code = "statement"
    title = "Statement failed"

    def __init__(self, message: str, *, errno: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class StalledError(DatabaseError):
    """Nothing moved for longer than the configured timeout."""

    code = "stalled"
    title = "No progress"
    retryable = True


class StorageError(AppError):
    """Bytes could not be written or read."""

    code = "storage"
    title = "Storage error"


class StorageFullError(StorageError):
    """The disk or the quota is full."""

    code = "storage-full"
    title = "Insufficient disk space"


class StorageDeniedError(StorageError):
    """The file system refuses this user."""

    code = "storage-denied"
    title = "Permission denied"


class StorageUnavailableError(StorageError):
    """The directory is missing or the medium does not answer."""

    code = "storage-unavailable"
    title = "Storage unavailable"
    retryable = True


class ControlUnavailableError(StorageError):
    """The control database does not answer, or refused."""

    code = "control-unavailable"
    title = "Control database unavailable"
    retryable = True


class IntegrityError(AppError):
    """Bytes are not what the manifest promised."""

    code = "integrity"
    title = "Integrity error"


class ChecksumMismatchError(IntegrityError):
    """The digest of stored bytes differs from the manifest's."""

    code = "checksum-mismatch"
    title = "Checksum mismatch"


class TruncatedFileError(ChecksumMismatchError):
    """The file is shorter or longer than the manifest says."""

    code = "truncated-file"


class ManifestError(IntegrityError):
    """The manifest is unreadable, contradicts itself, or is of a newer format."""

    code = "manifest"
    title = "Manifest unusable"


class ProofFailedError(IntegrityError):
    """The restored data was read back and is not what was backed up."""

    code = "proof-failed"
    title = "Restore not proven"


class AuditBrokenError(IntegrityError):
    """A line of the audit is missing, or is not what was written."""

    code = "audit-broken"
    title = "Audit broken"


class DeliveryError(AppError):
    """A message did not arrive where it was sent to."""

    code = "delivery"
    title = "Not delivered"
    retryable = True
