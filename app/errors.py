"""
Everything that can go wrong, as one tree.

* AppError
  x NotFoundError
    - BackupNotFoundError
    - RecoveryNotFoundError
    - DatabaseNotFoundError
    - TableNotFoundError
  x ConflictError
    - AlreadyRunningError
    - TargetNotEmptyError
    - TablesInUseError
    - UndoExpiredError
    - BackupInUseError
  x RefusedError
    - InvalidRequestError
    - IncompatibleServerError
    - UnsupportedObjectError
    - SandboxError
  x DatabaseError
    - ConnectionFailedError
    - ConnectionLostError
    - PermissionDeniedError
    - SnapshotError
    - StatementError
    - StalledError
  x StorageError
    - StorageFullError
    - StorageDeniedError
    - StorageUnavailableError
  x IntegrityError
    - ChecksumMismatchError
    - TruncatedFileError
    - ManifestError
    - ProofFailedError

The edges translate: `app.cli.exits` to exit codes (and, with the API, `app.api.problems` to HTTP statuses).
"""

from typing import ClassVar


class AppError(Exception):
    """
    Base class of every error this program raises on purpose.

    Attributes:
        code: Stable machine name, kebab-case; part of the public contract.
        title: What happened in a few words, the same for every instance; shown before the message.
        retryable: Whether the same call may succeed later, unchanged.
        hint: What the operator can do about it, one sentence; empty when nothing helps.
    """

    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotFoundError(AppError):
    """The identifier names nothing."""

    code = "not-found"
    title = "Not found"


class BackupNotFoundError(NotFoundError):
    """No backup has this identifier, or its file is gone."""

    code = "backup-not-found"
    title = "Backup file not found"

    def __init__(self, backup_id: str, *, hint: str = "") -> None:
        super().__init__(
            f"no backup {backup_id!r}",
            hint=hint or "List the backups there are with 'backstay backup list'.",
        )


class RecoveryNotFoundError(NotFoundError):
    """No restore has this identifier, or it is over and its tables are not kept any more."""

    code = "recovery-not-found"
    title = "Restore not found"


class DatabaseNotFoundError(NotFoundError):
    """The server has no database of this name, or hides it from this user."""

    code = "database-not-found"
    title = "Database not found"


class TableNotFoundError(NotFoundError):
    """No table matches the name or pattern."""

    code = "table-not-found"
    title = "Table not found"


class ConflictError(AppError):
    """Something is not in a state that allows this now."""

    code = "conflict"
    title = "Conflict"


class AlreadyRunningError(ConflictError):
    """Another run holds this server or schema."""

    code = "already-running"
    title = "Already running"
    retryable = True


class TargetNotEmptyError(ConflictError):
    """The database to restore into holds something already."""

    code = "target-not-empty"
    title = "Target database not empty"


class TablesInUseError(ConflictError):
    """Others held locks on the tables for longer than a swap may wait."""

    code = "tables-in-use"
    title = "Tables in use"
    retryable = True


class UndoExpiredError(ConflictError):
    """The tables that an undo would bring back are not kept any more."""

    code = "undo-expired"
    title = "Undo no longer possible"


class BackupInUseError(ConflictError):
    """The backup is being read by a restore or a verification."""

    code = "backup-in-use"
    title = "Backup in use"
    retryable = True


class RefusedError(AppError):
    """Well-formed, but we will not do it."""

    code = "refused"
    title = "Refused"


class InvalidRequestError(RefusedError):
    """An option or a setting makes no sense."""

    code = "invalid-request"
    title = "Invalid request"


class IncompatibleServerError(RefusedError):
    """The target server lacks something that the backup needs."""

    code = "incompatible-server"
    title = "Incompatible server"


class UnsupportedObjectError(RefusedError):
    """A type or object that we cannot read without a guess."""

    code = "unsupported-object"
    title = "Unsupported object"


class SandboxError(RefusedError):
    """A private server could not be made or started."""

    code = "sandbox"
    title = "Private server failed"


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
