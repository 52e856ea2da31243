"""What bars the way of a restore in the live databases: names that others have, and tables that do not move."""

from collections.abc import Sequence

from app.domain.backups.manifest import Manifest, ObjectKind
from app.domain.ports import MemberSource
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestoreRequest
from app.engine.load.archived import object_key, read_constraint_names
from app.engine.schema.databases import Schema, content, exists, list_tables
from app.engine.schema.objects import read_objects
from app.engine.server.connection import Session
from app.engine.sql.quoting import qualified
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
    return [*await _clashes(session, source, manifest, loads), *await _stuck(session, loads)]


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
