"""What a prune would do, and what it has done."""

from dataclasses import dataclass
from typing import Final

from app.domain.backups.retention import RetentionDecision
from app.errors import (
    AppError,
    BackupInUseError,
    BackupNotFoundError,
    BackupPinnedError,
    ClockJumpedError,
    ObjectLockedError,
)


# What came between a look at a backup and its deletion; the next prune looks again.
_HARMLESS: Final = (BackupInUseError, BackupNotFoundError, BackupPinnedError, ObjectLockedError)


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """
    What would become of all backups.

    Attributes:
        decisions: Newest first.
        clock: Why nothing would be deleted although something should be; None when it would.
    """

    decisions: tuple[RetentionDecision, ...]
    clock: ClockJumpedError | None

    @property
    def deleted(self) -> tuple[RetentionDecision, ...]:
        """What would go."""
        return tuple(decision for decision in self.decisions if not decision.is_kept)

    @property
    def kept(self) -> tuple[RetentionDecision, ...]:
        """What would stay."""
        return tuple(decision for decision in self.decisions if decision.is_kept)


@dataclass(frozen=True, slots=True)
class PruneResult:
    """
    What was done.

    Attributes:
        deleted: What is gone, in this order.
        failed: What should have gone and did not, each with why.
        kept: How many are still there.
    """

    deleted: tuple[RetentionDecision, ...]
    failed: tuple[tuple[RetentionDecision, AppError], ...]
    kept: int

    @property
    def unexpected(self) -> tuple[tuple[RetentionDecision, AppError], ...]:
        """What failed for another reason than that something came between."""
        return tuple(failure for failure in self.failed if not isinstance(failure[1], _HARMLESS))
