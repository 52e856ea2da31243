"""Drills: a backup is restored into schemas of its own, proven, and dropped again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.reader import ArchiveReader
from app.concurrency import shielded
from app.domain.backups.manifest import Manifest
from app.domain.ports import Clock
from app.domain.restores.journal import Journal, RestorePhase, SchemaSwap
from app.domain.restores.proofs import DrillResult
from app.domain.restores.restore import RestorePlan
from app.domain.runs.progress import Progress
from app.engine.flavor import LOAD_SESSION
from app.engine.load.archived import read_archived_objects
from app.engine.load.innodb_limits import rows_at_risk
from app.engine.load.inventory import prove_inventory
from app.engine.load.load import Load
from app.engine.load.objects import apply_together
from app.engine.schema.databases import create_database, folds_names, wait_for_backups
from app.engine.server.connection import Session
from app.engine.server.description import takes_what_it_printed
from app.engine.server.grants import may_skip_log, read_grants
from app.engine.server.server import Server
from app.engine.swap.left_over import list_coming, read_partitions, refuse_left_over
from app.errors import (
    AlreadyRunningError,
    AppError,
    DatabaseError,
    InvalidRequestError,
    PermissionDeniedError,
    StorageError,
)
from app.services.restores.guard import require_same, waiting_tables
from app.services.restores.plan import plan_trial
from app.services.restores.preflight import Preflight
from app.services.restores.restore import Restorer, RestoreState
from app.services.restores.swap import Swaps


_ONLY_TRIED: Final = (
    "Nothing was changed: on a server that is not the one backed up, or set otherwise, all definitions are"
    " tried in empty schemas first. Leave out what this server does not take."
)


class Drills:
    """Proves backups by restoring them where nobody reads."""

    def __init__(
        self,
        *,
        server: Server,
        catalogue: Catalogue,
        clock: Clock,
        swaps: Swaps,
        preflight: Preflight,
        restorer: Restorer,
    ) -> None:
        self._server = server
        self._catalogue = catalogue
        self._clock = clock
        self._swaps = swaps
        self._preflight = preflight
        self._restorer = restorer

    async def run(self, plan: RestorePlan, progress: Progress) -> DrillResult:
        """
        Restore into schemas of its own, prove, and drop them; the result is kept with the backup.

        Events are made but do not fire. Foreign keys on other databases are left out: they would
        bind the live ones.

        Args:
            plan: Of a drill.
            progress: Written to as it goes.

        Returns:
            What was shown.

        Raises:
            AppError: The backup cannot be restored here; that is kept as well, unless the server did
                not answer at all, or not to the end, or no restore could be of what was asked for.
        """
        began = self._clock.monotonic()
        # Asked before anything is kept: a server that does not answer shows nothing of the backup.
        logged = not await self._may_skip_log()
        reader = await asyncio.to_thread(self._catalogue.reader, plan.manifest)
        with reader:
            state = RestoreState(plan, reader, progress)
            try:
                load = await self._restore_and_drop(state, logged=logged)
            except AppError as exc:  # a drill that was cancelled has shown nothing
                if not self._shows_nothing(exc):
                    await self._restorer.record_proof(state, self._seconds(began), error=exc.code)
                raise
            seconds = self._seconds(began)
            await self._restorer.record_proof(state, seconds)
        left_out = [
            f"foreign key {key.name} of {key.table} on {key.parent_database}.{key.parent}"
            " was left out of the drill"
            for key in load.deferred
        ]
        return DrillResult(
            backup_id=plan.manifest.backup_id,
            databases=tuple(load.entry.name for load in plan.loads),
            tables_count=sum(len(load.entry.tables) for load in plan.loads),
            rows_count=sum(table.rows for load in plan.loads for table in load.entry.tables),
            duration=seconds,
            warnings=(*left_out, *state.warnings),
            bytes_read=reader.bytes_read,
        )

    async def try_definitions(self, plan: RestorePlan, reader: ArchiveReader) -> list[str]:
        """
        Make all that a backup defines, and drop it again, where the server may not take it.

        Rows are loaded only of tables that they may be too large for.

        Args:
            plan: Of the restore itself.
            reader: Its backup, open.

        Returns:
            Warnings: of what this server makes otherwise, and of which tables rows were tried, and why.

        Raises:
            AppError: What the restore is refused for, or a definition that this server does not take;
                nothing of the restore has begun.
        """
        await self._try_names(plan, reader)
        if plan.keeps_definitions or await self._takes_all(plan.manifest):
            return []
        await self._preflight.require(reader, plan)
        async with self._server.session() as session:
            tables, why = await rows_at_risk(session, plan.manifest, plan.loads)
        trial = plan_trial(plan, tables)
        state = RestoreState(trial, reader, Progress())
        try:
            await self._restore_and_drop(state, logged=not await self._may_skip_log())
        except AppError as exc:
            exc.hint = exc.hint or _ONLY_TRIED
            exc.args = (_as_meant(str(exc), trial, plan),)
            raise
        warnings = [_as_meant(text, trial, plan) for text in state.warnings]
        if tables:
            warnings.append(
                f"rows of {len(tables)} tables were tried, for here they may be too large ({why})"
            )
        return warnings

    async def _try_names(self, plan: RestorePlan, reader: ArchiveReader) -> None:
        """Find files that lie where tables are to come, which only a table finds that gets the name."""
        async with self._server.session() as session:
            coming = [await list_coming(session, load) for load in plan.loads]
        if not any(coming):
            return
        await self._preflight.require(reader, plan)
        trial = plan_trial(plan)
        logged = not await self._may_skip_log()
        async with (
            self._swaps.locked(trial.targets, logged=logged) as held,
            self._scratch(held, trial, logged=logged),
        ):
            await wait_for_backups(held)
            for tried, meant, names in zip(trial.loads, plan.loads, coming, strict=True):
                if names:
                    entry = meant.entry
                    await create_database(held, tried.place, entry.charset, entry.collation)
                    clauses = await read_partitions(
                        reader, plan.manifest, meant, names, tried.place
                    )
                    await refuse_left_over(held, tried.place, meant.target, clauses)

    @asynccontextmanager
    async def _scratch(
        self, held: Session, plan: RestorePlan, *, logged: bool
    ) -> AsyncIterator[None]:
        """Write down that there will be scratch schemas, and drop them after a block, whatever happened."""
        await self._swaps.record(self._journal(plan, logged=logged))
        try:
            yield
        except BaseException as exc:
            await shielded(self._restorer.undo_failed(held, plan.restore_id, exc))
            raise
        await held.close()
        await shielded(self._swaps.recover(plan.restore_id, forward=False))

    async def _takes_all(self, manifest: Manifest) -> bool:
        """Tell whether the server, and what this user may set for a session, are as when it was backed up."""
        try:
            async with self._server.session(LOAD_SESSION) as session:
                return await takes_what_it_printed(session, manifest)
        except PermissionDeniedError:
            # Of a variable: the examination says so, behind what comes before it.
            return False

    async def _restore_and_drop(self, state: RestoreState, *, logged: bool) -> Load:
        """Load, prove, and drop, whatever happens; return what was loaded."""
        plan = state.plan
        async with self._swaps.locked(plan.targets, logged=logged) as held:
            await wait_for_backups(held)
            report = await self._preflight.require(state.reader, plan)
            plan = state.plan = replace(plan, loads=tuple(report.loads))
            await self._restorer.verify(state)
            async with self._scratch(held, plan, logged=logged):
                load = await self._restorer.load(state, logged=logged)
                await self._make_objects(held, state)
                for waiting in waiting_tables(load, plan.loads):
                    await require_same(held, waiting)
        return load

    async def _make_objects(self, session: Session, state: RestoreState) -> None:
        """Make views, triggers, routines and events in the scratch schemas, and prove them."""
        manifest = state.plan.manifest
        loads = state.plan.loads
        # What the databases of a backup need of each other is here, not in the live ones.
        places = {load.entry.name: load.place for load in loads}
        folds = await folds_names(session)
        wanted = [
            (
                load.place,
                await read_archived_objects(state.reader, manifest, load, places, folds=folds),
            )
            for load in loads
        ]
        state.warnings += await apply_together(session, wanted, enable_events=False)
        for load, (_, objects) in zip(loads, wanted, strict=True):
            drilled = replace(load, entry=replace(load.entry, objects=objects.entries))
            state.warnings += await prove_inventory(session, state.reader, drilled, live=False)

    async def _may_skip_log(self) -> bool:
        """Tell whether scratch schemas, which nobody else ever sees, can stay out of the binary log."""
        async with self._server.session() as session:
            grants = await read_grants(session)
        return may_skip_log(grants)

    def _journal(self, plan: RestorePlan, *, logged: bool) -> Journal:
        return Journal(
            restore_id=plan.restore_id,
            kind=plan.kind,
            backup_id=plan.manifest.backup_id,
            server=self._server.where,
            began_at=self._clock.now(),
            phase=RestorePhase.LOADING,
            swaps=tuple(
                SchemaSwap(target=load.place, source=load.place, kept="") for load in plan.loads
            ),
            logged=logged,
        )

    def _shows_nothing(self, error: AppError) -> bool:
        """Tell whether the server, a store, the way to them or what was asked for failed, and not the backup."""
        return (
            isinstance(error, (InvalidRequestError, AlreadyRunningError))
            or (isinstance(error, DatabaseError) and error.is_passing)
            or (isinstance(error, StorageError) and self._catalogue.disk is None)
        )

    def _seconds(self, began: float) -> float:
        return round(self._clock.monotonic() - began, 3)


def _as_meant(text: str, trial: RestorePlan, plan: RestorePlan) -> str:
    """Name the targets of a restore in the place of the schemas that it was tried in."""
    for tried, meant in zip(trial.loads, plan.loads, strict=True):
        text = text.replace(tried.target, meant.target)
    return text
