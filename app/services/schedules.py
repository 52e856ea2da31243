"""
Schedules: set, shown, and turned into backups when they are due.

Whoever begins a scheduled backup - the scheduler of the service, cron, a request - claims it in
`schedule.json`, under the lock of the backup directory and holding the lock of the server's backups.
So a due time begins one backup, however many look at it at once.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind, NoAlarm
from app.domain.backups.manifest import Manifest
from app.domain.backups.retention import RetentionPolicy
from app.domain.ports import Clock
from app.domain.runs.progress import Progress
from app.domain.schedule import (
    DEFAULT_NAME,
    Frequency,
    Schedule,
    ScheduleOptions,
    require_cron,
)
from app.errors import AppError, InvalidScheduleError, NotDueError, ScheduleNotFoundError
from app.services.jobs import BackupOptions, Jobs
from app.services.runs.job import Job
from app.storage.schedules import ScheduleFile


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """
    A schedule as somebody wants it.

    Attributes:
        frequency: None with a cron expression.
        cron: Five fields; empty with a frequency.
        timezone: IANA name; empty = that of the settings.
        external: Whether the service leaves it to others to begin its backups, such as cron.
    """

    name: str = DEFAULT_NAME
    frequency: Frequency | None = None
    cron: str = ""
    timezone: str = ""
    enabled: bool = True
    external: bool = False
    options: ScheduleOptions = field(default_factory=ScheduleOptions)
    retention: RetentionPolicy | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """
    Whether a schedule has something to do.

    Attributes:
        order: What to run; None when nothing is due.
        next_due: When that will be; None when it is not enabled.
    """

    schedule: Schedule
    order: Job[Manifest] | None
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class DueRun:
    """
    A scheduled backup that the scheduler is to begin now.

    Attributes:
        order: What to run; its claim raises NotDueError when another process was faster.
        due: Oldest due time that it serves, aware UTC.
    """

    order: Job[Manifest]
    due: datetime


class ScheduleService:
    """Keeps schedules; it starts nothing by itself."""

    def __init__(
        self,
        file: ScheduleFile,
        orders: Jobs,
        clock: Clock,
        *,
        timezone: str = "UTC",
        catch_up: bool = True,
        alarm: Alarm | None = None,
    ) -> None:
        self._file = file
        self._orders = orders
        self._clock = clock
        self._timezone = timezone
        self._catch_up = catch_up
        self._alarm: Alarm = alarm or NoAlarm()

    async def list(self) -> tuple[Schedule, ...]:
        """Return all schedules."""
        return await asyncio.to_thread(self._file.read)

    async def get(self, name: str) -> Schedule:
        """Return one schedule; raises ScheduleNotFoundError."""
        for one in await self.list():
            if one.name == name:
                return one
        raise ScheduleNotFoundError(
            f"no schedule {name[:80]!r}", hint="List them with 'backstay schedule show'."
        )

    async def set(self, wish: ScheduleChange) -> Schedule:
        """
        Make or change a schedule; what it has done is kept.

        Returns:
            The schedule; its due times from now on count.

        Raises:
            InvalidScheduleError: It has no due times, or there is no such time zone.
            StorageError: The backup directory refused.
        """
        if (wish.frequency is None) == (not wish.cron):
            raise InvalidScheduleError(
                "a schedule needs a frequency or a cron expression, not both",
                hint="Name 'daily', or write five fields such as '30 2 * * 1-5'.",
            )
        now = self._clock.now()
        fresh = Schedule(wish.name, wish.frequency, now)

        def change(known: Schedule) -> Schedule:
            return replace(
                known,
                frequency=wish.frequency,
                cron=" ".join(wish.cron.split()),
                timezone=wish.timezone or self._timezone,
                enabled=wish.enabled,
                external=wish.external,
                options=wish.options,
                retention=wish.retention,
                updated_at=now,
                considered_at=now,
            )

        changed = change(fresh)
        require_cron(changed.expression, changed.timezone)
        return await self._change(fresh, change)

    async def enable(self, name: str, *, enabled: bool) -> Schedule:
        """Switch a schedule on or off, from now on; raises ScheduleNotFoundError."""
        known = await self.get(name)
        now = self._clock.now()
        return await self._change(
            known, lambda one: replace(one, enabled=enabled, updated_at=now, considered_at=now)
        )

    async def delete(self, name: str) -> None:
        """Forget a schedule; its backups stay, as those of no schedule. Raises ScheduleNotFoundError."""
        await self.get(name)
        await asyncio.to_thread(
            self._file.change, lambda all_: tuple(one for one in all_ if one.name != name)
        )

    async def due(
        self, frequency: Frequency | None = None, *, name: str = DEFAULT_NAME, force: bool = False
    ) -> Due:
        """
        Look whether a backup is due by the last one that succeeded, for whoever is not the scheduler.

        Args:
            frequency: In the place of the schedule's; it also makes a schedule where there is none.
            name: Of the schedule.
            force: Whether it is due in any case.

        Returns:
            What to run, if anything; its claim raises NotDueError when somebody was faster.
        """
        now = self._clock.now()
        known = {one.name: one for one in await self.list()}
        schedule = known.get(name) or Schedule(
            name,
            frequency or Frequency.DAILY,
            now,
            timezone=self._timezone,
            enabled=frequency is not None,
            external=True,
        )

        def is_open(one: Schedule) -> bool:
            return force or _at(one, frequency).is_open(self._clock.now())

        def claim(one: Schedule) -> Schedule:
            if not is_open(one):
                raise NotDueError(f"the schedule {one.name!r} is not due any more")
            at = self._clock.now()
            return replace(one, considered_at=max(one.considered_at or at, at), last_run_at=at)

        at = _at(schedule, frequency)
        if not is_open(schedule):
            return Due(schedule, None, at.next_due())
        return Due(schedule, self._order(schedule, claim, frequency), at.next_due())

    async def consider(self, name: str) -> DueRun | None:
        """
        Look at the due times of a schedule that no scheduler has looked at yet.

        Returns:
            What to run; None when there is nothing to do but to note that times were missed.

        Raises:
            IntegrityError: `schedule.json` is damaged.
            StorageError: The backup directory refused.
        """
        schedule = next((one for one in await self.list() if one.name == name), None)
        if schedule is None or schedule.external:
            return None
        found = schedule.consider(self._clock.now())
        if found.first is None and not found.is_clock_back:
            return None
        if found.first is None or not (found.on_time or self._catch_up):
            await self._note(schedule)
            return None
        return DueRun(self._order(schedule, self._claim), found.first)

    def _claim(self, schedule: Schedule) -> Schedule:
        """Take all due times up to now, for one backup."""
        now = self._clock.now()
        found = schedule.consider(now)
        if found.first is None or not (found.on_time or self._catch_up):
            raise NotDueError(f"the schedule {schedule.name!r} is not due any more")
        return replace(_considered(schedule, now), last_run_at=now)

    async def _note(self, schedule: Schedule) -> None:
        """Let due times pass, or begin anew from what the clock says now."""
        now = self._clock.now()
        is_back = schedule.consider(now).is_clock_back
        await self._change(schedule, lambda one: _considered(one, now))
        facts = {"schedule": schedule.name}
        if is_back:
            _log.warning("The clock was set back", extra={"facts": facts})
            message = (
                f"the clock was set back; schedule {schedule.name} goes on by what it says now"
            )
            await self._alarm.raise_alert(Alert(AlertKind.CLOCK, schedule.name, message))
        else:
            _log.warning("A scheduled backup was missed", extra={"facts": facts})

    def _order(
        self,
        schedule: Schedule,
        claim: Callable[[Schedule], Schedule],
        frequency: Frequency | None = None,
    ) -> Job[Manifest]:
        options = schedule.options
        often = frequency or schedule.frequency or schedule.cron
        order = self._orders.backup(
            BackupOptions(
                databases=options.databases,
                tables=options.tables,
                exclude_tables=options.exclude_tables,
                include_data=options.include_data,
                description=options.description or f"Scheduled backup ({often})",
                compress=options.compress,
                verify=options.verify,
                schedule=schedule.name,
            )
        )

        async def claimed() -> None:
            await self._change(schedule, claim)

        async def work(progress: Progress) -> Manifest:
            try:
                manifest = await order.work(progress)
            except AppError as exc:
                code = exc.code
                await self._remember(schedule, lambda one: replace(one, last_error=code))
                raise
            await self._remember(
                schedule,
                lambda one: replace(
                    one,
                    last_success_at=manifest.created_at,
                    last_backup_id=manifest.backup_id,
                    last_error="",
                ),
            )
            return manifest

        return replace(order, work=work, claim=claimed)

    async def _remember(self, schedule: Schedule, change: Callable[[Schedule], Schedule]) -> None:
        """Write down how a backup ended; at worst the next one comes early."""
        try:
            await self._change(schedule, change)
        except AppError as exc:
            facts = {"schedule": schedule.name, "error": str(exc)}
            _log.warning("The schedule could not be written", extra={"facts": facts})

    async def _change(self, schedule: Schedule, change: Callable[[Schedule], Schedule]) -> Schedule:
        """Change one schedule in the file, as it is there now."""
        changed: list[Schedule] = []

        def apply(schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
            known = {one.name: one for one in schedules}
            known[schedule.name] = change(known.get(schedule.name, schedule))
            changed.append(known[schedule.name])
            return tuple(known.values())

        await asyncio.to_thread(self._file.change, apply)
        return changed[-1]


def _at(schedule: Schedule, frequency: Frequency | None) -> Schedule:
    """Return a schedule as it would be with another frequency."""
    return replace(schedule, frequency=frequency) if frequency else schedule


def _considered(schedule: Schedule, now: datetime) -> Schedule:
    """Take note of every due time up to now, and of how many of them were missed."""
    found = schedule.consider(now)
    return replace(
        schedule,
        considered_at=now,
        missed=schedule.missed + found.missed,
        last_missed_at=found.first if found.missed else schedule.last_missed_at,
    )
