"""Errors of what was asked: by whom, for what, and when."""

from app.errors.root import AppError


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


class RunNotFoundError(NotFoundError):
    """No run has this identifier."""

    code = "run-not-found"
    title = "Run not found"


class UserNotFoundError(NotFoundError):
    """No user of this service has this name."""

    code = "user-not-found"
    title = "User not found"


class ScheduleNotFoundError(NotFoundError):
    """No schedule has this name."""

    code = "schedule-not-found"
    title = "Schedule not found"


class ConflictError(AppError):
    """Something is not in a state that allows this now."""

    code = "conflict"
    title = "Conflict"


class AlreadyRunningError(ConflictError):
    """
    Another run holds this server or schema.

    Attributes:
        run_id: The other run; empty when it is not known here.
    """

    code = "already-running"
    title = "Already running"
    retryable = True

    def __init__(self, message: str, *, run_id: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run_id = run_id


class NotCancellableError(ConflictError):
    """The run is over."""

    code = "not-cancellable"
    title = "Run is over"


class RunInterruptedError(ConflictError):
    """The process that ran it ended before the run did."""

    code = "run-interrupted"
    title = "Run interrupted"


class UserExistsError(ConflictError):
    """A user of this name exists."""

    code = "user-exists"
    title = "User exists"


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


class BackupPinnedError(ConflictError):
    """Somebody has pinned the backup, so nobody may delete it."""

    code = "backup-pinned"
    title = "Backup pinned"


class NotDueError(ConflictError):
    """The schedule has nothing to do now, or somebody else does it."""

    code = "not-due"
    title = "Not due"


class ClockJumpedError(ConflictError):
    """The clock says another time than it should; nothing is deleted by it."""

    code = "clock-jumped"
    title = "Clock jumped"


class AccessError(AppError):
    """Who asks may not have this."""

    code = "access"
    title = "Access denied"


class NotAuthenticatedError(AccessError):
    """Nobody proved who they are: no token or password, or one that is not good any more."""

    code = "not-authenticated"
    title = "Not authenticated"


class NotAuthorizedError(AccessError):
    """The role of who asks does not allow this."""

    code = "not-authorized"
    title = "Not authorized"


class TooManyAttemptsError(AccessError):
    """
    Too many failed logins for this user or from this address.

    Attributes:
        seconds: After which the next one is looked at.
    """

    code = "too-many-attempts"
    title = "Too many attempts"
    retryable = True

    def __init__(self, message: str, *, seconds: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class RefusedError(AppError):
    """Well-formed, but we will not do it."""

    code = "refused"
    title = "Refused"


class InvalidRequestError(RefusedError):
    """An option or a setting makes no sense."""

    code = "invalid-request"
    title = "Invalid request"


class InvalidScheduleError(RefusedError):
    """A schedule has no due times, or its time zone does not exist."""

    code = "invalid-schedule"
    title = "Invalid schedule"


class KeyReusedError(RefusedError):
    """An idempotency key came again with another request."""

    code = "key-reused"
    title = "Idempotency key reused"


class TooLargeError(RefusedError):
    """The body of a request is larger than any that makes sense."""

    code = "too-large"
    title = "Request too large"


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
