"""
Checks: stored backups are read, and one is restored for proof, when that is due.

1. What is due is chosen (`app.domain.checks`). 2. Sizes are compared, without runs: that is as cheap
as a survey of the catalogue. 3. Files are read, one run after another. 4. One backup is drilled, and one recovery
to a point in time. 5. Alerts are raised for what was found.

Whatever fails is recorded with its backup, and the pass goes on. One that is interrupted loses
nothing: what was not checked is still due in the next one.

Not guaranteed: that two processes never compare the same sizes; files are read by one at a time.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from app.config import Settings
from app.domain.backups.check_notes import VerifyLevel
from app.domain.checks import (
    CheckResult,
    DueCheck,
    Intervals,
    StoredBackup,
    due_checks,
    due_drill,
    is_recovery_due,
)
from app.domain.ids import BackupId
from app.domain.ports import Clock
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import Origin, Requester, RunKind
from app.domain.schedule import due_after
from app.errors import AlreadyRunningError, AppError, BackupNotFoundError, NotDueError
from app.services.backups.check_notes import check_sizes
from app.services.jobs import Jobs
from app.services.monitoring.backups import BackupMonitor
from app.services.monitoring.health import BackupHealth
from app.services.point_in_time.jobs import RecoveryJobs
from app.services.runs.job import Job
from app.services.runs.service import RunService
from app.storage import layout
from app.storage.run_locks import Resource


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_REQUESTER: Final = Requester("checks", Origin.SCHEDULE)
_CHECKS: Final = Resource("checks", "the checks of stored backups")
_DAY: Final = timedelta(days=1)


class CheckService:
    """Runs the checks that are due."""

    def __init__(
        self,
        settings: Settings,
        backup_monitor: BackupMonitor,
        jobs: Jobs,
        runs: RunService,
        clock: Clock,
        recoveries: Callable[[], RecoveryJobs] | None = None,
    ) -> None:
        """
        Make the service.

        Args:
            settings: When, and how often.
            backup_monitor: Reads what is known of backups, and raises alerts.
            jobs: Of verifications and drills.
            runs: Runs them.
            clock: The time.
            recoveries: Finds the jobs of recoveries; None = there are none.
        """
        self._settings = settings
        self._intervals = Intervals(
            settings.check_sizes_days,
            settings.check_hashes_days,
            settings.check_content_days,
            settings.drill_days,
            settings.recovery_drill_days if recoveries else 0.0,
        )
        self._backup_monitor = backup_monitor
        self._catalogue = backup_monitor.health.catalogue
        self._jobs = jobs
        self._recoveries = recoveries
        self._runs = runs
        self._clock = clock
        self._pass = asyncio.Lock()

    async def run_due(self, *, everything: bool = False) -> tuple[CheckResult, ...]:
        """
        Run all checks that are due; does nothing while another pass of this process goes on.

        Args:
            everything: Whether all that is due is checked, instead of this pass's share of it.

        Returns:
            What was found, in order.

        Raises:
            StorageError: The backup directory cannot be read; every other error is a result.
        """
        if self._pass.locked():
            return ()
        async with self._pass:
            try:
                return tuple(await self._run(None if everything else self._period()))
            finally:
                await self._backup_monitor.check()

    async def _run(self, period: timedelta | None) -> list[CheckResult]:
        health = await self._backup_monitor.health.read(anew=True)
        now = self._clock.now()
        stored = {backup.backup_id: backup for backup in health.stored}
        due = due_checks(health.stored, self._intervals, now, period)
        sizes = await check_sizes(self._catalogue, self._sizes(health, due), self._clock)
        results = [CheckResult(backup_id, VerifyLevel.SIZE, error) for backup_id, error in sizes]
        try:
            for check in due:
                if check.level is not VerifyLevel.SIZE:
                    results += await _result(
                        check.backup_id, check.level, self._read(check, stored[check.backup_id])
                    )
            # What was found to be damaged just now is not to be restored.
            health = await self._backup_monitor.health.read(anew=True)
            drill = due_drill(health.stored, self._intervals, now)
            if drill is not None:
                results += await _result(drill, RunKind.DRILL, self._drill(drill))
            results += await self._drill_recovery(health.stored)
        except AlreadyRunningError as exc:  # another process is at it, or the service is stopping
            _log.info("Checks postponed to their next time", extra={"facts": {"reason": str(exc)}})
        return results

    def _sizes(self, health: BackupHealth, due: Sequence[DueCheck]) -> list[BackupId]:
        """Name the backups whose sizes are due, with those that a survey has shown to be damaged."""
        if not self._intervals.sizes:
            return []
        names = [layout.parse(problem.file) for problem in health.survey.problems]
        damaged = [name.backup_id for name in names if name is not None]
        return [*damaged, *(check.backup_id for check in due if check.level is VerifyLevel.SIZE)]

    async def _read(self, due: DueCheck, backup: StoredBackup) -> None:
        async def claim() -> None:
            # This one alone: a pass over many backups reads all of them once.
            try:
                beside = await asyncio.to_thread(self._catalogue.beside, due.backup_id)
            except BackupNotFoundError as exc:
                raise NotDueError(f"{due.backup_id} is gone") from exc
            now = replace(backup, notes=beside.notes, proofs=beside.proofs)
            if now.checked_at(due.level, self._clock.now()) != due.last:
                raise NotDueError(f"{due.backup_id} was checked meanwhile")

        job = await self._jobs.verification(due.backup_id, due.level)
        await self._perform(replace(job, claim=claim))

    async def _drill(self, backup_id: BackupId) -> None:
        async def claim() -> None:
            stored = (await self._backup_monitor.health.read()).stored
            if due_drill(stored, self._intervals, self._clock.now()) != backup_id:
                raise NotDueError(f"{backup_id} need not be drilled any more")

        job = await self._jobs.drill(RestoreRequest(backup_id))
        await self._perform(replace(job, claim=claim))

    async def _drill_recovery(self, stored: Sequence[StoredBackup]) -> list[CheckResult]:
        """Drill a recovery when that is due, and there are two backups with the log between them."""
        if self._recoveries is None or not self._is_recovery_due(stored):
            return []
        recoveries = self._recoveries()
        found = await recoveries.find_drill()
        if found is None:
            return []

        async def claim() -> None:
            if not self._is_recovery_due((await self._backup_monitor.health.read()).stored):
                raise NotDueError("a recovery was drilled meanwhile")

        job = recoveries.drill(found, self._settings.threads)
        work = self._perform(replace(job, claim=claim))
        return await _result(BackupId(found), RunKind.RECOVERY_DRILL, work)

    def _is_recovery_due(self, stored: Sequence[StoredBackup]) -> bool:
        return is_recovery_due(stored, self._intervals, self._clock.now())

    async def _perform(self, job: Job[T]) -> None:
        # One at a time, and nobody else can keep them waiting by taking all places.
        own = replace(job, resources=(*job.resources, _CHECKS), takes_place=False)
        await self._runs.perform(own, _REQUESTER)

    def _period(self) -> timedelta:
        """Return how long it is between passes: to the next one, or from there to the one after."""
        cron, zone = self._settings.check_cron, self._settings.timezone
        now = self._clock.now()
        following = due_after(cron, zone, now)
        after = due_after(cron, zone, following) if following else None
        if following is None or after is None:
            return _DAY
        # Who begins one by hand, or by a crontab of their own, takes no smaller share.
        return max(following - now, after - following)


async def _result(
    backup_id: BackupId, what: str, work: Coroutine[object, object, object]
) -> list[CheckResult]:
    """Wait for a check; what it found is recorded and logged where it was found."""
    try:
        await work
    except AlreadyRunningError:
        raise
    except NotDueError:
        return []
    except AppError as exc:
        return [CheckResult(backup_id, what, exc)]
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return []  # somebody has cancelled the run, and nothing was found
    return [CheckResult(backup_id, what)]
