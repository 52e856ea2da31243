"""What somebody wants to see first: a verdict, each database, what is due, and the last year."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.alerts.alert import AlertKind
from app.domain.alerts.notice import AlertRecord
from app.domain.checks import StoredBackup
from app.domain.disk_forecast import days_until_full
from app.domain.ids import BackupId
from app.domain.monitoring import FirstStep, Status
from app.domain.outlook import DatabaseOutlook, Verdict, by_database, judge
from app.domain.ports import Clock
from app.domain.restores.reach import Exposure, Reach, exposure_of
from app.domain.runs.run import RunKind
from app.domain.schedule import Schedule
from app.domain.stores import AlertFilter, Page, RunStore
from app.domain.year import DAYS, Day, by_day
from app.engine.server.server import Server
from app.errors import AppError
from app.services.alerts.service import AlertService
from app.services.monitoring.health import BackupHealth, HealthService
from app.services.monitoring.status import StatusService
from app.services.point_in_time.reach import ReachService
from app.services.schedules import ScheduleService
from app.storage.free_space import FreeSpaceFile


_DUE_SHOWN = 5
_ALERTS_READ = 50
_COUNTS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Overview:
    """
    Everything at one glance.

    Attributes:
        alerts: Open ones, newest first.
        dues: The next due times, earliest first, each with its schedule; past = overdue.
        days: The last year by day, oldest first.
        days_until_full: How long the disk of the backups lasts; None = nobody knows, or for ever.
        first_steps: Which of them are done.
        reach: Which moments can be recovered.
        exposure: How much would be lost.
        locked: Backups that nobody here can read.
        server_error: Why the server cannot be used; None = it can, or nobody knows yet.
    """

    status: Status
    verdict: Verdict
    databases: tuple[DatabaseOutlook, ...]
    alerts: tuple[AlertRecord, ...]
    dues: tuple[tuple[datetime, Schedule], ...]
    days: tuple[Day, ...]
    days_until_full: float | None
    first_steps: Mapping[FirstStep, bool]
    reach: Reach
    exposure: Exposure
    locked: int
    server_error: AppError | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether a first step is still to be done."""
        return not all(self.first_steps.values())


@dataclass(frozen=True, slots=True)
class Counts:
    """
    What wants attention now.

    Attributes:
        alerts: Open ones.
        running: Runs that are not over.
    """

    alerts: int
    running: int


class OverviewService:
    """Puts together what other services know, and changes nothing."""

    def __init__(
        self,
        *,
        server: Server,
        status: StatusService,
        health: HealthService,
        schedules: ScheduleService,
        alerts: AlertService,
        history: RunStore,
        free_space: FreeSpaceFile,
        reach: ReachService,
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._server = server
        self._status = status
        self._health = health
        self._schedules = schedules
        self._alerts = alerts
        self._history = history
        self._free_space = free_space
        self._reach = reach
        self._clock = clock
        self._zone = zone
        self._counts: tuple[float, Counts] | None = None

    async def counts(self) -> Counts:
        """Count what every page shows, at most every two seconds; raises ControlUnavailableError."""
        now = self._clock.monotonic()
        if self._counts is None or now - self._counts[0] > _COUNTS_SECONDS:
            _, alerts = await self._alerts.list(
                AlertFilter(is_open=True), Page(limit=1, sort="-opened_at")
            )
            self._counts = (now, Counts(alerts, len(await self._history.unfinished())))
        return self._counts[1]

    async def read(self) -> Overview:
        """
        Read everything.

        Returns:
            What is there now.

        Raises:
            StorageError: The backup directory cannot be read.
            ControlUnavailableError: History or alerts cannot be read.
        """
        now = self._clock.now()
        free = await asyncio.to_thread(self._free_space.read)
        (status, server_error), health, schedules, runs, reach, (alerts, _) = await asyncio.gather(
            asyncio.gather(self._status.read(), self._status.server_error()),
            self._health.read(),
            self._schedules.list(),
            self._history.outcomes(RunKind.BACKUP, now - timedelta(days=DAYS)),
            self._reach.glance(),
            self._alerts.list(
                AlertFilter(is_open=True), Page(limit=_ALERTS_READ, sort="-opened_at")
            ),
        )
        records = tuple(record for record, _ in alerts)
        proofs = _proofs(health.stored)
        databases = tuple(by_database(health.survey.entries, health.faults, proofs))
        causes = [(record.kind, record.message) for record in records]
        locked = len(health.survey.locked)
        return Overview(
            status=status,
            verdict=judge(status, causes, databases, locked=locked, server_error=server_error),
            locked=locked,
            server_error=server_error,
            databases=databases,
            alerts=records,
            dues=tuple(_dues(schedules)),
            days=by_day(now, self._zone, runs, await self._missed(), health.survey.entries, proofs),
            days_until_full=days_until_full(
                free, now.astimezone(self._zone).date(), status.disk.free_bytes
            )
            if status.disk
            else None,
            first_steps=await self._first_steps(status, schedules),
            reach=reach,
            exposure=await asyncio.to_thread(self._exposure, reach, health),
        )

    async def _first_steps(
        self, status: Status, schedules: Sequence[Schedule]
    ) -> dict[FirstStep, bool]:
        """Tell which of them are done."""
        return {
            FirstStep.SERVER: self._server.is_set,
            FirstStep.BACKUP: status.last_backup is not None,
            FirstStep.DRILL: status.last_proven_at is not None,
            FirstStep.SCHEDULE: any(schedule.enabled for schedule in schedules),
            FirstStep.ALERT: await self._is_alert_tested(),
        }

    def _exposure(self, reach: Reach, health: BackupHealth) -> Exposure:
        return exposure_of(reach, self._newest_good(health), self._clock.now())

    def _newest_good(self, health: BackupHealth) -> datetime | None:
        """Return of when the newest good backup is; one that was recovered is older than it looks."""
        for entry in health.survey.entries:
            is_seen = entry.is_first_choice and not entry.recovered_from
            if is_seen and entry.backup_id not in health.faults:
                return entry.created_at
        return None

    async def _is_alert_tested(self) -> bool:
        """Tell whether the newest test alert has reached anybody."""
        page = Page(limit=1, sort="-opened_at")
        found, _ = await self._alerts.list(AlertFilter(kinds=(AlertKind.TEST,)), page)
        return any(attempt.at and not attempt.error for _, tried in found for attempt in tried)

    async def _missed(self) -> list[datetime]:
        """Return when it was noticed that backups were missed, also when that is over."""
        page = Page(limit=DAYS, sort="-opened_at")
        found, _ = await self._alerts.list(AlertFilter(kinds=(AlertKind.MISSED,)), page)
        return [record.opened_at for record, _ in found]


def _dues(schedules: Sequence[Schedule]) -> list[tuple[datetime, Schedule]]:
    found = [(due, schedule) for schedule in schedules if (due := schedule.next_due()) is not None]
    return sorted(found, key=lambda known: known[0])[:_DUE_SHOWN]


def _proofs(stored: Sequence[StoredBackup]) -> dict[BackupId, tuple[datetime, float]]:
    """Return when all of a backup was last restored and equal, and how long that took."""
    proofs: dict[BackupId, tuple[datetime, float]] = {}
    for backup in stored:
        for proof in backup.proofs:
            if proof.success and proof.whole:
                proofs[backup.backup_id] = (proof.at, proof.seconds)
                break
    return proofs
