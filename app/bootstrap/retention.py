"""Schedules, and the deletion of old backups, put together."""

# ruff: noqa: PLC0415 - every backup prunes, and needs neither schedules nor what reads a log
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.layout import root_of
from app.bootstrap.encryption import build_log_keys
from app.bootstrap.program import Program
from app.domain.backups.pruning import LogPruning
from app.domain.backups.retention import RetentionItem
from app.domain.ports import Clock
from app.scheduling.clock import SystemClock
from app.services.backups.planning import LogRetention
from app.services.backups.retention import RetentionService
from app.services.backups.retention_rules import DirectoryRules, StoreRules
from app.storage.clock_witness import ClockWitness, ElapsedClock
from app.storage.local import LocalDirectory
from app.storage.remote.approved_rules import ApprovedRules
from app.storage.run_locks import RunLocks
from app.storage.schedules import ScheduleFile


if TYPE_CHECKING:
    from app.services.schedules import ScheduleService


def build_retention(program: Program, store: str) -> RetentionService:
    """Make that of a store, or of the backup directory for an empty name; blocks, raises StoreNotFoundError."""
    clock, settings, state = SystemClock(), program.settings, program.settings.state_dir
    schedules = ScheduleFile(program.directory)
    has_log = store in settings.binlog_stores.split()
    log_days = settings.binlog_days if has_log else None
    approved = ApprovedRules(state)
    rules = (
        StoreRules(store, program.stores.find, settings, schedules, approved, log_days)
        if store
        else DirectoryRules(settings, schedules)
    )
    catalogue, witness = program.catalogue_of(store), ClockWitness(state, clock.now)
    return RetentionService(
        catalogue=catalogue,
        rules=rules,
        clock=clock,
        witness=witness,
        locks=RunLocks(state),
        alarm=program.alerts,
        audit=program.audit,
        log=_build_log(program, store, catalogue, ElapsedClock(witness))
        if has_log or not store
        else None,
    )


def _build_log(program: Program, store: str, catalogue: Catalogue, clock: Clock) -> LogRetention:
    """Make what decides about the binary log of a place."""
    settings = program.settings
    if store:
        from app.services.log_retention.kept_copies import KeptCopies

        return KeptCopies(
            lambda: program.stores.open(store),
            catalogue,
            clock,
            settings.backup_dir,
            days=settings.binlog_days,
        )

    def build() -> LogRetention:
        from app.services.log_retention.kept_log import KeptLog

        keys = build_log_keys(settings, program.keys)
        return KeptLog(catalogue, clock, settings.backup_dir, keys, days=settings.binlog_days)

    return _LazyLogRetention(LocalDirectory(root_of(settings.backup_dir)), build)


class _LazyLogRetention:
    """That of the backup directory, whose log need not be there; only where it is, what reads it is imported."""

    def __init__(self, root: LocalDirectory, build: Callable[[], LogRetention]) -> None:
        self._root = root
        self._build = build

    def hold(self, items: Sequence[RetentionItem]) -> Mapping[str, str]:
        """See `LogRetention.hold`."""
        return self._found.hold(items) if self._root.is_there() else {}

    def plan(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """See `LogRetention.plan`."""
        return self._found.plan(items) if self._root.is_there() else ()

    def prune(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """See `LogRetention.prune`."""
        return self._found.prune(items) if self._root.is_there() else ()

    @cached_property
    def _found(self) -> LogRetention:
        return self._build()


def build_schedules(program: Program, clock: Clock) -> "ScheduleService":
    """Make what keeps the schedules and tells what is due."""
    from app.services.scheduled_jobs import ScheduledJobs
    from app.services.schedules import ScheduleService

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
