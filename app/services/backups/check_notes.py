"""What checks have found, recorded beside the backups and read from there."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.check_notes import Check, Notes, VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.checks import checks_of
from app.domain.ids import BackupId
from app.errors import AppError, BackupNotFoundError, ChecksumMismatchError


_log: Final = logging.getLogger(__name__)


def record_checks(
    catalogue: Catalogue, level: VerifyLevel, checks: Mapping[BackupId, Check]
) -> None:
    """
    Record what checks have found; blocks, for threads.

    Nothing happens to a backup that is not there, nor when the medium refuses: they have found what they
    have found.
    """
    changes = {backup_id: _noting(level, check) for backup_id, check in checks.items()}
    try:
        refused = catalogue.change_many_notes(changes)
    except AppError as exc:
        refused = dict.fromkeys(checks, exc)
    for backup_id, error in refused.items():
        if not isinstance(error, BackupNotFoundError):  # or was deleted meanwhile
            facts = {"backup_id": backup_id, "error": str(error)}
            _log.warning("Check result could not be recorded", extra={"facts": facts})


def _noting(level: VerifyLevel, check: Check) -> Callable[[Notes], Notes]:
    return lambda notes: replace(notes, checks={**notes.checks, level.value: check})


async def read_checks(catalogue: Catalogue, manifest: Manifest) -> dict[str, Check]:
    """Return the last check of a backup on each level, shallow ones first; raises StorageError."""
    try:
        notes = await asyncio.to_thread(catalogue.notes, manifest.backup_id)
    except ChecksumMismatchError:  # nobody knows of any; whoever reads the pin reports that
        notes = Notes()
    return checks_of(notes, manifest.created_at, read_back=manifest.options.verify)
