"""
How the backups are doing, in numbers, for monitoring.

Everything comes from what is kept - the history, the catalogue, `schedule.json` - and nothing from
memory, so that the numbers are there right after a restart, and are those of other processes too; but for
those of stores, which are of the last look of this process. What
cannot be read is left out, and named: the rest is worth more then than an error.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from app.domain.backups.backup import CatalogueEntry
from app.domain.monitoring import DiskUsage
from app.domain.places.report import CopiesReport
from app.domain.ports import Clock
from app.domain.restores.reach import Reach
from app.domain.runs.run import Run, RunFilter, RunKind, RunState, RunTally
from app.domain.schedule import Schedule
from app.domain.stores import Page, RunStore
from app.errors import AppError
from app.services.monitoring.health import BackupHealth, HealthService
from app.services.point_in_time.reach import ReachService
from app.services.schedules import ScheduleService
from app.services.stores.watch import StoreWatch
from app.storage import layout


T = TypeVar("T")

# Scrapers come every 15 seconds or so, and sometimes several of them at once.
_FRESH_SECONDS: Final = 2.0
# Drills of some tables prove no backup; among the newest so many is one of a whole one.
_MOST_DRILLS: Final = 20
_PARTIAL: Final = ("databases", "tables", "schema_only", "data_only")


@dataclass(frozen=True, slots=True)
class HistoryNumbers:
    """
    What the history says.

    Attributes:
        tallies: How many runs there are, by kind, origin and state.
        last_restore: The newest restore that succeeded.
        last_drill: The newest drill of a whole backup that succeeded.
        last_recovery_drill: The newest drill of a recovery that succeeded.
    """

    tallies: tuple[RunTally, ...]
    last_restore: Run | None
    last_drill: Run | None
    last_recovery_drill: Run | None = None


@dataclass(frozen=True, slots=True)
class ScheduleNumbers:
    """
    What is known of a schedule.

    Attributes:
        last_success_at: When its newest backup began; None when there was none.
        next_due_at: The first due time that no backup has served; None = never.
        is_overdue: Whether that is longer ago than it should be.
    """

    schedule: Schedule
    last_success_at: datetime | None
    next_due_at: datetime | None
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class Metrics:
    """
    All numbers of one moment; None = could not be read.

    Attributes:
        newest: By schedule, its newest backup that is no recovery point; the key of backups without
            a schedule is empty.
        proven_at: When a whole backup was last restored and equal; None when none ever was.
        recovery_proven_at: When a recovery to a point in time last gave what was there.
        disk_floor_bytes: What should be free there; below it an alert is sent.
        alerts_open: Conditions with an alert that last.
        copies: Where backups lie.
        reach: Which points in time can be recovered; None also where nobody archives a binary log.
    """

    at: datetime
    lag_seconds: float
    history: HistoryNumbers | None
    health: BackupHealth | None
    newest: dict[str, CatalogueEntry]
    proven_at: datetime | None
    recovery_proven_at: datetime | None
    schedules: tuple[ScheduleNumbers, ...] | None
    disk: DiskUsage | None
    disk_floor_bytes: int
    alerts_open: int | None
    copies: CopiesReport | None
    reach: Reach | None


class MetricsService:
    """
    Gathers numbers, rarely, however often it is asked.

    Args:
        overdue_after: From how long after a due time without a success a schedule is overdue.
        disk_floor_bytes: What must be free; 0 = anything will do.
        lag_seconds: Tells how late the scheduler was last.
        count_open_alerts: Counts the conditions with an alert that last.
        reach: Tells which points in time can be recovered.
    """

    def __init__(
        self,
        *,
        runs: RunStore,
        health: HealthService,
        store_watch: StoreWatch,
        schedules: ScheduleService,
        clock: Clock,
        overdue_after: timedelta,
        disk_floor_bytes: int,
        lag_seconds: Callable[[], float],
        count_open_alerts: Callable[[], Awaitable[int]],
        reach: ReachService | None = None,
    ) -> None:
        self._runs = runs
        self._health = health
        self._store_watch = store_watch
        self._schedules = schedules
        self._clock = clock
        self._overdue_after = overdue_after
        self._disk_floor_bytes = disk_floor_bytes
        self._lag_seconds = lag_seconds
        self._count_open_alerts = count_open_alerts
        self._reach = reach
        self._turn = asyncio.Lock()
        self._known: tuple[float, Metrics] | None = None

    async def gather(self) -> Metrics:
        """Return numbers that are two seconds old at most."""
        async with self._turn:
            now = self._clock.monotonic()
            if self._known is None or now - self._known[0] > _FRESH_SECONDS:
                self._known = (now, await self._read())
            return self._known[1]

    async def _read(self) -> Metrics:
        history, health, schedules, (disk, is_there), alerts, copies = await asyncio.gather(
            _or_none(self._history()),
            _or_none(self._health.read(anew=True)),
            _or_none(self._schedules.list()),
            asyncio.to_thread(self._place),
            _or_none(self._count_open_alerts()),
            _or_none(self._store_watch.report()),
        )
        if not is_there and _was_made(history):
            # Not mounted, most likely: an empty directory would say that nothing is late.
            health = schedules = None
        now = self._clock.now()
        newest = _newest(health)
        return Metrics(
            at=now,
            lag_seconds=self._lag_seconds(),
            history=history,
            health=health,
            newest=newest,
            proven_at=_proven_at(health, history),
            recovery_proven_at=_recovery_proven_at(health, history),
            schedules=None
            if schedules is None
            else tuple(self._numbers(schedule, newest, now) for schedule in schedules),
            disk=disk,
            disk_floor_bytes=self._disk_floor_bytes,
            alerts_open=alerts,
            copies=copies,
            reach=await _or_none(self._read_reach()),
        )

    async def _read_reach(self) -> Reach | None:
        reach = await self._reach.read() if self._reach else None
        return reach if reach and reach.overview.streams else None

    async def _history(self) -> HistoryNumbers:
        restore = RunFilter(kinds=(RunKind.RESTORE,), states=(RunState.SUCCEEDED,))
        drill = RunFilter(kinds=(RunKind.DRILL,), states=(RunState.SUCCEEDED,))
        recovery = RunFilter(kinds=(RunKind.RECOVERY_DRILL,), states=(RunState.SUCCEEDED,))
        tallies, (restores, _), (drills, _), (recoveries, _) = await asyncio.gather(
            self._runs.tally(),
            self._runs.list(restore, Page(1, sort="-finished_at")),
            self._runs.list(drill, Page(_MOST_DRILLS, sort="-finished_at")),
            self._runs.list(recovery, Page(1, sort="-finished_at")),
        )
        whole = (run for run in drills if not any(run.request.get(key) for key in _PARTIAL))
        return HistoryNumbers(
            tallies=tuple(tallies),
            last_restore=restores[0] if restores else None,
            last_drill=next(whole, None),
            last_recovery_drill=recoveries[0] if recoveries else None,
        )

    def _numbers(
        self, schedule: Schedule, newest: dict[str, CatalogueEntry], now: datetime
    ) -> ScheduleNumbers:
        made = newest.get(schedule.name)
        successes = (schedule.last_success_at, made.created_at if made else None)
        due = schedule.due_by(now)
        return ScheduleNumbers(
            schedule=schedule,
            last_success_at=_latest(*successes),
            next_due_at=due,
            is_overdue=due is not None and now - due > self._overdue_after,
        )

    def _place(self) -> tuple[DiskUsage | None, bool]:
        """Measure the file system of the backups, and tell whether their directory is there."""
        directory = self._health.catalogue.directory
        place = self._health.catalogue.disk
        disk = _disk(place.path) if place else None
        try:
            return disk, directory.exists(layout.HTACCESS)
        except AppError:
            return disk, False


async def _or_none(reading: Awaitable[T]) -> T | None:
    try:
        return await reading
    except AppError:
        return None


def _disk(directory: Path) -> DiskUsage | None:
    """Measure the file system of a directory, or of where it will be made."""
    for path in (directory, *directory.parents):
        try:
            usage = shutil.disk_usage(path)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return DiskUsage(usage.free, usage.total)
    return None


def _was_made(history: HistoryNumbers | None) -> bool:
    """Tell whether there was ever a backup."""
    return history is not None and any(
        tally.kind is RunKind.BACKUP and tally.state is RunState.SUCCEEDED
        for tally in history.tallies
    )


def _newest(health: BackupHealth | None) -> dict[str, CatalogueEntry]:
    """Return the newest backup of each schedule."""
    entries = health.survey.entries if health else ()
    return {entry.schedule: entry for entry in reversed(entries) if entry.is_current}


def _proven_at(health: BackupHealth | None, history: HistoryNumbers | None) -> datetime | None:
    """Return when a backup was last proven; its proofs are deleted with it, the run of it is not."""
    drill = history.last_drill if history else None
    return _latest(health.proven_at if health else None, drill.finished_at if drill else None)


def _recovery_proven_at(
    health: BackupHealth | None, history: HistoryNumbers | None
) -> datetime | None:
    """Return when a recovery was last proven, as above."""
    drill = history.last_recovery_drill if history else None
    found = health.recovery_proven_at if health else None
    return _latest(found, drill.finished_at if drill else None)


def _latest(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant is not None), default=None)
