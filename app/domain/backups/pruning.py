"""What a prune would do, and what it has done."""

from dataclasses import dataclass, replace
from typing import Final, Self

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
class LogPruning:
    """
    What goes of a stream of the archived binary log.

    Attributes:
        stream: Its id.
        is_whole: Whether nothing of it stays.
        begins_at: File and position where it begins then; empty when nothing of it stays, or nothing goes.
        segments: How many of its segments go.
        size: Bytes that they take.
        error: Why they do not, or nobody knows whether they should; None when nothing came between.
    """

    stream: str
    is_whole: bool = False
    begins_at: str = ""
    segments: int = 0
    size: int = 0
    error: AppError | None = None

    def failed(self, error: AppError) -> Self:
        """Say that something came between."""
        return replace(self, error=error)

    @property
    def is_news(self) -> bool:
        """Whether there is anything to be told."""
        return self.is_whole or bool(self.segments) or self.error is not None


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """
    What would become of all backups.

    Attributes:
        decisions: Newest first.
        clock: Why nothing would be deleted although something should be; None when it would.
        log: What would go of the archived binary log.
    """

    decisions: tuple[RetentionDecision, ...]
    clock: ClockJumpedError | None
    log: tuple[LogPruning, ...] = ()

    @property
    def deleted(self) -> tuple[RetentionDecision, ...]:
        """What would go."""
        return tuple(decision for decision in self.decisions if not decision.is_kept)

    @property
    def pruned_log(self) -> tuple[LogPruning, ...]:
        """The streams of the binary log of which something would go."""
        return tuple(pruning for pruning in self.log if pruning.error is None)

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
        log: What is gone of the archived binary log, and what should be and is not.
    """

    deleted: tuple[RetentionDecision, ...]
    failed: tuple[tuple[RetentionDecision, AppError], ...]
    kept: int
    log: tuple[LogPruning, ...] = ()

    @property
    def unexpected(self) -> tuple[tuple[RetentionDecision, AppError], ...]:
        """What failed for another reason than that something came between."""
        return tuple(failure for failure in self.failed if not isinstance(failure[1], _HARMLESS))

    @property
    def error(self) -> AppError | None:
        """The first thing that failed so; None when nothing did."""
        errors = [error for _, error in self.failed] + [
            pruning.error for pruning in self.log if pruning.error
        ]
        return next((error for error in errors if not isinstance(error, _HARMLESS)), None)
