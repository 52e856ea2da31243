"""
Views, triggers, routines and events: read from the server, written so that one pass loads them.

Order in the file: placeholders for all views, routines, the views themselves, triggers, events
(disabled), and last the statements that enable events. A placeholder has the view's columns, so
neither views on views nor functions used by views nor views used by functions need sorting.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.manifest import ObjectEntry, ObjectKind, StatementKind
from app.domain.ports import Statement
from app.engine.connection import Session
from app.engine.ddl import disabled_event, fingerprint, unqualify, utf8_only
from app.engine.flavor import Flavor
from app.engine.introspect import Schema
from app.engine.quoting import quote, quote_text
from app.errors import PermissionDeniedError, StatementError


# Errors of a view that the server keeps but cannot use: unknown table, column, function, definer.
_INVALID_VIEW: Final = frozenset({1356, 1146, 1054, 1305, 1449, 1142, 1143})
_RESET: Final = (
    b"SET NAMES utf8mb4, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,"
    b"NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00';\n"
)
_DEFINER: Final = re.compile(r"DEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`|\S+)")
# What the mysql client takes for the begin of a comment, or rewrites.
_CLIENT_MARKS: Final = ("--", "#", "/*", "\r")
# Client character sets whose bytes are those of the file, with the last character they have.
_LARGEST: Final = {"utf8": "\uffff", "utf8mb3": "\uffff", "utf8mb4": "\U0010ffff"}


@dataclass(frozen=True, slots=True)
class Definition:
    """
    One object as SHOW CREATE prints it, with the session it needs to be created in.

    Attributes:
        entry: What the manifest says about it.
        sql: CREATE statement without a terminator.
        sql_mode: Mode it was made in; empty string is a mode too.
        charset: character_set_client.
        collation: collation_connection.
        database_collation: The database's collation when it was made; empty for views.
        time_zone: Of an event, else empty.
        columns: Of a valid view.
    """

    entry: ObjectEntry
    sql: str
    sql_mode: str
    charset: str
    collation: str
    database_collation: str = ""
    time_zone: str = ""
    columns: tuple[str, ...] = ()


_ROUTINES: Final = (
    ObjectKind.FUNCTION,
    ObjectKind.PROCEDURE,
    ObjectKind.PACKAGE,
    ObjectKind.PACKAGE_BODY,
)


async def read_objects(session: Session, flavor: Flavor, schema: Schema) -> list[Definition]:
    """
    Read everything of a database that is not a table or sequence.

    Leaves the session with that database selected, because the server prints a view's own tables
    without a qualifier only then.

    Returns:
        Views, routines, triggers in their order of action, events; unsorted by dependency.

    Raises:
        PermissionDeniedError: A definition is hidden from this user.
    """
    await session.query(f"USE {quote(schema.name)}")
    return [
        *await _read_views(session, schema),
        *await _read_routines(session, flavor, schema),
        *await _read_triggers(session, schema),
        *await _read_events(session, schema),
    ]


async def _read_views(session: Session, schema: Schema) -> list[Definition]:
    names = await session.texts(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'"
        f" AND TABLE_SCHEMA = {quote_text(schema.name)} ORDER BY TABLE_NAME",
    )
    found = []
    for (name,) in names:
        row = (await session.texts(f"SHOW CREATE VIEW {quote(name)}"))[0]
        columns = await _view_columns(session, name)
        sql = row[1]
        entry = _entry(ObjectKind.VIEW, name, sql, schema.name, valid=columns is not None)
        found.append(
            Definition(entry, utf8_only(sql), "", row[2], row[3], columns=tuple(columns or ())),
        )
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


async def _read_routines(session: Session, flavor: Flavor, schema: Schema) -> list[Definition]:
    listing = await session.texts(
        "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES"
        f" WHERE ROUTINE_SCHEMA = {quote_text(schema.name)} ORDER BY ROUTINE_TYPE, ROUTINE_NAME",
    )
    kinds = {kind.value.upper(): kind for kind in _ROUTINES}
    found = []
    for kind_text, name in listing:
        kind = kinds[kind_text.upper()]
        row = (await session.texts(f"SHOW CREATE {kind.value.upper()} {quote(name)}"))[0]
        if not row[2]:
            raise PermissionDeniedError(
                f"the body of {kind} {schema.name}.{name} is hidden from this user",
                hint=f"GRANT {flavor.routine_right} TO the user of BACKSTAY_DATABASE_URL;",
            )
        found.append(_definition(kind, name, row[2], row, schema.name))
    return sorted(found, key=lambda one: _ROUTINES.index(one.entry.kind))


async def _read_triggers(session: Session, schema: Schema) -> list[Definition]:
    listing = await session.texts(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
        f" WHERE TRIGGER_SCHEMA = {quote_text(schema.name)}"
        " ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
    )
    found = []
    for name, table in listing:
        row = (await session.texts(f"SHOW CREATE TRIGGER {quote(name)}"))[0]
        found.append(
            _definition(ObjectKind.TRIGGER, name, row[2], row, schema.name, table=table),
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
        entry = _entry(ObjectKind.EVENT, name, row[3], schema.name)
        found.append(
            Definition(
                entry,
                row[3],
                row[1],
                row[4],
                row[5],
                database_collation=row[6],
                time_zone=row[2],
            ),
        )
    return found


def _definition(
    kind: ObjectKind,
    name: str,
    sql: str,
    row: Sequence[str],
    database: str,
    *,
    table: str = "",
) -> Definition:
    """Make a definition from the columns that SHOW CREATE has for routines and triggers alike."""
    entry = _entry(kind, name, sql, database, table=table)
    return Definition(entry, sql, row[1], row[3], row[4], database_collation=row[5])


def _entry(
    kind: ObjectKind,
    name: str,
    sql: str,
    database: str,
    *,
    table: str = "",
    valid: bool = True,
) -> ObjectEntry:
    definer = _DEFINER.search(sql[:500])
    return ObjectEntry(
        kind=kind,
        name=name,
        table=table,
        valid=valid,
        definer=definer[1] if definer else "",
        definition_sha256=fingerprint(sql, database),
    )


def object_statements(
    definitions: Sequence[Definition],
    schema: Schema,
    *,
    plain_names: bool,
    prepared: bool,
) -> list[Statement]:
    """
    Write the objects of one database.

    Args:
        definitions: From `read_objects`.
        schema: Their database.
        plain_names: Whether the database's own name is removed from views, so that the file loads
            into a database of any name.
        prepared: Whether the server prepares any CREATE from a variable.

    Returns:
        Statements in the order in which they load.
    """
    views = [one for one in definitions if one.entry.kind is ObjectKind.VIEW]
    routines = [one for one in definitions if one.entry.kind in _ROUTINES]
    triggers = [one for one in definitions if one.entry.kind is ObjectKind.TRIGGER]
    events = [one for one in definitions if one.entry.kind is ObjectKind.EVENT]
    write = _Writer(schema, prepared=prepared)
    found: list[Statement] = []
    found.extend(_placeholder(one) for one in views if one.entry.valid)
    for one in routines:
        found.extend(write.compound(one, StatementKind.ROUTINE, one.sql))
    for one in views:
        sql = unqualify(one.sql, schema.name) if plain_names else one.sql
        found.extend(write.view(one, sql))
    for one in triggers:
        found.extend(write.compound(one, StatementKind.TRIGGER, one.sql))
    enabled = []
    for one in events:
        sql, was_enabled = disabled_event(one.sql)
        found.extend(write.compound(one, StatementKind.EVENT, sql))
        if was_enabled:
            enabled.append(one.entry.name)
    found.append(Statement(StatementKind.SESSION, _RESET))
    found.extend(
        Statement(
            StatementKind.ENABLE_EVENT, f"ALTER EVENT {quote(name)} ENABLE;\n".encode(), name=name
        )
        for name in enabled
    )
    return found


def _placeholder(view: Definition) -> Statement:
    columns = ", ".join(f"1 AS {quote(column)}" for column in view.columns)
    sql = f"CREATE OR REPLACE VIEW {quote(view.entry.name)} AS SELECT {columns};\n"
    return Statement(StatementKind.PLACEHOLDER, sql.encode(), name=view.entry.name)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the objects of one database."""

    schema: Schema
    prepared: bool

    def view(self, view: Definition, sql: str) -> Iterator[Statement]:
        real = f"CREATE OR REPLACE {sql.removeprefix('CREATE ')}"
        if view.entry.valid:
            yield from self._created(view, StatementKind.VIEW, real)
            return
        # The client would stop at it; a restore by this program takes the marks off and tries.
        commented = "".join(f"-- {line}\n" for line in re.split(r"[\r\n]", f"{real};"))
        yield Statement(StatementKind.INVALID_VIEW, commented.encode(), name=view.entry.name)

    def compound(self, one: Definition, kind: StatementKind, sql: str) -> Iterator[Statement]:
        """Write an object that remembers the collation its database had."""
        other = one.database_collation not in {"", self.schema.collation}
        if other:
            yield _database_collation(one.database_collation)
        yield from self._created(one, kind, sql)
        if other:
            yield _database_collation(self.schema.collation)

    def _created(self, one: Definition, kind: StatementKind, sql: str) -> Iterator[Statement]:
        """Write one CREATE, in the session that the object was made in."""
        name = one.entry.name
        variable = self.prepared and not _is_plain(one, sql)
        if variable:
            yield Statement(StatementKind.SESSION, _RESET)
            text = f"SET @backstay_sql = {quote_text(sql)};\n"
            yield Statement(StatementKind.SESSION, text.encode())
        yield Statement(StatementKind.SESSION, _session(one).encode())
        if kind in {StatementKind.ROUTINE, StatementKind.EVENT}:
            drop = f"DROP {one.entry.kind.value.upper()} IF EXISTS {quote(name)};\n"
            yield Statement(StatementKind.DROP, drop.encode())
        if variable:
            yield Statement(kind, b"EXECUTE IMMEDIATE @backstay_sql;\n", name=name)
            return
        delimiter = next(mark for mark in _delimiters() if mark not in sql)
        yield Statement(StatementKind.TEXT, f"DELIMITER {delimiter}\n".encode())
        yield Statement(kind, sql.encode(), name=name)
        yield Statement(StatementKind.TEXT, f"\n{delimiter}\nDELIMITER ;\n".encode())


def _is_plain(one: Definition, sql: str) -> bool:
    """
    Tell whether an object survives the mysql client as it is.

    The client drops comments from bodies and rewrites CR LF. And the file is UTF-8: what was made
    under, say, koi8r with other than ASCII characters is prepared from a variable, so that the server
    converts the text and the object keeps its character set.

    Returns:
        False when it must be prepared from a variable.
    """
    if any(mark in sql for mark in _CLIENT_MARKS):
        return False
    return sql.isascii() or (one.charset in _LARGEST and max(sql) <= _LARGEST[one.charset])


def _delimiters() -> Iterator[str]:
    yield ";;"
    number = 0
    while True:
        yield f"$backstay{number}$"
        number += 1


def _database_collation(collation: str) -> Statement:
    """Routines remember the collation their database had; only the database can give it to them."""
    return Statement(
        StatementKind.SESSION, f"ALTER DATABASE COLLATE = {quote_text(collation)};\n".encode()
    )


def _session(one: Definition) -> str:
    zone = f", SESSION time_zone = {quote_text(one.time_zone)}" if one.time_zone else ""
    return (
        f"SET SESSION sql_mode = {quote_text(one.sql_mode)},"
        f" character_set_client = {one.charset}, collation_connection = {one.collation}{zone};\n"
    )


def uncommented(sql: bytes) -> bytes:
    """Return an INVALID_VIEW statement as SQL again."""
    return b"\n".join(line.removeprefix(b"-- ") for line in sql.rstrip(b"\n").split(b"\n"))
