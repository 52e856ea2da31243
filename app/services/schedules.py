"""Schedules: set, shown, and run when they are due."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.domain.manifest import Manifest
from app.domain.ports import Clock
from app.domain.progress import Progress
from app.domain.schedule import DEFAULT_NAME, Frequency, Schedule, ScheduleOptions
from app.errors import AppError
from app.services.order import Order
from app.services.orders import BackupWish, Orders
from app.storage.schedules import ScheduleFile


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """
    Whether a schedule has something to do.

    Attributes:
        order: What to run; None when nothing is due.
        next_due: When that will be; None when it is not enabled.
    """

    schedule: Schedule
    order: Order[Manifest] | None
    next_due: datetime | None


class ScheduleService:
    """Keeps schedules; it starts nothing by itself."""

    def __init__(self, file: ScheduleFile, orders: Orders, clock: Clock) -> None:
        self._file = file
        self._orders = orders
        self._clock = clock

    async def list(self) -> tuple[Schedule, ...]:
        """Return all schedules."""
        return await asyncio.to_thread(self._file.read)

    def next_due(self, schedule: Schedule) -> datetime | None:
        """Return when a schedule is next due; in the past or now = it is; None = never."""
        return schedule.next_due(self._clock.now())

    async def set(
        self,
        frequency: Frequency,
        options: ScheduleOptions,
        *,
        name: str = DEFAULT_NAME,
        enabled: bool = True,
    ) -> Schedule:
        """Make or change a schedule; what it has done is kept."""
        fresh = Schedule(name, frequency, self._clock.now())

        def change(known: Schedule) -> Schedule:
            return replace(
                known,
                frequency=frequency,
                options=options,
                enabled=enabled,
                updated_at=fresh.updated_at,
            )

        return await self._change(fresh, change)

    async def due(
        self, frequency: Frequency | None = None, *, name: str = DEFAULT_NAME, force: bool = False
    ) -> Due:
        """
        Look whether a backup is due.

        Args:
            frequency: In the place of the schedule's; it also makes a schedule where there is none.
            name: Of the schedule.
            force: Whether it is due in any case.

        Returns:
            What to run, if anything.
        """
        now = self._clock.now()
        known = {one.name: one for one in await self.list()}
        schedule = known.get(name) or Schedule(
            name, frequency or Frequency.DAILY, now, enabled=frequency is not None
        )
        if frequency is not None:
            schedule = replace(schedule, frequency=frequency)
        at = schedule.next_due(now)
        if not force and (at is None or at > now):
            return Due(schedule, None, at)
        return Due(schedule, self._order(schedule), at)

    def _order(self, schedule: Schedule) -> Order[Manifest]:
        options = schedule.options
        order = self._orders.backup(
            BackupWish(
                databases=options.databases,
                tables=options.tables,
                exclude_tables=options.exclude_tables,
                include_data=options.include_data,
                description=options.description or f"Scheduled backup ({schedule.frequency})",
                compress=options.compress,
                verify=options.verify,
            )
        )

        async def work(progress: Progress) -> Manifest:
            await self._change(schedule, lambda one: replace(one, last_run_at=self._clock.now()))
            manifest = await order.work(progress)
            try:
                await self._change(
                    schedule,
                    lambda one: replace(
                        one, last_success_at=manifest.created_at, last_backup_id=manifest.backup_id
                    ),
                )
            except AppError as exc:  # the backup is there; at worst the next one comes early
                facts = {"schedule": schedule.name, "error": str(exc)}
                _log.warning("The schedule could not be written", extra={"facts": facts})
            return manifest

        return replace(order, work=work)

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
