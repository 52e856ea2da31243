"""
Dry runs: what a restore would do and be refused for, read from the live databases.

They write nothing, but for what a restore does first of all: where the server is not the one that was backed
up, or is set otherwise, its definitions are made in empty scratch schemas and dropped again; where tables are
gone, one of a scratch schema tries their names.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.reader import ArchiveReader
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Manifest, MemberKind, ObjectKind, TableEntry
from app.domain.ports import Clock
from app.domain.restores.dry_run import (
    Action,
    Estimate,
    Forecast,
    ObjectForecast,
    RestoreOptions,
    TableForecast,
)
from app.domain.restores.journal import RestoreKind, RestorePhase
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.proofs import RECOVERY
from app.domain.restores.restore import RestorePlan, RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.flavor import LOAD_SESSION
from app.engine.rows.chunks import reading_state
from app.engine.rows.drift import Drift, measure_drift
from app.engine.rows.queries import TableSql, count_rows
from app.engine.schema import foreign_keys
from app.engine.schema.databases import Schema, exists
from app.engine.schema.objects import Definition, is_defined_as, read_objects
from app.engine.schema.tables import Table, TableRef, read_tables, show_create
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.sql import ddl
from app.engine.swap.broken_tables import find_broken
from app.errors import AppError, InvalidRequestError, PermissionDeniedError
from app.services.restores.live_databases import list_moving, misfits
from app.services.restores.plan import plan_restore
from app.services.restores.preflight import Preflight, PreflightReport
from app.services.restores.swap import Swaps


T = TypeVar("T")

# Bytes of SQL a second, restored and proven, where nothing was measured yet: the shop of the
# benchmarks on two cores that the server shares.
_TYPICAL_RATE: Final = 18e6


class DryRuns:
    """Compares live databases with a backup; changes nothing in them."""

    def __init__(
        self,
        *,
        server: Server,
        catalogue: Catalogue,
        clock: Clock,
        swaps: Swaps,
        preflight: Preflight,
        try_definitions: Callable[[RestorePlan, ArchiveReader], Awaitable[list[str]]],
    ) -> None:
        self._server = server
        self._catalogue = catalogue
        self._clock = clock
        self._swaps = swaps
        self._preflight = preflight
        self._try_definitions = try_definitions

    async def run(self, plan: RestorePlan, progress: Progress) -> Forecast:
        """
        Find out what a restore would do, and what it would be refused for.

        Args:
            plan: Of the restore.
            progress: Written to as it goes.

        Returns:
            Everything; no live database was changed.

        Raises:
            BackupNotFoundError: The backup was deleted meanwhile.
            DatabaseError: The server fails us.
        """
        began, manifest = self._clock.monotonic(), plan.manifest
        reader = await asyncio.to_thread(self._catalogue.reader, manifest)
        with reader:
            progress.enter(Phase.PREFLIGHT)
            report = await self._preflight.examine(reader, plan)
            damage = await self._damage(reader, plan.request, progress)
            progress.enter(Phase.COMPARE)
            tables = await _if_seen(report, self._tables(manifest, report.loads, progress))
            objects = await _if_seen(report, self._all_objects(report.loads))
            keys = await self._incoming_foreign_keys(report.loads)
            estimate = await self._estimate(manifest, report.loads)
            rule, refusals = await self._log_rule(plan.request)
            problems = _once([*refusals, *report.problems, *damage])
            refused, tried = ([], []) if problems else await self._tried(plan, reader)
        return Forecast(
            backup_id=manifest.backup_id,
            problems=(*problems, *refused),
            verified=not damage if plan.request.verify_before else None,
            tables=tables or (),
            objects=objects or (),
            compared=tables is not None and objects is not None,
            compatibility=report.compatibility,
            missing_rights=report.missing_rights,
            incoming_foreign_keys=keys,
            space=report.space,
            estimate=estimate,
            binary_log=rule,
            warnings=(*report.warnings, *tried, *manifest.warnings),
            duration=round(self._clock.monotonic() - began, 3),
            bytes_read=reader.bytes_read,
        )

    async def options(self, backup_id: str) -> RestoreOptions:
        """
        Say what can be done with a backup here.

        Returns:
            Everything; nothing was changed, and the file was not read.

        Raises:
            BackupNotFoundError: No such backup.
            DatabaseError: The server fails us.
        """
        reader = await asyncio.to_thread(self._catalogue.open, backup_id)
        with reader:
            plan = plan_restore(reader.manifest, RestoreRequest(backup_id))
            report = await self._preflight.examine(reader, plan)
            estimate = await self._estimate(plan.manifest, plan.loads)
        return RestoreOptions(
            manifest=plan.manifest,
            problems=report.problems,
            compatibility=report.compatibility,
            missing_rights=report.missing_rights,
            space=report.space,
            estimate=estimate,
            proofs=await asyncio.to_thread(self._catalogue.proofs, backup_id),
            undoable=tuple(
                journal
                for journal in await self._swaps.journals()
                if journal.phase is RestorePhase.DONE
                and journal.kind is RestoreKind.RESTORE
                and journal.backup_id == backup_id
            ),
        )

    # -- what is found out ------------------------------------------------------------------------

    async def _tables(
        self,
        manifest: Manifest,
        loads: Sequence[DatabaseLoad],
        progress: Progress,
    ) -> tuple[TableForecast, ...]:
        """Say what would become of each table of the targets."""
        entries = [entry for load in loads for entry in load.entry.tables]
        progress.expect(
            tables=len(entries),
            rows=sum(entry.rows for entry in entries),
            size=sum(entry.raw_size for entry in entries),
        )
        found: list[TableForecast] = []
        state = reading_state(LOAD_SESSION, manifest.options.chunk_bytes)
        for load in loads:
            async with self._server.session(state) as session:
                broken = await find_broken(session, load.target)
                live = {
                    table.name: table
                    for table in await read_tables(session, [load.target], _can_be_opened)
                    if table.name not in broken
                }
                found += _lost(load, broken)
                for entry in load.entry.tables:
                    present = live.get(entry.name)
                    if entry.name not in broken:
                        found.append(await self._table(session, manifest, load, present, entry))
                    label = f"{load.target}.{entry.name}"
                    progress.moved(label, rows=entry.rows, size=entry.raw_size)
                    progress.finished_table(label)
                found += await _others(session, load, live)
        return tuple(found)

    async def _table(
        self,
        session: Session,
        manifest: Manifest,
        load: DatabaseLoad,
        live: Table | None,
        entry: TableEntry,
    ) -> TableForecast:
        """Say what would become of one table of the backup."""
        if live is None:
            return TableForecast(load.target, entry.name, Action.CREATE, rows_then=entry.rows)
        definition = ddl.table_fingerprint(await show_create(session, live), load.target)
        drift = Drift(0, 0)
        can_compare = live.has_rows and entry.holds_rows and not misfits(load, entry, live)
        if can_compare and load.include_rows:
            drift = await self._drift(session, manifest, load, entry)
        return TableForecast(
            load.target,
            entry.name,
            Action.REPLACE,
            rows_now=await _count(session, live),
            rows_then=entry.rows,
            same_definition=definition == entry.definition_sha256,
            chunks=drift.chunks,
            chunks_changed=drift.changed,
        )

    async def _drift(
        self,
        session: Session,
        manifest: Manifest,
        load: DatabaseLoad,
        entry: TableEntry,
    ) -> Drift:
        live, version = Table(load.target, entry), manifest.server.version
        sql = await TableSql.read(session, live, version)
        members = [
            member
            for member in manifest.members
            if member.kind is MemberKind.DATA
            and (member.database, member.table) == (load.entry.name, entry.name)
        ]
        chunk_bytes = manifest.options.chunk_bytes
        if entry.index:
            return await measure_drift(session, sql, members, chunk_bytes)
        state = reading_state(LOAD_SESSION, chunk_bytes)
        async with self._server.session(state) as own:  # may be left in the middle
            return await measure_drift(own, sql, members, chunk_bytes)

    async def _all_objects(self, loads: Sequence[DatabaseLoad]) -> tuple[ObjectForecast, ...]:
        """Say what would become of each view, trigger, routine and event of the targets."""
        found: list[ObjectForecast] = []
        async with self._server.session() as session:
            for load in loads:
                found += await _objects(session, load)
        return tuple(found)

    async def _incoming_foreign_keys(self, loads: Sequence[DatabaseLoad]) -> tuple[str, ...]:
        """List the foreign keys of tables that stay on tables that would be replaced."""
        async with self._server.session() as session:
            moving = await list_moving(session, loads)
            bindings = await foreign_keys.read_bindings(session, [load.target for load in loads])
        staying, _ = foreign_keys.crossing(bindings, moving)
        return tuple(
            sorted(f"{binding.database}.{binding.table}.{binding.name}" for binding in staying)
        )

    async def _log_rule(self, request: RestoreRequest) -> tuple[str, list[AppError]]:
        try:
            return await self._preflight.log_rule(skip=request.skip_binlog), []
        except (InvalidRequestError, PermissionDeniedError) as exc:
            return "skipped", [exc]

    async def _damage(
        self, reader: ArchiveReader, request: RestoreRequest, progress: Progress
    ) -> list[AppError]:
        if not request.verify_before:
            return []
        progress.enter(Phase.VERIFY)
        try:
            await reader.verify(VerifyLevel.HASHES)
        except AppError as exc:
            return [exc]
        return []

    async def _tried(
        self, plan: RestorePlan, reader: ArchiveReader
    ) -> tuple[list[AppError], list[str]]:
        """Find out what only a server knows that makes the definitions: why it refuses, and warnings."""
        try:
            return [], await self._try_definitions(plan, reader)
        except AppError as exc:
            return [exc], []

    async def _estimate(self, manifest: Manifest, loads: Sequence[DatabaseLoad]) -> Estimate:
        """Scale what was measured, or a typical rate, to the SQL that is to be loaded."""
        size = sum(table.raw_size for load in loads for table in load.entry.tables)
        proofs = await asyncio.to_thread(self._catalogue.proofs, manifest.backup_id)
        # What one small table took says little about all of them.
        measured = [
            proof
            for proof in proofs
            if proof.success
            and proof.by != RECOVERY
            and proof.seconds
            and 2 * proof.raw_size > size
        ]
        if measured:
            rate = measured[0].raw_size / measured[0].seconds
            return Estimate(round(size / rate, 1), measured[0].by)
        return Estimate(round(1 + size / _TYPICAL_RATE, 1), "typical rate")


async def _if_seen(report: PreflightReport, found: Awaitable[T]) -> T | None:
    """Return what a comparison finds; None where a right that was found missing forbids it."""
    try:
        return await found
    except PermissionDeniedError:
        if not report.missing_rights:
            raise
        return None


def _can_be_opened(table: TableRef) -> bool:
    """Tell whether the server knows the engine of a table; of a broken one it does not."""
    return bool(table.engine)


def _lost(load: DatabaseLoad, broken: Collection[str]) -> list[TableForecast]:
    """Say what would become of tables that nobody can read any more, the very reason for a restore."""
    entries = {entry.name: entry for entry in load.entry.tables}
    return [
        TableForecast(load.target, name, Action.REPLACE, rows_then=entries[name].rows)
        if name in entries
        else TableForecast(load.target, name, Action.DROP if load.whole else Action.KEEP)
        for name in sorted(broken)
    ]


async def _others(
    session: Session, load: DatabaseLoad, live: Mapping[str, Table]
) -> list[TableForecast]:
    """Say what would become of the tables that are not in the backup, or were not chosen."""
    others = sorted(live.keys() - {entry.name for entry in load.entry.tables})
    if not load.whole:
        return [TableForecast(load.target, name, Action.KEEP) for name in others]
    return [
        TableForecast(load.target, name, Action.DROP, rows_now=await _count(session, live[name]))
        for name in others
    ]


async def _count(session: Session, live: Table) -> int | None:
    return await count_rows(session, TableSql.of(live, session.flavor)) if live.has_rows else None


async def _objects(session: Session, load: DatabaseLoad) -> list[ObjectForecast]:
    wanted = {(entry.kind, entry.name): entry.definition_sha256 for entry in load.entry.objects}
    live: dict[tuple[ObjectKind, str], Definition] = {}
    if await exists(session, load.target):
        tables = {entry.name for entry in load.entry.tables}
        schema = Schema(load.target, load.entry.charset, load.entry.collation)
        there = await read_objects(session, schema, only_triggers=load.only_tables)
        live = {
            (found.entry.kind, found.entry.name): found
            for found in there.definitions
            if load.whole
            or found.entry.table in tables
            or (found.entry.kind, found.entry.name) in wanted
        }
    actions = dict.fromkeys(live.keys() - wanted.keys(), Action.DROP)
    for key, definition in wanted.items():
        present = live.get(key)
        actions[key] = Action.REPLACE if present else Action.CREATE
        if present and is_defined_as(present, definition, load.target, load.entry.name):
            actions[key] = Action.KEEP
    return [
        ObjectForecast(load.target, kind, name, actions[kind, name])
        for kind, name in sorted(actions)
    ]


def _once(problems: Sequence[AppError]) -> list[AppError]:
    """Leave out what was found before, such as damage where two looked at the same place."""
    found: dict[tuple[str, str], AppError] = {}
    for problem in problems:
        found.setdefault((problem.code, str(problem)), problem)
    return list(found.values())
