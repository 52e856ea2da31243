"""A message did not arrive."""

from app.errors.root import AppError


class DeliveryError(AppError):
    """A message did not arrive where it was sent to."""

    code = "delivery"
    title = "Not delivered"
    retryable = True
