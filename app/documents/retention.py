"""Which backups are kept: pins, and what a prune would do or has done."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer

from app.documents.base import BackupIdText, Bytes, Document, Moment, Success
from app.domain.backups.check_notes import UNREADABLE, Notes, Pin
from app.domain.backups.pruning import LogPruning, PruneResult, RetentionPlan
from app.domain.backups.retention import RetentionDecision
from app.domain.runs.failures import without_paths
from app.errors import AppError


class PinFacts(Document):
    """That nobody can delete a backup."""

    at: Annotated[datetime | None, Field(description="null where its notes are damaged.")]
    by: Annotated[str, Field(examples=["alice"])]
    reason: str

    @classmethod
    def find(cls, pins: Mapping[str, Pin | None], backup_id: str) -> Self | None:
        """
        Look up the pin of a backup.

        Args:
            pins: Of those that are pinned; None for one whose notes cannot be understood.
            backup_id: Which backup.

        Returns:
            Its description; None when the backup is not pinned.
        """
        if backup_id not in pins:
            return None
        pin = pins[backup_id]
        return cls(at=None, by="", reason=UNREADABLE) if pin is None else cls.taken(pin)


class PrintedPin(PinFacts):
    """That nobody can delete a backup, as commands print it."""

    at: Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str)] | None


class PinChanged(Document):
    """Whether a backup is pinned now."""

    success: Success
    backup_id: BackupIdText
    pin: PinFacts | None

    @classmethod
    def of(cls, backup_id: str, notes: Notes) -> Self:
        """Tell of the pin in the notes of a backup."""
        return cls.model_validate({"success": True, "backup_id": backup_id, "pin": notes.pin})


class PrintedPinChanged(PinChanged):
    """Whether a backup is pinned now, as commands print it."""

    pin: PrintedPin | None


class PlannedBackup(Document):
    """What would become of a backup."""

    backup_id: BackupIdText
    created_at: Moment
    schedule: Annotated[str | None, Field(examples=["default"])]
    recovery_point: bool
    size: Bytes
    reason: Annotated[str, Field(examples=["older than the 30 newest"])]

    @classmethod
    def of(cls, decision: RetentionDecision) -> Self:
        """Describe what is decided about a backup."""
        item = decision.item
        return cls.taken(
            item,
            schedule=item.schedule or None,
            recovery_point=item.is_recovery_point,
            reason=decision.reason,
        )


class PrunedLog(Document):
    """What goes of a stream of the archived binary log, or why nothing does."""

    stream: Annotated[str, Field(examples=["4f0c2a9e11b7"])]
    is_whole: Annotated[bool, Field(description="Whether nothing of it stays.")]
    begins_at: Annotated[
        str, Field(description="Where it begins then.", examples=["mysql-bin.000012:0"])
    ]
    segments: int
    size: Bytes
    code: Annotated[str, Field(description="Of what came between; empty when nothing did.")]
    message: str

    @classmethod
    def of(cls, pruning: LogPruning) -> Self:
        """Describe it."""
        error = pruning.error
        message = without_paths(str(error)) if error else ""
        return cls.taken(pruning, code=error.code if error else "", message=message)


class PrunePlan(Document):
    """What a prune would do now; nothing was changed."""

    success: Success
    dry_run: Literal[True]
    delete: Annotated[tuple[PlannedBackup, ...], Field(description="What would go.")]
    keep: Annotated[tuple[PlannedBackup, ...], Field(description="What would stay.")]
    freed_bytes: Bytes
    clock: Annotated[
        str | None, Field(description="Why nothing would be deleted now; null = it would.")
    ]
    binlog: Annotated[
        tuple[PrunedLog, ...], Field(description="What would go of the archived binary log.")
    ]

    @classmethod
    def of(cls, plan: RetentionPlan) -> Self:
        """Tell what would become of all backups, newest first, each with why."""
        return cls(
            success=True,
            dry_run=True,
            delete=tuple(map(PlannedBackup.of, plan.deleted)),
            keep=tuple(map(PlannedBackup.of, plan.kept)),
            freed_bytes=sum(decision.item.size for decision in plan.deleted),
            clock=str(plan.clock) if plan.clock else None,
            binlog=tuple(map(PrunedLog.of, plan.log)),
        )


class DeletedBackup(Document):
    """A backup that is gone, and why."""

    backup_id: str
    reason: str
    size: int

    @classmethod
    def of(cls, decision: RetentionDecision) -> Self:
        """Describe what was decided about a backup, and done."""
        return cls.taken(decision.item, reason=decision.reason)


class FailedDeletion(Document):
    """A backup that should be gone, and why it is not."""

    backup_id: str
    code: str
    message: str

    @classmethod
    def of(cls, decision: RetentionDecision, error: AppError) -> Self:
        """Describe what was decided about a backup, and what came between."""
        message = without_paths(str(error))
        return cls(backup_id=decision.item.backup_id, code=error.code, message=message)


class Pruned(Document):
    """What was deleted; what came between is no failure, as the next prune looks again."""

    success: bool
    deleted: tuple[DeletedBackup, ...]
    kept: int
    freed_bytes: int
    failed: tuple[FailedDeletion, ...]
    binlog: tuple[PrunedLog, ...]

    @classmethod
    def of(cls, result: PruneResult) -> Self:
        """Tell what a prune has done."""
        return cls(
            success=result.error is None,
            deleted=tuple(map(DeletedBackup.of, result.deleted)),
            kept=result.kept,
            freed_bytes=sum(decision.item.size for decision in result.deleted),
            failed=tuple(FailedDeletion.of(*failure) for failure in result.failed),
            binlog=tuple(map(PrunedLog.of, result.log)),
        )
