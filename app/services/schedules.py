"""
Schedules: set, shown, and turned into backups when they are due.

Whoever begins a scheduled backup - the scheduler of the service, cron, a request - claims it in
`schedule.json`, under the lock of the backup directory and holding the lock of the server's backups.
So a due time begins one backup, however many processes find it at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from app.domain.access.audit import ChangeNote
from app.domain.access.user import Role
from app.domain.alerts.alert import Alarm, Alert, AlertKind, NoAlarm
from app.domain.backups.manifest import Manifest
from app.domain.document import JsonObject
from app.domain.ports import Clock
from app.domain.rights import Effect, may, require_schedule
from app.domain.runs.progress import Progress
from app.domain.schedule import (
    DEFAULT_NAME,
    Frequency,
    Schedule,
    ScheduleChange,
    ScheduleOptions,
)
from app.errors import AppError, InvalidScheduleError, NotDueError, ScheduleNotFoundError
from app.services.runs.job import Job
from app.services.scheduled_jobs import ScheduledJobs
from app.storage.schedules import ScheduleFile


_log: Final = logging.getLogger(__name__)
_SET: Final = (
    "name",
    "kind",
    "frequency",
    "cron",
    "timezone",
    "enabled",
    "external",
    "options",
    "retention",
)


@dataclass(frozen=True, slots=True)
class DueStatus:
    """
    Whether a schedule has something to do.

    Attributes:
        job: What to run; None when nothing is due.
        next_due: When that will be; None when it is not enabled.
    """

    schedule: Schedule
    job: Job[Manifest] | None
    next_due: datetime | None

    def require_job(self) -> Job[Manifest]:
        """Return what to run; raises NotDueError."""
        if self.job is None:
            raise NotDueError(f"the schedule {self.schedule.name!r} is not due")
        return self.job


@dataclass(frozen=True, slots=True)
class DueRun:
    """
    A scheduled backup that the scheduler is to begin now.

    Attributes:
        job: What to run; its claim raises NotDueError when another process was faster.
        due: Oldest due time that it serves, aware UTC.
    """

    job: Job[Manifest]
    due: datetime


class ScheduleService:
    """Keeps schedules; it starts nothing by itself."""

    def __init__(
        self,
        file: ScheduleFile,
        jobs: ScheduledJobs,
        clock: Clock,
        *,
        timezone: str = "UTC",
        catch_up: bool = True,
        alarm: Alarm | None = None,
        list_stores: Callable[[], Awaitable[Collection[str]]] | None = None,
    ) -> None:
        self._file = file
        self._jobs = jobs
        self._clock = clock
        self._timezone = timezone
        self._catch_up = catch_up
        self._alarm: Alarm = alarm or NoAlarm()
        self._list_stores = list_stores

    async def list(self) -> tuple[Schedule, ...]:
        """Return all schedules."""
        return await asyncio.to_thread(self.list_now)

    def list_now(self) -> tuple[Schedule, ...]:
        """Return all schedules; blocks, for threads."""
        return self._file.read()

    async def get(self, name: str) -> Schedule:
        """Return one schedule; raises ScheduleNotFoundError."""
        for schedule in await self.list():
            if schedule.name == name:
                return schedule
        raise ScheduleNotFoundError(
            f"no schedule {name[:80]!r}", hint="List them with 'backstay schedule show'."
        )

    async def set(
        self,
        requested: ScheduleChange,
        role: Role = Role.ADMIN,
        note: ChangeNote | None = None,
    ) -> Schedule:
        """
        Make or change a schedule; what it has done is kept.

        Args:
            requested: As it shall be.
            role: Of whoever wants it; whoever uses the command line may do everything.
            note: Gets how it was and how it is, as those of the other methods.

        Returns:
            The schedule; its due times from now on count.

        Raises:
            InvalidScheduleError: It has no due times, or there is no such time zone.
            NotAuthorizedError: It would keep or hold less, and the role may not do that.
            StorageError: The backup directory refused.
        """
        fresh = requested.applied(None, self._clock.now(), self._timezone)
        await self._require_stores(requested.options)
        return await self._change(
            fresh,
            lambda known: self._wanted(requested, None if known is fresh else known, role),
            note,
        )

    async def preview(self, requested: ScheduleChange, role: Role = Role.ADMIN) -> Schedule:
        """
        Say what a schedule would be; nothing is changed.

        Returns:
            It, as `set` would make it.

        Raises:
            InvalidScheduleError: As for `set`.
            NotAuthorizedError: As for `set`.
        """
        await self._require_stores(requested.options)
        known = {schedule.name: schedule for schedule in await self.list()}
        return self._wanted(requested, known.get(requested.name), role)

    async def _require_stores(self, options: ScheduleOptions) -> None:
        """Refuse stores that nobody has defined; raises InvalidScheduleError."""
        if not options.stores or self._list_stores is None:
            return
        known = await self._list_stores()
        for name in options.stores:
            if name not in known:
                where = "store" if name == options.store else "copies"
                raise InvalidScheduleError(
                    f"{where}: there is no store {name[:80]!r}",
                    hint=f"There is {', '.join(sorted(known)) or 'none'}; docs/stores.md says how one is defined.",
                )

    def _wanted(self, requested: ScheduleChange, known: Schedule | None, role: Role) -> Schedule:
        wanted = requested.applied(known, self._clock.now(), self._timezone)
        wanted = replace(wanted, paced_by=_pace(known, role))
        self._jobs.require(wanted)
        require_schedule(role, known, wanted)
        return wanted

    async def enable(self, name: str, *, enabled: bool, note: ChangeNote | None = None) -> Schedule:
        """Switch a schedule on or off, from now on; raises ScheduleNotFoundError."""
        known = await self.get(name)
        now = self._clock.now()
        return await self._change(
            known,
            lambda schedule: replace(schedule, enabled=enabled, updated_at=now, considered_at=now),
            note,
        )

    async def delete(self, name: str, note: ChangeNote | None = None) -> None:
        """Delete a schedule; its backups stay, as those of no schedule. Raises ScheduleNotFoundError."""
        known = await self.get(name)
        if note is not None:
            note.take(_facts(known), None)
        await asyncio.to_thread(
            self._file.change,
            lambda schedules: tuple(known for known in schedules if known.name != name),
        )

    async def due(
        self,
        frequency: Frequency | None = None,
        *,
        name: str = DEFAULT_NAME,
        force: bool = False,
        role: Role = Role.ADMIN,
    ) -> DueStatus:
        """
        Tell whether a backup is due by the last one that succeeded, for whoever is not the scheduler.

        Args:
            frequency: In the place of the schedule's; it also makes a schedule where there is none.
            name: Of the schedule.
            force: Whether it is due in any case.
            role: Of whoever wants it, as for `set`.

        Returns:
            What to run, if anything; its claim raises NotDueError when somebody was faster.
        """
        now = self._clock.now()
        known = {schedule.name: schedule for schedule in await self.list()}
        schedule = known.get(name) or Schedule(
            name,
            frequency or Frequency.DAILY,
            now,
            timezone=self._timezone,
            enabled=frequency is not None,
            external=True,
            paced_by=_pace(None, role),
        )

        def is_open(known: Schedule) -> bool:
            now = self._clock.now()
            return force or (_at(known, frequency).is_open(now) and not known.is_begun(now))

        def claim(known: Schedule) -> Schedule:
            if not is_open(known):
                raise NotDueError(f"the schedule {known.name!r} is not due any more")
            at = self._clock.now()
            return replace(known, considered_at=max(known.considered_at or at, at), last_run_at=at)

        at = _at(schedule, frequency)
        if not is_open(schedule):
            return DueStatus(schedule, None, at.next_due())
        return DueStatus(schedule, self._job(schedule, claim, frequency), at.next_due())

    async def consider(self, name: str) -> DueRun | None:
        """
        Consider the due times of a schedule that no scheduler has considered yet.

        Returns:
            What to run; None when there is nothing to do but to record that times were missed.

        Raises:
            IntegrityError: `schedule.json` is damaged.
            StorageError: The backup directory refused.
        """
        schedule = next((known for known in await self.list() if known.name == name), None)
        # Without a server due times stay open: with one, the last of them is made up for.
        if schedule is None or schedule.external or not self._jobs.has_server:
            return None
        found = schedule.consider(self._clock.now())
        if found.first is None and not found.is_clock_back:
            return None
        if found.first is None or not (found.on_time or self._catch_up):
            await self._record_missed(schedule)
            return None
        return DueRun(self._job(schedule, self._claim), found.first)

    def _claim(self, schedule: Schedule) -> Schedule:
        """Take all due times up to now, for one backup."""
        now = self._clock.now()
        found = schedule.consider(now)
        if found.first is None or not (found.on_time or self._catch_up):
            raise NotDueError(f"the schedule {schedule.name!r} is not due any more")
        return replace(_considered(schedule, now), last_run_at=now)

    async def _record_missed(self, schedule: Schedule) -> None:
        """Let due times pass, or begin anew from what the clock says now."""
        now = self._clock.now()
        is_back = schedule.consider(now).is_clock_back
        await self._change(schedule, lambda known: _considered(known, now))
        facts = {"schedule": schedule.name}
        if is_back:
            _log.warning(
                "Clock was set back; schedule continues at its new time", extra={"facts": facts}
            )
            message = (
                f"the clock was set back; schedule {schedule.name} goes on by what it says now"
            )
            await self._alarm.raise_alert(Alert(AlertKind.CLOCK, schedule.name, message))
        else:
            _log.warning("Scheduled backup was missed", extra={"facts": facts})

    def _job(
        self,
        schedule: Schedule,
        claim: Callable[[Schedule], Schedule],
        frequency: Frequency | None = None,
    ) -> Job[Manifest]:
        job = self._jobs.make(schedule, frequency)
        return replace(
            job,
            work=partial(self._back_up, schedule, job),
            claim=partial(self._change, schedule, claim),
        )

    async def _back_up(
        self, schedule: Schedule, job: Job[Manifest], progress: Progress
    ) -> Manifest:
        """Back up as the job says, and record in the schedule how that ended."""
        try:
            manifest = await job.work(progress)
        except AppError as exc:
            code = exc.code
            await self._record(schedule, lambda known: replace(known, last_error=code))
            raise
        await self._record(
            schedule,
            lambda known: replace(
                known,
                last_success_at=manifest.created_at,
                last_backup_id=manifest.backup_id,
                last_error="",
            ),
        )
        return manifest

    async def _record(self, schedule: Schedule, change: Callable[[Schedule], Schedule]) -> None:
        """Record how a backup ended; at worst the next one comes early."""
        try:
            await self._change(schedule, change)
        except AppError as exc:
            facts = {"schedule": schedule.name, "error": str(exc)}
            _log.warning("Schedule could not be written", extra={"facts": facts})

    async def _change(
        self,
        schedule: Schedule,
        change: Callable[[Schedule], Schedule],
        note: ChangeNote | None = None,
    ) -> Schedule:
        """Change one schedule in the file, as it is there now."""
        changed: list[Schedule] = []

        def apply(schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
            known = {schedule.name: schedule for schedule in schedules}
            before = known.get(schedule.name)
            known[schedule.name] = change(before or schedule)
            changed.append(known[schedule.name])
            if note is not None:
                note.take(_facts(before) if before else None, _facts(changed[-1]))
            return tuple(known.values())

        await asyncio.to_thread(self._file.change, apply)
        return changed[-1]


def _facts(schedule: Schedule) -> JsonObject:
    """Return what somebody has set, for the audit."""
    facts = asdict(schedule)
    return {name: facts[name] for name in _SET}


def _pace(known: Schedule | None, role: Role) -> str:
    """Say what retention counts by: backups that come more often push none out, unless an admin says so."""
    if may(role, Effect.KEEP_LESS):
        return ""
    # There may be backups of a schedule of this name that was deleted: as before, they are counted by days.
    return (known.paced_by or known.expression) if known else Frequency.DAILY.cron


def _at(schedule: Schedule, frequency: Frequency | None) -> Schedule:
    """Return a schedule as it would be with another frequency."""
    return replace(schedule, frequency=frequency) if frequency else schedule


def _considered(schedule: Schedule, now: datetime) -> Schedule:
    """Take note of every due time up to now, and of how many of them were missed."""
    found = schedule.consider(now)
    return replace(
        schedule.as_of(now) if found.is_clock_back else schedule,
        considered_at=now,
        missed=schedule.missed + found.missed,
        last_missed_at=found.first if found.missed else schedule.last_missed_at,
    )
