"""What a directory of backups holds, as it is listed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.check_notes import Pin
from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that should be part of a backup and is not: whatever it is, it stays."""

    file: str
    error: AppError


@dataclass(frozen=True, slots=True)
class LockedBackup:
    """
    A backup that is encrypted for others, and was not made or read here: nobody here knows what is in it.

    Attributes:
        created_at: Aware UTC instant.
        size: Bytes of its file.
        checksum: SHA-256 of its file.
        server_id: The same for backups of the same server; empty = not noted.
        recipients: Ids of those who can read it.
        signer: Id of who has signed it, which was verified.
    """

    backup_id: BackupId
    file: str
    full_path: str
    created_at: datetime
    size: int
    checksum: str
    server_id: str
    recipients: tuple[str, ...]
    signer: str


@dataclass(frozen=True, slots=True)
class Survey:
    """
    Everything in the directory that is ours.

    Attributes:
        entries: Backups, newest first; each has a readable manifest and a file of the right size.
        problems: Backups that are damaged, by name.
        orphans: Data files without a manifest; `rebuild` can make it again.
        locked: Backups that nobody here can read, newest first; they are not damaged, and they stay.
        unknown: Encrypted backups of a signer that is not known here: whether they are whole nobody here
            can tell, and they stay.
    """

    entries: tuple[CatalogueEntry, ...]
    problems: tuple[DamagedFile, ...]
    orphans: tuple[str, ...]
    locked: tuple[LockedBackup, ...] = ()
    unknown: tuple[DamagedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupPage:
    """
    A part of the catalogue.

    Attributes:
        entries: Each with the instant when it was last restored and equal, None = never.
        total: How many backups are meant in all.
        survey: Everything that is there.
        pins: Which of the entries are pinned; None for one that may be, as nobody can read its notes.
    """

    entries: tuple[tuple[CatalogueEntry, datetime | None], ...]
    total: int
    survey: Survey
    pins: Mapping[str, Pin | None]


@dataclass(frozen=True, slots=True)
class CopiedBackup:
    """
    A copy that was proven.

    Attributes:
        file: Name of its data file.
        size: Bytes of that.
        checksum: SHA-256 of that.
        manifest: None when it is encrypted for others.
    """

    backup_id: BackupId
    file: str
    size: int
    checksum: str
    manifest: Manifest | None
