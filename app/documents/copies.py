"""Copies of backups, as far as it is known what is in them."""

from typing import Self

from app.documents.backups import BackupCreated, PrintedBackupCreated
from app.documents.base import BackupIdText, Bytes, Document, Success
from app.domain.backups.copies import CopiedBackup


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
