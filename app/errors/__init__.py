"""
Everything that can go wrong, as one tree.

* AppError
  x NotFoundError
    - BackupNotFoundError
    - RestoreNotFoundError
    - DatabaseNotFoundError
    - TableNotFoundError
    - RunNotFoundError
    - UserNotFoundError
    - ScheduleNotFoundError
    - StoreNotFoundError
    - ObjectNotFoundError
  x ConflictError
    - AlreadyRunningError
      + TooManyRunsError
    - NoServerError
    - NoIdentityError
    - BinlogBrokenError
    - BinlogDuplicateReaderError
    - NotCancellableError
    - RunInterruptedError
    - RunLostError
    - UserExistsError
    - TargetNotEmptyError
    - TablesInUseError
    - StagingChangedError
    - UndoExpiredError
    - BackupInUseError
    - BackupPinnedError
    - AlreadyThereError
    - ObjectLockedError
    - NotDueError
    - ClockJumpedError
  x AccessError
    - NotAuthenticatedError
    - NotAuthorizedError
    - TooManyRequestsError
    - TooManyAttemptsError
  x RefusedError
    - InvalidRequestError
    - InvalidScheduleError
    - KeyReusedError
    - TooLargeError
    - IncompatibleServerError
    - UnsupportedObjectError
    - SandboxError
    - ScratchUnavailableError
    - BaseUnfitError
    - PointNotCoveredError
    - PointInsideTransactionError
    - UnknownSignerError
    - BinlogOffError
  x DatabaseError
    - ConnectionFailedError
    - NoConnectionLeftError
    - ConnectionLostError
    - PermissionDeniedError
      + BinlogRightsError
    - SnapshotError
    - StatementError
    - StalledError
    - ReplayFailedError
  x StorageError
    - StorageFullError
    - StorageDeniedError
    - StorageUnavailableError
    - HostKeyError
    - ControlUnavailableError
  x IntegrityError
    - ChecksumMismatchError
    - TruncatedFileError
    - ManifestError
    - JournalDamagedError
    - ProofFailedError
    - RecoverMismatchError
    - AuditBrokenError
    - DecryptionFailedError
    - SignatureMismatchError
    - BinlogDamagedError
  x DeliveryError

The edges translate: `app.cli.exits` to exit codes, `app.api.problems` to HTTP statuses.
"""

from app.errors.access import (
    AccessError,
    NotAuthenticatedError,
    NotAuthorizedError,
    TooManyAttemptsError,
    TooManyRequestsError,
)
from app.errors.conflict import (
    AlreadyRunningError,
    AlreadyThereError,
    BackupInUseError,
    BackupPinnedError,
    BinlogBrokenError,
    BinlogDuplicateReaderError,
    ClockJumpedError,
    ConflictError,
    NoIdentityError,
    NoServerError,
    NotCancellableError,
    NotDueError,
    ObjectLockedError,
    RunInterruptedError,
    RunLostError,
    StagingChangedError,
    TablesInUseError,
    TargetNotEmptyError,
    TooManyRunsError,
    UndoExpiredError,
    UserExistsError,
)
from app.errors.database import (
    BinlogRightsError,
    ConnectionFailedError,
    ConnectionLostError,
    DatabaseError,
    NoConnectionLeftError,
    PermissionDeniedError,
    ReplayFailedError,
    SnapshotError,
    StalledError,
    StatementError,
)
from app.errors.delivery import DeliveryError
from app.errors.integrity import (
    AuditBrokenError,
    BinlogDamagedError,
    ChecksumMismatchError,
    DecryptionFailedError,
    IntegrityError,
    JournalDamagedError,
    ManifestError,
    ProofFailedError,
    RecoverMismatchError,
    SignatureMismatchError,
    TruncatedFileError,
)
from app.errors.not_found import (
    BackupNotFoundError,
    DatabaseNotFoundError,
    NotFoundError,
    ObjectNotFoundError,
    RestoreNotFoundError,
    RunNotFoundError,
    ScheduleNotFoundError,
    StoreNotFoundError,
    TableNotFoundError,
    UserNotFoundError,
)
from app.errors.refused import (
    BaseUnfitError,
    BinlogOffError,
    IncompatibleServerError,
    InvalidRequestError,
    InvalidScheduleError,
    KeyReusedError,
    PointInsideTransactionError,
    PointNotCoveredError,
    RefusedError,
    SandboxError,
    ScratchUnavailableError,
    TooLargeError,
    UnknownSignerError,
    UnsupportedObjectError,
)
from app.errors.root import AppError
from app.errors.storage import (
    ControlUnavailableError,
    HostKeyError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)


__all__ = [
    "AccessError",
    "AlreadyRunningError",
    "AlreadyThereError",
    "AppError",
    "AuditBrokenError",
    "BackupInUseError",
    "BackupNotFoundError",
    "BackupPinnedError",
    "BaseUnfitError",
    "BinlogBrokenError",
    "BinlogDamagedError",
    "BinlogDuplicateReaderError",
    "BinlogOffError",
    "BinlogRightsError",
    "ChecksumMismatchError",
    "ClockJumpedError",
    "ConflictError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ControlUnavailableError",
    "DatabaseError",
    "DatabaseNotFoundError",
    "DecryptionFailedError",
    "DeliveryError",
    "HostKeyError",
    "IncompatibleServerError",
    "IntegrityError",
    "InvalidRequestError",
    "InvalidScheduleError",
    "JournalDamagedError",
    "KeyReusedError",
    "ManifestError",
    "NoConnectionLeftError",
    "NoIdentityError",
    "NoServerError",
    "NotAuthenticatedError",
    "NotAuthorizedError",
    "NotCancellableError",
    "NotDueError",
    "NotFoundError",
    "ObjectLockedError",
    "ObjectNotFoundError",
    "PermissionDeniedError",
    "PointInsideTransactionError",
    "PointNotCoveredError",
    "ProofFailedError",
    "RecoverMismatchError",
    "RefusedError",
    "ReplayFailedError",
    "RestoreNotFoundError",
    "RunInterruptedError",
    "RunLostError",
    "RunNotFoundError",
    "SandboxError",
    "ScheduleNotFoundError",
    "ScratchUnavailableError",
    "SignatureMismatchError",
    "SnapshotError",
    "StagingChangedError",
    "StalledError",
    "StatementError",
    "StorageDeniedError",
    "StorageError",
    "StorageFullError",
    "StorageUnavailableError",
    "StoreNotFoundError",
    "TableNotFoundError",
    "TablesInUseError",
    "TargetNotEmptyError",
    "TooLargeError",
    "TooManyAttemptsError",
    "TooManyRequestsError",
    "TooManyRunsError",
    "TruncatedFileError",
    "UndoExpiredError",
    "UnknownSignerError",
    "UnsupportedObjectError",
    "UserExistsError",
    "UserNotFoundError",
]
