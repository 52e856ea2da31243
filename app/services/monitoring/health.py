"""What is known of the health of all stored backups; reading it costs little, so that it can be often."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.backups.check_notes import Notes
from app.domain.checks import StoredBackup
from app.domain.ids import BackupId
from app.domain.restores.proofs import Proof, proven_at
from app.errors import AppError, IntegrityError
from app.storage import layout


_NO_NOTES: Final = Notes()


class _Stamp(NamedTuple):
    """What changes when a small file is replaced: it is always another file then."""

    inode: int
    changed_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class _Beside:
    """What lies beside a backup, as it was when the stamps of its files were these."""

    stamps: tuple[_Stamp | None, _Stamp | None]
    notes: Notes
    proofs: tuple[Proof, ...]
    error: AppError | None


@dataclass(frozen=True, slots=True)
class BackupHealth:
    """
    All backups at one moment.

    Attributes:
        survey: What is there.
        stored: What is known of each backup of the survey, newest first.
        faults: What is wrong with a backup, in words, whether the survey or a check has found it.
        proven_at: When all of a backup, of any, was last restored and equal; None = never.
    """

    survey: Survey
    stored: tuple[StoredBackup, ...]
    faults: Mapping[BackupId, str]
    proven_at: datetime | None


class HealthService:
    """
    Reads the health of backups; what lies beside them is read again only when it has changed.

    Attributes:
        catalogue: The backups.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        # Replaced as a whole, as threads share it; as large as the catalogue.
        self._known: Mapping[BackupId, _Beside] = {}

    async def read(self) -> BackupHealth:
        """
        Read what is known of all backups.

        Returns:
            What is known of them; nothing where there is no directory yet.

        Raises:
            StorageError: The directory cannot be read.
        """
        return await asyncio.to_thread(self.read_now)

    def read_now(self) -> BackupHealth:
        """Read what is known of all backups; blocks, for threads."""
        if not self.catalogue.directory.is_there():
            return BackupHealth(Survey((), (), ()), (), {}, None)
        survey = self.catalogue.survey()
        known = {entry.backup_id: self._beside(entry) for entry in survey.entries}
        self._known = known
        stored = tuple(_stored(entry, known[entry.backup_id]) for entry in survey.entries)
        return BackupHealth(
            survey=survey,
            stored=stored,
            faults={**_checked(known), **_surveyed(survey)},
            proven_at=max(
                filter(None, (proven_at(backup.proofs) for backup in stored)),
                default=None,
            ),
        )

    def _beside(self, entry: CatalogueEntry) -> _Beside:
        known = self._known.get(entry.backup_id)
        stamps = self._stamps(entry.file)
        if known is not None and known.stamps == stamps:
            return known
        if stamps == (None, None):
            return _Beside(stamps, _NO_NOTES, (), None)
        proofs: tuple[Proof, ...] = ()
        try:
            proofs = self.catalogue.proofs(entry.backup_id)
            return _Beside(stamps, self.catalogue.notes(entry.backup_id), proofs, None)
        except AppError as exc:
            return _Beside(stamps, _NO_NOTES, proofs, exc)

    def _stamps(self, file: str) -> tuple[_Stamp | None, _Stamp | None]:
        facts = [
            self.catalogue.directory.stat(file + ending) for ending in (layout.NOTES, layout.PROOFS)
        ]
        notes, proofs = (
            _Stamp(fact.st_ino, fact.st_mtime_ns, fact.st_size) if fact else None for fact in facts
        )
        return notes, proofs


def _stored(entry: CatalogueEntry, beside: _Beside) -> StoredBackup:
    return StoredBackup(
        backup_id=entry.backup_id,
        created_at=entry.created_at,
        read_back=entry.verify,
        recovery_point=entry.recovery_point,
        has_rows=entry.include_data,
        notes=beside.notes,
        proofs=beside.proofs,
    )


def _checked(known: Mapping[BackupId, _Beside]) -> dict[BackupId, str]:
    """Tell what checks have found, and whose notes cannot be read."""
    faults = {}
    for backup_id, beside in known.items():
        failure = beside.notes.failure
        if failure is not None:
            faults[backup_id] = f"a check found {failure.error} at {failure.at:%Y-%m-%d %H:%M} UTC"
        elif isinstance(beside.error, IntegrityError):
            faults[backup_id] = str(beside.error)
    return faults


def _surveyed(survey: Survey) -> dict[BackupId, str]:
    """Tell what every survey of the directory shows."""
    found = [(problem.file, str(problem.error)) for problem in survey.problems]
    found += [(file, f"{file}: has no manifest") for file in survey.orphans]
    names = [(layout.parse(file), message) for file, message in found]
    return {name.backup_id: message for name, message in names if name is not None}
