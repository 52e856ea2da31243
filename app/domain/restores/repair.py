"""What became of a restore that was interrupted, and what a repair will do about it."""

from dataclasses import dataclass
from typing import Final

from app.domain.restores.journal import Journal, RestorePhase
from app.errors import AppError


_COMMAND: Final = "'backstay doctor --repair'"
_FINISHES: Final = (
    "finishes it, or puts everything back where the server refuses that, and says which"
)
_PROMISES: Final = {
    RestorePhase.LOADING: "removes what it had loaded; the databases are as they were",
    RestorePhase.SWAPPING: f"asks the server whether its tables have come: if they have, it {_FINISHES};"
    " if not, it puts everything back",
    RestorePhase.FINISHING: f"{_FINISHES}; its tables have come",
}


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


def promise(phase: RestorePhase) -> str:
    """Say what a repair will do about a restore that came so far; empty when nothing is to be done."""
    deed = _PROMISES.get(phase, "")
    return f"When the server answers again, {_COMMAND} {deed}." if deed else ""


def is_promised(hint: str) -> bool:
    """Tell whether a hint holds such a promise."""
    return _COMMAND in hint
