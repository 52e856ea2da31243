"""
What checks have found, recorded beside the backups and read from there; and the check of many sizes.

Not guaranteed: that what a batch of sizes has shown is noted when it is interrupted; it is due again then.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import run_in_thread
from app.domain.backups.check_notes import Check, Notes, VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.checks import checks_of
from app.domain.ids import BackupId
from app.domain.ports import Clock
from app.errors import (
    AppError,
    BackupNotFoundError,
    ChecksumMismatchError,
    IntegrityError,
    NoIdentityError,
    StorageError,
)


_log: Final = logging.getLogger(__name__)
# Whoever else needs the directory's lock waits for as many small files to be written.
_AT_ONCE: Final = 200
# What says something about a backup; others say that somebody works with it.
_NOTED: Final = (IntegrityError, StorageError, BackupNotFoundError)


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


async def check_sizes(
    catalogue: Catalogue, backup_ids: Sequence[BackupId], clock: Clock
) -> list[tuple[BackupId, AppError | None]]:
    """
    Check backups on the level `size`, and record beside each what was found.

    Returns:
        Each backup with what is wrong; None = nothing.

    Raises:
        CancelledError: The rest was not looked at.
    """
    found: list[tuple[BackupId, AppError | None]] = []
    for begin in range(0, len(backup_ids), _AT_ONCE):
        batch = backup_ids[begin : begin + _AT_ONCE]
        found += await run_in_thread(partial(_check, catalogue, batch, clock))
    return found


def _check(
    catalogue: Catalogue, backup_ids: Sequence[BackupId], clock: Clock
) -> list[tuple[BackupId, AppError | None]]:
    found: list[tuple[BackupId, AppError | None]] = []
    checks: dict[BackupId, Check] = {}
    for backup_id in backup_ids:
        began = clock.monotonic()
        error = _compare(catalogue, backup_id)
        found.append((backup_id, error))
        if error is None or isinstance(error, _NOTED):
            seconds = round(clock.monotonic() - began, 3)
            code = error.code if error is not None else ""
            checks[backup_id] = Check(clock.now(), success=not code, seconds=seconds, error=code)
    record_checks(catalogue, VerifyLevel.SIZE, checks)
    return found


def _compare(catalogue: Catalogue, backup_id: BackupId) -> AppError | None:
    try:
        _open(catalogue, backup_id)
    except AppError as exc:
        return exc
    return None


def _open(catalogue: Catalogue, backup_id: BackupId) -> None:
    try:
        catalogue.open(backup_id).close()  # it checks the manifest, its index and the size
    except NoIdentityError:
        catalogue.stored(backup_id).close()  # the signature, and the size
