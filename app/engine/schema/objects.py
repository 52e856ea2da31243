"""
Views, triggers, routines and events, as SHOW CREATE prints them.

`app.engine.schema.object_script` writes them into the file.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from app.domain.backups.manifest import ObjectEntry, ObjectKind
from app.engine.schema.databases import Schema
from app.engine.server.connection import Session
from app.engine.sql.ddl import fingerprint, is_text, unqualify, utf8_only
from app.engine.sql.headers import read_header
from app.engine.sql.heads import is_quoted, split_head
from app.engine.sql.quoting import quote, quote_text
from app.errors import PermissionDeniedError, StatementError, UnsupportedObjectError


# Errors of a view that the server keeps but cannot use: unknown table, column, function, definer.
_INVALID_VIEW: Final = frozenset({1356, 1146, 1054, 1305, 1449, 1142, 1143})


@dataclass(frozen=True, slots=True)
class Definition:
    """
    One object as SHOW CREATE prints it, but for any database, with the session it is created in.

    Attributes:
        entry: What the manifest says about it.
        sql: CREATE statement without a terminator; its header names no schema.
        sql_mode: Mode it was made in; empty string is a mode too.
        charset: character_set_client.
        collation: collation_connection.
        database_collation: The database's collation when it was made; empty for views.
        time_zone: Of an event, else empty.
        order: Of a trigger among those of the same moment, else empty.
        columns: Of a valid view.
    """

    entry: ObjectEntry
    sql: str
    sql_mode: str
    charset: str
    collation: str
    database_collation: str = ""
    time_zone: str = ""
    order: str = ""
    columns: tuple[str, ...] = ()


ROUTINE_KINDS: Final = (
    ObjectKind.FUNCTION,
    ObjectKind.PROCEDURE,
    ObjectKind.PACKAGE,
    ObjectKind.PACKAGE_BODY,
)


async def read_objects(
    session: Session, schema: Schema, *, only_triggers: bool = False
) -> list[Definition]:
    """
    Read everything of a database that is not a table or sequence.

    Leaves the session with that database selected, because the server prints a view's own tables
    without a qualifier only then.

    Args:
        session: Any.
        schema: The database.
        only_triggers: Leave out the rest, which may be hidden from this user.

    Returns:
        Views, routines, triggers in their order of action, events; unsorted by dependency.

    Raises:
        PermissionDeniedError: A definition is hidden from this user.
        UnsupportedObjectError: A header is in no form that is known here.
    """
    await session.use(schema.name)
    found = await _read_triggers(session, schema)
    if not only_triggers:
        found = [
            *await _read_views(session, schema),
            *await _read_routines(session, schema),
            *found,
            *await _read_events(session, schema),
        ]
    return [
        replace(
            definition,
            entry=replace(definition.entry, definition_sha256=digest(definition, schema.name)),
        )
        for definition in found
    ]


def digest(definition: Definition, database: str, source: str = "") -> str:
    """
    Digest all that makes an object what it is.

    Args:
        definition: Of the object.
        database: Where it is; it is the same object in a database of another name.
        source: Where it was backed up; bodies of routines go on to name that database.

    Returns:
        SHA-256 of its normalised SHOW CREATE and of the session it is created in.
    """
    parts = (
        unqualify(definition.sql, source) if source else definition.sql,
        definition.sql_mode,
        definition.charset,
        definition.collation,
        definition.database_collation,
        definition.time_zone,
        definition.order,
    )
    return fingerprint("\n".join(parts), database)


async def list_views(session: Session, database: str) -> list[str]:
    """List the names of the views of a database."""
    rows = await session.texts(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'"
        f" AND TABLE_SCHEMA = {quote_text(database)} ORDER BY TABLE_NAME",
    )
    return [name for (name,) in rows]


async def _read_views(session: Session, schema: Schema) -> list[Definition]:
    found = []
    for name in await list_views(session, schema.name):
        ((_, sql, charset, collation, *_),) = await session.texts(f"SHOW CREATE VIEW {quote(name)}")
        columns = await _view_columns(session, name)
        row = ("", "", utf8_only(sql), charset, collation, "")
        made = _definition(ObjectKind.VIEW, name, row, valid=columns is not None)
        found.append(replace(made, columns=tuple(columns or ())))
    return found


async def _view_columns(session: Session, name: str) -> list[str] | None:
    """Return a view's columns, None when the server itself cannot use it."""
    try:
        rows = await session.texts(f"SHOW COLUMNS FROM {quote(name)}")
    except StatementError as exc:
        if exc.errno in _INVALID_VIEW:
            return None
        raise
    except PermissionDeniedError:
        return None
    return [row[0] for row in rows]


async def _read_routines(session: Session, schema: Schema) -> list[Definition]:
    listing = await session.texts(
        "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES"
        f" WHERE ROUTINE_SCHEMA = {quote_text(schema.name)} ORDER BY ROUTINE_TYPE, ROUTINE_NAME",
    )
    kinds = {kind.value.upper(): kind for kind in ROUTINE_KINDS}
    found = []
    for kind_text, name in listing:
        kind = kinds[kind_text.upper()]
        row = (await session.texts(f"SHOW CREATE {kind.value.upper()} {quote(name)}"))[0]
        if not row[2]:
            raise PermissionDeniedError(
                f"the body of {kind} {schema.name}.{name} is hidden from this user",
                hint=f"GRANT {session.flavor.routine_right} TO the user of BACKSTAY_DATABASE_URL;",
            )
        found.append(_definition(kind, name, await _as_typed(session, kind, row)))
    return sorted(found, key=lambda definition: ROUTINE_KINDS.index(definition.entry.kind))


async def _read_triggers(session: Session, schema: Schema) -> list[Definition]:
    listing = await session.texts(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_ORDER FROM information_schema.TRIGGERS"
        f" WHERE TRIGGER_SCHEMA = {quote_text(schema.name)}"
        " ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
    )
    found = []
    for name, table, order in listing:
        printed = (await session.texts(f"SHOW CREATE TRIGGER {quote(name)}"))[0]
        row = await _as_typed(session, ObjectKind.TRIGGER, printed)
        found.append(
            replace(
                _definition(ObjectKind.TRIGGER, name, row, table=table),
                order=order,
            )
        )
    return found


async def _read_events(session: Session, schema: Schema) -> list[Definition]:
    listing = await session.texts(
        "SELECT EVENT_NAME FROM information_schema.EVENTS"
        f" WHERE EVENT_SCHEMA = {quote_text(schema.name)} ORDER BY EVENT_NAME",
    )
    found = []
    for (name,) in listing:
        row = (await session.texts(f"SHOW CREATE EVENT {quote(name)}"))[0]
        _, sql_mode, time_zone, *columns = row
        typed = await _as_typed(session, ObjectKind.EVENT, (name, sql_mode, *columns))
        made = _definition(ObjectKind.EVENT, name, typed)
        found.append(replace(made, time_zone=time_zone))
    return found


async def _as_typed(session: Session, kind: ObjectKind, row: Sequence[str]) -> Sequence[str]:
    """
    Put the head of a CREATE right.

    Names, comments and types are UTF-8 inside of both vendors, and are printed as if they were of the
    character set that the object was made in; some are, so each is looked at by itself.

    Args:
        session: Any.
        kind: Of the object.
        row: What SHOW CREATE returned.

    Returns:
        The same, with the head as it was typed.
    """
    name, sql_mode, sql, charset, *others = row
    head, body = split_head(kind, sql)
    if charset.startswith("utf8") or all(part.isascii() for part in head):
        return row
    for place, part in enumerate(head):
        if is_quoted(part) and not part.isascii() and is_text(part):
            read = f"CONVERT(X'{part.encode().hex()}' USING utf8mb4)"
            stored = await session.scalar(f"SELECT HEX(CONVERT({read} USING {charset}))")
            with suppress(UnicodeDecodeError):  # it was right
                head[place] = bytes.fromhex(stored).decode()
    return (name, sql_mode, f"{''.join(head)}{body}", charset, *others)


async def read_trigger_tables(session: Session, database: str) -> dict[str, str]:
    """Return the table of each trigger of a database, by the trigger's name."""
    rows = await session.texts(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
        f" WHERE TRIGGER_SCHEMA = {quote_text(database)}"
    )
    return {row[0]: row[1] for row in rows}


def _definition(
    kind: ObjectKind, name: str, row: Sequence[str], *, table: str = "", valid: bool = True
) -> Definition:
    """
    Make a definition from the columns that SHOW CREATE has for routines and triggers alike.

    Returns:
        All but what only some kinds have; the digest is still missing.

    Raises:
        UnsupportedObjectError: Its header is in no form that is known here.
    """
    _, sql_mode, sql, charset, collation, database_collation, *_ = row
    try:
        header = read_header(sql, sql_mode)
    except UnsupportedObjectError as exc:
        raise UnsupportedObjectError(f"{kind} {name!r}: {exc}", hint=exc.hint) from exc
    return Definition(
        entry=ObjectEntry(kind, name, table, valid, header.definer, definition_sha256=""),
        sql=header.sql,
        sql_mode=sql_mode,
        charset=charset,
        collation=collation,
        database_collation=database_collation,
    )
