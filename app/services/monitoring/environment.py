"""
Checks every few minutes for what will make backups fail, and raises an alert before it does.

1. Whether the disk of the backups answers, and room there. 2. Schedules without a success, due times that nobody served, and that no
schedule is left on. 3. The server, the login and the rights. 4. The certificate of the service. 5. Damaged backups.

It changes nothing, and a check that fails does not keep the others from being made. A disk that does not answer, such
as a network's file system whose server is gone, is asked by one thread until it does, and people hear of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from app.archive.publishing.places import BackupDirectory
from app.config import Settings
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.places.sizes import size
from app.domain.ports import Clock
from app.domain.schedule import Schedule, ScheduleKind
from app.engine.schema.databases import read_schemas
from app.engine.server.grants import missing_for_backup, read_grants, require
from app.engine.server.server import Server
from app.errors import (
    AppError,
    ConnectionFailedError,
    NotFoundError,
    StalledError,
    StorageError,
)
from app.security.certificates import expires_at
from app.services.backups.space import GROWTH
from app.services.monitoring.backups import BackupMonitor
from app.services.monitoring.probes import Probes
from app.storage.free_space import FreeSpaceFile
from app.storage.local import LocalDirectory
from app.storage.schedules import ScheduleFile
from app.telemetry.bugs import heard


_log: Final = logging.getLogger(__name__)
# A server that needs longer to say who it is would keep a backup waiting as well.
_SERVER_SECONDS: Final = 30.0
# A network's file system waits for a server that is started again; nobody else does for so long.
_DISK_SECONDS: Final = 30.0
# Thousands of backups are looked at in seconds; a minute before the next time there is nothing to wait for.
_LOOK_SECONDS: Final = 240.0
_DISK: Final = "backup directory"
_STATE: Final = "state directory"
_SERVER: Final = "server"
# The history of some 10,000 runs.
_STATE_BYTES: Final = 64 << 20
_SCHEDULES: Final = "schedule.json"
# With a space, so that no schedule has this name.
_ALL: Final = "all schedules"
# Where no schedule is left that says when the next backup would have been due.
_DAY: Final = timedelta(days=1)


class EnvironmentMonitor:
    """Checks what backups need, and raises alerts."""

    def __init__(
        self,
        settings: Settings,
        server: Server,
        backup_monitor: BackupMonitor,
        schedules: ScheduleFile,
        clock: Clock,
        certificate: Path | None = None,
        *,
        disk_seconds: float = _DISK_SECONDS,
    ) -> None:
        self._seconds = disk_seconds
        self._probes = Probes(disk_seconds, _asked)
        self._look: asyncio.Task[None] | None = None
        self._settings = settings
        self._server = server
        self._backup_monitor = backup_monitor
        self._alarm = backup_monitor.alarm
        self._schedules = schedules
        self._clock = clock
        self._certificate = certificate
        # How many due times were missed, by schedule, at the last check; None before the first one.
        self._missed: dict[str, int] | None = None

    async def begin(self) -> None:
        """Check the schedules before the scheduler does, so that an alert tells what it finds missed."""
        await self._attempt(self._check_schedules)

    async def check(self) -> None:
        """Check everything, once; never raises an error of this program."""
        if await self._answers():
            await self._look_around()
        for check in (self._check_state_disk, self._check_certificate):
            await self._attempt(check)

    async def _answers(self) -> bool:
        """Tell whether the disk of the backups answers at all; raises an alert where it does not."""
        directory = self._backup_monitor.health.catalogue.directory
        if await self._probes.ask(directory) != StalledError.code:
            return True
        message = f"the disk where backups are kept has not answered for {self._seconds:g} s"
        hint = "Look whether it is there, or its server; nothing is backed up or looked at until it is."
        await self._alarm.raise_alert(Alert(AlertKind.DISK, _DISK, message, hint))
        return False

    async def _look_around(self) -> None:
        """Make the checks that need that disk; where it stops to answer now, the next time tells."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._check_around())
            self._look.add_done_callback(heard(_log, "A check of the environment"))
        try:
            await asyncio.wait([self._look], timeout=_LOOK_SECONDS)
        except asyncio.CancelledError:
            self._look.cancel()
            await asyncio.wait([self._look])
            raise

    async def _check_around(self) -> None:
        for check in (
            self._check_disk,
            self._check_schedules,
            self._check_silence,
            self._check_access,
        ):
            await self._attempt(check)
        await self._backup_monitor.check()

    async def _attempt(self, check: Callable[[], Awaitable[None]]) -> None:
        try:
            await check()
        except AppError as exc:
            _log.warning("Environment check failed", extra={"facts": {"error": str(exc)}})

    # -- room -------------------------------------------------------------------------------------

    async def _check_disk(self) -> None:
        directory = self._backup_monitor.health.catalogue.directory
        try:
            is_there = await asyncio.to_thread(directory.is_there)
        except StorageError as exc:  # such as a file system that is not mounted
            await self._alarm.raise_alert(Alert(AlertKind.DISK, _DISK, str(exc), exc.hint))
            return
        if not is_there:
            return
        floor = self._settings.disk_floor_bytes
        free = await asyncio.to_thread(directory.free_bytes)
        if free is None:  # no store tells
            return
        survey = (await self._backup_monitor.health.read()).survey
        last = next((entry for entry in survey.entries if entry.is_current), None)
        needed = round(last.size * GROWTH) if last else 0
        if floor and free < max(floor, needed):
            need = f"the next backup may need {size(needed)}"
            why = f"the floor is {size(floor)}" if free < floor else need
            message = f"{size(free)} are free where backups are kept; {why}"
            hint = "Free some space, keep fewer backups, or use a larger disk."
            await self._alarm.raise_alert(Alert(AlertKind.DISK, _DISK, message, hint))
        else:
            await self._alarm.resolve(AlertKind.DISK, _DISK, f"{size(free)} are free")
        today = self._clock.now().astimezone(ZoneInfo(self._settings.timezone)).date()
        await asyncio.to_thread(FreeSpaceFile(self._settings.state_dir).note, today, free)

    async def _check_state_disk(self) -> None:
        floor = min(self._settings.disk_floor_bytes, _STATE_BYTES)
        state = LocalDirectory(self._settings.state_dir)
        if not floor or not await asyncio.to_thread(state.is_there):
            return
        free = await asyncio.to_thread(state.free_bytes)
        if free < floor:
            message = f"{size(free)} are free where the state is kept; the floor is {size(floor)}"
            hint = (
                "Free some space: without it nobody can log in and the history is not written; scheduled"
                " backups and the command line go on."
            )
            await self._alarm.raise_alert(Alert(AlertKind.DISK, _STATE, message, hint))
        else:
            await self._alarm.resolve(AlertKind.DISK, _STATE, f"{size(free)} are free")

    # -- schedules --------------------------------------------------------------------------------

    async def _check_schedules(self) -> None:
        try:
            schedules = await asyncio.to_thread(self._schedules.read)
        except AppError as exc:
            message = f"no schedule can be served: {exc}"
            await self._alarm.raise_alert(Alert(AlertKind.OVERDUE, _SCHEDULES, message, exc.hint))
            return
        await self._alarm.resolve(AlertKind.OVERDUE, _SCHEDULES, "the schedules can be read")
        now = self._clock.now()
        for schedule in schedules:
            await self._check_overdue(schedule, now)
            await self._check_missed(schedule)
            if (
                schedule.is_served
            ):  # by whichever machine; who has made it ends the alerts of its own alone
                message = f"schedule {schedule.name} has a backup of its last run"
                await self._alarm.resolve(AlertKind.FAILURE, schedule.name, message)
        self._missed = {schedule.name: schedule.missed for schedule in schedules}

    async def _check_overdue(self, schedule: Schedule, now: datetime) -> None:
        due = schedule.due_by(now)
        if due is None or due + timedelta(minutes=self._settings.overdue_minutes) >= now:
            message = f"schedule {schedule.name} is not overdue"
            await self._alarm.resolve(AlertKind.OVERDUE, schedule.name, message)
            return
        last = schedule.last_success_at
        since = f"; the last backup is of {_minute(last)}" if last else "; there never was a backup"
        failed = f"; the last run failed with {schedule.last_error}" if schedule.last_error else ""
        message = f"schedule {schedule.name} was due at {_minute(due)}{since}{failed}"
        hint = "Check the last runs: 'backstay doctor' tells what would make one fail."
        await self._alarm.raise_alert(Alert(AlertKind.OVERDUE, schedule.name, message, hint))

    async def _check_missed(self, schedule: Schedule) -> None:
        """Raise an alert each time that the count has grown; it is over with the next success."""
        at, success = schedule.last_missed_at, schedule.last_success_at
        is_over = at is None or (success is not None and success > at)
        known = (self._missed or {}).get(schedule.name, 0 if self._missed is not None else None)
        grew = not is_over if known is None else schedule.missed > known
        if grew and at is not None:
            message = (
                f"nobody served schedule {schedule.name} at {_minute(at)};"
                f" {schedule.missed} due times were missed in all"
            )
            hint = (
                "Keep the service running; BACKSTAY_CATCH_UP makes up for a backup that was missed."
            )
            await self._alarm.raise_alert(Alert(AlertKind.MISSED, schedule.name, message, hint))
        elif is_over:
            message = f"schedule {schedule.name} has a backup again"
            await self._alarm.resolve(AlertKind.MISSED, schedule.name, message)

    async def _check_silence(self) -> None:
        """Raise an alert where schedules made backups, none is left on, and nobody makes any instead."""
        try:
            schedules = await asyncio.to_thread(self._schedules.read)
        except AppError:  # `_check_schedules` has raised an alert
            return
        entries = (await self._backup_monitor.health.read()).survey.entries
        newest = next((entry.created_at for entry in entries if entry.is_current), None)
        if schedules or any(entry.schedule for entry in entries):
            due = _due_of_none(schedules, newest)
        else:  # never had one
            due = None
        if (
            due is None
            or due + timedelta(minutes=self._settings.overdue_minutes) >= self._clock.now()
        ):
            await self._alarm.resolve(AlertKind.OVERDUE, _ALL, "backups are made again")
            return
        why = "all are switched off" if schedules else "there is none any more"
        since = f"the newest backup is of {_minute(newest)}" if newest else "there is no backup"
        message = f"no schedule makes backups, {why}; {since}"
        hint = "Switch a schedule on, or make one; whoever makes backups otherwise looks why there is none."
        await self._alarm.raise_alert(Alert(AlertKind.OVERDUE, _ALL, message, hint))

    # -- server -----------------------------------------------------------------------------------

    async def _check_access(self) -> None:
        if not self._server.is_set:  # the pages say so to whoever has just started
            return
        try:
            async with asyncio.timeout(_SERVER_SECONDS):
                await self._require_access()
        except TimeoutError:
            slow = f"{self._server.where}: no answer for {_SERVER_SECONDS:.0f} s"
            await self._raise_refused(
                ConnectionFailedError(slow, hint="Check whether the server runs.")
            )
        except AppError as exc:
            await self._raise_refused(exc)
        else:
            message = "the server answers, and backups are allowed"
            await self._alarm.resolve(AlertKind.CREDENTIAL, _SERVER, message)

    async def _raise_refused(self, error: AppError) -> None:
        message = f"backups of {self._server.where} will fail: {error}"
        await self._alarm.raise_alert(Alert(AlertKind.CREDENTIAL, _SERVER, message, error.hint))

    async def _require_access(self) -> None:
        """Log in, and check the rights that every enabled schedule needs."""
        scopes = await asyncio.to_thread(self._scopes)
        async with self._server.session() as session:
            grants = await read_grants(session)
            for databases, only_tables in scopes:
                try:
                    names = [schema.name for schema in await read_schemas(session, databases)]
                except NotFoundError:  # no question of rights; its run says so
                    continue
                require(missing_for_backup(grants, names, only_tables=only_tables))

    def _scopes(self) -> Sequence[tuple[tuple[str, ...], bool]]:
        """Name the databases of each enabled schedule, and whether it asks for single tables."""
        default = (self._server.database,) if self._server.database else ()
        try:
            schedules = self._schedules.read()
        except AppError:  # `_check_schedules` has raised an alert
            schedules = ()
        found = {
            (schedule.options.databases or default, bool(schedule.options.tables))
            for schedule in schedules
            if schedule.enabled and schedule.kind is ScheduleKind.BACKUP
        }
        return sorted(found) or [(default, False)]

    # -- certificate ------------------------------------------------------------------------------

    async def _check_certificate(self) -> None:
        days, file = self._settings.certificate_days, self._certificate
        if file is None or not days:
            return
        hint = "Put new files in the place of the old ones, and start the service again."
        try:
            end = await asyncio.to_thread(expires_at, file)
        except AppError as exc:
            await self._alarm.raise_alert(
                Alert(AlertKind.CERTIFICATE, file.name, str(exc), exc.hint)
            )
            return
        now = self._clock.now()
        if end <= now + timedelta(days=days):
            verb = "has expired" if end <= now else "expires"
            message = f"the certificate {file.name} {verb} at {_minute(end)}"
            await self._alarm.raise_alert(Alert(AlertKind.CERTIFICATE, file.name, message, hint))
        else:
            message = f"the certificate {file.name} is good until {_minute(end)}"
            await self._alarm.resolve(AlertKind.CERTIFICATE, file.name, message)


def _asked(directory: BackupDirectory) -> str:
    """Ask a directory for what is in it; whatever it says, it answers. Blocks."""
    try:
        if directory.is_there():
            directory.names()
    except AppError:  # the checks tell of it
        return ""
    return ""


def _due_of_none(schedules: Sequence[Schedule], newest: datetime | None) -> datetime | None:
    """Return when a backup would have been due that no schedule makes; None = one is on, or none ever is due."""
    if any(schedule.enabled for schedule in schedules):
        return None
    if not schedules:
        return newest + _DAY if newest else None
    return min(filter(None, (schedule.due_since(newest) for schedule in schedules)), default=None)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
