"""
Sizes of many backups, compared and noted some hundred at a time.

Not guaranteed: that what a batch has found is noted when it is interrupted; it is due again then.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import run_in_thread
from app.domain.backups.check_notes import Check, VerifyLevel
from app.domain.ids import BackupId
from app.domain.ports import Clock
from app.errors import AppError, BackupNotFoundError, IntegrityError, StorageError
from app.services.backups.check_notes import record_checks


# Whoever else needs the directory's lock waits for as many small files to be written.
_AT_ONCE: Final = 200
# What says something about a backup; others say that somebody works with it.
_NOTED: Final = (IntegrityError, StorageError, BackupNotFoundError)


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
        catalogue.open(backup_id).close()  # it checks the manifest, its index and the size
    except AppError as exc:
        return exc
    return None
