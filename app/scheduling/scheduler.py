"""
The scheduler of `backstay serve`.

1. It has one job a schedule, made from `schedule.json` at its start and kept like it: the file is
   read again and again, since the command line and other processes change it too. 2. A job that
   fires considers its schedule and starts a run, nothing else. 3. Each refresh also considers all
   schedules, so what was missed while the service was down, while another backup ran, or while the
   machine slept, is found without a job that fires. 4. Refreshes go by the monotonic clock: APScheduler
   would sleep for a year after the other one was set back by a year. 5. APScheduler only tells when: a job
   works in a task of ours, however long, and is not begun anew while it does.

A due time that is found twice is claimed once: see `app.services.schedules`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Final

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from app.domain.backups.manifest import Manifest
from app.domain.ports import Clock
from app.domain.runs.run import Origin, Requester
from app.domain.schedule import Schedule
from app.errors import AlreadyRunningError, AppError, NotDueError
from app.scheduling.trigger import DueTrigger
from app.services.runs.job import Job
from app.services.schedules import ScheduleService
from app.telemetry.bugs import outlived


_log: Final = logging.getLogger(__name__)
REFRESH_SECONDS: Final = 10.0
# Starts a run and returns while it goes on.
Start = Callable[[Job[Manifest], Requester], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """
    Something else that is done at its time.

    Attributes:
        name: Tells it from others.
        trigger: When.
        work: What; it runs in its own task and need not be short. Times that come while it works are left out.
    """

    name: str
    trigger: BaseTrigger
    work: Callable[[], Coroutine[object, object, object]]


class Scheduler:
    """
    Starts scheduled backups, and does periodic jobs.

    Attributes:
        lag_seconds: How late the last scheduled backup was begun.
    """

    def __init__(
        self,
        schedules: ScheduleService,
        start: Start,
        clock: Clock,
        periodic_jobs: Sequence[PeriodicJob] = (),
        *,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self.lag_seconds = 0.0
        self._schedules = schedules
        self._start = start
        self._clock = clock
        self._periodic_jobs = periodic_jobs
        self._refresh_seconds = refresh_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work: set[str] = set()
        self._known: dict[str, DueTrigger] = {}
        self._jobs = AsyncIOScheduler(
            timezone=UTC,
            # It calls what begins a job and does no more: another one would cancel it at the end, and tell of that
            # as of an error.
            executors={"default": DebugExecutor()},
            # However late a job is, it finds out what is to be done; and once is enough.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    async def open(self) -> None:
        """Begin; what was missed is found at once."""
        self._jobs.start()
        for job in self._periodic_jobs:
            self._add(job)
        await self._guarded("refresh", self.refresh)
        _ = self._track(self._keep_refreshing(), "refresh")

    async def close(self) -> None:
        """End; periodic jobs that are at work are cancelled, runs are not."""
        self._jobs.shutdown(wait=False)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def refresh(self) -> None:
        """Make the jobs what `schedule.json` says, and consider every schedule."""
        schedules = [schedule for schedule in await self._schedules.list() if _is_ours(schedule)]
        self._arrange(schedules)
        self._pull_forward()
        for schedule in schedules:  # of which one may be impossible, and is in no other's way
            await self._guarded(_job_id(schedule.name), partial(self.start_due, schedule.name))

    async def start_due(self, name: str) -> None:
        """
        Start the backup of a schedule, if there is something to do.

        Raises:
            AppError: It cannot be found out, or not be started; the due time stays open.
        """
        due_run = await self._schedules.consider(name)
        if due_run is None:
            return
        try:
            await self._start(due_run.job, Requester(f"schedule:{name}", Origin.SCHEDULE))
        except NotDueError:  # another process was faster
            return
        except AlreadyRunningError as exc:  # the next refresh tries again
            facts = {"schedule": name, "run": exc.run_id}
            _log.info("Scheduled backup waits for another run", extra={"facts": facts})
            return
        self.lag_seconds = (self._clock.now() - due_run.due).total_seconds()

    def _arrange(self, schedules: Sequence[Schedule]) -> None:
        wanted = {
            schedule.name: DueTrigger(schedule.expression, schedule.timezone)
            for schedule in schedules
        }
        for name in [name for name, known in self._known.items() if wanted.get(name) != known]:
            del self._known[name]
            # A job without a further due time is gone already.
            try:
                self._jobs.remove_job(_job_id(name))
            except JobLookupError:
                _log.debug("The job of %s was over", name)
        for name, trigger in wanted.items():
            if name not in self._known:
                self._known[name] = trigger
                self._add(PeriodicJob(_job_id(name), trigger, partial(self.start_due, name)))

    def _pull_forward(self) -> None:
        """Bring jobs nearer that lie too far ahead, since the clock was set back."""
        now = self._clock.now()
        for job in self._jobs.get_jobs():
            fresh = job.trigger.get_next_fire_time(None, now)
            if fresh is not None and job.next_run_time > fresh:
                job.modify(next_run_time=fresh)

    async def _keep_refreshing(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_seconds)
            await self._guarded("refresh", self.refresh)

    def _add(self, job: PeriodicJob) -> None:
        self._jobs.add_job(self._begin, job.trigger, args=(job,), id=job.name, name=job.name)

    def _begin(self, job: PeriodicJob) -> None:
        """
        Do a job in a task that `close` waits for, unless it is at work.

        APScheduler does not wait for it: it would take each time that comes meanwhile for a fault, and warn of
        it, and copies that are asked for every 15 seconds may take an hour.
        """
        if job.name in self._at_work:
            _log.debug("The job %s is at work still", job.name)
            return
        self._at_work.add(job.name)
        task = self._track(self._guarded(job.name, job.work), job.name)
        task.add_done_callback(lambda _: self._at_work.discard(job.name))

    def _track(self, work: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(
        self, name: str, work: Callable[[], Coroutine[object, object, object]]
    ) -> None:
        """Do a job; what fails is tried again at its next time."""
        try:
            with outlived(_log, f"The job {name}"):
                await work()
        except AppError as exc:
            facts = {"job": name, "code": exc.code, "error": str(exc)}
            _log.warning("Scheduled job failed; retrying at its next time", extra={"facts": facts})


def _is_ours(schedule: Schedule) -> bool:
    return schedule.enabled and not schedule.external


def _job_id(name: str) -> str:
    return f"schedule:{name}"
