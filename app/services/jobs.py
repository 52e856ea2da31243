"""What a run of each kind does, and what no other run may have meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import shielded
from app.config import Settings
from app.documents.backups import BackupCreated, BackupDeleted, BackupVerified
from app.documents.derived import document_of_copy
from app.documents.restores import DrillPassed, DryRun, Restored
from app.documents.retention import Pruned
from app.domain.backups.backup import BackupRequest
from app.domain.backups.catalogue import CopiedBackup
from app.domain.backups.check_notes import VerifyLevel, VerifyReport
from app.domain.backups.manifest import Manifest
from app.domain.backups.pruning import PruneResult
from app.domain.document import JsonObject, adapter_of
from app.domain.ids import BackupId
from app.domain.restores.dry_run import Forecast
from app.domain.restores.journal import RestoreId
from app.domain.restores.proofs import DrillResult
from app.domain.restores.restore import RestorePlan, RestoreRequest, RestoreResult
from app.domain.runs.progress import Progress
from app.domain.runs.run import Run, RunKind
from app.errors import AppError, BackupNotFoundError, InvalidRequestError
from app.services.afterwards import find_made, is_gone
from app.services.backups.copies import CopyService
from app.services.backups.options import BackupOptions
from app.services.backups.retention import ACTOR, RetentionService
from app.services.backups.service import BackupService
from app.services.runs.job import Job
from app.storage.journals import Journals, new_restore_id
from app.storage.run_locks import Resource


if TYPE_CHECKING:  # most jobs need none, and it brings all that loads
    from app.services.restores.service import RecoveryService

_log: Final = logging.getLogger(__name__)
# One state directory serves one server.
_THIS_SERVER: Final = Resource("backup", "the backups of this server")
_TOO_LATE: Final = "it was stopped when it was done already"
# How the work is done is not asked for, and differs by machine.
_NOT_REQUESTED: Final = frozenset({"threads", "chunk_bytes", "recovery_point", "backup_id"})


class Jobs:
    """
    Makes jobs and does their work; whatever can be refused before a run begins is refused here.

    Args:
        recoveries: Finds what restores; asked only by what needs it.
        retention_of: Finds what prunes a store, or the directory for an empty name; blocks. None = nothing is
            ever pruned.
        copies: Makes the copies that are asked for.
        store: Where the backups of the catalogue lie; empty = in the backup directory.
        backups_of: Finds what makes backups in a store; blocks. None = only those of the catalogue are made.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        backups: BackupService,
        recoveries: "Callable[[], RecoveryService]",
        retention_of: Callable[[str], RetentionService] | None = None,
        copies: CopyService | None = None,
        *,
        store: str = "",
        backups_of: Callable[[str], BackupService] | None = None,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._backups = backups
        self._recoveries = recoveries
        self._journals = Journals(settings.state_dir)
        self._retention_of = retention_of
        self._copies = copies
        self._store = store
        self._backups_of = backups_of

    @property
    def has_server(self) -> bool:
        """Whether there is a server to back up and to restore into."""
        return self._backups.server.is_set

    def backup(self, options: BackupOptions, store: str = "") -> Job[Manifest]:
        """
        Make the job of a backup or a recovery point.

        Args:
            options: What and how.
            store: Name of the store that it goes to; empty = where the backups of this program are.

        Returns:
            The job; whether there is such a store its run will tell.

        Raises:
            NoServerError: There is no server to back up.
        """
        store = store or self._store
        self._backups.server.require_set()
        request = options.request(self._settings)
        return Job(
            kind=RunKind.RECOVERY_POINT if request.recovery_point else RunKind.BACKUP,
            work=partial(self._back_up, request, store),
            document=BackupCreated.of,
            resources=(_THIS_SERVER,),
            request=_asked(requested(request), store),
        )

    async def _back_up(self, request: BackupRequest, store: str, progress: Progress) -> Manifest:
        """Back up, delete the backups that are kept no longer, and drop expired tables of restores."""
        backups = await asyncio.to_thread(self._find_backups, store)
        try:
            manifest = await backups.create(request, progress)
            await self._prune_after(manifest, store)
            await self._drop_expired()
        except (AppError, asyncio.CancelledError) as exc:
            # What comes after the publication cannot take it back.
            published = await find_made(backups.info, progress.backup_id, exc)
            if published is None:
                raise
            return published
        return manifest

    async def _drop_expired(self) -> None:
        """Drop the tables that restores have kept for long enough; where nothing was restored there are none."""
        if await asyncio.to_thread(self._journals.has_any):
            await self._recoveries().drop_expired()

    def _find_backups(self, store: str) -> BackupService:
        if store == self._store:
            return self._backups
        assert self._backups_of is not None  # noqa: S101 - whoever makes such a job has given it
        return self._backups_of(store)

    async def follow_up(self, made: Manifest) -> None:
        """Delete what is kept no longer after a backup that was recovered; raises AppError."""
        await self._prune_after(made, "")

    async def _prune_after(self, made: Manifest, store: str) -> None:
        """Delete what is kept no longer where a backup was made; raises what a definition of a store does."""
        if self._retention_of is not None:
            retention = await asyncio.to_thread(self._retention_of, store)
            await retention.after_backup(made)

    async def verification(
        self, backup_id: str, level: VerifyLevel = VerifyLevel.CONTENT
    ) -> Job[VerifyReport]:
        """Make the job of a verification; raises BackupNotFoundError."""
        published = await asyncio.to_thread(self._catalogue.published, backup_id)
        found = published.name.backup_id
        return Job(
            kind=RunKind.VERIFICATION,
            work=lambda progress: self._backups.verify(backup_id, level, progress),
            document=lambda report: BackupVerified.of(found, report),
            backup_id=found,
            request=self._asked({"level": level}),
        )

    def backup_again(self, run: Run) -> Job[Manifest]:
        """
        Make the job of a backup or recovery point once more.

        Returns:
            One that is asked for the same.

        Raises:
            InvalidRequestError: It was something else, whose effect is shown before it is asked for.
            NoServerError: There is no server to back up.
        """
        if run.kind not in {RunKind.BACKUP, RunKind.RECOVERY_POINT}:
            raise InvalidRequestError(f"a {run.kind} is not made again as it was")
        is_point = run.kind is RunKind.RECOVERY_POINT
        asked = {**run.request, "recovery_point": is_point}
        return self.backup(adapter_of(BackupOptions).validate_python(asked), run.store)

    async def verification_again(self, run: Run) -> Job[VerifyReport]:
        """Make the job of a verification once more; raises BackupNotFoundError."""
        return await self.verification(run.backup_id, VerifyLevel(str(run.request["level"])))

    async def copy(
        self, backup_id: str, source: str, target: str, *, rewrap: bool = False
    ) -> Job[CopiedBackup]:
        """
        Make the job of a copy.

        Args:
            backup_id: Of the backup.
            source: Name of the store in which it is; empty = the backup directory.
            target: Where it shall be too.
            rewrap: Whether it is encrypted there for the recipients of now.

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
        make = partial(copies.rewrap if rewrap else copies.copy, found, source, target)
        return Job(
            kind=RunKind.COPY,
            work=partial(self._copy, make, target),
            document=document_of_copy,
            resources=(Resource(f"copy {target} {found}", f"the copy of {found} in {target!r}"),),
            backup_id=found,
            request={"from": source, "to": target} | ({"rewrap": True} if rewrap else {}),
        )

    async def _copy(
        self, make: Callable[[Progress], Awaitable[CopiedBackup]], target: str, progress: Progress
    ) -> CopiedBackup:
        """Copy, and delete the copies that are kept there no longer."""
        copied = await make(progress)
        try:
            # What came back is no newer than what is there; of what cannot be read nobody knows the rules.
            if target and copied.manifest is not None:
                await self._prune_after(copied.manifest, target)
        except (AppError, asyncio.CancelledError) as exc:
            facts = {"backup_id": copied.backup_id, "error": str(exc)}
            _log.warning("Copy completed, its follow-up failed", extra={"facts": facts})
        return copied

    async def deletion(self, backup_id: str) -> Job[BackupId]:
        """Make the job of a deletion; raises BackupNotFoundError."""
        found = await asyncio.to_thread(self._catalogue.find, backup_id)

        return Job(
            kind=RunKind.DELETION,
            work=partial(self._delete, found),
            document=BackupDeleted.of,
            backup_id=found,
            request=self._asked({}),
        )

    async def _delete(self, backup_id: BackupId, _progress: Progress) -> BackupId:
        """Delete; a backup that is gone is deleted, whatever came after that."""
        try:
            await self._backups.delete(backup_id)
        except BackupNotFoundError:  # somebody else did
            raise
        except (AppError, asyncio.CancelledError) as exc:
            if not await is_gone(self._catalogue.find, backup_id, exc):
                raise
        return backup_id

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
            request=_asked({"accept_clock": accept_clock}, store),
        )

    async def restore(self, request: RestoreRequest) -> Job[RestoreResult]:
        """Make the job of a restore; raises NoServerError, and what a wrong request raises."""
        self._backups.server.require_set()
        plan = await self._recoveries().plan(request)
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
            return await self._recoveries().restore(plan, progress)
        except (AppError, asyncio.CancelledError) as exc:
            return await self._done_after_all(plan.restore_id, plan.targets, exc)

    async def undo(self, name: str) -> Job[RestoreResult]:
        """Make the job of an undo; raises RestoreNotFoundError, UndoExpiredError, NoServerError."""
        self._backups.server.require_set()
        journal = await self._recoveries().find_undoable(name)
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
            return await self._recoveries().undo(name, progress, undo_id)
        except (AppError, asyncio.CancelledError) as exc:
            return await self._done_after_all(undo_id, targets, exc)

    async def dry_run(self, request: RestoreRequest) -> Job[Forecast]:
        """Make the job of a dry run; raises NoServerError, and what a wrong request raises."""
        self._backups.server.require_set()
        plan = await self._recoveries().plan(request)
        return Job(
            kind=RunKind.DRY_RUN,
            work=partial(self._recoveries().dry_run, plan),
            document=DryRun.of,
            backup_id=plan.manifest.backup_id,
            request=self._asked(requested(request)),
        )

    async def drill(self, request: RestoreRequest) -> Job[DrillResult]:
        """Make the job of a drill; raises NoServerError, and what a wrong request raises."""
        self._backups.server.require_set()
        plan = await self._recoveries().plan_drill(request)
        return Job(
            kind=RunKind.DRILL,
            work=partial(self._recoveries().drill, plan),
            document=DrillPassed.of,
            backup_id=plan.manifest.backup_id,
            request=self._asked(requested(request)),
        )

    def _asked(self, request: JsonObject) -> JsonObject:
        return _asked(request, self._store)

    async def _done_after_all(
        self, restore_id: RestoreId, targets: Sequence[str], error: BaseException
    ) -> RestoreResult:
        """Return what was done before something failed or was cancelled; raises that when it was not."""
        what = f"what came after it failed ({error})" if isinstance(error, AppError) else _TOO_LATE
        note = f"{what}; what it had counted is lost"
        try:
            result = await shielded(self._recoveries().find_result(restore_id, note))
        except AppError:  # the first error says more
            raise error from None
        if result is None:
            raise error
        return replace(result, databases=tuple(targets))


def _asked(request: JsonObject, store: str) -> JsonObject:
    """Say what was asked for, and of which store; nothing of the backup directory."""
    return {**request, "store": store} if store else request


def _databases(*names: str) -> tuple[Resource, ...]:
    return tuple(Resource(f"database {name}", f"database {name!r}") for name in names)


def requested(request: BackupRequest | RestoreRequest) -> JsonObject:
    """Keep what was asked for, without how it is done."""
    return {key: value for key, value in asdict(request).items() if key not in _NOT_REQUESTED}
