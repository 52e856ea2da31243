"""Schedules, and the deletion of old backups, put together."""

from app.bootstrap.encryption import build_log_keys
from app.bootstrap.program import Program
from app.domain.ports import Clock
from app.scheduling.clock import SystemClock
from app.services.backups.retention import RetentionService
from app.services.backups.retention_rules import DirectoryRules, StoreRules
from app.services.point_in_time.kept_log import KeptLog
from app.services.scheduled import ScheduledJobs
from app.services.schedules import ScheduleService
from app.storage.clock_witness import ClockWitness
from app.storage.remote.approved_rules import ApprovedRules
from app.storage.run_locks import RunLocks
from app.storage.schedules import ScheduleFile


def build_retention(program: Program, store: str) -> RetentionService:
    """Make that of a store, or of the backup directory for an empty name; blocks, raises StoreNotFoundError."""
    clock, settings, state = SystemClock(), program.settings, program.settings.state_dir
    schedules = ScheduleFile(program.directory)
    rules = (
        StoreRules(store, program.stores.find, settings, schedules, ApprovedRules(state))
        if store
        else DirectoryRules(settings, schedules)
    )
    catalogue = program.catalogue_of(store)
    log = (
        None
        if store
        else KeptLog(
            catalogue,
            clock,
            settings.backup_dir,
            build_log_keys(settings, program.keys),
            days=settings.binlog_days,
        )
    )
    return RetentionService(
        catalogue=catalogue,
        rules=rules,
        clock=clock,
        witness=ClockWitness(state, clock.now),
        locks=RunLocks(state),
        alarm=program.alerts,
        audit=program.audit,
        log=log,
    )


def build_schedules(program: Program, clock: Clock) -> ScheduleService:
    """Make what keeps the schedules and tells what is due."""
    settings = program.settings
    return ScheduleService(
        ScheduleFile(program.directory),
        ScheduledJobs(program.jobs, lambda: program.recovery_jobs, settings),
        clock,
        timezone=settings.timezone,
        catch_up=settings.catch_up,
        alarm=program.alerts,
        list_stores=program.stores.names,
    )
