"""The deletion of old backups, put together."""

from app.bootstrap.program import Program
from app.scheduling.clock import SystemClock
from app.services.backups.retention import RetentionService
from app.services.backups.retention_rules import DirectoryRules, StoreRules
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
    return RetentionService(
        catalogue=program.catalogue_of(store),
        rules=rules,
        clock=clock,
        witness=ClockWitness(state, clock.now),
        locks=RunLocks(state),
        alarm=program.alerts,
        audit=program.audit,
    )
