"""
Everything that can go wrong, as one tree.

* AppError
  x NotFoundError
    - BackupNotFoundError
    - RecoveryNotFoundError
    - DatabaseNotFoundError
    - TableNotFoundError
    - RunNotFoundError
    - UserNotFoundError
    - ScheduleNotFoundError
  x ConflictError
    - AlreadyRunningError
    - NotCancellableError
    - RunInterruptedError
    - UserExistsError
    - TargetNotEmptyError
    - TablesInUseError
    - UndoExpiredError
    - BackupInUseError
    - BackupPinnedError
    - NotDueError
    - ClockJumpedError
  x AccessError
    - NotAuthenticatedError
    - NotAuthorizedError
    - TooManyAttemptsError
  x RefusedError
    - InvalidRequestError
    - InvalidScheduleError
    - KeyReusedError
    - TooLargeError
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
    - ControlUnavailableError
  x IntegrityError
    - ChecksumMismatchError
    - TruncatedFileError
    - ManifestError
    - ProofFailedError
    - AuditBrokenError
  x DeliveryError

The edges translate: `app.cli.exits` to exit codes, `app.api.problems` to HTTP statuses.
"""

from app.errors.asked import (
    AccessError,
    AlreadyRunningError,
    BackupInUseError,
    BackupNotFoundError,
    BackupPinnedError,
    ClockJumpedError,
    ConflictError,
    DatabaseNotFoundError,
    IncompatibleServerError,
    InvalidRequestError,
    InvalidScheduleError,
    KeyReusedError,
    NotAuthenticatedError,
    NotAuthorizedError,
    NotCancellableError,
    NotDueError,
    NotFoundError,
    RecoveryNotFoundError,
    RefusedError,
    RunInterruptedError,
    RunNotFoundError,
    SandboxError,
    ScheduleNotFoundError,
    TableNotFoundError,
    TablesInUseError,
    TargetNotEmptyError,
    TooLargeError,
    TooManyAttemptsError,
    UndoExpiredError,
    UnsupportedObjectError,
    UserExistsError,
    UserNotFoundError,
)
from app.errors.met import (
    AuditBrokenError,
    ChecksumMismatchError,
    ConnectionFailedError,
    ConnectionLostError,
    ControlUnavailableError,
    DatabaseError,
    DeliveryError,
    IntegrityError,
    ManifestError,
    PermissionDeniedError,
    ProofFailedError,
    SnapshotError,
    StalledError,
    StatementError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.errors.root import AppError


__all__ = [
    "AccessError",
    "AlreadyRunningError",
    "AppError",
    "AuditBrokenError",
    "BackupInUseError",
    "BackupNotFoundError",
    "BackupPinnedError",
    "ChecksumMismatchError",
    "ClockJumpedError",
    "ConflictError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ControlUnavailableError",
    "DatabaseError",
    "DatabaseNotFoundError",
    "DeliveryError",
    "IncompatibleServerError",
    "IntegrityError",
    "InvalidRequestError",
    "InvalidScheduleError",
    "KeyReusedError",
    "ManifestError",
    "NotAuthenticatedError",
    "NotAuthorizedError",
    "NotCancellableError",
    "NotDueError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProofFailedError",
    "RecoveryNotFoundError",
    "RefusedError",
    "RunInterruptedError",
    "RunNotFoundError",
    "SandboxError",
    "ScheduleNotFoundError",
    "SnapshotError",
    "StalledError",
    "StatementError",
    "StorageDeniedError",
    "StorageError",
    "StorageFullError",
    "StorageUnavailableError",
    "TableNotFoundError",
    "TablesInUseError",
    "TargetNotEmptyError",
    "TooLargeError",
    "TooManyAttemptsError",
    "TruncatedFileError",
    "UndoExpiredError",
    "UnsupportedObjectError",
    "UserExistsError",
    "UserNotFoundError",
]
