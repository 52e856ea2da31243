"""What became of a restore that was interrupted."""

from dataclasses import dataclass

from app.domain.restores.journal import Journal
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class RepairResult:
    """
    What became of a restore that was interrupted, or whose time was over.

    Attributes:
        journal: As it was found.
        outcome: `undone`, `finished`, `running`, `failed`, or `forgotten` for old tables dropped.
        error: Why it failed.
    """

    journal: Journal
    outcome: str
    error: AppError | None = None
