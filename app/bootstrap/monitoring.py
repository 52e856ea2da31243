"""What watches over backups, and what goes on beside them, put together."""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from app.binlog.archive.layout import root_of
from app.bootstrap.encryption import build_log_keys
from app.bootstrap.program import Program
from app.bootstrap.restores import build_recoveries
from app.control.address import parse_address
from app.control.alerts import AlertRecords
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.backups.manifest import Codec
from app.domain.checks import Intervals
from app.domain.runs.run import Origin, Requester
from app.domain.schedule import require_cron
from app.domain.store_trial import StoreFacts
from app.domain.stores import AlertFilter, Page
from app.env_file import ENV_FILE
from app.errors import InvalidRequestError, InvalidScheduleError
from app.scheduling.clock import SystemClock
from app.scheduling.scheduler import PeriodicJob
from app.scheduling.trigger import DueTrigger, Every
from app.services.access.audit_upkeep import AuditUpkeep
from app.services.alerts.gone import GoneWatch
from app.services.alerts.upkeep import AlertUpkeep
from app.services.backups.options import BackupOptions
from app.services.binlog.copies import LogCopies
from app.services.binlog.service import BinlogService
from app.services.doctor.binlog import BinlogChecks
from app.services.doctor.directory import PrivatePlaces
from app.services.doctor.service import DoctorService
from app.services.doctor.stores import StoreChecks
from app.services.monitoring.binlog import BinlogMonitor
from app.services.monitoring.checks import CheckedPlace, CheckService
from app.services.monitoring.clock import ClockWatch
from app.services.monitoring.environment import EnvironmentMonitor
from app.services.monitoring.health import HealthService
from app.services.monitoring.metrics import MetricsService
from app.services.monitoring.synthetic import SyntheticMonitor
from app.services.point_in_time.reach import ReachService
from app.services.runs.lost import LostRuns
from app.services.stores.history import StoreHistory
from app.storage.clock_witness import ClockWitness, ElapsedClock
from app.storage.journals import Journals
from app.storage.local import LocalDirectory
from app.storage.remote.reading import STORES_FILE
from app.storage.run_locks import RunLocks
from app.storage.schedules import ScheduleFile


_AFTER_BREAK: Final = "After the binary log was broken off"
_ENVIRONMENT_SECONDS: Final = 300.0
_COUNTS_SECONDS: Final = 60.0
_EXPIRY_SECONDS: Final = 3600.0
_CLOCK_SECONDS: Final = 3600.0
_COPIES_SECONDS: Final = 15.0
_STORES_SECONDS: Final = 5.0
# When nothing else is likely to be done.
_AUDIT_CRON: Final = "30 3 * * *"


def build_checks(program: Program) -> CheckService:
    """
    Make what runs the checks of stored backups that are due.

    Returns:
        It, for this directory and the stores whose definitions ask for checks.

    Raises:
        InvalidRequestError: The settings name no times for the checks.
    """
    settings = program.settings
    try:
        require_cron(settings.check_cron, settings.timezone)
    except InvalidScheduleError as exc:
        raise InvalidRequestError(f"BACKSTAY_CHECK_CRON: {exc}", hint=exc.hint) from exc
    return CheckService(
        settings,
        program.backup_monitor,
        program.jobs,
        program.runs,
        SystemClock(),
        lambda: program.recovery_jobs,
        stores=partial(_checked_stores, program),
    )


async def _checked_stores(program: Program) -> Sequence[CheckedPlace]:
    """Find the stores whose definitions ask for checks; raises what a definition that makes no sense does."""
    asked = [facts for facts in await program.stores.list() if facts.check_days or facts.drill_days]

    def place_of(facts: StoreFacts) -> CheckedPlace:
        # Sizes are looked at by whoever looks at stores; and to read the rows takes an identity.
        intervals = Intervals(0, facts.check_days, 0, facts.drill_days)
        recoveries = build_recoveries(program, facts.name)
        jobs = program.jobs_of(facts.name, lambda: recoveries)
        health = HealthService(program.catalogue_of(facts.name))
        return CheckedPlace(facts.name, health, jobs, intervals)

    return await asyncio.to_thread(lambda: [place_of(facts) for facts in asked])


def build_environment_monitor(program: Program, certificate: Path | None) -> EnvironmentMonitor:
    """Make what checks that backups have what they need; the certificate is the service's."""
    return EnvironmentMonitor(
        program.settings,
        program.server,
        program.backup_monitor,
        ScheduleFile(program.directory),
        SystemClock(),
        certificate,
    )


def build_periodic_jobs(
    program: Program, environment_monitor: EnvironmentMonitor
) -> Sequence[PeriodicJob]:
    """
    Say what the service does by itself besides scheduled backups.

    Returns:
        The upkeep of the audit and the log of alerts, readings of the clock, the checks of stored backups,
        their copies, looks at stores, the checks of the environment, and of what alerts are about.

    Raises:
        InvalidRequestError: The settings name no times for the checks.
    """
    settings = program.settings
    checks = build_checks(program)
    at = DueTrigger(settings.check_cron, settings.timezone)
    witness = ClockWitness(settings.state_dir, SystemClock().now)
    return (
        *_upkeep_jobs(program, witness),
        PeriodicJob("clock", Every(_CLOCK_SECONDS), ClockWatch(witness).read),
        PeriodicJob("checks", at, checks.run_due),
        PeriodicJob("copies", Every(_COPIES_SECONDS), program.scheduled_copies.run_due),
        PeriodicJob("stores", Every(_STORES_SECONDS), program.store_watch.refresh),
        PeriodicJob("watch", Every(_ENVIRONMENT_SECONDS), environment_monitor.check),
        PeriodicJob("gone", Every(_ENVIRONMENT_SECONDS), build_gone_watch(program).check),
    )


def build_gone_watch(program: Program) -> GoneWatch:
    """Make what resolves alerts about schedules and stores that are not there any more."""
    settings = program.settings
    return GoneWatch(
        program.alerts,
        program.alerts.raised,
        program.schedules.list,
        program.stores.names,
        # Who archives instead of the service may have other settings.
        settings.binlog_stores.split() if settings.binlog else None,
    )


def _upkeep_jobs(program: Program, witness: ClockWitness) -> Sequence[PeriodicJob]:
    """Keep what is in the control database short."""
    if program.audit is None:
        return ()
    clock = SystemClock()
    upkeep = AuditUpkeep(program.audit, witness, clock, program.alerts)
    alerts = AlertUpkeep(AlertRecords(program.control), clock, ElapsedClock(witness))
    daily = DueTrigger(_AUDIT_CRON, program.settings.timezone)
    return (
        PeriodicJob("alert log", Every(_EXPIRY_SECONDS), alerts.run_hourly),
        PeriodicJob("audit counts", Every(_COUNTS_SECONDS), upkeep.write_counts),
        PeriodicJob("audit", daily, upkeep.run_daily),
    )


def build_metrics(
    program: Program,
    control: ControlDatabase,
    lag_seconds: Callable[[], float],
) -> MetricsService:
    """Make the numbers; `lag_seconds` tells how late the scheduler was last."""
    settings = program.settings
    alerts = AlertRecords(control)

    async def count_open_alerts() -> int:
        _, total = await alerts.list(AlertFilter(is_open=True), Page(1, sort="-opened_at"))
        return total

    return MetricsService(
        runs=RunRecords(control),
        health=program.health,
        store_watch=program.store_watch,
        schedules=program.schedules,
        clock=SystemClock(),
        overdue_after=timedelta(minutes=settings.overdue_minutes),
        disk_floor_bytes=settings.disk_floor_bytes,
        lag_seconds=lag_seconds,
        count_open_alerts=count_open_alerts,
        reach=program.reach,
    )


def build_binlog(program: Program) -> BinlogService:
    """Make what archives the log of the server, and asks for a full backup when that was broken off."""
    settings = program.settings

    async def ask_for_backup(_reason: str) -> None:
        job = program.jobs.backup(BackupOptions(description=_AFTER_BREAK))
        await program.runs.start(job, Requester("binlog", Origin.SCHEDULE), needs_history=False)

    async def prune(store: str) -> None:
        retention = await asyncio.to_thread(program.retention_of, store)
        await retention.by_itself()

    return BinlogService(
        server=program.server,
        backups=settings.backup_dir,
        clock=SystemClock(),
        codec=Codec(settings.codec if settings.compress else Codec.NONE),
        keys=build_log_keys(settings, program.keys),
        copies=LogCopies(
            LocalDirectory(root_of(settings.backup_dir)),
            settings.binlog_stores.split(),
            program.stores.find,
            program.stores.open,
            SystemClock(),
            program.alerts,
            prune=prune,
        ),
        alarm=program.alerts,
        lag_seconds=settings.binlog_lag_seconds,
        ask_for_backup=ask_for_backup,
    )


def build_reach(program: Program) -> ReachService:
    """Make what tells which moments can be reached."""
    return ReachService(
        binlog=program.binlog,
        catalogue=program.local,
        backup_dir=program.settings.backup_dir,
        keys=build_log_keys(program.settings, program.keys),
        clock=SystemClock(),
    )


def build_doctor(program: Program) -> DoctorService:
    """Make what finds what would make a backup fail."""
    settings = program.settings
    binlog = BinlogChecks(
        program.server,
        program.reach,
        SystemClock(),
        directory=root_of(settings.backup_dir),
        is_wanted=settings.binlog,
        days=settings.binlog_days,
    )
    history = StoreHistory(program.history, RunLocks(program.settings.state_dir).owner)
    stores = StoreChecks(program.stores, program.catalogue_of, SystemClock(), history)
    journals = Journals(settings.state_dir)
    _, file, _ = parse_address(settings.control_address)
    # To read a file that is not there would make it; of one that nobody may look for, the checks tell.
    is_made = file is None or os.access(file, os.F_OK)
    return DoctorService(
        program.server,
        program.local,
        journals,
        program.usable_control,
        stores=stores,
        binlog=binlog,
        lost=build_lost_runs(program) if is_made else None,
        private=PrivatePlaces(
            settings.state_dir,
            file,
            named=[path for path in (Path(ENV_FILE).absolute(), settings.identity_file) if path],
            public=[settings.state_dir / STORES_FILE],
        ),
    )


def build_lost_runs(program: Program) -> LostRuns:
    """Make what ends runs that no installation judges."""
    return LostRuns(program.history, RunLocks(program.settings.state_dir), SystemClock())


def build_binlog_jobs(program: Program) -> Sequence[PeriodicJob]:
    """Make what looks whether points in time go back as far as is wanted, and what synthetic backups rest on."""
    settings = program.settings
    synthetic = SyntheticMonitor(
        program.schedules.list,
        program.health,
        program.alerts,
        SystemClock(),
        drill_days=settings.recovery_drill_days,
    )
    monitor = BinlogMonitor(
        program.reach,
        program.alerts,
        SystemClock(),
        days=settings.binlog_days,
        lag_seconds=settings.binlog_lag_seconds,
    )
    return (
        PeriodicJob("binlog window", Every(_ENVIRONMENT_SECONDS), monitor.check),
        PeriodicJob("synthetic backups", Every(_ENVIRONMENT_SECONDS), synthetic.check),
    )
