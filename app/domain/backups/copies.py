"""What a copy of a backup is, told to people."""

from dataclasses import dataclass

from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId


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
