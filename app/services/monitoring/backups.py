"""
Alerts of what runs and checks have shown of the backups.

What an alert is raised for lies beside the backups, so that a restart loses nothing: a backup is
damaged until a check that goes as far says otherwise, or until it is gone; a drill has failed until
another one succeeds, of whichever backup.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.check_notes import DAMAGE_CODES
from app.domain.backups.size_anomaly import find_size_anomaly
from app.domain.checks import failed_drill
from app.domain.ids import BackupId
from app.domain.ports import Clock
from app.domain.runs.run import Run, RunKind, RunState
from app.errors import AppError
from app.services.monitoring.health import BackupHealth, HealthService, fault_of
from app.services.stores.run_alerts import is_in_store
from app.storage import layout


_log: Final = logging.getLogger(__name__)
_CHECK_AFTER: Final = frozenset({
    RunKind.BACKUP,  # it prunes
    RunKind.RECOVERY,
    RunKind.DRILL,
    RunKind.RESTORE,
    RunKind.DELETION,
    RunKind.PRUNE,
})
_MAKING: Final = frozenset({RunKind.BACKUP, RunKind.RECOVERY})
_MANUAL: Final = "manual"


# Tells what the open alerts of a kind are about; None = nobody knows.
RaisedAlerts = Callable[[AlertKind], Awaitable[Collection[str] | None]]


class BackupMonitor:
    """
    A `RunListener` that raises alerts for damaged, unrestorable and unusual backups.

    Args:
        raised: Where alerts are remembered; without it, those of before a restart are never resolved.

    Attributes:
        health: Where it reads.
        alarm: Where it raises alerts.
    """

    def __init__(
        self,
        health: HealthService,
        alarm: Alarm,
        clock: Clock,
        *,
        unusual_percent: float,
        raised: RaisedAlerts | None = None,
    ) -> None:
        self.health = health
        self.alarm = alarm
        self._clock = clock
        self._raised = raised
        self._percent = unusual_percent
        self._turn = asyncio.Lock()
        # What could not be recorded beside the backup, on a medium that cannot be written.
        self._unrecorded: dict[BackupId, str] = {}
        self._current: dict[AlertKind, set[BackupId]] = {}

    async def begun(self, run: Run) -> None:
        """Do nothing: a run that works has shown nothing yet."""

    async def ended(self, run: Run) -> None:
        """Raise or resolve alerts by what a run has shown of the backup directory."""
        if run.store:  # see `app.services.stores.run_alerts`
            return
        if run.kind is RunKind.VERIFICATION:
            self._keep_unrecorded(run)
            await self._check_one(run)
        if run.kind in _CHECK_AFTER:
            await self.check()
        if run.kind in _MAKING and run.state is RunState.SUCCEEDED and run.backup_id:
            await self._report_size(run)

    async def check(self) -> None:
        """Raise alerts for what is wrong with stored backups, resolve the others; raises no AppError."""
        async with self._turn:
            try:
                if not await asyncio.to_thread(self._is_there):
                    return
                health = await self.health.read()
                if health.survey.problems:  # one that is being deleted looks damaged for a moment
                    health = await self.health.read(anew=True)
            except AppError as exc:
                _warn(exc)
                return
            there = {stored.backup_id for stored in health.stored}
            unrecorded = {key: text for key, text in self._unrecorded.items() if key in there}
            self._unrecorded = unrecorded
            await self._report_damage({**unrecorded, **health.faults})
            await self._report_drill(health)

    def _is_there(self) -> bool:
        """Tell whether the directory is mounted: where it is not, nothing says that damage is over."""
        return self.health.catalogue.directory.exists(layout.HTACCESS)

    def _keep_unrecorded(self, run: Run) -> None:
        backup_id = BackupId(run.backup_id)
        if run.state is RunState.SUCCEEDED:
            self._unrecorded.pop(backup_id, None)
        elif run.error is not None and run.error.code in DAMAGE_CODES:
            self._unrecorded[backup_id] = f"a check found {run.error.code}"

    async def _check_one(self, run: Run) -> None:
        """Report what a verification has shown of its backup, without a look at all the others."""
        backup_id = BackupId(run.backup_id)
        async with self._turn:
            try:
                beside = await asyncio.to_thread(self.health.catalogue.beside, run.backup_id)
            except AppError as exc:  # it is gone, or the directory: the next check of all tells
                _warn(exc)
                return
            damaged = self._current.setdefault(AlertKind.VERIFICATION, set())
            if text := self._unrecorded.get(backup_id) or fault_of(beside):
                damaged.add(backup_id)
                await self._raise_damaged(backup_id, text)
            elif run.state is RunState.SUCCEEDED and backup_id in await self._resolved(
                AlertKind.VERIFICATION, damaged - {backup_id}
            ):
                await self._resolve_damaged(backup_id)

    async def _report_damage(self, faults: dict[BackupId, str]) -> None:
        for backup_id, text in faults.items():
            await self._raise_damaged(backup_id, text)
        for about in await self._resolved(AlertKind.VERIFICATION, set(faults)):
            await self._resolve_damaged(about)

    async def _raise_damaged(self, backup_id: BackupId, text: str) -> None:
        hint = "Do not delete other backups; 'backstay backup verify' checks again, docs/health.md says more."
        message = f"backup {backup_id} is damaged: {text}"
        await self.alarm.raise_alert(Alert(AlertKind.VERIFICATION, backup_id, message, hint))

    async def _resolve_damaged(self, about: str) -> None:
        what = f"backup {about} is whole again, or deleted"
        await self.alarm.resolve(AlertKind.VERIFICATION, about, what)

    async def _report_drill(self, health: BackupHealth) -> None:
        failed = failed_drill(health.stored, self._clock.now())
        if failed is not None:
            backup_id, proof = failed
            message = f"backup {backup_id} could not be restored for proof: {proof.error}"
            hint = f"Try it again with 'backstay restore run {backup_id} --drill'."
            await self.alarm.raise_alert(Alert(AlertKind.DRILL, backup_id, message, hint))
        for about in await self._resolved(AlertKind.DRILL, {failed[0]} if failed else set()):
            await self.alarm.resolve(AlertKind.DRILL, about, "a backup was restored and is equal")

    async def _resolved(self, kind: AlertKind, current: set[BackupId]) -> set[str]:
        """Return what had an alert and is over, also by another process or before a restart."""
        before = self._current.get(kind, set())
        self._current[kind] = current
        known = await self._raised(kind) if self._raised is not None else None
        return {about for about in {*before, *(known or ())} if not is_in_store(about)} - current

    async def _report_size(self, run: Run) -> None:
        """Raise an alert when a new backup is far from those before it."""
        try:
            health = await self.health.read()
        except AppError as exc:
            _warn(exc)
            return
        entries = {entry.backup_id: entry for entry in health.survey.entries}
        entry = entries.get(BackupId(run.backup_id))
        if entry is None:
            return
        good = [known for key, known in entries.items() if key not in health.faults]
        about = entry.schedule or _MANUAL
        if found := find_size_anomaly(entry, good, self._percent):
            message = f"backup {entry.backup_id} has {found}"
            hint = "Check whether data is missing, or was added; if it is right, nothing is to be done."
            await self.alarm.raise_alert(Alert(AlertKind.UNUSUAL, about, message, hint))
        else:
            message = f"backup {entry.backup_id} is as large as usual"
            await self.alarm.resolve(AlertKind.UNUSUAL, about, message)


def _warn(error: AppError) -> None:
    _log.warning("Backups could not be checked", extra={"facts": {"error": str(error)}})
