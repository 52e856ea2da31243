"""Backups that were made of backups: copies, and what was recovered to a point in time."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from app.documents.backups import BackupCreated, Position, PrintedBackupCreated
from app.documents.base import BackupIdText, Bytes, Document, Seconds, Success
from app.documents.restores import LogPlaceFacts, Refusal, SpaceFacts
from app.domain.backups.catalogue import CopiedBackup
from app.domain.backups.manifest import Manifest
from app.domain.restores.points import RecoverPlan, RecoveryDrill


_UNSIGNED: Final = (
    "Behind it what is replayed of an encrypted archive is not signed yet; null where all is."
)


class BackupStored(Document):
    """A backup that was made or copied, and that nobody here can read."""

    success: Success
    backup_id: BackupIdText
    file: str
    size: Bytes
    checksum: str

    @classmethod
    def of(cls, copied: CopiedBackup, **others: object) -> Self:
        """Describe it from outside; the others are fields that it has not."""
        return cls.taken(copied, success=True, **others)


class PrintedBackupStored(BackupStored):
    """A backup that nobody here can read, as the command prints it."""

    full_path: str


def document_of_copy(copied: CopiedBackup) -> BackupCreated | BackupStored:
    """Describe a copy as far as it is known what is in it."""
    return BackupCreated.of(copied.manifest) if copied.manifest else BackupStored.of(copied)


def printed_copy(
    copied: CopiedBackup, full_path: str
) -> PrintedBackupCreated | PrintedBackupStored:
    """Describe a copy as the command prints it."""
    if copied.manifest:
        return PrintedBackupCreated.of(copied.manifest, full_path=full_path)
    return PrintedBackupStored.of(copied, full_path=full_path)


class LoggedTransactionFacts(Document):
    """A transaction of the binary log."""

    file: str
    start: int
    end: int
    gtid: str
    committed_at: datetime


class PassedOver(Document):
    """A newer backup that is no base."""

    backup_id: str
    reason: str


class RecoveryPlanned(Document):
    """What a recovery would do, a success when it would be one; nothing was changed."""

    success: bool
    dry_run: Literal[True]
    base: Annotated[BackupIdText, Field(description="Backup that it would start from.")]
    base_created_at: datetime
    databases: Annotated[tuple[str, ...], Field(description="Empty: all.")]
    position: Annotated[Position, Field(description="Where it would end.")]
    transactions: int
    log_bytes: Bytes
    last: Annotated[LoggedTransactionFacts | None, Field(description="The last one that is in.")]
    following: Annotated[
        LoggedTransactionFacts | None, Field(description="The first one that is out.")
    ]
    passed_over: tuple[PassedOver, ...]
    problems: Annotated[tuple[Refusal, ...], Field(description="Why it would be refused.")]
    disk: Annotated[SpaceFacts | None, Field(description="Where the scratch server would lie.")]
    unsigned_from: Annotated[LogPlaceFacts | None, Field(description=_UNSIGNED)]

    @classmethod
    def of(cls, plan: RecoverPlan) -> Self:
        """Describe a plan."""
        passed = [
            PassedOver(backup_id=backup_id, reason=reason) for backup_id, reason in plan.passed_over
        ]
        return cls.taken(
            plan.cut,
            success=not plan.problems,
            dry_run=True,
            problems=tuple(map(Refusal.of, plan.problems)),
            disk=plan.space,
            base=plan.base.backup_id,
            base_created_at=plan.base.created_at,
            databases=plan.databases,
            log_bytes=plan.log_bytes,
            passed_over=passed,
            unsigned_from=plan.unsigned_from,
        )


class RecoveredOnce(BackupCreated):
    """A backup that was recovered, as it is found: nobody knows any more what of its log was signed then."""

    recovered_from: BackupIdText
    position: Position

    @classmethod
    def of(cls, manifest: Manifest, **others: object) -> Self:
        """Describe a backup by its manifest."""
        return cls._summed(manifest, **others)


class Recovered(RecoveredOnce):
    """A backup that was recovered."""

    unsigned_from: Annotated[LogPlaceFacts | None, Field(description=_UNSIGNED)]


class RecoveryDrilled(Document):
    """Two backups, of which the newer is what the older and the binary log give."""

    success: Success
    drill: Literal[True]
    base: BackupIdText
    backup_id: BackupIdText
    transactions: int
    tables_count: int
    rows_count: int
    duration: Seconds

    @classmethod
    def of(cls, result: RecoveryDrill) -> Self:
        """Tell what was shown."""
        return cls.taken(result, success=True, drill=True)
