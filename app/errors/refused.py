"""Well-formed, but it will not be done."""

from app.errors.root import AppError


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


class ScratchUnavailableError(RefusedError):
    """The scratch server that a recovery needs could not be made or started."""

    code = "scratch-unavailable"
    title = "Scratch server unavailable"


class BaseUnfitError(RefusedError):
    """No backup can be the base of a recovery to that point."""

    code = "base-unfit"
    title = "No base to recover from"


class PointNotCoveredError(RefusedError):
    """The archived binary log does not lead from a backup to that point."""

    code = "point-not-covered"
    title = "Point not covered"


class PointInsideTransactionError(RefusedError):
    """A position lies inside a transaction."""

    code = "point-inside-transaction"
    title = "Point inside a transaction"


class BinlogOffError(RefusedError):
    """The server writes no binary log, or one that lacks changes."""

    code = "binlog-off"
    title = "No usable binary log"


class UnknownSignerError(RefusedError):
    """A backup is signed by an installation that this one does not know."""

    code = "unknown-signer"
    title = "Unknown signer"
