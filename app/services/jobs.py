"""What a run of each kind does, and what no other run may have meanwhile."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import shielded
from app.config import Settings
from app.documents.backups import BackupCreated, BackupDeleted, BackupVerified
from app.documents.restores import DrillPassed, DryRun, Restored
from app.documents.retention import Pruned
from app.domain.backups.backup import BackupRequest
from app.domain.backups.check_notes import VerifyLevel, VerifyReport
from app.domain.backups.manifest import Codec, Manifest
from app.domain.backups.pruning import PruneResult
from app.domain.document import JsonObject
from app.domain.ids import BackupId
from app.domain.restores.dry_run import Forecast
from app.domain.restores.restore import RestoreRequest, RestoreResult
from app.domain.restores.results import DrillResult
from app.domain.runs.progress import Progress
from app.domain.runs.run import RunKind
from app.errors import AppError
from app.services.backups.retention import ACTOR, PRUNING, RetentionService
from app.services.backups.service import BackupService
from app.services.restores.plan import plan_loads
from app.services.restores.service import RecoveryService
from app.services.runs.job import Job
from app.storage.run_locks import Resource


_log: Final = logging.getLogger(__name__)
# One state directory serves one server.
_THIS_SERVER: Final = Resource("backup", "the backups of this server")
# How the work is done is nobody's wish, and differs by machine.
_NOT_ASKED: Final = frozenset({"threads", "chunk_bytes", "recovery_point", "backup_id"})


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """
    What somebody wants backed up; what they leave open, the settings decide.

    Attributes:
        compress: False means plain SQL, whatever the codec.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    include_data: bool = True
    description: str = ""
    codec: Codec | None = None
    compress: bool | None = None
    verify: bool | None = None
    accounts: bool = False
    recovery_point: bool = False
    threads: int | None = None
    schedule: str = ""

    def request(self, settings: Settings) -> BackupRequest:
        """Fill in what was left open."""
        compressed = settings.compress if self.compress is None else self.compress
        codec = self.codec or Codec(settings.codec if compressed else Codec.NONE)
        return BackupRequest(
            databases=self.databases,
            tables=self.tables,
            exclude_tables=self.exclude_tables,
            include_data=self.include_data,
            description=" ".join(self.description.split()),
            codec=Codec.NONE if self.compress is False else codec,
            verify=settings.verify_integrity if self.verify is None else self.verify,
            threads=self.threads or settings.threads,
            chunk_bytes=settings.chunk_bytes,
            accounts=self.accounts,
            recovery_point=self.recovery_point,
            schedule=self.schedule,
        )


class Jobs:
    """Makes orders; whatever can be refused before a run begins is refused here."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        backups: BackupService,
        recoveries: RecoveryService,
        retention: RetentionService | None = None,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._backups = backups
        self._recoveries = recoveries
        self._retention = retention  # None = nothing is ever pruned

    def backup(self, wish: BackupOptions) -> Job[Manifest]:
        """Job a backup or a recovery point; old tables whose time is over are dropped as well."""
        request = wish.request(self._settings)

        async def work(progress: Progress) -> Manifest:
            try:
                manifest = await self._backups.create(request, progress)
                if self._retention is not None:
                    await self._retention.after_backup(manifest)
                await self._recoveries.forget_expired()
            except (AppError, asyncio.CancelledError) as exc:
                # What comes after the publication cannot take it back.
                made = await shielded(self._made(progress.backup_id))
                if made is None:
                    raise
                facts = {"backup_id": made.backup_id, "error": str(exc)}
                _log.warning(
                    "The backup is made, what comes after it is not", extra={"facts": facts}
                )
                return made
            return manifest

        return Job(
            kind=RunKind.RECOVERY_POINT if request.recovery_point else RunKind.BACKUP,
            work=work,
            document=BackupCreated.of,
            resources=(_THIS_SERVER,),
            request=_asked(request),
        )

    async def verification(
        self, backup_id: str, level: VerifyLevel = VerifyLevel.CONTENT
    ) -> Job[VerifyReport]:
        """Job a verification; raises BackupNotFoundError."""
        manifest = await self._manifest(backup_id)
        return Job(
            kind=RunKind.VERIFICATION,
            work=lambda progress: self._backups.verify(backup_id, level, progress),
            document=lambda report: BackupVerified.of(manifest.backup_id, report),
            backup_id=manifest.backup_id,
            request={"level": level},
        )

    async def deletion(self, backup_id: str) -> Job[BackupId]:
        """Job a deletion; raises BackupNotFoundError."""
        found = await asyncio.to_thread(self._catalogue.find, backup_id)

        async def work(_progress: Progress) -> BackupId:
            await self._backups.delete(found)
            return found

        return Job(kind=RunKind.DELETION, work=work, document=BackupDeleted.of, backup_id=found)

    def prune(self, by: str = ACTOR, *, accept_clock: bool = False) -> Job[PruneResult]:
        """Job a prune; `by` is who wants it, for the audit of each deletion."""
        retention = self._retention
        assert retention is not None  # noqa: S101 - who orders it has given it

        return Job(
            kind=RunKind.PRUNE,
            work=lambda _progress: retention.prune(by, accept_clock=accept_clock),
            document=Pruned.of,
            resources=(PRUNING,),
            request={"accept_clock": accept_clock},
        )

    async def restore(self, request: RestoreRequest) -> Job[RestoreResult]:
        """Job a restore; raises what a wrong request raises."""
        manifest = await self._manifest(request.backup_id)
        targets = [load.target for load in plan_loads(manifest, request)]

        async def work(progress: Progress) -> RestoreResult:
            try:
                return await self._recoveries.restore(request, progress)
            except asyncio.CancelledError:
                return await self._in_place(progress, targets)

        return Job(
            kind=RunKind.RESTORE,
            work=work,
            document=Restored.of,
            resources=_databases(*targets),
            backup_id=manifest.backup_id,
            request=_asked(request),
        )

    async def undo(self, name: str) -> Job[RestoreResult]:
        """Job an undo; raises RestoreNotFoundError, UndoExpiredError."""
        journal = await self._recoveries.find(name)

        async def work(progress: Progress) -> RestoreResult:
            try:
                return await self._recoveries.undo(name, progress)
            except asyncio.CancelledError:
                return await self._in_place(progress, journal.targets)

        return Job(
            kind=RunKind.UNDO,
            work=work,
            document=Restored.of,
            resources=_databases(*journal.targets),
            backup_id=journal.backup_id,
            request={"restore_id": journal.restore_id},
        )

    async def dry_run(self, request: RestoreRequest) -> Job[Forecast]:
        """Job a dry run; raises what a wrong request raises."""
        manifest = await self._planned(request)
        return Job(
            kind=RunKind.DRY_RUN,
            work=lambda progress: self._recoveries.rehearse(request, progress),
            document=DryRun.of,
            backup_id=manifest.backup_id,
            request=_asked(request),
        )

    async def drill(self, request: RestoreRequest) -> Job[DrillResult]:
        """Job a drill; raises what a wrong request raises."""
        manifest = await self._planned(replace(request, into=""))
        return Job(
            kind=RunKind.DRILL,
            work=lambda progress: self._recoveries.drill(request, progress),
            document=DrillPassed.of,
            backup_id=manifest.backup_id,
            request=_asked(request),
        )

    async def _planned(self, request: RestoreRequest) -> Manifest:
        manifest = await self._manifest(request.backup_id)
        plan_loads(manifest, request)  # asked for its refusals
        return manifest

    async def _in_place(self, progress: Progress, targets: Sequence[str]) -> RestoreResult:
        """Return what was done before it was cancelled; raises CancelledError when it was not."""
        result = await shielded(self._recoveries.in_place(progress.restore_id))
        if result is None:
            raise asyncio.CancelledError
        return replace(result, databases=tuple(targets))

    async def _made(self, backup_id: str) -> Manifest | None:
        try:
            return await self._manifest(backup_id)
        except AppError:
            return None

    async def _manifest(self, backup_id: str) -> Manifest:
        return await asyncio.to_thread(self._catalogue.manifest, backup_id)


def _databases(*names: str) -> tuple[Resource, ...]:
    return tuple(Resource(f"database {name}", f"database {name!r}") for name in names)


def _asked(request: BackupRequest | RestoreRequest) -> JsonObject:
    """Keep what somebody wished, without how it is done."""
    return {key: value for key, value in asdict(request).items() if key not in _NOT_ASKED}
