"""Backups as retention sees them, made of what the catalogue reads."""

from datetime import UTC, datetime

from app.archive.catalogue.readings import Reading
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.check_notes import DAMAGE_CODES, UNREADABLE, Notes
from app.domain.backups.retention import Holdings, RetentionItem
from app.domain.restores.proofs import Proof, proven_at


def made_at(reading: Reading) -> dict[str, datetime]:
    """Return when each backup was made, by its id."""
    return {str(entry.backup_id): entry.created_at for entry in reading.survey.entries}


def item_in(reading: Reading, entry: CatalogueEntry) -> RetentionItem:
    """Make what retention sees of a backup that was read with others."""
    beside = reading.beside[entry.backup_id]
    return item_of(entry, None if beside.error else beside.notes, beside.proofs)


def item_of(entry: CatalogueEntry, notes: Notes | None, proofs: tuple[Proof, ...]) -> RetentionItem:
    """Make what retention sees of a backup; None = its notes cannot be understood."""
    return RetentionItem(
        backup_id=entry.backup_id,
        created_at=entry.created_at.astimezone(UTC),
        size=entry.size,
        schedule=entry.schedule,
        holdings=Holdings(
            databases=frozenset(entry.databases),
            requested=None if entry.requested is None else frozenset(entry.requested),
            tables=frozenset(entry.tables),
            exclude_tables=frozenset(entry.exclude_tables),
            include_data=entry.include_data,
            server_id=entry.server_id or "",
        ),
        is_good=notes is not None and is_good(entry, notes, proofs),
        pinned=_pinned(notes),
        is_recovery_point=entry.recovery_point,
        is_of_the_past=entry.is_of_the_past,
        binlog_file=entry.binlog_file,
        binlog_position=entry.binlog_position,
    )


def is_good(entry: CatalogueEntry, notes: Notes, proofs: tuple[Proof, ...]) -> bool:
    """Tell whether a backup was read back and found whole, and no later check says otherwise."""
    read_at = notes.read_back_at
    if notes.is_damaged or not (read_at or proven_at(proofs) or entry.verify):
        return False
    # In the order of their coming, whatever the clock said then.
    for proof in proofs:
        if proof.success and proof.whole:
            return True
        if proof.error in DAMAGE_CODES:
            return read_at is not None and read_at >= proof.at
    return True


def _pinned(notes: Notes | None) -> str:
    if notes is None:
        return UNREADABLE
    if notes.pin is None:
        return ""
    return f"pinned by {notes.pin.by}" + (f": {notes.pin.reason}" if notes.pin.reason else "")
