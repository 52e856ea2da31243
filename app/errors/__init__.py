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
  x ConflictError
    - AlreadyRunningError
    - NotCancellableError
    - RunInterruptedError
    - UserExistsError
    - TargetNotEmptyError
    - TablesInUseError
    - UndoExpiredError
    - BackupInUseError
  x AccessError
    - NotAuthenticatedError
    - NotAuthorizedError
    - TooManyAttemptsError
  x RefusedError
    - InvalidRequestError
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

The edges translate: `app.cli.exits` to exit codes, `app.api.problems` to HTTP statuses.
"""

from app.errors.asked import (
    AccessError,
    AlreadyRunningError,
    BackupInUseError,
    BackupNotFoundError,
    ConflictError,
    DatabaseNotFoundError,
    IncompatibleServerError,
    InvalidRequestError,
    KeyReusedError,
    NotAuthenticatedError,
    NotAuthorizedError,
    NotCancellableError,
    NotFoundError,
    RecoveryNotFoundError,
    RefusedError,
    RunInterruptedError,
    RunNotFoundError,
    SandboxError,
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
    "ChecksumMismatchError",
    "ConflictError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ControlUnavailableError",
    "DatabaseError",
    "DatabaseNotFoundError",
    "IncompatibleServerError",
    "IntegrityError",
    "InvalidRequestError",
    "KeyReusedError",
    "ManifestError",
    "NotAuthenticatedError",
    "NotAuthorizedError",
    "NotCancellableError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProofFailedError",
    "RecoveryNotFoundError",
    "RefusedError",
    "RunInterruptedError",
    "RunNotFoundError",
    "SandboxError",
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
