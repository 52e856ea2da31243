"""How the backups are doing: the newest, the space they take, what runs, what is due, what failed."""

import asyncio
import logging
import shutil
from datetime import datetime
from typing import Final

from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.monitoring import DiskUsage, Readiness, Status
from app.domain.places.report import CopiesReport
from app.domain.ports import Clock
from app.domain.restores.proofs import proven_at
from app.engine.server.server import Server
from app.errors import AppError, ConnectionFailedError
from app.services.monitoring.health import BackupHealth, HealthService
from app.services.monitoring.probes import Probes
from app.services.runs.service import RunService
from app.services.schedules import ScheduleService
from app.services.stores.watch import StoreWatch
from app.storage.local import LocalDirectory
from app.telemetry.bugs import heard


_log: Final = logging.getLogger(__name__)
_FAILURES: Final = 5
# A balancer asks often; the server need not be bothered each time.
_READY_SECONDS: Final = 2.0
_REACH_SECONDS: Final = 5.0
# How old what is known of the server may be on a page, and how long a page waits for more.
_SEEN_SECONDS: Final = 10.0
_GLANCE_SECONDS: Final = 0.5


class StatusService:
    """Reads the state of everything and changes nothing."""

    def __init__(
        self,
        *,
        server: Server,
        health: HealthService,
        runs: RunService,
        schedules: ScheduleService,
        clock: Clock,
        state: LocalDirectory,
        store_watch: StoreWatch,
    ) -> None:
        self._server = server
        self._health = health
        self._catalogue = health.catalogue
        self._runs = runs
        self._schedules = schedules
        self._clock = clock
        self._state = state
        self._store_watch = store_watch
        self._directories = Probes(_REACH_SECONDS)
        self._turn = asyncio.Lock()
        self._ready: tuple[float, Readiness] | None = None
        # What the last look at the server has shown, and the one that is taken right now.
        self._seen: tuple[float, AppError | None] | None = None
        self._look: asyncio.Task[None] | None = None

    async def read(self) -> Status:
        """
        Read the state of everything.

        Returns:
            What is there now.

        Raises:
            StorageError: The backup directory cannot be read.
            ControlUnavailableError: The history cannot be read.
        """
        # Each thread more is waited for once more, behind a busy backup.
        (health, disk, next_due_at, copies), running, failures = await asyncio.gather(
            asyncio.to_thread(self._read_files),
            self._runs.unfinished(),
            self._runs.failures(_FAILURES),
        )
        survey, last = health.survey, _last(health.survey)
        proofs = {backup.backup_id: backup.proofs for backup in health.stored}
        return Status(
            last_backup=last,
            last_backup_proven_at=proven_at(proofs[last.backup_id]) if last else None,
            pins=health.pins,
            backups_count=len(survey.entries),
            size_bytes=sum(entry.size for entry in survey.entries),
            raw_size_bytes=sum(entry.raw_size for entry in survey.entries),
            disk=disk,
            running=tuple(running),
            next_due_at=next_due_at,
            last_failures=tuple(failures),
            damaged=len(survey.problems) + len(survey.orphans),
            unknown=len(survey.unknown),
            checks_failing=sum(backup.notes.is_damaged for backup in health.stored),
            last_proven_at=_latest(health.proven_at, *(place.proven_at for place in copies.places)),
            last_recovery_proven_at=health.recovery_proven_at,
            copies=copies,
        )

    async def ready(self) -> Readiness:
        """Tell whether control database, both directories and the server can be used; asked rarely."""
        async with self._turn:
            now = self._clock.monotonic()
            if self._ready is None or now - self._ready[0] > _READY_SECONDS:
                checks = {
                    "control database": await self._history(),
                    "backup directory": await self._directories.ask(self._catalogue.directory),
                    "state directory": await self._directories.ask(self._state),
                    "server": error.code if (error := await self._reach()) else "",
                }
                self._ready = (now, Readiness(checks))
            return self._ready[1]

    def _read_files(
        self,
    ) -> tuple[BackupHealth, DiskUsage | None, datetime | None, CopiesReport]:
        now = self._clock.now()
        dues = [schedule.due_by(now) for schedule in self._schedules.list_now()]
        next_due_at = min(filter(None, dues), default=None)
        return self._health.read_now(), self._disk(), next_due_at, self._store_watch.report_now()

    def _disk(self) -> DiskUsage | None:
        disk = self._catalogue.disk
        if disk is None or not disk.is_there():
            return None
        return DiskUsage(disk.free_bytes(), shutil.disk_usage(disk.path).total)

    async def _history(self) -> str:
        try:
            await self._runs.unfinished()
        except AppError as exc:
            return exc.code
        return ""

    async def server_error(self) -> AppError | None:
        """
        Tell why the server cannot be used, by the last look at it.

        A look that is old is taken again, once for all who ask; it is not waited for long, and who asks next hears.

        Returns:
            None where it can be used, and where nobody knows yet.
        """
        if not self._server.is_set:
            return None
        now = self._clock.monotonic()
        if self._seen is None or now - self._seen[0] > _SEEN_SECONDS:
            if self._look is None or self._look.done():
                self._look = asyncio.create_task(self._look_at_server())
                self._look.add_done_callback(heard(_log, "The look at the server"))
            await asyncio.wait([self._look], timeout=_GLANCE_SECONDS)
        return self._seen[1] if self._seen else None

    async def _look_at_server(self) -> None:
        error = await self._reach()
        self._seen = (self._clock.monotonic(), error)

    async def _reach(self) -> AppError | None:
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                await self._server.ping()
        except AppError as exc:
            return exc
        except TimeoutError:
            slow = f"{self._server.where}: no answer for {_REACH_SECONDS:.0f} s"
            return ConnectionFailedError(slow, hint="Check whether the server runs.")
        return None


def _latest(*instants: datetime | None) -> datetime | None:
    return max((at for at in instants if at is not None), default=None)


def _last(survey: Survey) -> CatalogueEntry | None:
    """Return the newest backup that is neither a recovery point nor of an older moment."""
    return next((entry for entry in survey.entries if entry.is_current), None)
