"""What is known of the health of all stored backups; reading it costs little, so that it can be often."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.readings import Reading
from app.archive.catalogue.sidecars import Beside
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.backups.check_notes import Pin
from app.domain.checks import StoredBackup
from app.domain.ids import BackupId
from app.domain.restores.proofs import proven_at, recovery_proven_at
from app.errors import IntegrityError
from app.storage import layout


@dataclass(frozen=True, slots=True)
class BackupHealth:
    """
    All backups at one moment.

    Attributes:
        survey: What is there.
        stored: What is known of each backup of the survey, newest first.
        faults: What is wrong with a backup, in words, whether the survey or a check has found it.
        proven_at: When all of a backup, of any, was last restored and equal; None = never.
        pins: Which backups are pinned; None for one that may be, as nobody can read its notes.
        recovery_proven_at: When an older backup and the binary log last gave what a newer one holds; None = never.
    """

    survey: Survey
    stored: tuple[StoredBackup, ...]
    faults: Mapping[BackupId, str]
    proven_at: datetime | None
    pins: Mapping[str, Pin | None]
    recovery_proven_at: datetime | None = None


class HealthService:
    """
    Reads the health of backups, from the reading of the catalogue that everybody shares.

    Attributes:
        catalogue: The backups.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        # Replaced as a whole, as threads share it.
        self._known: tuple[Reading, BackupHealth] | None = None

    async def read(self, *, anew: bool = False) -> BackupHealth:
        """
        Read what is known of all backups.

        Args:
            anew: Whether nothing serves that was read before.

        Returns:
            What is known of them; nothing where there is no directory yet.

        Raises:
            StorageError: The directory cannot be read.
        """
        return await asyncio.to_thread(self.read_now, anew=anew)

    def read_now(self, *, anew: bool = False) -> BackupHealth:
        """Read what is known of all backups; blocks, for threads."""
        if not self.catalogue.directory.is_there():
            return BackupHealth(Survey((), (), ()), (), {}, None, {})
        reading, known = self.catalogue.read(anew=anew), self._known
        if known is None or known[0] is not reading:
            can_decrypt = self.catalogue.keys.can_read
            self._known = known = (reading, _health_of(reading, can_decrypt=can_decrypt))
        return known[1]


def _health_of(reading: Reading, *, can_decrypt: bool) -> BackupHealth:
    survey = reading.survey
    stored = tuple(
        stored_of(entry, reading.beside[entry.backup_id], can_decrypt=can_decrypt)
        for entry in survey.entries
    )
    faults = {backup_id: fault_of(beside) for backup_id, beside in reading.beside.items()}
    return BackupHealth(
        survey=survey,
        stored=stored,
        faults={**{key: fault for key, fault in faults.items() if fault}, **_surveyed(survey)},
        proven_at=max(
            filter(None, (proven_at(backup.proofs) for backup in stored)),
            default=None,
        ),
        pins=reading.pins(reading.beside),
        recovery_proven_at=max(
            filter(None, (recovery_proven_at(backup.proofs) for backup in stored)),
            default=None,
        ),
    )


def stored_of(entry: CatalogueEntry, beside: Beside, *, can_decrypt: bool) -> StoredBackup:
    """Put together what is known of one backup."""
    return StoredBackup(
        backup_id=entry.backup_id,
        created_at=entry.created_at,
        read_back=entry.verify,
        recovery_point=entry.recovery_point,
        has_rows=entry.include_data,
        notes=beside.notes,
        proofs=beside.proofs,
        readable=can_decrypt or not entry.is_encrypted,
    )


def fault_of(beside: Beside) -> str:
    """Tell what a check has found, or that notes cannot be understood; empty = nothing is wrong."""
    failure = beside.notes.failure
    if failure is not None:
        return f"a check found {failure.error} at {failure.at:%Y-%m-%d %H:%M} UTC"
    return str(beside.error) if isinstance(beside.error, IntegrityError) else ""


def _surveyed(survey: Survey) -> dict[BackupId, str]:
    """Tell what every survey of the directory shows."""
    found = [(problem.file, str(problem.error)) for problem in survey.problems]
    found += [(file, f"{file}: has no manifest") for file in survey.orphans]
    names = [(layout.parse(file), message) for file, message in found]
    return {name.backup_id: message for name, message in names if name is not None}
