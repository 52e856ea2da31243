"""What checks have found, recorded beside the backups and read from there."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.check_notes import Check, Notes, VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.checks import checks_of
from app.errors import AppError, BackupNotFoundError, ChecksumMismatchError


_log: Final = logging.getLogger(__name__)


async def record_check(
    catalogue: Catalogue, backup_id: str, level: VerifyLevel, check: Check
) -> None:
    """Record what a check has found; nothing happens to a backup that is not there, or a full medium."""

    def change(notes: Notes) -> Notes:
        return replace(notes, checks={**notes.checks, level.value: check})

    try:
        with suppress(BackupNotFoundError):  # it never was there, or was deleted meanwhile
            await asyncio.to_thread(catalogue.change_notes, backup_id, change)
    except AppError as exc:  # the check has found what it has found
        facts = {"backup_id": backup_id, "error": str(exc)}
        _log.warning("Check result could not be recorded", extra={"facts": facts})


async def read_checks(catalogue: Catalogue, manifest: Manifest) -> dict[str, Check]:
    """Return the last check of a backup on each level, shallow ones first; raises StorageError."""
    try:
        notes = await asyncio.to_thread(catalogue.notes, manifest.backup_id)
    except ChecksumMismatchError:  # nobody knows of any; whoever reads the pin reports that
        notes = Notes()
    return checks_of(notes, manifest.created_at, read_back=manifest.options.verify)
