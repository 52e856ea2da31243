"""What bars the way of a restore in the live databases: names that others have, and tables that do not move."""

from collections.abc import Sequence

from app.domain.backups.manifest import ColumnEntry, Manifest, ObjectKind, TableEntry
from app.domain.ports import MemberSource
from app.domain.restores.journal import ForeignKey
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestoreRequest
from app.engine.load.archived import iter_definitions, object_key, read_constraint_names
from app.engine.schema import foreign_keys
from app.engine.schema.databases import Schema, content, exists, list_tables
from app.engine.schema.objects import read_objects
from app.engine.schema.tables import read_tables
from app.engine.server.connection import Session
from app.engine.sql import references
from app.engine.sql.literals import INTEGER_TYPES
from app.engine.sql.quoting import qualified, quote
from app.engine.swap.broken_tables import list_without_file
from app.engine.swap.plan import refuse_clashes
from app.errors import AppError, ConflictError, IntegrityError, TargetNotEmptyError


async def list_taken(
    session: Session, loads: Sequence[DatabaseLoad], request: RestoreRequest
) -> list[AppError]:
    """Find out whether anything would be overwritten under another name."""
    if not request.into:
        return []
    for load in loads:
        found = await content(session, load.target) if load.whole else ""
        live = {table.name for table in await list_tables(session, load.target)}
        if taken := sorted(live & {table.name for table in load.entry.tables}):
            found = f"table {taken[0]!r} already"
        elif not (load.whole or load.only_tables):
            found = await _taken_object(session, load)
        if found:
            hint = "Choose another name with --into, or drop what is there."
            return [TargetNotEmptyError(f"database {load.target!r} holds {found}", hint=hint)]
    return []


async def _taken_object(session: Session, load: DatabaseLoad) -> str:
    """Say which view, routine or event would be overwritten; empty when none would."""
    if not await exists(session, load.target):
        return ""
    schema = Schema(load.target, load.entry.charset, load.entry.collation)
    wanted = {object_key(entry) for entry in load.entry.objects}
    for definition in (await read_objects(session, schema)).definitions:
        if object_key(definition.entry) in wanted:
            return f"{definition.entry.kind} {definition.entry.name!r} already"
    return ""


async def list_obstacles(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[AppError]:
    """Find what of the live databases bars the way of a swap."""
    clashes = await _clashes(session, source, manifest, loads)
    if clashes:  # such as damage, which would be found once more
        return clashes
    defined = [load for load in loads if not load.definitions]  # else both are as they are
    keys = await _crossing_keys(session, source, manifest, defined)
    return [*await _misfits(session, defined, keys), *await _stuck(session, loads)]


async def _clashes(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[AppError]:
    """Find names that others have, who stay; the swap checks again."""
    for load in loads:
        if load.whole or load.definitions or not await exists(session, load.target):
            continue
        tables = {table.name for table in load.entry.tables}
        going = {table.name for table in await list_tables(session, load.target)} & tables
        triggers = {entry.name for entry in load.entry.objects if entry.kind is ObjectKind.TRIGGER}
        try:
            await refuse_clashes(
                session,
                load.target,
                incoming=tables,
                triggers=triggers,
                constraints=await read_constraint_names(source, manifest, load),
                outgoing=going,
            )
        except (ConflictError, IntegrityError) as exc:
            return [exc]
    return []


async def _stuck(session: Session, loads: Sequence[DatabaseLoad]) -> list[AppError]:
    """Find tables to be replaced that no RENAME takes away."""
    for load in loads:
        chosen = {table.name for table in load.entry.tables}
        for name in await list_without_file(session, load.target):
            if load.whole or name in chosen:
                table = qualified(load.target, name)
                hint = (
                    f"DROP TABLE IF EXISTS {table}, which has no rows any more, then restore again."
                )
                message = f"the file of table {load.target}.{name} is gone, and the server moves no such table"
                return [ConflictError(message, hint=hint)]
    return []


async def _crossing_keys(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[ForeignKey]:
    """Read the foreign keys of tables that stay on tables that come, and of such that come on such that stay."""
    coming = {(load.target, table.name) for load in loads for table in load.entry.tables}
    whole = {load.target for load in loads if load.whole}
    bindings = await foreign_keys.read_bindings(session, [load.target for load in loads])
    staying = [
        binding
        for binding in bindings
        if (binding.parent_database, binding.parent) in coming
        and (binding.database, binding.table) not in coming
        and binding.database not in whole
    ]
    found = await foreign_keys.read_foreign_keys(session, staying)
    targets = {load.entry.name: load.target for load in loads if not load.whole}
    tables = {(load.entry.name, table.name) for load in loads for table in load.entry.tables}
    some = {table for table in tables if table[0] in targets}
    async for database, name, sql in iter_definitions(source, manifest, some):
        for key, clause in references.foreign_keys(sql):
            place, parent = references.parent_of(clause)
            binding = foreign_keys.Binding(
                targets[database], name, key, place or targets[database], parent
            )
            if (binding.parent_database, parent) not in coming:
                found.append(foreign_keys.build_foreign_key(binding, clause))
    return found


async def _misfits(
    session: Session, loads: Sequence[DatabaseLoad], keys: Sequence[ForeignKey]
) -> list[AppError]:
    """Find a foreign key that no server would make: its columns are gone, or numbers of other types."""
    entries = {(load.target, table.name): table for load in loads for table in load.entry.tables}
    for key in keys:
        ends = (key.database, key.table), (key.parent_database, key.parent)
        for database, name in ends:
            if (database, name) not in entries:
                live = await read_tables(session, [database], names=[name])
                entries |= {(database, table.name): table.entry for table in live}
        child, parent = map(entries.get, ends)
        if not (child and parent) or {child.engine, parent.engine} != {"InnoDB"}:
            continue
        if not _fits(key, child, parent):
            message = (
                f"foreign key {key.name} of {key.database}.{key.table} does not fit"
                f" {key.parent_database}.{key.parent}: one comes, the other stays, and their columns differ"
            )
            hint = "Restore both tables, drop the key, or restore under another name with --into."
            return [ConflictError(message, hint=hint)]
    return []


def _fits(key: ForeignKey, child: TableEntry, parent: TableEntry) -> bool:
    """Tell whether all columns of a foreign key are there, and its numbers of one type."""
    own, theirs = (
        {quote(column.name): column for column in table.columns} for table in (child, parent)
    )
    for here, there in zip(*references.foreign_key_columns(key.clause), strict=True):
        if here not in own or there not in theirs:
            return False
        if _kind(own[here]) != _kind(theirs[there]):
            return False
    return True


def _kind(column: ColumnEntry) -> tuple[str, bool]:
    """Return what of a number must be the same on both sides; of others nobody can tell so shortly."""
    is_number = column.data_type in INTEGER_TYPES
    return (column.data_type, "unsigned" in column.column_type) if is_number else ("", False)
