"""
The only place that picks implementations: what commands use.

`access` and `service` put together what only some of them need: importing it takes a while.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.bootstrap.alerting import build_alerts, build_pings
from app.bootstrap.bounds import Bounds
from app.config import Settings
from app.control.absent import NoHistory, UnwrittenHistory
from app.control.audit import AuditRecords
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.alerts.alert import Alarm
from app.domain.ports import Clock, RunListener
from app.domain.stores import RunStore
from app.engine.server.server import Server
from app.errors import AppError, InvalidRequestError
from app.notices.pings import Pings
from app.security.audit_keys import AuditKeys
from app.services.access.audit import AuditRules, AuditService
from app.services.alerts.service import AlertService
from app.services.backups.pins import PinService
from app.services.backups.retention import RetentionService
from app.services.backups.service import BackupService
from app.services.jobs import Jobs
from app.services.monitoring.backups import BackupMonitor
from app.services.monitoring.doctor import DoctorService
from app.services.monitoring.health import HealthService
from app.services.restores.service import RecoveryService
from app.services.runs.service import RunService
from app.services.schedules import ScheduleService
from app.services.settlement import Settlement
from app.storage.audit_heads import AuditHeads
from app.storage.clock_witness import ClockWitness
from app.storage.journals import Journals
from app.storage.known_directories import KnownDirectories
from app.storage.local import LocalDirectory
from app.storage.run_ends import RunEndFiles
from app.storage.run_locks import RunLocks
from app.storage.schedules import ScheduleFile


# How long a command that is done waits for messages to leave.
_NOTIFY_SECONDS: Final = 10.0


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the aware UTC instant."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Program:
    """
    Everything a command or a request may use.

    Attributes:
        audit: Where it is written down what commands did; None where that is not possible.
        unwritten: Why that and the history are not written; None when they are.
    """

    settings: Settings
    server: Server
    catalogue: Catalogue
    backups: BackupService
    recoveries: RecoveryService
    doctor: DoctorService
    runs: RunService
    jobs: Jobs
    schedules: ScheduleService
    retention: RetentionService
    pins: PinService
    alerts: AlertService
    pings: Pings
    settlement: Settlement
    bounds: Bounds
    health: HealthService
    backup_monitor: BackupMonitor
    audit: AuditService | None
    unwritten: AppError | None

    async def send_notices(self, seconds: float) -> None:
        """Send the pings and alerts that wait; what takes longer than this, others send."""
        await self.pings.close(seconds)
        await self.alerts.flush(seconds)


@asynccontextmanager
async def open_program(
    settings: Settings, *, needs_server: bool = True, remembers: bool = False
) -> AsyncIterator[Program]:
    """
    Put the program together for the length of a block.

    Args:
        settings: Of this installation.
        needs_server: False for work on the backup directory alone.
        remembers: Whether runs are written down; where that is not possible, work goes on without.

    Yields:
        The program.

    Raises:
        InvalidRequestError: The server's URL is missing or makes no sense.
    """
    control = ControlDatabase(settings.control_address, settings.state_dir)
    bounds = Bounds.of(settings)
    server = build_server(settings, bounds, needed=needs_server)
    try:
        unwritten = await _prepare(control) if remembers else None
        usable = None if unwritten else control
        audit = build_audit(settings, usable) if usable else None
        program = build_program(settings, server, usable, bounds, audit=audit, unwritten=unwritten)
        try:
            if remembers:
                await _write_ends(program)
            yield program
        finally:
            if remembers:  # the others do nothing that an alert is about
                await _write_ends(program)
                await program.send_notices(_NOTIFY_SECONDS)
    finally:
        await server.close()
        await control.close()


async def _write_ends(program: Program) -> None:
    """Write down how earlier runs ended, where the history could not take it then."""
    with suppress(AppError):  # whoever comes next does it
        await program.runs.write_ends()


async def _prepare(control: ControlDatabase) -> AppError | None:
    try:
        await control.prepare()
    except AppError as exc:
        return exc
    return None


def build_server(settings: Settings, bounds: Bounds, *, needed: bool) -> Server:
    """Make the way to the server; raises InvalidRequestError for a URL that makes no sense."""
    url = settings.database_url.get_secret_value()
    if not url and needed:
        raise InvalidRequestError(
            "BACKSTAY_DATABASE_URL is not set",
            hint="Set it to mysql://user:password@host:3306/database; leave the database out for all.",
        )
    return Server(
        url or "mysql://localhost",
        timeout_seconds=settings.timeout,
        places=bounds.server_connections,
    )


def build_program(
    settings: Settings,
    server: Server,
    control: ControlDatabase | None,
    bounds: Bounds,
    *,
    audit: AuditService | None,
    unwritten: AppError | None = None,
) -> Program:
    """Build each service once; without a control database the program remembers nothing."""
    catalogue = _build_catalogue(settings)
    journals = Journals(settings.state_dir)
    clock = SystemClock()
    backups = BackupService(server, catalogue, clock)
    recoveries = _build_recoveries(settings, server, catalogue, clock, backups)
    alerts = build_alerts(settings, control, clock)
    pings = build_pings(settings)
    health = HealthService(catalogue)
    backup_monitor = _build_backup_monitor(settings, health, alerts)
    retention = _build_retention(settings, catalogue, clock, alerts, audit)
    listeners = (alerts, pings, backup_monitor)
    history = _history(control, unwritten)
    runs = _build_runs(settings, history, clock, listeners, bounds)
    jobs = Jobs(settings, catalogue, backups, recoveries, retention)
    known = settings.database_url.get_secret_value()
    return Program(
        settings=settings,
        server=server,
        catalogue=catalogue,
        backups=backups,
        recoveries=recoveries,
        doctor=DoctorService(server if known else None, catalogue, journals, control),
        runs=runs,
        jobs=jobs,
        schedules=_build_schedules(settings, catalogue, jobs, clock, alerts),
        retention=retention,
        pins=PinService(catalogue, clock),
        alerts=alerts,
        pings=pings,
        settlement=_build_settlement(settings, history, clock, runs, recoveries),
        bounds=bounds,
        health=health,
        backup_monitor=backup_monitor,
        audit=audit,
        unwritten=unwritten,
    )


def _build_recoveries(
    settings: Settings, server: Server, catalogue: Catalogue, clock: Clock, backups: BackupService
) -> RecoveryService:
    return RecoveryService(
        server=server,
        catalogue=catalogue,
        clock=clock,
        journals=Journals(settings.state_dir),
        backups=backups,
        undo_minutes=settings.undo_minutes,
    )


def _build_settlement(
    settings: Settings,
    history: RunStore,
    clock: Clock,
    runs: RunService,
    recoveries: RecoveryService,
) -> Settlement:
    return Settlement(
        store=history,
        locks=RunLocks(settings.state_dir),
        clock=clock,
        runs=runs,
        recoveries=recoveries,
    )


def _history(control: ControlDatabase | None, unwritten: AppError | None) -> RunStore:
    if control is not None:
        return RunRecords(control)
    return UnwrittenHistory() if unwritten else NoHistory()


def _build_runs(
    settings: Settings,
    history: RunStore,
    clock: Clock,
    listeners: Sequence[RunListener],
    bounds: Bounds,
) -> RunService:
    state = settings.state_dir
    files = RunEndFiles(state)
    return RunService(history, RunLocks(state), clock, listeners, files, bounds.runs)


def _build_catalogue(settings: Settings) -> Catalogue:
    witness = KnownDirectories(settings.state_dir)
    return Catalogue(LocalDirectory(settings.backup_dir, witness=witness))


def _build_backup_monitor(
    settings: Settings, health: HealthService, alerts: AlertService
) -> BackupMonitor:
    return BackupMonitor(
        health, alerts, unusual_percent=settings.unusual_percent, raised=alerts.raised
    )


def _build_schedules(
    settings: Settings, catalogue: Catalogue, jobs: Jobs, clock: Clock, alarm: Alarm
) -> ScheduleService:
    return ScheduleService(
        ScheduleFile(catalogue.directory),
        jobs,
        clock,
        timezone=settings.timezone,
        catch_up=settings.catch_up,
        alarm=alarm,
    )


def _build_retention(
    settings: Settings,
    catalogue: Catalogue,
    clock: Clock,
    alarm: Alarm,
    audit: AuditService | None,
) -> RetentionService:
    return RetentionService(
        settings=settings,
        catalogue=catalogue,
        schedules=ScheduleFile(catalogue.directory),
        clock=clock,
        witness=ClockWitness(settings.state_dir, clock.now),
        locks=RunLocks(settings.state_dir),
        alarm=alarm,
        audit=audit,
    )


def build_audit(settings: Settings, control: ControlDatabase) -> AuditService:
    """Make the audit."""
    return AuditService(
        AuditRecords(control),
        AuditHeads(settings.state_dir),
        AuditKeys(settings.audit_key.get_secret_value(), settings.state_dir),
        AuditRules(settings.audit_days, settings.audit_refused_rows),
    )
