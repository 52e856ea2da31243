"""Not in a state that allows this now."""

from app.errors.root import AppError


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


class TooManyRunsError(AlreadyRunningError):
    """As many runs of this kind go on as may at once."""

    code = "too-many-runs"
    title = "Too many runs"


class NoServerError(ConflictError):
    """No server was connected yet, so there is nothing to back up or to restore into."""

    code = "no-server"
    title = "No server yet"

    def __init__(self) -> None:
        super().__init__(
            "no server is connected yet",
            hint="An admin connects one in the pages, under Server; or set BACKSTAY_DATABASE_URL.",
        )


class BinlogBrokenError(ConflictError):
    """The server's binary log does not go on where its archive ends."""

    code = "binlog-broken"
    title = "Binary log broken off"


class BinlogDuplicateReaderError(ConflictError):
    """Another reader of the server's binary log has the same server id."""

    code = "binlog-duplicate-reader"
    title = "Another reader of the binary log"
    retryable = True


class NoIdentityError(ConflictError):
    """Something is encrypted, and no identity that is here opens it."""

    code = "no-identity"
    title = "No identity opens it"


class NotCancellableError(ConflictError):
    """The run is over."""

    code = "not-cancellable"
    title = "Run is over"


class RunInterruptedError(ConflictError):
    """The process that ran it ended before the run did."""

    code = "run-interrupted"
    title = "Run interrupted"


class RunLostError(ConflictError):
    """Nobody here knows what became of the run; somebody has ended it in the history."""

    code = "run-lost"
    title = "Run lost"


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


class StagingChangedError(ConflictError):
    """Others changed tables of a restore between the proof and the moment in which they came."""

    code = "staging-changed"
    title = "Restored tables changed by others"


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


class AlreadyThereError(ConflictError):
    """The store has an object of this name already, and it was to be made anew."""

    code = "already-there"
    title = "Already there"


class ObjectLockedError(ConflictError):
    """The store keeps the object until a time, whoever asks for its deletion."""

    code = "object-locked"
    title = "Object locked"
