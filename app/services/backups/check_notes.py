"""
What checks have found, recorded beside the backups and read from there; and the check of many sizes.

Not guaranteed: that sizes which were right in the last half minute of a pass are noted when it is interrupted;
they are due again then.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import run_in_thread
from app.domain.backups.check_notes import Check, Notes, SizeCheck, VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.checks import checks_of
from app.domain.ids import BackupId
from app.domain.ports import Clock
from app.errors import (
    AppError,
    BackupNotFoundError,
    ChecksumMismatchError,
    IntegrityError,
    StorageError,
)


_log: Final = logging.getLogger(__name__)
# A pass that is cancelled ends after so many.
_AT_ONCE: Final = 200
# One that is interrupted loses what it has found since.
_RECORD_SECONDS: Final = 30.0
_NOTHING: Final = Notes()
# What says something about a backup; others say that somebody works with it.
_NOTED: Final = (IntegrityError, StorageError, BackupNotFoundError)


def record_check(
    catalogue: Catalogue, backup_id: BackupId, level: VerifyLevel, check: Check
) -> None:
    """
    Record what a check has found, beside the backup; blocks, for threads.

    Nothing happens to a backup that is not there, nor when the medium refuses: it has found what it has found.
    """

    def note(notes: Notes) -> Notes:
        return notes.with_check(level.value, check)

    try:
        catalogue.change_notes(backup_id, note)
    except BackupNotFoundError:  # or was deleted meanwhile
        return
    except AppError as exc:
        facts = {"backup_id": backup_id, "error": str(exc)}
        _log.warning("Check result could not be recorded", extra={"facts": facts})


async def read_checks(catalogue: Catalogue, manifest: Manifest) -> dict[str, Check]:
    """Return the last check of a backup on each level, shallow ones first; raises StorageError."""
    try:
        notes = await asyncio.to_thread(catalogue.notes, manifest.backup_id)
    except ChecksumMismatchError:  # nobody knows of any; whoever reads the pin reports that
        notes = Notes()
    return checks_of(notes, manifest.created_at, read_back=manifest.options.verify)


async def check_sizes(
    catalogue: Catalogue,
    backup_ids: Sequence[BackupId],
    noted: Mapping[BackupId, Notes],
    clock: Clock,
) -> list[tuple[BackupId, AppError | None]]:
    """
    Check backups on the level `size`, and record what was found.

    Args:
        catalogue: Where they lie.
        backup_ids: Which ones.
        noted: What is noted of backups, as of a moment ago.
        clock: The time.

    Returns:
        Each backup with what is wrong; None = nothing.

    Raises:
        CancelledError: The rest was not looked at.
    """
    sizes = _Sizes(catalogue, noted, clock)
    for begin in range(0, len(backup_ids), _AT_ONCE):
        batch = backup_ids[begin : begin + _AT_ONCE]
        await run_in_thread(partial(sizes.check, batch))
    await asyncio.to_thread(sizes.record)
    return sizes.found


class _Sizes:
    """One pass over the sizes of many backups; all calls block."""

    def __init__(self, catalogue: Catalogue, noted: Mapping[BackupId, Notes], clock: Clock) -> None:
        self.found: list[tuple[BackupId, AppError | None]] = []
        self._catalogue = catalogue
        self._noted = noted
        self._clock = clock
        self._known = catalogue.size_checks()
        self._unrecorded: dict[BackupId, SizeCheck] = {}
        self._recorded_at = clock.monotonic()

    def check(self, backup_ids: Sequence[BackupId]) -> None:
        """Check some; what is right is recorded every now and then, what is wrong at once."""
        for backup_id in backup_ids:
            began = self._clock.monotonic()
            error = self._check(backup_id, began)
            self.found.append((backup_id, error))
            if isinstance(error, _NOTED):
                seconds = self._seconds_since(began)
                check = Check(self._clock.now(), success=False, seconds=seconds, error=error.code)
                record_check(self._catalogue, backup_id, VerifyLevel.SIZE, check)
        if self._clock.monotonic() - self._recorded_at >= _RECORD_SECONDS:
            self.record()

    def _check(self, backup_id: BackupId, began: float) -> AppError | None:
        try:
            measured = self._catalogue.check_size(backup_id, self._known.get(backup_id))
        except AppError as exc:
            return exc
        now, seconds = self._clock.now(), self._seconds_since(began)
        self._unrecorded[backup_id] = SizeCheck(now, seconds, measured.size, measured.manifest)
        last = self._noted.get(backup_id, _NOTHING).checks.get(VerifyLevel.SIZE)
        if last is not None and (not last.success or last.at > now):
            # What stands beside the backup would be believed for as long as the clock had been ahead.
            check = Check(now, success=True, seconds=seconds)
            record_check(self._catalogue, backup_id, VerifyLevel.SIZE, check)
        return None

    def record(self) -> None:
        """Record which sizes were right; a medium that refuses costs no result."""
        try:
            self._catalogue.add_size_checks(self._unrecorded)
        except AppError as exc:
            facts = {"backups": len(self._unrecorded), "error": str(exc)}
            _log.warning("Check results could not be recorded", extra={"facts": facts})
        self._unrecorded = {}
        self._recorded_at = self._clock.monotonic()

    def _seconds_since(self, began: float) -> float:
        return round(self._clock.monotonic() - began, 3)
