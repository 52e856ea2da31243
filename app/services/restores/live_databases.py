"""The databases that are there: what a restore would move, may keep, would lose, and cannot see."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.archive.file.reader import ArchiveReader
from app.domain.backups.manifest import TableEntry
from app.domain.restores.journal import ObjectSet
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestorePlan, RestoreRequest
from app.engine.load.archived import read_archived_objects
from app.engine.load.objects import read_live_objects
from app.engine.load.space import too_long_for_log
from app.engine.schema.databases import exists, folds_names, list_tables
from app.engine.schema.definitions import exact_definition
from app.engine.schema.foreign_keys import count_hidden, crossing, read_bindings
from app.engine.schema.listing import list_in_directories
from app.engine.schema.objects import ROUTINE_KINDS
from app.engine.schema.routine_grants import hides_grants
from app.engine.schema.tables import Table, TableRef, has_rows, read_refs, read_tables
from app.engine.server.connection import Session
from app.engine.server.grants import Grants, Missing, may_skip_log, missing_on_children
from app.engine.sql import ddl


_HIDDEN_GRANTS: Final = (
    "without SELECT on mysql.procs_priv this user cannot see grants on single routines; those on"
    " routines that are not in the backup will be gone, on MySQL those on changed ones too"
)
_UNSEEN: Final = (
    "without PROCESS this user cannot find out whether tables of other databases have foreign keys on"
    " these; such keys would go on to refer to the old tables"
)


async def wanted_objects(session: Session, reader: ArchiveReader, load: DatabaseLoad) -> ObjectSet:
    """Read which objects a target should have afterwards, and its defaults where they are meant."""
    if load.definitions:  # only rows are restored
        names = [table.name for table in load.entry.tables]
        live = await read_live_objects(session, load.target, names)
        return replace(live, charset="", collation="", comment=None)
    folds = await folds_names(session)
    found = await read_archived_objects(reader, reader.manifest, load, folds=folds)
    if load.whole or not await exists(session, load.target):
        comment = load.entry.comment if "database comments" in reader.manifest.covers else None
        return replace(
            found, charset=load.entry.charset, collation=load.entry.collation, comment=comment
        )
    return found


async def keep_definitions(session: Session, load: DatabaseLoad) -> tuple[DatabaseLoad, list[str]]:
    """
    Put the live definitions in the place of the backup's.

    Returns:
        The load, and findings: tables that cannot take the backup's rows.
    """
    names = {table.name for table in load.entry.tables}
    live = {
        table.name: table
        for table in await read_tables(session, [load.target], lambda ref: ref.name in names)
    }
    findings = [
        finding
        for entry in load.entry.tables
        for finding in misfits(load, entry, live.get(entry.name))
    ]
    if findings:
        return load, findings
    definitions: dict[str, str] = {}
    tables: list[TableEntry] = []
    for entry in load.entry.tables:
        printed, exact = await exact_definition(session, live[entry.name])
        definitions[entry.name] = ddl.unqualify(exact, load.target)
        digest = ddl.table_fingerprint(printed, load.target)
        here = live[entry.name].entry
        tables.append(
            replace(
                entry,
                engine=here.engine,
                definition_sha256=digest,
                counter=0,  # it keeps the one it has
                # A stored column that is another one here is computed by what it is now.
                columns=tuple(
                    replace(column, stored=column.stored and column in here.columns)
                    for column in entry.columns
                ),
            )
        )
    objects = (await read_live_objects(session, load.target, names)).entries
    kept = replace(load.entry, tables=tuple(tables), objects=objects)
    return replace(load, entry=kept, definitions=definitions), []


def misfits(load: DatabaseLoad, entry: TableEntry, live: Table | None) -> list[str]:
    """Say why a live table cannot take, or be compared with, the rows of a backup."""
    label = f"{load.target}.{entry.name}"
    if live is None:
        return [f"table {label} is not there, so it cannot keep its definition"]
    columns = {column.name: column for column in live.entry.columns}
    findings = [
        f"column {column.name!r} of {label} is {column.column_type} in the backup, and"
        f" {columns[column.name].column_type if column.name in columns else 'missing'} here"
        for column in entry.columns
        if not column.generated and columns.get(column.name) != column
    ]
    if entry.index and (live.entry.index, live.entry.key) != (entry.index, entry.key):
        findings.append(f"table {label} has another key than in the backup")
    return findings


async def list_moving(session: Session, loads: Sequence[DatabaseLoad]) -> list[TableRef]:
    """List the live tables that would go, or whose place would be taken."""
    return [
        ref
        for load in loads
        for ref in await list_tables(session, load.target)
        if load.whole or ref.name in {table.name for table in load.entry.tables}
    ]


async def list_changed(session: Session, loads: Sequence[DatabaseLoad]) -> set[str]:
    """Return the databases whose tables a restore moves, or gives other foreign keys."""
    targets = {load.target for load in loads}
    bindings = await read_bindings(session, targets)
    staying, _ = crossing(bindings, await list_moving(session, loads))
    return targets | {binding.database for binding in staying}


async def missing_for_children(
    session: Session, grants: Grants, loads: Sequence[DatabaseLoad]
) -> tuple[list[Missing], list[str]]:
    """Find out whether foreign keys of tables that stay can be seen and made again."""
    targets = [load.target for load in loads]
    moving = await list_moving(session, loads)
    if not moving:
        return [], []
    bindings = await read_bindings(session, targets)
    staying, _ = crossing(bindings, moving)
    missing = missing_on_children(grants, {binding.database for binding in staying})
    if grants.allows("SELECT"):
        return missing, []
    if not grants.allows("PROCESS"):
        return missing, [_UNSEEN]
    if await count_hidden(session, targets, bindings):
        everywhere = f"GRANT SELECT, ALTER ON *.* TO {grants.user};"
        missing.append(Missing("SELECT on tables with foreign keys here", "*.*", everywhere))
    return missing, []


async def hidden_grants(
    session: Session, loads: Sequence[DatabaseLoad], request: RestoreRequest
) -> list[str]:
    """Find out whether grants on routines that are replaced or removed can be put back."""
    if request.into:
        return []
    for load in loads:
        staying = [entry.name for entry in load.entry.objects if entry.kind in ROUTINE_KINDS]
        if load.whole and await hides_grants(session, load.target, staying):
            return [_HIDDEN_GRANTS]
    return []


async def rows_at_stake(session: Session, load: DatabaseLoad, request: RestoreRequest) -> list[str]:
    """Find tables with rows whose place would be taken by ones of which the backup has no rows."""
    if request.schema_only or request.into:
        return []
    live = {table.name: table for table in await read_refs(session, [load.target])}
    lost = [
        entry
        for entry in load.entry.tables
        if not entry.holds_rows and entry.name in live and live[entry.name].has_rows
    ]
    return [
        f"table {load.target}.{entry.name} has rows, the backup has none of it ({entry.partial});"
        " --schema-only restores it empty"
        for entry in lost
        if await has_rows(session, live[entry.name])
    ]


async def not_kept(session: Session, loads: Sequence[DatabaseLoad]) -> list[str]:
    """Say which live tables cannot be kept for an undo, and with them all that is replaced."""
    moving = [
        f"{load.target}.{name}"
        for load in loads
        for name in await list_in_directories(session, load.target)
        if load.whole or name in {table.name for table in load.entry.tables}
    ]
    return [
        f"what is replaced is not kept for an undo, only by the recovery point: this server loses {name}, which is"
        " in a DATA DIRECTORY, when it starts after that was moved"
        for name in moving[:1]
    ]


async def unloggable(session: Session, grants: Grants, plan: RestorePlan) -> list[str]:
    """Find what the binary log would not take, where it is written; a drill keeps out of it if it may."""
    is_kept_out = plan.is_drill and may_skip_log(grants)
    if is_kept_out or plan.request.skip_binlog:
        return []
    return await too_long_for_log(session, plan.manifest, plan.loads)
