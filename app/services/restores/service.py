"""Restores: backups loaded again, proven, put in the place of live data, and undone."""

import asyncio
import logging
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.keys import LogKeys
from app.concurrency import shielded
from app.domain.ports import Clock
from app.domain.restores.dry_run import Forecast, RestoreOptions
from app.domain.restores.journal import Journal, RestoreId, RestoreKind, RestorePhase
from app.domain.restores.proofs import DrillResult
from app.domain.restores.repair import RepairResult
from app.domain.restores.restore import RestorePlan, RestoreRequest, RestoreResult
from app.domain.restores.result import SwapReport, result_of, with_counts
from app.domain.runs.progress import Phase, Progress
from app.engine.load.target import OwnDatabase
from app.engine.server.server import Server
from app.engine.swap.plan import prove_owners
from app.errors import JournalDamagedError, RestoreNotFoundError, UndoExpiredError
from app.services.backups.service import BackupService
from app.services.binlog.breaks import UnloggedChanges
from app.services.restores.crash_recovery import CrashRecovery
from app.services.restores.drill import Drills
from app.services.restores.dry_run import DryRuns
from app.services.restores.plan import plan_drill, plan_restore
from app.services.restores.preflight import Preflight
from app.services.restores.restore import Restorer, RestoreState, point_to_repair
from app.services.restores.swap import Swaps
from app.services.restores.undo_guard import UndoGuard
from app.storage.journals import Journals


_log: Final = logging.getLogger(__name__)
_SKIP: Final = "skipped"


class RecoveryService:
    """Plans and carries out restores, dry runs, drills and undos."""

    def __init__(
        self,
        *,
        server: Server,
        catalogue: Catalogue,
        clock: Clock,
        journals: Journals,
        backups: BackupService,
        undo_minutes: float = 60.0,
        own: OwnDatabase | None = None,
        log: tuple[Path, LogKeys] | None = None,
        elapsed: Clock | None = None,
    ) -> None:
        self._server = server
        self._catalogue = catalogue
        self._clock = clock
        self._elapsed = elapsed or clock
        self._undo_minutes = undo_minutes
        self._journals = journals
        # Whoever asks may do so often, and each asks the server a lot.
        self._looks = asyncio.Semaphore(2)
        self._swaps = Swaps(server, journals, clock)
        self._unlogged = UnloggedChanges(server, log, clock)
        self._preflight = Preflight(server, own)
        self._restorer = Restorer(
            server=server,
            catalogue=catalogue,
            clock=clock,
            backups=backups,
            swaps=self._swaps,
            preflight=self._preflight,
            undo_minutes=undo_minutes,
        )
        self._drills = Drills(
            server=server,
            catalogue=catalogue,
            clock=clock,
            swaps=self._swaps,
            preflight=self._preflight,
            restorer=self._restorer,
        )
        self._crash_recovery = CrashRecovery(
            swaps=self._swaps,
            journals=journals,
            elapsed=self._elapsed,
            undo_minutes=undo_minutes,
        )

    @cached_property
    def _dry_runs(self) -> DryRuns:
        return DryRuns(
            server=self._server,
            catalogue=self._catalogue,
            clock=self._clock,
            swaps=self._swaps,
            preflight=self._preflight,
            try_definitions=self._drills.try_definitions,
        )

    async def plan(self, request: RestoreRequest) -> RestorePlan:
        """
        Plan a restore or its dry run; asks no server.

        Returns:
            A plan that is carried out once.

        Raises:
            BackupNotFoundError: No such backup.
            DatabaseNotFoundError: The backup has no such database.
            TableNotFoundError: A pattern matches nothing in the backup.
            InvalidRequestError: The options make no sense together, or for this backup.
            ManifestError: The manifest is damaged, or of a newer format.
            NoIdentityError: It is encrypted for others.
        """
        manifest = await asyncio.to_thread(self._catalogue.manifest, request.backup_id)
        return plan_restore(manifest, self._reading_once(request))

    async def plan_drill(self, request: RestoreRequest) -> RestorePlan:
        """Plan a drill; returns and raises as `plan` does."""
        manifest = await asyncio.to_thread(self._catalogue.manifest, request.backup_id)
        return plan_drill(manifest, self._reading_once(request))

    def _reading_once(self, request: RestoreRequest) -> RestoreRequest:
        """Leave out what would bring a whole file from far away: what is loaded is proven as it comes."""
        return request if self._catalogue.disk else replace(request, verify_before=False)

    async def restore(self, plan: RestorePlan, progress: Progress | None = None) -> RestoreResult:
        """
        Restore; when this returns, the data was compared and is in its place.

        Until the tables change places, all at once, the live databases are not touched. On any
        failure, and when it is cancelled, they are as they were.

        Args:
            plan: What and how.
            progress: Written to as it goes.

        Returns:
            What was done.

        Raises:
            BackupNotFoundError: The backup was deleted meanwhile.
            RefusedError: The server cannot take it.
            ConflictError: Others are in the way.
            DatabaseError: The server failed us.
            IntegrityError: The backup is damaged, or what was loaded differs.
        """
        progress = progress or Progress()
        began, manifest, request = self._clock.monotonic(), plan.manifest, plan.request
        progress.enter(Phase.CONNECT)
        await self.repair()
        binary_log = await self._preflight.log_rule(skip=request.skip_binlog)
        reader = await asyncio.to_thread(self._catalogue.reader, manifest)
        with reader:
            progress.name(restore_id=plan.restore_id)
            facts = {"backup_id": manifest.backup_id, "restore_id": plan.restore_id}
            _log.info("Starting restore", extra={"facts": facts})
            state = RestoreState(plan, reader, progress)
            await self._drills.try_definitions(plan, reader)
            logged = binary_log != _SKIP
            async with self._unlogged.noted(f"restore {plan.restore_id}", logged=logged):
                journal, report = await self._restorer.run(state, logged=logged)
            seconds = round(self._clock.monotonic() - began, 3)
            await self._restorer.record_proof(state, seconds)
            _log.info("Restore completed successfully", extra={"facts": facts})
        report.warnings[:0] = state.warnings
        return replace(
            with_counts(result_of(journal, report, seconds), plan),
            verified_before=request.verify_before,
            verified=request.verify_after,
            binary_log=binary_log,
            bytes_read=reader.bytes_read,
        )

    async def dry_run(self, plan: RestorePlan, progress: Progress | None = None) -> Forecast:
        """Find out what a restore would do, without doing it; see `DryRuns.run`."""
        return await self._dry_runs.run(plan, progress or Progress())

    async def drill(self, plan: RestorePlan, progress: Progress | None = None) -> DrillResult:
        """Restore into schemas that are dropped again, and keep the result with the backup."""
        await self.repair()
        return await self._drills.run(plan, progress or Progress())

    async def options(self, backup_id: str) -> RestoreOptions:
        """Say what can be done with a backup here; see `DryRuns.options`. Others wait for their turn."""
        async with self._looks:
            return await self._dry_runs.options(backup_id)

    async def undo(
        self, name: str, progress: Progress | None = None, undo_id: RestoreId | None = None
    ) -> RestoreResult:
        """
        Bring back what a restore has replaced; what it brought is kept in its place.

        Args:
            name: Id of a restore, or of a backup whose newest restore is meant.
            progress: Written to as it goes.
            undo_id: Its own id; None = a new one.

        Returns:
            What was done; it can itself be undone.

        Raises:
            RestoreNotFoundError: No such restore.
            UndoExpiredError: The old tables are not kept any more; the hint names the recovery point.
            ConflictError: Others changed or use the tables; nothing was changed.
            PermissionDeniedError: An object that it takes away or brings back cannot be made.
        """
        progress = progress or Progress()
        began = self._clock.monotonic()
        progress.enter(Phase.CONNECT)
        await self.repair()
        journal = await self.find_undoable(name)
        binary_log = await self._preflight.log_rule(skip=False)
        swaps = self._swaps
        async with (
            self._unlogged.noted(f"undo of {journal.restore_id}", logged=journal.logged),
            swaps.locked(journal.targets, logged=journal.logged) as session,
        ):
            undo = await swaps.plan_undo(session, journal, undo_id)
            await prove_owners(session, undo.swaps)
            progress.name(backup_id=undo.backup_id, restore_id=undo.restore_id)
            progress.enter(Phase.SWAP)
            guard = await UndoGuard.of(self._server, session, journal)
            try:
                undo, report = await swaps.swap(session, undo, guard)
                completing = swaps.complete(session, undo, minutes=self._undo_minutes)
                undo = await shielded(completing)  # half of it could be neither finished nor undone
            except BaseException as exc:
                await session.close()
                await shielded(self._take_back(undo, exc))
                raise
            finally:
                await guard.close()
        return replace(
            result_of(undo, report, round(self._clock.monotonic() - began, 3)),
            binary_log=binary_log if journal.logged else _SKIP,
        )

    async def _take_back(self, undo: Journal, error: BaseException) -> None:
        """Put back what an undo has begun; where that fails, the error says how to go on."""
        repair = await self._crash_recovery.recover(undo, forward=False)
        if repair.outcome in {"failed", "running"}:
            await point_to_repair(self._swaps, undo.restore_id, error)

    async def repair(self) -> list[RepairResult]:
        """Finish or undo what was interrupted, and drop old tables whose time is over."""
        return await self._crash_recovery.repair()

    async def drop_expired(self) -> list[RepairResult]:
        """Drop old tables whose time is over."""
        return await self._crash_recovery.drop_expired()

    # -- journals ---------------------------------------------------------------------------------

    async def find_journal(self, restore_id: str) -> Journal | None:
        """Read the journal of a restore or an undo; None when there is none."""
        return await self._swaps.find(restore_id)

    async def finished(self) -> list[Journal]:
        """Return the journals of restores and undos that are done, newest first."""
        return [journal for journal in await self._swaps.journals() if journal.phase.is_over]

    async def undoable(self) -> list[Journal]:
        """Return the journals of what can be undone now, newest first."""
        now = await asyncio.to_thread(self._elapsed.now)
        return [
            journal
            for journal in await self._swaps.journals()
            if journal.phase is RestorePhase.DONE and now < (journal.keep_until or now)
        ]

    async def find_result(self, restore_id: str, note: str) -> RestoreResult | None:
        """
        Tell what a restore or an undo did whose own end nobody knows.

        Args:
            restore_id: Text of a user.
            note: Why, for the warnings.

        Returns:
            Its result without counts; None when it is not done.

        Raises:
            JournalDamagedError: Nobody can tell.
        """
        journal = await self.find_journal(restore_id)
        if journal is None or not journal.phase.is_over:
            return None
        result = result_of(journal, SwapReport(fence="unknown", warnings=[note]), 0.0)
        return replace(result, binary_log="unknown")

    async def find_undoable(self, name: str) -> Journal:
        """
        Find the restore that a user wants undone.

        Args:
            name: Id of a restore, or of a backup whose newest restore is meant.

        Returns:
            Its journal.

        Raises:
            RestoreNotFoundError: No such restore.
            UndoExpiredError: The old tables are not kept any more; the hint names the recovery point.
            JournalDamagedError: It is the restore's own, or any one where the newest is meant.
        """
        if await self._swaps.find(name) is None:
            await self._require_newest(name)
        journals = await self._swaps.journals()
        found = [
            journal
            for journal in journals
            if name == journal.restore_id
            or (name == journal.backup_id and journal.kind is RestoreKind.RESTORE)
        ]
        kept = [journal for journal in found if journal.phase is RestorePhase.DONE]
        if kept:
            return kept[0]
        if not found:
            raise RestoreNotFoundError(
                f"no restore {name[:80]!r}",
                hint="Give the restore's id that 'backstay restore run' printed.",
            )
        for journal in journals:
            if journal.undoes == found[0].restore_id:
                raise UndoExpiredError(
                    f"restore {journal.undoes} was undone already",
                    hint=f"'backstay restore undo {journal.restore_id}' takes that back.",
                )
        raise UndoExpiredError(
            f"what {name[:80]!r} replaced is not kept any more", hint=found[0].way_back
        )

    async def _require_newest(self, name: str) -> None:
        """Refuse to say which restore of a backup is the newest where one cannot be read."""
        for journal in (await asyncio.to_thread(self._journals.survey)).damaged:
            raise JournalDamagedError(
                f"the newest restore of {name[:80]!r} may be {journal.restore_id}, whose journal is damaged",
                hint="Give the id of the restore that is meant; 'backstay doctor' tells about the journal.",
            )
