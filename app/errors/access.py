"""The requester may not do this, or not so often."""

from app.errors.root import AppError


class AccessError(AppError):
    """The requester may not have this."""

    code = "access"
    title = "Access denied"


class NotAuthenticatedError(AccessError):
    """Nobody proved who they are: no token or password, or one that is not good any more."""

    code = "not-authenticated"
    title = "Not authenticated"


class NotAuthorizedError(AccessError):
    """The role of the requester does not allow this."""

    code = "not-authorized"
    title = "Not authorized"


class TooManyRequestsError(AccessError):
    """As many requests or downloads go on as may at once."""

    code = "too-many-requests"
    title = "Too many requests"
    retryable = True


class TooManyAttemptsError(AccessError):
    """
    Too many failed logins for this user or from this address.

    Attributes:
        seconds: After which the next attempt is admitted.
    """

    code = "too-many-attempts"
    title = "Too many attempts"
    retryable = True

    def __init__(self, message: str, *, seconds: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds
