"""
What runs and looks have shown of the backups, told to people.

What is rung for lies beside the backups, so that a restart forgets nothing: a backup is damaged
until a look that goes as far says otherwise, or until it is gone; a drill has failed until another
one succeeds, of whichever backup.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.size_anomaly import unusual
from app.domain.checks import failed_drill
from app.domain.ids import BackupId
from app.domain.runs.run import Run, RunKind, RunState
from app.errors import AppError, ChecksumMismatchError, ManifestError, TruncatedFileError
from app.services.monitoring.health import BackupHealth, HealthService
from app.storage import layout


_log: Final = logging.getLogger(__name__)
_LOOK_AFTER: Final = frozenset({
    RunKind.BACKUP,  # it prunes
    RunKind.VERIFICATION,
    RunKind.DRILL,
    RunKind.RESTORE,
    RunKind.DELETION,
    RunKind.PRUNE,
})
_DAMAGED: Final = frozenset(
    one.code for one in (ChecksumMismatchError, TruncatedFileError, ManifestError)
)
_MANUAL: Final = "manual"


# Tells what the conditions of a kind that last are about; None = nobody knows.
RaisedAlerts = Callable[[AlertKind], Awaitable[Collection[str] | None]]


class BackupMonitor:
    """
    A `RunListener` that rings for damaged, unrestorable and unusual backups.

    Args:
        raised: Where alerts are remembered; without it, what rang before a restart is never over.

    Attributes:
        health: Where it looks.
        alarm: What it rings.
    """

    def __init__(
        self,
        health: HealthService,
        alarm: Alarm,
        *,
        unusual_percent: float,
        raised: RaisedAlerts | None = None,
    ) -> None:
        self.health = health
        self.alarm = alarm
        self._raised = raised
        self._percent = unusual_percent
        self._looks = asyncio.Lock()
        # What could not be noted beside the backup, on a medium that cannot be written.
        self._unnoted: dict[BackupId, str] = {}
        self._rung: dict[AlertKind, set[BackupId]] = {}

    async def begun(self, run: Run) -> None:
        """Have nothing to tell."""

    async def ended(self, run: Run) -> None:
        """Tell what a run has shown."""
        if run.kind is RunKind.VERIFICATION:
            self._remember(run)
        if run.kind in _LOOK_AFTER:
            await self.look()
        if run.kind is RunKind.BACKUP and run.state is RunState.SUCCEEDED:
            await self._compare(run)

    async def look(self) -> None:
        """Ring for what is wrong with stored backups, clear what is not any more; raises no AppError."""
        async with self._looks:
            try:
                if not await asyncio.to_thread(self._is_there):
                    return
                health = await self.health.look()
                if health.survey.problems:  # one that is being deleted looks damaged for a moment
                    health = await self.health.look()
            except AppError as exc:
                _warn(exc)
                return
            there = {one.backup_id for one in health.stored}
            unnoted = {key: text for key, text in self._unnoted.items() if key in there}
            self._unnoted = unnoted
            await self._tell_damage({**unnoted, **health.faults})
            await self._tell_drill(health)

    def _is_there(self) -> bool:
        """Tell whether the directory is mounted: where it is not, nothing says that damage is over."""
        return self.health.catalogue.directory.exists(layout.HTACCESS)

    def _remember(self, run: Run) -> None:
        backup_id = BackupId(run.backup_id)
        if run.state is RunState.SUCCEEDED:
            self._unnoted.pop(backup_id, None)
        elif run.error is not None and run.error.code in _DAMAGED:
            self._unnoted[backup_id] = f"a check found {run.error.code}"

    async def _tell_damage(self, faults: dict[BackupId, str]) -> None:
        hint = "Do not delete other backups; 'backstay backup verify' looks again, docs/health.md says more."
        for backup_id, text in faults.items():
            message = f"backup {backup_id} is damaged: {text}"
            await self.alarm.raise_alert(Alert(AlertKind.VERIFICATION, backup_id, message, hint))
        for about in await self._over(AlertKind.VERIFICATION, set(faults)):
            what = f"backup {about} is whole again, or gone"
            await self.alarm.resolve(AlertKind.VERIFICATION, about, what)

    async def _tell_drill(self, health: BackupHealth) -> None:
        failed = failed_drill(health.stored)
        if failed is not None:
            backup_id, proof = failed
            message = f"backup {backup_id} could not be restored for proof: {proof.error}"
            hint = f"Try it again with 'backstay restore run {backup_id} --drill'."
            await self.alarm.raise_alert(Alert(AlertKind.DRILL, backup_id, message, hint))
        for about in await self._over(AlertKind.DRILL, {failed[0]} if failed else set()):
            await self.alarm.resolve(AlertKind.DRILL, about, "a backup was restored and is equal")

    async def _over(self, kind: AlertKind, rung: set[BackupId]) -> set[str]:
        """Return what was rung for and is over, also by another process or before a restart."""
        before = self._rung.get(kind, set())
        self._rung[kind] = rung
        known = await self._raised(kind) if self._raised is not None else None
        return {*before, *(known or ())} - rung

    async def _compare(self, run: Run) -> None:
        """Tell when a new backup is far from those before it."""
        try:
            health = await self.health.look()
        except AppError as exc:
            _warn(exc)
            return
        entries = {one.backup_id: one for one in health.survey.entries}
        entry = entries.get(BackupId(run.backup_id))
        if entry is None:
            return
        good = [one for key, one in entries.items() if key not in health.faults]
        about = entry.schedule or _MANUAL
        if found := unusual(entry, good, self._percent):
            message = f"backup {entry.backup_id} has {found}"
            hint = (
                "Look whether data is missing, or was added; if it is right, nothing is to be done."
            )
            await self.alarm.raise_alert(Alert(AlertKind.UNUSUAL, about, message, hint))
        else:
            message = f"backup {entry.backup_id} is as large as usual"
            await self.alarm.resolve(AlertKind.UNUSUAL, about, message)


def _warn(error: AppError) -> None:
    _log.warning("The backups could not be looked at", extra={"facts": {"error": str(error)}})
