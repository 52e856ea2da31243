"""What a look at a place of backups has shown."""

from dataclasses import replace
from datetime import datetime

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.readings import Reading
from app.archive.catalogue.sidecars import Beside
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.places.report import PlaceState
from app.domain.restores.proofs import proven_at
from app.errors import AppError
from app.storage import layout


def look_at(place: PlaceState, catalogue: Catalogue, now: datetime) -> PlaceState:
    """Look at a place, which may be far away, anew. Blocks, and raises StorageError."""
    reading = catalogue.read(anew=True)
    return _state_of(place, reading, catalogue.directory.free_bytes(), now)


def _state_of(
    place: PlaceState, reading: Reading, free_bytes: int | None, now: datetime
) -> PlaceState:
    survey = reading.survey
    newest = next((entry for entry in survey.entries if entry.is_current), None)
    proofs = [found for beside in reading.beside.values() if (found := proven_at(beside.proofs))]
    failing = sum(beside.notes.is_damaged for beside in reading.beside.values())
    return replace(
        place,
        looked_at=now,
        error=None,
        count=len(survey.entries),
        size_bytes=sum(entry.size for entry in survey.entries),
        free_bytes=free_bytes,
        damaged=len(survey.problems) + len(survey.orphans) + failing,
        unknown=len(survey.unknown),
        newest=newest,
        there=_ids_in(survey),
        checked_at=_checked_at(newest, reading.beside[newest.backup_id]) if newest else None,
        proven_at=max(proofs, default=None),
    )


def state_of_directory(catalogue: Catalogue, now: datetime) -> PlaceState:
    """Look at the backup directory; one that cannot be read is none that is empty. Blocks."""
    here = PlaceState("", "local", "", is_offsite=False)
    try:
        if not catalogue.directory.is_there():
            return here
        return _state_of(here, catalogue.read(), catalogue.directory.free_bytes(), now)
    except AppError as exc:
        return replace(here, error=exc)


def _ids_in(survey: Survey) -> frozenset[str]:
    files = (*survey.orphans, *(problem.file for problem in (*survey.problems, *survey.unknown)))
    found = [entry.backup_id for entry in survey.entries]
    found += [backup.backup_id for backup in survey.locked]
    return frozenset([*found, *(name.backup_id for name in map(layout.parse, files) if name)])


def _checked_at(entry: CatalogueEntry, beside: Beside) -> datetime | None:
    made = entry.created_at if entry.verify else None
    found = (made, beside.notes.read_back_at, proven_at(beside.proofs))
    return max((at for at in found if at is not None), default=None)
