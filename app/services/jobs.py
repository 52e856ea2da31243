"""What a run of each kind does, and what no other run may have meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final

from pydantic import TypeAdapter

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
from app.domain.restores.journal import RestoreId
from app.domain.restores.proofs import DrillResult
from app.domain.restores.restore import RestorePlan, RestoreRequest, RestoreResult
from app.domain.runs.progress import Progress
from app.domain.runs.run import Run, RunKind
from app.errors import AppError, InvalidRequestError, RefusedError
from app.services.backups.copies import CopyService
from app.services.backups.retention import ACTOR, RetentionService
from app.services.backups.service import BackupService
from app.services.restores.service import RecoveryService
from app.services.runs.job import Job
from app.storage.journals import new_restore_id
from app.storage.run_locks import Resource


_log: Final = logging.getLogger(__name__)
# One state directory serves one server.
_THIS_SERVER: Final = Resource("backup", "the backups of this server")
_TOO_LATE: Final = "it was stopped when it was done already"
# How the work is done is not asked for, and differs by machine.
_NOT_REQUESTED: Final = frozenset({"threads", "chunk_bytes", "recovery_point", "backup_id"})


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


# What a backup was asked for, as `requested` keeps it.
_OPTIONS: Final = TypeAdapter(BackupOptions)


class Jobs:
    """
    Makes jobs and does their work; whatever can be refused before a run begins is refused here.

    Args:
        retention_of: Finds what prunes a store, or the directory for an empty name; blocks. None = nothing is
            ever pruned.
        copies: Makes the copies that are asked for.
        store: Where the backups of the catalogue lie; empty = in the backup directory.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        backups: BackupService,
        recoveries: RecoveryService,
        retention_of: Callable[[str], RetentionService] | None = None,
        copies: CopyService | None = None,
        *,
        store: str = "",
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._backups = backups
        self._recoveries = recoveries
        self._retention_of = retention_of
        self._copies = copies
        self._store = store

    @property
    def has_server(self) -> bool:
        """Whether there is a server to back up and to restore into."""
        return self._backups.server.is_set

    def backup(self, options: BackupOptions) -> Job[Manifest]:
        """Make the job of a backup or a recovery point; raises NoServerError, RefusedError."""
        self._backups.server.require_set()
        if self._settings.encrypt_to.split():
            # Never in the clear where somebody believes it to be encrypted.
            raise RefusedError(
                "BACKSTAY_ENCRYPT_TO is set, and this release does not encrypt backups yet",
                hint="Leave it unset until a release does, and encrypt the disk or the copies.",
            )
        request = options.request(self._settings)
        return Job(
            kind=RunKind.RECOVERY_POINT if request.recovery_point else RunKind.BACKUP,
            work=partial(self._back_up, request),
            document=BackupCreated.of,
            resources=(_THIS_SERVER,),
            request=self._asked(requested(request)),
        )

    async def _back_up(self, request: BackupRequest, progress: Progress) -> Manifest:
        """Back up, delete the backups that are kept no longer, and drop expired tables of restores."""
        try:
            manifest = await self._backups.create(request, progress)
            await self._prune_after(manifest, self._store)
            await self._recoveries.drop_expired()
        except (AppError, asyncio.CancelledError) as exc:
            # What comes after the publication cannot take it back.
            published = await shielded(self._find_manifest(progress.backup_id))
            if published is None:
                raise
            facts = {"backup_id": published.backup_id, "error": str(exc)}
            _log.warning("Backup completed, its follow-up failed", extra={"facts": facts})
            return published
        return manifest

    async def _prune_after(self, made: Manifest, store: str) -> None:
        """Delete what is kept no longer where a backup was made; raises what a definition of a store does."""
        if self._retention_of is not None:
            retention = await asyncio.to_thread(self._retention_of, store)
            await retention.after_backup(made)

    async def verification(
        self, backup_id: str, level: VerifyLevel = VerifyLevel.CONTENT
    ) -> Job[VerifyReport]:
        """Make the job of a verification; raises BackupNotFoundError."""
        manifest = await self._manifest(backup_id)
        return Job(
            kind=RunKind.VERIFICATION,
            work=lambda progress: self._backups.verify(backup_id, level, progress),
            document=lambda report: BackupVerified.of(manifest.backup_id, report),
            backup_id=manifest.backup_id,
            request=self._asked({"level": level}),
        )

    def backup_again(self, run: Run) -> Job[Manifest]:
        """
        Make the job of a backup or recovery point once more.

        Returns:
            One that is asked for the same.

        Raises:
            InvalidRequestError: It was something else, whose effect is shown before it is asked for, or
                went to a store, as only commands do.
            NoServerError: There is no server to back up.
        """
        if run.store or run.kind not in {RunKind.BACKUP, RunKind.RECOVERY_POINT}:
            raise InvalidRequestError(f"a {run.kind} is not made again as it was")
        is_point = run.kind is RunKind.RECOVERY_POINT
        asked = {**run.request, "recovery_point": is_point}
        return self.backup(_OPTIONS.validate_python(asked))

    async def verification_again(self, run: Run) -> Job[VerifyReport]:
        """Make the job of a verification once more; raises BackupNotFoundError."""
        return await self.verification(run.backup_id, VerifyLevel(str(run.request["level"])))

    async def copy(self, backup_id: str, source: str, target: str) -> Job[Manifest]:
        """
        Make the job of a copy.

        Args:
            backup_id: Of the backup.
            source: Name of the store in which it is; empty = the backup directory.
            target: Where it shall be too.

        Returns:
            The job.

        Raises:
            InvalidRequestError: Both are the same place.
            BackupNotFoundError: It is not there.
            StoreNotFoundError: There is no such store.
        """
        copies = self._copies
        assert copies is not None  # noqa: S101 - whoever makes such a job has given it
        if source == target:
            raise InvalidRequestError(
                "a copy in the same place is none", hint="Name another store with --to."
            )
        await copies.require_place(target)
        found = await copies.find(backup_id, source)
        return Job(
            kind=RunKind.COPY,
            work=lambda progress: self._copy(copies, found, (source, target), progress),
            document=BackupCreated.of,
            resources=(Resource(f"copy {target} {found}", f"the copy of {found} in {target!r}"),),
            backup_id=found,
            request={"from": source, "to": target},
        )

    async def _copy(
        self, copies: CopyService, found: BackupId, way: tuple[str, str], progress: Progress
    ) -> Manifest:
        """Copy from a place to another, and delete the copies that are kept there no longer."""
        source, target = way
        manifest = await copies.copy(found, source, target, progress)
        try:
            if target:  # what came back to the directory is no newer than what is there
                await self._prune_after(manifest, target)
        except (AppError, asyncio.CancelledError) as exc:
            facts = {"backup_id": found, "error": str(exc)}
            _log.warning("Copy completed, its follow-up failed", extra={"facts": facts})
        return manifest

    async def deletion(self, backup_id: str) -> Job[BackupId]:
        """Make the job of a deletion; raises BackupNotFoundError."""
        found = await asyncio.to_thread(self._catalogue.find, backup_id)

        async def work(_progress: Progress) -> BackupId:
            await self._backups.delete(found)
            return found

        return Job(
            kind=RunKind.DELETION,
            work=work,
            document=BackupDeleted.of,
            backup_id=found,
            request=self._asked({}),
        )

    async def prune(
        self, by: str = ACTOR, *, accept_clock: bool = False, store: str = ""
    ) -> Job[PruneResult]:
        """
        Make the job of a prune.

        Args:
            by: Who wants it, for the audit of each deletion.
            accept_clock: Whether what the clock says is right.
            store: Name of the store; empty = where the backups of this program are.

        Returns:
            The job.

        Raises:
            StoreNotFoundError: There is no such store.
        """
        assert self._retention_of is not None  # noqa: S101 - whoever makes such a job has given it
        store = store or self._store
        retention = await asyncio.to_thread(self._retention_of, store)
        return Job(
            kind=RunKind.PRUNE,
            work=lambda _progress: retention.prune(by, accept_clock=accept_clock),
            document=Pruned.of,
            resources=(retention.resource,),
            request={"accept_clock": accept_clock, **({"store": store} if store else {})},
        )

    async def restore(self, request: RestoreRequest) -> Job[RestoreResult]:
        """Make the job of a restore; raises NoServerError, and what a wrong request raises."""
        self._backups.server.require_set()
        plan = await self._recoveries.plan(request)
        return Job(
            kind=RunKind.RESTORE,
            work=partial(self._restore, plan),
            document=Restored.of,
            resources=_databases(*plan.targets),
            backup_id=plan.manifest.backup_id,
            restore_id=plan.restore_id,
            request=self._asked(requested(request)),
        )

    async def _restore(self, plan: RestorePlan, progress: Progress) -> RestoreResult:
        """Restore; one that failed or was cancelled when it was done already has succeeded."""
        try:
            return await self._recoveries.restore(plan, progress)
        except (AppError, asyncio.CancelledError) as exc:
            return await self._done_after_all(plan.restore_id, plan.targets, exc)

    async def undo(self, name: str) -> Job[RestoreResult]:
        """Make the job of an undo; raises RestoreNotFoundError, UndoExpiredError, NoServerError."""
        self._backups.server.require_set()
        journal = await self._recoveries.find_undoable(name)
        undo_id = new_restore_id()
        return Job(
            kind=RunKind.UNDO,
            work=partial(self._undo, name, undo_id, journal.targets),
            document=Restored.of,
            resources=_databases(*journal.targets),
            backup_id=journal.backup_id,
            restore_id=undo_id,
            request={"restore_id": journal.restore_id},
        )

    async def _undo(
        self, name: str, undo_id: RestoreId, targets: Sequence[str], progress: Progress
    ) -> RestoreResult:
        """Undo; one that failed or was cancelled when it was done already has succeeded."""
        try:
            return await self._recoveries.undo(name, progress, undo_id)
        except (AppError, asyncio.CancelledError) as exc:
            return await self._done_after_all(undo_id, targets, exc)

    async def dry_run(self, request: RestoreRequest) -> Job[Forecast]:
        """Make the job of a dry run; raises NoServerError, and what a wrong request raises."""
        self._backups.server.require_set()
        plan = await self._recoveries.plan(request)
        return Job(
            kind=RunKind.DRY_RUN,
            work=partial(self._recoveries.dry_run, plan),
            document=DryRun.of,
            backup_id=plan.manifest.backup_id,
            request=self._asked(requested(request)),
        )

    async def drill(self, request: RestoreRequest) -> Job[DrillResult]:
        """Make the job of a drill; raises NoServerError, and what a wrong request raises."""
        self._backups.server.require_set()
        plan = await self._recoveries.plan_drill(request)
        return Job(
            kind=RunKind.DRILL,
            work=partial(self._recoveries.drill, plan),
            document=DrillPassed.of,
            backup_id=plan.manifest.backup_id,
            request=self._asked(requested(request)),
        )

    def _asked(self, request: JsonObject) -> JsonObject:
        """Say what was asked for, and of which store; nothing of the backup directory."""
        return {**request, "store": self._store} if self._store else request

    async def _done_after_all(
        self, restore_id: RestoreId, targets: Sequence[str], error: BaseException
    ) -> RestoreResult:
        """Return what was done before something failed or was cancelled; raises that when it was not."""
        what = f"what came after it failed ({error})" if isinstance(error, AppError) else _TOO_LATE
        note = f"{what}; what it had counted is lost"
        try:
            result = await shielded(self._recoveries.find_result(restore_id, note))
        except AppError:  # the first error says more
            raise error from None
        if result is None:
            raise error
        return replace(result, databases=tuple(targets))

    async def _find_manifest(self, backup_id: str) -> Manifest | None:
        try:
            return await self._manifest(backup_id)
        except AppError:
            return None

    async def _manifest(self, backup_id: str) -> Manifest:
        return await asyncio.to_thread(self._catalogue.manifest, backup_id)


def _databases(*names: str) -> tuple[Resource, ...]:
    return tuple(Resource(f"database {name}", f"database {name!r}") for name in names)


def requested(request: BackupRequest | RestoreRequest) -> JsonObject:
    """Keep what was asked for, without how it is done."""
    return {key: value for key, value in asdict(request).items() if key not in _NOT_REQUESTED}
