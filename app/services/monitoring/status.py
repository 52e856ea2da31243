"""How the backups are doing: the newest, the space they take, what runs, what is due, what failed."""

import asyncio
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.ports import Clock
from app.domain.restores.dry_run import proven_at
from app.domain.runs.run import Run
from app.engine.server.connection import Server
from app.errors import AppError
from app.services.monitoring.health import BackupHealth, HealthService
from app.services.runs.service import RunService
from app.services.schedules import ScheduleService


_FAILURES: Final = 5
# A balancer asks often; the server need not be bothered each time.
_READY_SECONDS: Final = 2.0
_REACH_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """
    The state of everything at one moment.

    Attributes:
        last_backup: Newest backup that is no recovery point.
        last_proven_at: When that was last restored and equal.
        size_bytes: Of all backups, as stored.
        disk_free_bytes: None while there is no backup directory.
        running: Runs that are not over, oldest first.
        next_due: When the next scheduled backup is due; None when none is.
        failures: Runs that failed last, newest first.
        damaged: Backups that are not whole, with data files that lack a manifest.
        proven_at: When any backup was last restored and equal, all of it; None = never.
        checks_failing: Backups of which the last check failed.
    """

    last_backup: CatalogueEntry | None
    last_proven_at: datetime | None
    backups_count: int
    size_bytes: int
    raw_size_bytes: int
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    running: tuple[Run, ...]
    next_due: datetime | None
    failures: tuple[Run, ...]
    damaged: int
    proven_at: datetime | None
    checks_failing: int


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served, by what that takes: a name, and why not."""

    checks: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.checks.values())


class _Disk(NamedTuple):
    free: int | None
    total: int | None


class StatusService:
    """Looks at everything and changes nothing."""

    def __init__(
        self,
        server: Server,
        catalogue: Catalogue,
        runs: RunService,
        schedules: ScheduleService,
        clock: Clock,
    ) -> None:
        self._server = server
        self._catalogue = catalogue
        self._health = HealthService(catalogue)
        self._runs = runs
        self._schedules = schedules
        self._clock = clock
        self._asked = asyncio.Lock()
        self._ready: tuple[float, Readiness] | None = None

    async def look(self) -> Status:
        """
        Look at everything.

        Returns:
            What is there now.

        Raises:
            StorageError: The backup directory cannot be read.
            ControlUnavailableError: The history cannot be read.
        """
        (health, disk), dues, running, failures = await asyncio.gather(
            asyncio.to_thread(self._look),
            self._dues(),
            self._runs.unfinished(),
            self._runs.failures(_FAILURES),
        )
        survey, last = health.survey, _last(health.survey)
        proofs = {one.backup_id: one.proofs for one in health.stored}
        return Status(
            last_backup=last,
            last_proven_at=proven_at(proofs[last.backup_id]) if last else None,
            backups_count=len(survey.entries),
            size_bytes=sum(entry.size for entry in survey.entries),
            raw_size_bytes=sum(entry.raw_size for entry in survey.entries),
            disk_free_bytes=disk.free,
            disk_total_bytes=disk.total,
            running=tuple(running),
            next_due=min(dues, default=None),
            failures=tuple(failures),
            damaged=len(survey.problems) + len(survey.orphans),
            proven_at=health.proven_at,
            checks_failing=sum(one.notes.is_damaged for one in health.stored),
        )

    async def ready(self) -> Readiness:
        """Tell whether control database, backup directory and server can be used; asked rarely."""
        async with self._asked:
            now = self._clock.monotonic()
            if self._ready is None or now - self._ready[0] > _READY_SECONDS:
                checks = {
                    "control database": await self._history(),
                    "backup directory": await asyncio.to_thread(self._directory),
                    "server": await self._reach(),
                }
                self._ready = (now, Readiness(checks))
            return self._ready[1]

    def _look(self) -> tuple[BackupHealth, _Disk]:
        health = self._health.look_now()
        path = self._catalogue.directory.path
        if not path.exists():
            return health, _Disk(None, None)
        free = self._catalogue.directory.free_bytes()
        return health, _Disk(free, shutil.disk_usage(path).total)

    async def _dues(self) -> list[datetime]:
        dues = [one.next_due() for one in await self._schedules.list()]
        return [due for due in dues if due is not None]

    async def _history(self) -> str:
        try:
            await self._runs.unfinished()
        except AppError as exc:
            return exc.code
        return ""

    def _directory(self) -> str:
        try:
            directory = self._catalogue.directory
            directory.prepare()
            with directory.locked():  # opens a file to write
                return ""
        except AppError as exc:
            return exc.code

    async def _reach(self) -> str:
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                await self._server.flavor()
        except AppError as exc:
            return exc.code
        except TimeoutError:
            return "connection-failed"
        return ""


def _last(survey: Survey) -> CatalogueEntry | None:
    """Return the newest backup that is no recovery point."""
    return next((entry for entry in survey.entries if not entry.recovery_point), None)
