"""The root of the error tree."""

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

    @property
    def is_passing(self) -> bool:
        """Whether this one may be over later: most often that is so of all of its kind, or of none."""
        return self.retryable
