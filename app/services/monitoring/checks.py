"""
Checks: stored backups are read, and one is restored for proof, when that is due.

1. What is due is chosen (`app.domain.checks`). 2. Sizes are compared, without runs: that is as cheap
as a survey of the catalogue. 3. Files are read, one run after another. 4. One backup is drilled, and one recovery
to a point in time. 5. Backups are read and drilled in each store whose definition asks for it. 6. Alerts are raised
for what was found.

Whatever fails is recorded with its backup, and the pass goes on. One that is interrupted loses
nothing: what was not checked is still due in the next one.

Not guaranteed: that two processes never compare the same sizes; files are read by one at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar

from app.config import Settings
from app.domain.alerts.alert import Alert, AlertKind
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
from app.errors import (
    AlreadyRunningError,
    AppError,
    BackupNotFoundError,
    NotDueError,
    StorageError,
)
from app.services.backups.check_notes import check_sizes
from app.services.jobs import Jobs
from app.services.monitoring.backups import BackupMonitor
from app.services.monitoring.health import BackupHealth, HealthService
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


@dataclass(frozen=True, slots=True)
class CheckedPlace:
    """
    A place whose backups are checked.

    Attributes:
        store: Its name; empty = the backup directory.
        health: Of the backups there.
        jobs: Make the runs that read them.
        intervals: How often.
    """

    store: str
    health: HealthService
    jobs: Jobs
    intervals: Intervals


# Finds the stores whose definitions ask for checks.
CheckedStores = Callable[[], Awaitable[Sequence[CheckedPlace]]]


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
        *,
        stores: CheckedStores | None = None,
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
            stores: Finds the stores that are checked, too; None = there are none.
        """
        self._settings = settings
        intervals = Intervals(
            settings.check_sizes_days,
            settings.check_hashes_days,
            settings.check_content_days,
            settings.drill_days,
            settings.recovery_drill_days if recoveries else 0.0,
        )
        self._here = CheckedPlace("", backup_monitor.health, jobs, intervals)
        self._stores = stores
        self._backup_monitor = backup_monitor
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
        results: list[CheckResult] = []
        try:
            stored = await self._check(self._here, period, results)
            results += await self._drill_recovery(stored)
            for place in await self._checked_stores():
                found: list[CheckResult] = []
                try:
                    await self._check(place, period, found)
                except StorageError as exc:  # it is told by whoever looks at stores
                    facts = {"store": place.store, "error": exc.code}
                    _log.warning("Checks of a store postponed", extra={"facts": facts})
                results += found
                await self._tell_unread(place.store, found)
        except AlreadyRunningError as exc:  # another process is at it, or the service is stopping
            _log.info("Checks postponed to their next time", extra={"facts": {"reason": str(exc)}})
        return results

    async def _tell_unread(self, store: str, found: Sequence[CheckResult]) -> None:
        """Tell where backups could not be read, which says nothing of them: nothing is noted beside them."""
        alarm, about = self._backup_monitor.alarm, f"checks in {store}"
        unread = [check for check in found if isinstance(check.failure, StorageError)]
        for check in unread[:1]:
            message = f"backup {check.backup_id} in {store} could not be read: {check.failure}"
            hint = check.failure.hint if check.failure else ""
            await alarm.raise_alert(Alert(AlertKind.FAILURE, about, message, hint))
        if found and not unread:
            await alarm.resolve(AlertKind.FAILURE, about, f"backups in {store} can be read")

    async def _checked_stores(self) -> Sequence[CheckedPlace]:
        try:
            return await self._stores() if self._stores else ()
        except AppError as exc:  # the page of stores says why
            _log.warning("Stores are not checked", extra={"facts": {"error": str(exc)}})
            return ()

    async def _check(
        self, place: CheckedPlace, period: timedelta | None, results: list[CheckResult]
    ) -> Sequence[StoredBackup]:
        """Do what is due in one place, and add what was found to the results; returns what was known before."""
        health = await place.health.read(anew=True)
        now = self._clock.now()
        stored = {backup.backup_id: backup for backup in health.stored}
        due = due_checks(health.stored, place.intervals, now, period)
        sizes = _sizes(place, health, due)
        noted = {backup_id: backup.notes for backup_id, backup in stored.items()}
        found = await check_sizes(place.health.catalogue, sizes, noted, self._clock)
        results += [CheckResult(key, VerifyLevel.SIZE, error, place.store) for key, error in found]
        for check in due:
            if check.level is not VerifyLevel.SIZE:
                work = self._read(place, check, stored[check.backup_id])
                results += await _result(place, check.backup_id, check.level, work)
        results += await self._drill_due(place, health.stored)
        return health.stored

    async def _read(self, place: CheckedPlace, due: DueCheck, backup: StoredBackup) -> int | None:
        async def claim() -> None:
            # This one alone: a pass over many backups reads all of them once.
            try:
                beside = await asyncio.to_thread(place.health.catalogue.beside, due.backup_id)
            except BackupNotFoundError as exc:
                raise NotDueError(f"{due.backup_id} is gone") from exc
            now = replace(backup, notes=beside.notes, proofs=beside.proofs)
            if now.checked_at(due.level, self._clock.now()) != due.last:
                raise NotDueError(f"{due.backup_id} was checked meanwhile")

        job = await place.jobs.verification(due.backup_id, due.level)
        return (await self._perform(replace(job, claim=claim))).bytes_read

    async def _drill_due(
        self, place: CheckedPlace, stored: Sequence[StoredBackup]
    ) -> list[CheckResult]:
        # With many backups a reading is a good part of a pass: one more is taken where a drill may be due.
        if due_drill(stored, place.intervals, self._clock.now()) is None:
            return []
        # What was found to be damaged just now is not to be restored.
        stored = (await place.health.read()).stored
        drill = due_drill(stored, place.intervals, self._clock.now())
        if drill is None:
            return []
        return await _result(place, drill, RunKind.DRILL, self._drill(place, drill))

    async def _drill(self, place: CheckedPlace, backup_id: BackupId) -> int | None:
        async def claim() -> None:
            stored = (await place.health.read()).stored
            if due_drill(stored, place.intervals, self._clock.now()) != backup_id:
                raise NotDueError(f"{backup_id} need not be drilled any more")

        job = await place.jobs.drill(RestoreRequest(backup_id))
        return (await self._perform(replace(job, claim=claim))).bytes_read

    async def _drill_recovery(self, stored: Sequence[StoredBackup]) -> list[CheckResult]:
        """Drill a recovery when that is due, and there are two backups with the log between them."""
        if self._recoveries is None or not self._is_recovery_due(stored):
            return []
        recoveries = self._recoveries()
        found = await recoveries.find_drill()
        if found is None:
            return []

        async def claim() -> None:
            if not self._is_recovery_due((await self._here.health.read()).stored):
                raise NotDueError("a recovery was drilled meanwhile")

        async def work() -> None:
            job = recoveries.drill(found, self._settings.threads)
            await self._perform(replace(job, claim=claim))

        return await _result(self._here, BackupId(found), RunKind.RECOVERY_DRILL, work())

    def _is_recovery_due(self, stored: Sequence[StoredBackup]) -> bool:
        return is_recovery_due(stored, self._here.intervals, self._clock.now())

    async def _perform(self, job: Job[T]) -> T:
        # One at a time, and nobody else can keep them waiting by taking all places.
        own = replace(job, resources=(*job.resources, _CHECKS), takes_place=False)
        return await self._runs.perform(own, _REQUESTER)

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


def _sizes(place: CheckedPlace, health: BackupHealth, due: Sequence[DueCheck]) -> list[BackupId]:
    """Name the backups whose sizes are due, with those that a survey has shown to be damaged."""
    if not place.intervals.sizes:
        return []
    names = [layout.parse(problem.file) for problem in health.survey.problems]
    damaged = [name.backup_id for name in names if name is not None]
    return [*damaged, *(check.backup_id for check in due if check.level is VerifyLevel.SIZE)]


async def _result(
    place: CheckedPlace, backup_id: BackupId, what: str, work: Coroutine[object, object, int | None]
) -> list[CheckResult]:
    """Wait for a check, which says what it has read of a store; what it found is recorded where it was found."""
    try:
        bytes_read = await work
    except AlreadyRunningError:
        raise
    except NotDueError:
        return []
    except AppError as exc:
        return [CheckResult(backup_id, what, exc, place.store)]
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return []  # somebody has cancelled the run, and nothing was found
    return [CheckResult(backup_id, what, store=place.store, bytes_read=bytes_read)]
