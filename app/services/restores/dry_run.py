"""What would become of each table and object in a restore, read from the live databases."""

from collections.abc import Mapping, Sequence

from app.domain.backups.manifest import Manifest, MemberKind, ObjectKind, TableEntry
from app.domain.restores.dry_run import Action, ObjectForecast, TableForecast
from app.domain.restores.load import DatabaseLoad
from app.domain.runs.progress import Progress
from app.engine.flavor import LOAD_SESSION
from app.engine.rows.chunks import max_reply_bytes
from app.engine.rows.drift import Drift, measure_drift
from app.engine.rows.queries import TableSql, count_rows
from app.engine.schema import foreign_keys
from app.engine.schema.databases import Schema, exists, list_tables
from app.engine.schema.objects import digest, read_objects
from app.engine.schema.tables import Table, read_tables, show_create
from app.engine.server.connection import Server, Session
from app.engine.sql import ddl
from app.services.restores.plan import misfits


class Forecaster:
    """Compares live databases with a backup; changes nothing."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def tables(
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
        for load in loads:
            async with self._server.session(_chunk_state(manifest)) as session:
                live = {table.name: table for table in await read_tables(session, [load.target])}
                for entry in load.entry.tables:
                    one = await self._one(session, manifest, load, live.get(entry.name), entry)
                    found.append(one)
                    label = f"{load.target}.{entry.name}"
                    progress.moved(label, rows=entry.rows, size=entry.raw_size)
                    progress.finished_table(label)
                found += await _others(session, load, live)
        return tuple(found)

    async def _one(
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
        definition = ddl.fingerprint(await show_create(session, live), load.target)
        drift = Drift(0, 0)
        can_compare = live.has_rows and not entry.partial and not misfits(load, entry, live)
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
        sql = TableSql.of(Table(load.target, entry), session.flavor)
        members = [
            member
            for member in manifest.members
            if member.kind is MemberKind.DATA
            and (member.database, member.table) == (load.entry.name, entry.name)
        ]
        chunk_bytes = manifest.options.chunk_bytes
        if entry.index:
            return await measure_drift(session, sql, members, chunk_bytes)
        async with self._server.session(_chunk_state(manifest)) as own:  # may be left in the middle
            return await measure_drift(own, sql, members, chunk_bytes)

    async def objects(self, loads: Sequence[DatabaseLoad]) -> tuple[ObjectForecast, ...]:
        """Say what would become of each view, trigger, routine and event of the targets."""
        found: list[ObjectForecast] = []
        async with self._server.session() as session:
            for load in loads:
                found += await _objects(session, load)
        return tuple(found)

    async def incoming_foreign_keys(self, loads: Sequence[DatabaseLoad]) -> tuple[str, ...]:
        """List the foreign keys of tables that stay on tables that would be replaced."""
        async with self._server.session() as session:
            moving = [
                ref
                for load in loads
                for ref in await list_tables(session, load.target)
                if load.whole or ref.name in {entry.name for entry in load.entry.tables}
            ]
            bindings = await foreign_keys.read_bindings(session, [load.target for load in loads])
        staying, _ = foreign_keys.crossing(bindings, moving)
        return tuple(sorted(f"{one.database}.{one.table}.{one.name}" for one in staying))


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
    wanted = {(one.kind, one.name): one.definition_sha256 for one in load.entry.objects}
    live: dict[tuple[ObjectKind, str], str] = {}
    if await exists(session, load.target):
        tables = {entry.name for entry in load.entry.tables}
        schema = Schema(load.target, load.entry.charset, load.entry.collation)
        live = {
            (one.entry.kind, one.entry.name): digest(one, load.target, load.entry.name)
            for one in await read_objects(session, schema, only_triggers=not load.whole)
            if load.whole or one.entry.table in tables
        }
    fates = dict.fromkeys(live.keys() - wanted.keys(), Action.DROP)
    for key, definition in wanted.items():
        present = live.get(key)
        fates[key] = Action.REPLACE if present else Action.CREATE
        if present == definition:
            fates[key] = Action.KEEP
    return [
        ObjectForecast(load.target, kind, name, fates[kind, name]) for kind, name in sorted(fates)
    ]


def _chunk_state(manifest: Manifest) -> dict[str, str]:
    """Return the session state that reads back chunks of a backup."""
    reply = max_reply_bytes(manifest.options.chunk_bytes)
    return {**LOAD_SESSION, "group_concat_max_len": str(reply)}
