"""
The only place that picks implementations: what commands use.

Each service is put together when it is first asked for, and imported then: a command that lists files
waits for no database driver. `access` and `service` put together what only some commands need.
"""

# ruff: noqa: PLC0415 - see above
import asyncio
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from app.archive.catalogue.catalogue import Catalogue
from app.config import Settings
from app.errors import AppError, InvalidRequestError
from app.scheduling.clock import SystemClock
from app.storage.known_directories import KnownDirectories
from app.storage.local import LocalDirectory


if TYPE_CHECKING:
    from collections.abc import Callable

    from app.bootstrap.bounds import Bounds
    from app.bootstrap.directories import StoreCatalogues
    from app.control.database import ControlDatabase
    from app.domain.stores import RunStore
    from app.engine.server.server import Server
    from app.notices.pings import Pings
    from app.security.archive_keys import InstallationKeys
    from app.security.servers import ServersFile
    from app.services.access.audit import AuditService
    from app.services.alerts.service import AlertService
    from app.services.backups.copies import CopyService
    from app.services.backups.pins import PinService
    from app.services.backups.retention import RetentionService
    from app.services.backups.service import BackupService
    from app.services.binlog.service import BinlogService
    from app.services.doctor.service import DoctorService
    from app.services.jobs import Jobs
    from app.services.monitoring.backups import BackupMonitor
    from app.services.monitoring.health import HealthService
    from app.services.point_in_time.jobs import RecoveryJobs
    from app.services.point_in_time.reach import ReachService
    from app.services.restores.service import RecoveryService
    from app.services.runs.service import RunService
    from app.services.scheduled_copies import ScheduledCopies
    from app.services.schedules import ScheduleService
    from app.services.settlement import Settlement
    from app.services.stores.service import StoreService
    from app.services.stores.watch import StoreWatch


@dataclass
class Program:
    """
    Everything a command or a request may use, one instance of each.

    Attributes:
        settings: Of this installation.
        store: Where backups lie that everything here is about; empty = the directory of the settings.
        accepted_signers: Ids of signers that are believed besides those of the settings.
        backup_settings: What backups go by, where that is something else.
        unwritten: Why history and audit are not written; None when they are, or nobody asked for them.
    """

    settings: Settings
    unwritten: AppError | None = None
    store: str = ""
    accepted_signers: tuple[str, ...] = ()
    backup_settings: Settings | None = None

    async def close(self) -> None:
        """Close the connections of what was asked for."""
        made = vars(self)
        for name in made.keys() & {"server", "control"}:
            await made[name].close()
        for name in made.keys() & {"store_watch", "_store_catalogues"}:
            await asyncio.to_thread(made[name].close)

    async def send_notices(self, seconds: float) -> None:
        """Send the pings and alerts that wait; what takes longer than this, others send."""
        await self.pings.close(seconds)
        await self.alerts.flush(seconds)

    @cached_property
    def bounds(self) -> "Bounds":
        """How much of everything there may be at once."""
        from app.bootstrap.bounds import Bounds

        return Bounds.of(self.settings)

    @cached_property
    def server(self) -> "Server":
        """
        The server that is backed up: that of the settings, else the one that was connected in the pages.

        Raises:
            InvalidRequestError: Settings or the address make no sense.
            StorageError: Nobody knows whether one was connected.
        """
        from app.domain.backups.backup import require_level
        from app.domain.backups.manifest import Codec
        from app.engine.native import IS_BUILT
        from app.engine.server.address import STORED, VARIABLE
        from app.engine.server.row_reader import RowSource
        from app.engine.server.server import Server

        if self.settings.rows == "native" and not IS_BUILT:
            raise InvalidRequestError(
                "BACKSTAY_ROWS is native, but this installation has no compiled module",
                hint="Set it to auto, or install from source where there is a C++ compiler.",
            )
        require_level(Codec(self.settings.codec), self.settings.level, name="BACKSTAY_LEVEL")
        given = self.settings.database_url.get_secret_value()
        url = given or self.servers_file.find()
        return Server(
            url,
            source=VARIABLE if given or not url else STORED,
            timeout_seconds=self.settings.timeout,
            places=self.bounds.server_connections,
            row_source=RowSource(self.settings.rows),
        )

    @cached_property
    def servers_file(self) -> "ServersFile":
        """The addresses that were given in the pages."""
        from app.security.servers import ServersFile

        return ServersFile(LocalDirectory(self.settings.state_dir))

    def require_server(self) -> None:
        """Raise InvalidRequestError when nobody has said which server is backed up."""
        if not self.server.is_set:
            raise InvalidRequestError(
                "BACKSTAY_DATABASE_URL is not set",
                hint="Set it to mysql://user:password@host:3306/database; leave the database out for all.",
            )

    @cached_property
    def directory(self) -> LocalDirectory:
        """The directory of backups and schedules on this machine."""
        witness = KnownDirectories(self.settings.state_dir)
        return LocalDirectory(self.settings.backup_dir, witness=witness)

    @cached_property
    def local(self) -> Catalogue:
        """The backups of the directory: what the service makes, prunes, checks and watches."""
        from app.bootstrap.encryption import build_known_lines

        known = build_known_lines(self.settings, self.accepted_signers, "local")
        return Catalogue(self.directory, self.keys, known)

    @cached_property
    def keys(self) -> "InstallationKeys":
        """For whom backups are encrypted, who reads them here, and who signs them."""
        from app.bootstrap.encryption import build_archive_keys

        return build_archive_keys(self.settings, self.accepted_signers)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The backups that everything here is about: those of a store if one was named, else the local ones."""
        return self.catalogue_of(self.store)

    def catalogue_of(self, store: str) -> Catalogue:
        """Return the backups of a store, or of the directory for an empty name; blocks, raises StoreNotFoundError."""
        if not store:
            return self.local
        return self._store_catalogues.get(store)

    @cached_property
    def _store_catalogues(self) -> "StoreCatalogues":
        from app.bootstrap.directories import StoreCatalogues

        return StoreCatalogues(self.settings, self.keys, self.accepted_signers)

    @cached_property
    def control(self) -> "ControlDatabase":
        """The control database; `usable_control` says whether it can be written."""
        from app.control.database import ControlDatabase

        return ControlDatabase(self.settings.control_address, self.settings.state_dir)

    @property
    def usable_control(self) -> "ControlDatabase | None":
        """The control database, if it can be written."""
        return None if self.unwritten else self.control

    @cached_property
    def history(self) -> "RunStore":
        """Where runs are written down."""
        from app.control.absent import UnwrittenHistory
        from app.control.runs import RunRecords

        return UnwrittenHistory() if self.unwritten else RunRecords(self.control)

    @cached_property
    def backups(self) -> "BackupService":
        """Makes, shows, proves and deletes backups."""
        return self._backups_in(self.store)

    def backups_of(self, store: str) -> "BackupService":
        """Return that of a store, or of the directory for an empty name; blocks, raises StoreNotFoundError."""
        return self.backups if store == self.store else self._backups_in(store)

    def _backups_in(self, store: str) -> "BackupService":
        from app.services.backups.service import BackupService

        return BackupService(self.server, self.catalogue_of(store), SystemClock())

    @cached_property
    def recoveries(self) -> "RecoveryService":
        """Restores backups, and undoes restores."""
        from app.bootstrap.restores import build_recoveries

        return build_recoveries(self, self.store)

    @cached_property
    def doctor(self) -> "DoctorService":
        """Finds what would make a backup fail, and repairs what a crash left."""
        from app.bootstrap.monitoring import build_doctor

        return build_doctor(self)

    @cached_property
    def binlog(self) -> "BinlogService":
        """Archives the binary log, and looks into the archive."""
        from app.bootstrap.monitoring import build_binlog

        return build_binlog(self)

    @cached_property
    def reach(self) -> "ReachService":
        """Tells which moments can be reached."""
        from app.bootstrap.monitoring import build_reach

        return build_reach(self)

    @cached_property
    def runs(self) -> "RunService":
        """Starts, watches and cancels runs."""
        from app.services.runs.service import RunService
        from app.services.stores.run_alerts import StoreRunMonitor
        from app.storage.run_ends import RunEndFiles
        from app.storage.run_locks import RunLocks

        state = self.settings.state_dir
        in_stores = StoreRunMonitor(self.alerts, self.alerts.raised)
        return RunService(
            self.history,
            RunLocks(state),
            SystemClock(),
            (self.alerts, self.pings, self.backup_monitor, in_stores, self.store_watch),
            RunEndFiles(state),
            self.bounds.runs,
        )

    @cached_property
    def jobs(self) -> "Jobs":
        """What a run of each kind does."""
        return self.jobs_of(self.store, lambda: self.recoveries)

    def jobs_of(self, store: str, recoveries: "Callable[[], RecoveryService]") -> "Jobs":
        """Return what runs do with the backups of a store; blocks, raises StoreNotFoundError."""
        from app.services.jobs import Jobs

        return Jobs(
            self.backup_settings or self.settings,
            self.catalogue_of(store),
            self.backups_of(store),
            recoveries,
            self.retention_of,
            self.copies,
            store=store,
            backups_of=self.backups_of,
        )

    @cached_property
    def recovery_jobs(self) -> "RecoveryJobs":
        """What runs do that recover to a point in time."""
        from app.bootstrap.restores import build_recovery_jobs

        return build_recovery_jobs(self.settings, self.local, self.keys, SystemClock())

    @cached_property
    def schedules(self) -> "ScheduleService":
        """Keeps the schedules, and tells what is due."""
        from app.bootstrap.retention import build_schedules

        return build_schedules(self, SystemClock())

    @cached_property
    def copies(self) -> "CopyService":
        """Copies backups to stores, and looks for copies."""
        from app.services.backups.copies import CopyService

        return CopyService(self.catalogue_of)

    @cached_property
    def scheduled_copies(self) -> "ScheduledCopies":
        """Makes the copies that schedules want."""
        from app.bootstrap.stores import build_scheduled_copies

        return build_scheduled_copies(self, SystemClock())

    @cached_property
    def retention(self) -> "RetentionService":
        """Deletes the backups that no rule keeps, where everything here is about."""
        from app.bootstrap.retention import build_retention

        return build_retention(self, self.store)

    def retention_of(self, store: str) -> "RetentionService":
        """Return that of a store, or of the directory for an empty name; blocks, raises StoreNotFoundError."""
        from app.bootstrap.retention import build_retention

        return self.retention if store == self.store else build_retention(self, store)

    @cached_property
    def pins(self) -> "PinService":
        """Pins backups, so that nobody deletes them."""
        from app.services.backups.pins import PinService

        return PinService(self.catalogue, SystemClock())

    @cached_property
    def alerts(self) -> "AlertService":
        """Alerts people; raises InvalidRequestError for addresses that make no sense."""
        from app.bootstrap.alerting import build_alerts

        return build_alerts(self.settings, self.usable_control, SystemClock())

    @cached_property
    def pings(self) -> "Pings":
        """Tells dead-man services that backups are made; raises InvalidRequestError as above."""
        from app.bootstrap.alerting import build_pings

        return build_pings(self.settings)

    @cached_property
    def stores(self) -> "StoreService":
        """Knows where backups can be kept elsewhere."""
        from app.bootstrap.stores import build_stores

        return build_stores(self.settings)

    @cached_property
    def store_watch(self) -> "StoreWatch":
        """Knows what lies in stores, as of a moment ago."""
        from app.bootstrap.stores import build_store_watch

        return build_store_watch(self)

    @cached_property
    def settlement(self) -> "Settlement":
        """Finds out how runs ended of which nobody knows."""
        from app.services.settlement import Settlement
        from app.storage.run_locks import RunLocks

        return Settlement(
            store=self.history,
            locks=RunLocks(self.settings.state_dir),
            clock=SystemClock(),
            runs=self.runs,
            recoveries=self.recoveries,
        )

    @cached_property
    def health(self) -> "HealthService":
        """Tells how well each database is backed up."""
        from app.services.monitoring.health import HealthService

        return HealthService(self.local)

    @cached_property
    def backup_monitor(self) -> "BackupMonitor":
        """Raises alerts about backups."""
        from app.services.monitoring.backups import BackupMonitor

        alerts, percent = self.alerts, self.settings.unusual_percent
        return BackupMonitor(
            self.health, alerts, SystemClock(), unusual_percent=percent, raised=alerts.raised
        )

    @cached_property
    def audit_service(self) -> "AuditService":
        """The audit, whether or not it can be written."""
        from app.bootstrap.auditing import build_audit

        return build_audit(self.settings, self.control)

    @property
    def audit(self) -> "AuditService | None":
        """Where it is written down what was done; None where that is not possible."""
        return None if self.unwritten else self.audit_service
