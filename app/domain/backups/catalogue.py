"""What a directory of backups holds, as it is listed."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.backups.backup import CatalogueEntry
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that should be part of a backup and is not: whatever it is, it stays."""

    file: str
    error: AppError


@dataclass(frozen=True, slots=True)
class Survey:
    """
    Everything in the directory that is ours.

    Attributes:
        entries: Backups, newest first; each has a readable manifest and a file of the right size.
        problems: Backups that are damaged, by name.
        orphans: Data files without a manifest; `rebuild` can make it again.
    """

    entries: tuple[CatalogueEntry, ...]
    problems: tuple[DamagedFile, ...]
    orphans: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BackupPage:
    """
    A part of the catalogue.

    Attributes:
        entries: Each with the instant when it was last restored and equal, None = never.
        total: How many backups are meant in all.
        survey: Everything that is there.
    """

    entries: tuple[tuple[CatalogueEntry, datetime | None], ...]
    total: int
    survey: Survey
