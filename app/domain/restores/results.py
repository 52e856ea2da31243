"""What drills have shown, and what can be done with a backup."""

from dataclasses import dataclass

from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.domain.restores.dry_run import Compatibility, Estimate, Proof, Space
from app.domain.restores.journal import Journal
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class DrillResult:
    """
    What a drill has shown.

    Attributes:
        tables_count: Tables that were restored.
        rows_count: Rows that were restored, read back and compared.
        duration: Seconds.
        warnings: What was not rehearsed, and what is not as it was.
    """

    backup_id: BackupId
    databases: tuple[str, ...]
    tables_count: int
    rows_count: int
    duration: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """
    What can be done with a backup here.

    Attributes:
        problems: What a full restore in place would be refused for.
        proofs: What restores of it have shown, newest first.
        undoable: Restores of it that can be undone now.
    """

    manifest: Manifest
    problems: tuple[AppError, ...]
    compatibility: Compatibility
    missing_rights: tuple[str, ...]
    space: Space
    estimate: Estimate
    proofs: tuple[Proof, ...]
    undoable: tuple[Journal, ...]
