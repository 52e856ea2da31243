"""The restore itself, from the lock on its databases to the proof of what is in them."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.reader import ArchiveReader
from app.concurrency import on_own_loop, shielded
from app.domain.backups.backup import BackupRequest
from app.domain.backups.check_notes import VerifyLevel
from app.domain.ports import Clock
from app.domain.restores.journal import (
    Journal,
    RestoreId,
    RestoreKind,
    RestorePhase,
    SchemaSwap,
)
from app.domain.restores.proofs import RECOVERY, Proof
from app.domain.restores.repair import promise
from app.domain.restores.restore import RestorePlan
from app.domain.restores.result import SwapReport
from app.domain.runs.progress import Phase, Progress
from app.engine.load.inventory import prove_definitions, prove_inventory
from app.engine.load.load import Load
from app.engine.schema import foreign_keys
from app.engine.schema.accounts import load_accounts
from app.engine.schema.databases import create_database, is_empty, kept_name, list_tables
from app.engine.schema.definers import definers_of, prove_definers
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.swap.broken_tables import find_broken
from app.engine.swap.plan import SwapDraft, plan_swaps, prove_owners
from app.engine.swap.rename import await_snapshots
from app.errors import AppError, PermissionDeniedError, StalledError, TargetNotEmptyError
from app.services.backups.service import BackupService
from app.services.restores.connections import load_sessions
from app.services.restores.guard import RestoreGuard
from app.services.restores.live_databases import wanted_objects
from app.services.restores.preflight import Preflight
from app.services.restores.swap import Swaps


_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class RestoreState:
    """
    One restore or drill at work.

    Attributes:
        plan: What is to be done; completed with what only the server knows.
        reader: The backup, open.
        progress: Written to as it goes.
        warnings: What is not as it was, and why.
    """

    plan: RestorePlan
    reader: ArchiveReader
    progress: Progress
    warnings: list[str] = field(default_factory=list)


class Restorer:
    """Restores a backup that is open, and proves what it restored."""

    def __init__(
        self,
        *,
        server: Server,
        catalogue: Catalogue,
        clock: Clock,
        backups: BackupService,
        swaps: Swaps,
        preflight: Preflight,
        undo_minutes: float,
    ) -> None:
        self._server = server
        self._catalogue = catalogue
        self._clock = clock
        self._backups = backups
        self._swaps = swaps
        self._preflight = preflight
        self._undo_minutes = undo_minutes

    async def run(self, state: RestoreState, *, logged: bool) -> tuple[Journal, SwapReport]:
        """
        Restore; afterwards everything is in its place and proven, or as it was.

        Args:
            state: With a plan that no server was asked about.
            logged: Whether it is written to the binary log.

        Returns:
            What was done.

        Raises:
            AppError: What went wrong; the live databases are as they were, or the hint says how to
                make them so.
        """
        async with self._swaps.locked(state.plan.targets, logged=logged) as session:
            # 1. Refuse what cannot end well, before anything is changed.
            state.progress.enter(Phase.PREFLIGHT)
            report = await self._preflight.require(state.reader, state.plan)
            state.plan = replace(state.plan, loads=tuple(report.loads))
            state.warnings += report.warnings
            await self.verify(state)
            # 2. Back up what will be replaced.
            point = await self._recovery_point(state)
            # 3. Load beside the live databases, swap, and keep the old tables; or undo all of it.
            journal = self._journal(state.plan, point, logged=logged)
            try:
                return await self._replace(session, journal, state)
            except BaseException as exc:
                await shielded(self.undo_failed(session, journal.restore_id, exc))
                raise

    # -- steps ------------------------------------------------------------------------------------

    async def verify(self, state: RestoreState) -> None:
        """
        Check the whole file, unless that is not wanted.

        Raises:
            ChecksumMismatchError: It is damaged.
        """
        if state.plan.request.verify_before:
            state.progress.enter(Phase.VERIFY)
            await state.reader.verify(VerifyLevel.HASHES)

    async def _recovery_point(self, state: RestoreState) -> str:
        """Back up what the restore will replace; return the backup's id, empty without one."""
        plan = state.plan
        if not plan.makes_recovery_point:
            return ""
        databases: list[str] = []
        tables: list[str] = []
        staying: list[str] = []
        broken: list[str] = []
        only_tables = all(load.only_tables for load in plan.loads)
        async with self._server.session() as session:
            for load in plan.loads:
                chosen = {table.name for table in load.entry.tables}
                lost = set(await find_broken(session, load.target))
                broken += [
                    f"{load.target}.{name}"
                    for name in sorted(lost if load.whole else lost & chosen)
                ]
                there = {table.name for table in await list_tables(session, load.target)}
                live = (there & chosen) - lost
                if live or not (load.only_tables or await is_empty(session, load.target)):
                    databases.append(load.target)
                    if not load.whole:
                        tables += [f"{load.target}.{name}" for name in sorted(live)]
                        staying += [f"{load.target}.{name}" for name in sorted(there - chosen)]
        if not databases:
            return ""
        state.warnings += [
            f"the recovery point lacks {name}, which the server cannot open" for name in broken
        ]
        state.progress.enter(Phase.RECOVERY_POINT)
        options = plan.manifest.options
        request = BackupRequest(
            databases=tuple(databases),
            # What is chosen by name comes without routines and events.
            tables=tuple(tables) if only_tables else (),
            exclude_tables=tuple(broken if only_tables else broken + staying),
            description=f"Before the restore of {plan.manifest.backup_id}",
            codec=options.codec,
            threads=plan.request.threads,
            chunk_bytes=options.chunk_bytes,
            recovery_point=True,
        )
        return (await self._backups.create(request, state.progress)).backup_id

    async def _replace(
        self, session: Session, journal: Journal, state: RestoreState
    ) -> tuple[Journal, SwapReport]:
        """Load beside the live databases, prove, swap, prove again."""
        await self._swaps.record(journal)
        load = await self.load(state, logged=journal.logged)
        journal = replace(journal, swaps=await self._plan_swaps(session, journal, state, load))
        await prove_owners(session, journal.swaps)
        await self._count_orphans(state, journal.swaps)
        state.progress.enter(Phase.SWAP)
        await self._await_snapshots(session, state)
        guard = RestoreGuard(
            state.plan.manifest,
            state.plan.loads,
            load,
            proves_rows=state.plan.request.verify_after,
        )
        journal, report = await self._swaps.swap(session, journal, guard)
        if state.plan.request.verify_after:
            await self._prove_in_place(session, state, load)
        if state.plan.request.accounts:
            state.warnings += await load_accounts(session, state.plan.manifest, state.reader)
        journal = await self._swaps.complete(session, journal, minutes=self._undo_minutes)
        return journal, report

    async def load(self, state: RestoreState, *, logged: bool) -> Load:
        """
        Load into staging schemas and prove what is in them; the caller drops them on failure.

        Args:
            state: Whose plan says what to load, and where.
            logged: Whether it is written to the binary log.

        Returns:
            The load, which knows what is left to do.
        """
        return await on_own_loop(self._load(state, logged=logged))

    async def _load(self, state: RestoreState, *, logged: bool) -> Load:
        manifest, request = state.plan.manifest, state.plan.request
        async with load_sessions(
            self._server, manifest, request.threads, logged=logged
        ) as sessions:
            for database in state.plan.loads:
                entry = database.entry
                await create_database(sessions[0], database.place, entry.charset, entry.collation)
                await prove_definers(sessions[0], database.place, definers_of(entry.objects))
            load = Load(
                sessions,
                manifest,
                state.reader,
                state.progress,
                prove=request.verify_after,
            )
            await load.run(state.plan.loads)
            state.warnings += load.warnings
            if request.verify_after:
                state.progress.enter(Phase.PROVE)
                for database in state.plan.loads:
                    names = {
                        table.name
                        for table in database.entry.tables
                        if (database.entry.name, table.name) not in load.left_out
                    } - load.unfinished
                    found = load.settled[database.place].definitions
                    state.warnings += await prove_definitions(
                        sessions, state.reader, database, names, found=found
                    )
        return load

    async def _plan_swaps(
        self, session: Session, journal: Journal, state: RestoreState, load: Load
    ) -> tuple[SchemaSwap, ...]:
        """Plan what changes places; refuses to take the place of what came meanwhile."""
        drafts = [
            SwapDraft(
                target=database.target,
                source=database.place,
                kept=kept_name(database.target, journal.restore_id, state.plan.targets),
                wanted=await wanted_objects(session, state.reader, database),
                whole=database.whole,
                foreign_keys=tuple(key for key in load.deferred if key.database == database.target),
            )
            for database in state.plan.loads
        ]
        swaps = await plan_swaps(session, drafts)
        if state.plan.request.into:
            _require_free(swaps)
        return swaps

    async def _prove_in_place(self, session: Session, state: RestoreState, load: Load) -> None:
        """Prove that all objects and definitions are where they should be now."""
        state.progress.enter(Phase.PROVE)
        for database in state.plan.loads:
            state.warnings += await prove_inventory(session, state.reader, database)
            state.warnings += await prove_definitions(
                [session], state.reader, database, load.unfinished, live=True
            )

    async def _await_snapshots(self, session: Session, state: RestoreState) -> None:
        """Let transactions end that would read the new tables half loaded, or warn of them."""
        if state.plan.request.into:  # nobody reads there yet
            return
        try:
            count = await await_snapshots(session)
        except PermissionDeniedError:
            state.warnings.append(
                "without PROCESS this user cannot see transactions that are open, nor ids of tables:"
                " after a crash in the swap only names tell which of them have come"
            )
            return
        if count:
            state.warnings.append(
                f"{count} transactions from before the swap are still open; if they now read restored"
                " tables, they may see them as they were while they were loaded"
            )

    async def _count_orphans(self, state: RestoreState, swaps: Sequence[SchemaSwap]) -> None:
        """Warn of rows that have no parent once the tables have changed places."""
        places = {(swap.target, name): swap.source for swap in swaps for name in swap.incoming}
        for key in [key for swap in swaps for key in swap.foreign_keys]:
            child, parent = (key.database, key.table), (key.parent_database, key.parent)
            try:
                async with self._server.session() as session:
                    count = await foreign_keys.count_orphans(
                        session,
                        key,
                        TableRef(places.get(child, child[0]), child[1], engine=""),
                        TableRef(places.get(parent, parent[0]), parent[1], engine=""),
                    )
            except StalledError:
                count = -1
            label = f"foreign key {key.name} of {key.database}.{key.table}"
            if count < 0:
                state.warnings.append(f"{label} was not checked: that took too long")
            elif count:
                state.warnings.append(f"{label}: {count} rows without a parent")

    # -- ends -------------------------------------------------------------------------------------

    async def undo_failed(
        self, session: Session, restore_id: RestoreId, failure: BaseException
    ) -> None:
        """Undo what was begun; when even that fails, say so in the hint and hide no first error."""
        await session.close()  # another one takes the locks over
        try:
            await self._swaps.recover(restore_id, forward=False)
        except AppError as exc:
            facts = {"restore_id": restore_id, "error": str(exc)}
            _log.warning("Failed restore could not be undone", extra={"facts": facts})
            await point_to_repair(self._swaps, restore_id, failure)

    def _journal(self, plan: RestorePlan, point: str, *, logged: bool) -> Journal:
        return Journal(
            restore_id=plan.restore_id,
            kind=RestoreKind.RESTORE,
            backup_id=plan.manifest.backup_id,
            server=self._server.where,
            began_at=self._clock.now(),
            phase=RestorePhase.LOADING,
            swaps=tuple(
                SchemaSwap(
                    load.target,
                    load.place,
                    kept_name(load.target, plan.restore_id, plan.targets),
                )
                for load in plan.loads
            ),
            logged=logged,
            recovery_point=point,
        )

    async def record_proof(self, state: RestoreState, seconds: float, *, error: str = "") -> None:
        """Keep with the backup what this restore has shown; a medium that refuses hides no result."""
        plan = state.plan
        tables = [table for load in plan.loads for table in load.entry.tables]
        in_backup = sum(len(database.tables) for database in plan.manifest.databases)
        proof = Proof(
            at=self._clock.now(),
            by=RECOVERY if plan.in_scratch else plan.kind,
            success=not error,
            seconds=seconds,
            server=self._server.label,
            tables=len(tables),
            rows=sum(table.rows for table in tables),
            raw_size=sum(table.raw_size for table in tables),
            whole=len(tables) == in_backup
            and plan.request.verify_after
            and not (plan.request.schema_only or plan.request.data_only),
            error=error,
        )
        try:
            await asyncio.to_thread(self._catalogue.add_proof, plan.manifest.backup_id, proof)
        except AppError as exc:
            state.warnings.append(f"the result could not be kept with the backup: {exc}")


async def point_to_repair(swaps: Swaps, restore_id: RestoreId, failure: BaseException) -> None:
    """Say with a failure what a repair will do about what could not be put right at once."""
    try:
        journal = await swaps.find(restore_id)
    except AppError as exc:
        hint = exc.hint
    else:
        hint = promise(journal.phase) if journal else ""
    if isinstance(failure, AppError):
        failure.hint = f"{failure.hint} {hint}".strip()
    elif hint:
        failure.add_note(hint)


def _require_free(swaps: Sequence[SchemaSwap]) -> None:
    """Refuse to take the place of what others have put under the new name meanwhile."""
    for swap in swaps:
        for name in (*swap.outgoing, *(entry.name for entry in swap.present.entries)):
            raise TargetNotEmptyError(
                f"{swap.target}.{name} was made by others while the restore went on",
                hint="Choose another name with --into, or drop what is there.",
            )
