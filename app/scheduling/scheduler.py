"""
The scheduler of `backstay serve`.

1. It has one job a schedule, made from `schedule.json` at its start and kept like it: the file is
   looked at again and again, since the command line and other processes change it too. 2. A job that
   fires considers its schedule and starts a run, nothing else. 3. Each look also considers all
   schedules, so what was missed while the service was down, while another backup ran, or while the
   machine slept, is found without a job that fires. 4. Looks go by the monotonic clock: APScheduler
   would sleep for a year after the other one was set back by a year.

A due time that is found twice is claimed once: see `app.services.schedules`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from apscheduler.executors.asyncio import AsyncIOExecutor
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


_log: Final = logging.getLogger(__name__)
LOOK_SECONDS: Final = 10.0
# Starts a run and returns while it goes on.
Start = Callable[[Job[Manifest], Requester], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """
    Something else that is done at its time.

    Attributes:
        name: Tells it from others.
        trigger: When.
        work: What; it runs in its own task and need not be short.
    """

    name: str
    trigger: BaseTrigger
    work: Callable[[], Coroutine[object, object, object]]


class Scheduler:
    """
    Starts scheduled backups, and does chores.

    Attributes:
        lag_seconds: How late the last scheduled backup was begun.
    """

    def __init__(
        self,
        schedules: ScheduleService,
        start: Start,
        clock: Clock,
        chores: Sequence[PeriodicJob] = (),
        *,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.lag_seconds = 0.0
        self._schedules = schedules
        self._start = start
        self._clock = clock
        self._chores = chores
        self._look_seconds = look_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: dict[str, DueTrigger] = {}
        self._jobs = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": AsyncIOExecutor()},
            # However late a job is, it is asked what is to be done; and once is enough.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    async def open(self) -> None:
        """Begin; what was missed is found at once."""
        self._jobs.start()
        for chore in self._chores:
            self._add(chore)
        await self._guarded("look", self.look)
        _ = self._track(self._keep_looking(), "look")

    async def close(self) -> None:
        """End; chores that are at work are cancelled, runs are not."""
        self._jobs.shutdown(wait=False)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def look(self) -> None:
        """Make the jobs what `schedule.json` says, and consider every schedule."""
        schedules = [one for one in await self._schedules.list() if _is_ours(one)]
        self._arrange(schedules)
        self._mend()
        for schedule in schedules:
            await self.fire(schedule.name)

    async def fire(self, name: str) -> None:
        """
        Start the backup of a schedule, if there is something to do.

        Raises:
            AppError: It cannot be told, or not be started; the due time stays open.
        """
        occasion = await self._schedules.consider(name)
        if occasion is None:
            return
        try:
            await self._start(occasion.order, Requester(f"schedule:{name}", Origin.SCHEDULE))
        except NotDueError:  # another process was faster
            return
        except AlreadyRunningError as exc:  # the next look tries again
            facts = {"schedule": name, "run": exc.run_id}
            _log.info("A scheduled backup waits for another run", extra={"facts": facts})
            return
        self.lag_seconds = (self._clock.now() - occasion.due).total_seconds()

    def next_fire(self, name: str) -> datetime | None:
        """Return when the job of a schedule fires next; None = it has none."""
        job = self._jobs.get_job(_job_id(name))
        return job.next_run_time if job else None

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
                self._add(PeriodicJob(_job_id(name), trigger, partial(self.fire, name)))

    def _mend(self) -> None:
        """Bring jobs nearer that lie too far ahead, since the clock was set back."""
        now = self._clock.now()
        for job in self._jobs.get_jobs():
            fresh = job.trigger.get_next_fire_time(None, now)
            if fresh is not None and job.next_run_time > fresh:
                job.modify(next_run_time=fresh)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            await self._guarded("look", self.look)

    def _add(self, chore: PeriodicJob) -> None:
        self._jobs.add_job(
            self._tracked, chore.trigger, args=(chore.name, chore.work), id=chore.name
        )

    async def _tracked(
        self, name: str, work: Callable[[], Coroutine[object, object, object]]
    ) -> None:
        """Do a chore in a task that `close` waits for: APScheduler cancels and forgets."""
        await asyncio.wait([self._track(self._guarded(name, work), name)])

    def _track(self, work: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(
        self, name: str, work: Callable[[], Coroutine[object, object, object]]
    ) -> None:
        """Do a chore; what fails is tried again at its next time."""
        try:
            await work()
        except AppError as exc:
            facts = {"chore": name, "code": exc.code, "error": str(exc)}
            _log.warning("Could not do what was to be done by now", extra={"facts": facts})


def _is_ours(schedule: Schedule) -> bool:
    return schedule.enabled and not schedule.external


def _job_id(name: str) -> str:
    return f"schedule:{name}"
