"""Databases: read, created, named and dropped."""

import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from app.domain.restores.journal import ID_DIGITS, RestoreId
from app.engine.flavor import SYSTEM_SCHEMAS
from app.engine.schema.listing import ARE_TABLES, STRAY, lists_strays, scope_of
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session
from app.engine.sql.quoting import MOST_NAME_CHARACTERS, quote, quote_text, same_name
from app.errors import (
    AlreadyRunningError,
    DatabaseNotFoundError,
    PermissionDeniedError,
    StatementError,
)


# What holds something in a database, table by table of information_schema.
_CONTENT: Final = (
    ("TABLES", "TABLE_SCHEMA", "table"),
    ("ROUTINES", "ROUTINE_SCHEMA", "routine"),
    # Of MySQL from 9.2 on: CREATE LIBRARY.
    ("LIBRARIES", "LIBRARY_SCHEMA", "module"),
)
_NO_SUCH_SOURCE: Final = 1109
# The server was started with event_scheduler=DISABLED or --skip-grant-tables, and shows no events; of the
# latter MariaDB 11.8 says so itself.
_NO_EVENTS: Final = frozenset({1577, 1290})
# How long DDL in a schema of ours waits for a backup, of anybody, that keeps all DDL out until it is done
# (LOCK INSTANCE, BACKUP STAGE). Nobody waits behind it there.
PATIENT_SECONDS: Final = 3600
_NOT_GRANTED: Final = 1205
# Schemas where restores load and keep tables; never part of a backup of everything.
SCRATCH: Final = re.compile(r"__bk_(?:new|old)_[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Schema:
    """One database."""

    name: str
    charset: str
    collation: str
    comment: str = ""


async def read_schemas(
    session: Session, names: Sequence[str], *, scratch: bool = False
) -> list[Schema]:
    """
    Find databases.

    Args:
        session: Any.
        names: Which; empty = all but the system's. Case counts where the server lets it.
        scratch: Whether all includes what restores made for themselves.

    Returns:
        In the order of `names`, or by name.

    Raises:
        DatabaseNotFoundError: One of `names` is not there, or not visible to this user.
    """
    rows = await session.texts(
        "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME,"
        f" {session.flavor.schema_comment} FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME"
    )
    is_listed = lists_strays(session.flavor)
    found = {row[0]: Schema(*row) for row in rows if not (is_listed and row[0].startswith(STRAY))}
    if not names:
        return [
            schema
            for schema in found.values()
            if schema.name not in SYSTEM_SCHEMAS and (scratch or not SCRATCH.search(schema.name))
        ]
    names = await _as_stored(session, names, found)
    for name in names:
        if name not in found:
            raise DatabaseNotFoundError(
                f"no database {name!r} on this server, or this user may not see it",
                hint="SHOW DATABASES lists what the user of BACKSTAY_DATABASE_URL can see.",
            )
    return [found[name] for name in dict.fromkeys(names)]


async def _as_stored(
    session: Session, names: Sequence[str], there: Collection[str]
) -> Sequence[str]:
    """Write names as the server does where it takes them in any case."""
    if all(name in there for name in names):
        return names
    if await session.scalar("SELECT @@GLOBAL.lower_case_table_names") == "0":
        return names  # on macOS names are stored as they were given, and found in any case
    stored = {name.lower(): name for name in there}
    return [stored.get(name.lower(), name) for name in names]


async def folds_names(session: Session) -> bool:
    """Tell whether the server keeps the names of databases and tables in lower case."""
    return await session.scalar("SELECT @@GLOBAL.lower_case_table_names") == "1"


async def list_strays(session: Session, databases: Sequence[str], *, every: bool) -> list[str]:
    """
    List what looks like a table, in the data directory, and is none that anybody could use.

    Args:
        session: Any.
        databases: Where to look.
        every: Whether directories that are no databases are looked into as well.

    Returns:
        `database/table`, as the files are named, without their ending.
    """
    if not lists_strays(session.flavor):
        return []
    places = list(databases)
    if every:
        rows = await session.texts("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
        places += [name for (name,) in rows if name.startswith(STRAY)]
    found: list[str] = []
    for place in places:
        is_stray = place.startswith(STRAY)
        with suppress(StatementError):  # the server lists names that it does not take itself
            rows = await session.texts(
                "SELECT TABLE_NAME FROM information_schema.TABLES"
                f" WHERE {same_name('TABLE_SCHEMA', place)}"
            )
            found += [
                f"{place}/{name}".replace(STRAY, "")
                for (name,) in rows
                if is_stray or name.startswith(STRAY)
            ]
    return found


async def is_empty(session: Session, database: str) -> bool:
    """Tell whether a database holds nothing."""
    return not await content(session, database)


async def content(session: Session, database: str) -> str:
    """Say what a database holds, such as `2 tables`; empty when nothing."""
    for source, column, noun in _CONTENT:
        query = (
            f"SELECT COUNT(*) FROM information_schema.{source} WHERE {same_name(column, database)}"
        )
        try:
            ((count,),) = await session.texts(query)
        except StatementError as exc:
            if exc.errno != _NO_SUCH_SOURCE:
                raise
            continue
        if count != "0":
            return f"{count} {noun}{'' if count == '1' else 's'}"
    events = await read_events(session, database, "EVENT_NAME") or []
    return f"{len(events)} event{'' if len(events) == 1 else 's'}" if events else ""


async def read_events(
    session: Session, database: str, columns: str
) -> list[tuple[str, ...]] | None:
    """
    Read columns of information_schema.EVENTS.

    Returns:
        One row an event, by name; None when the server was started without events.
    """
    if not await has_events(session):
        return None
    return await session.texts(
        f"SELECT {columns} FROM information_schema.EVENTS"
        f" WHERE {same_name('EVENT_SCHEMA', database)} ORDER BY EVENT_NAME"
    )


async def has_events(session: Session) -> bool:
    """Tell whether events can be read and made."""
    # With --skip-grant-tables information_schema.EVENTS is just empty, and @@event_scheduler says ON;
    # this says it before it looks for the event.
    try:
        await session.query("SHOW CREATE EVENT `mysql`.`backstay`")
    except StatementError as exc:
        return exc.errno not in _NO_EVENTS
    except PermissionDeniedError:
        return True
    return True


def staging_name(database: str, restore_id: RestoreId, together: Iterable[str] = ()) -> str:
    """Name the schema where new tables wait; `together` are the databases of the restore."""
    return _scratch_name(database, "new", restore_id, together)


def kept_name(database: str, restore_id: RestoreId, together: Iterable[str] = ()) -> str:
    """Name the schema where old tables are kept; `together` are the databases of the restore."""
    return _scratch_name(database, "old", restore_id, together)


def scratch_pattern(database: str) -> str:
    r"""Return a GRANT's pattern for the schemas above, such as `shop\_\_bk\_%`; by one of them, too."""
    stem = re.sub(r"([_%\\])", r"\\\1", _stem(SCRATCH.sub("", database)))
    return f"{stem}\\_\\_bk\\_%"


def is_scratch_of(name: str, database: str) -> bool:
    """Tell whether a schema is one of those above of a database; both in lower case."""
    found = SCRATCH.search(name)
    return found is not None and name[: found.start()] == _stem(database)


def scratch_schemas(database: str) -> tuple[str, str]:
    r"""Return patterns of LIKE for the schemas above, each for one kind of them, such as `shop\_\_bk\_new\_____________`."""
    stem = re.sub(r"([_%\\])", r"\\\1", _stem(database))
    new, old = (f"{stem}\\_\\_bk\\_{word}\\_{'_' * ID_DIGITS}" for word in ("new", "old"))
    return new, old


def _stem(database: str) -> str:
    return database[: MOST_NAME_CHARACTERS - len("__bk_new_") - ID_DIGITS]


def _scratch_name(database: str, word: str, restore_id: RestoreId, together: Iterable[str]) -> str:
    digits, stem = restore_id[-ID_DIGITS:], _stem(database)
    # As much of long names as there is room for may be that of others, too: they count on from the id.
    alike = sorted({name for name in together if _stem(name) == stem} | {database})
    if number := alike.index(database):
        digits = f"{(int(digits, 16) + number) % 16**ID_DIGITS:0{ID_DIGITS}x}"
    name = f"{stem}__bk_{word}_{digits}"
    assert SCRATCH.search(name)  # noqa: S101 - backups of everything leave such schemas out by it
    return name


async def create_database(session: Session, name: str, charset: str, collation: str) -> None:
    """
    Create a database that must not exist.

    Raises:
        AlreadyRunningError: A lock that keeps DDL out was not let go in the session's time.
        StatementError: The server refused.
    """
    sql = f"CREATE DATABASE {quote(name)} DEFAULT CHARACTER SET {quote_text(charset)}"
    # A name of ours asks for no encryption that its tables do not ask for themselves; MariaDB passes over it.
    plain = " /*!80016 DEFAULT ENCRYPTION = 'N' */" if SCRATCH.search(name) else ""
    try:
        await session.define(f"{sql} COLLATE {quote_text(collation)}{plain}")
    except StatementError as exc:
        if exc.errno != _NOT_GRANTED:
            raise
        raise AlreadyRunningError(
            "the server lets nobody create a database now: a backup, or whoever has locked it, keeps DDL out",
            hint="Run it again when the backup is done.",
        ) from exc


async def wait_for_backups(session: Session) -> None:
    """Let a session, from now on, wait with its DDL as long as a backup may take."""
    await session.query(f"SET SESSION lock_wait_timeout = {PATIENT_SECONDS}")


async def end_lost_work(session: Session, name: str) -> None:
    """
    End what connections of ours still do in a database of ours after the network has lost them.

    The server does not miss them: one that waits for rows keeps its locks for as long as rows may take, an hour.
    """
    lost = await session.texts(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()"
        " AND USER = (SELECT USER FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID())"
        f" AND {same_name('DB', name)}"
    )
    for (connection_id,) in lost:
        with suppress(StatementError):  # it has just ended by itself
            await session.query(f"KILL {connection_id}")


async def drop_database(session: Session, name: str) -> None:
    """Drop a database of ours, table by table, so that the server never works long on one statement."""
    for table in await list_tables(session, name):
        kind = "SEQUENCE" if table.engine == "SEQUENCE" else "TABLE"
        await session.define(f"DROP {kind} IF EXISTS {table.sql}")
    await session.define(f"DROP DATABASE IF EXISTS {quote(name)}")


async def drop_if_empty(session: Session, name: str) -> list[str]:
    """Drop a database of ours; if others put something into it, keep it and return a warning."""
    if not await exists(session, name):
        return []
    if not await is_empty(session, name):
        return [f"database {name!r} was not dropped: it holds something that others made"]
    await drop_database(session, name)
    return []


async def list_tables(session: Session, database: str) -> list[TableRef]:
    """List the tables and sequences of a database, broken ones too; a sequence's engine is SEQUENCE."""
    rows = await session.texts(
        "SELECT TABLE_NAME, IF(TABLE_TYPE = 'SEQUENCE', TABLE_TYPE, ENGINE)"
        f" FROM information_schema.TABLES WHERE {scope_of([database])} AND {ARE_TABLES}"
        " ORDER BY TABLE_NAME"
    )
    return [TableRef(database, name, engine) for name, engine in rows]


async def list_scratch(session: Session) -> list[str]:
    """List the names of schemas that restores made for themselves."""
    schemas = await read_schemas(session, (), scratch=True)
    return [schema.name for schema in schemas if SCRATCH.search(schema.name)]


async def exists(session: Session, database: str) -> bool:
    """Tell whether there is such a database, the system's own among them."""
    rows = await session.texts(
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
        f" WHERE {same_name('SCHEMA_NAME', database)}"
    )
    return (database,) in rows


async def holds(session: Session, table: str, column: str, value: str) -> bool:
    """
    Tell whether a table has a row with a value.

    Args:
        session: Any.
        table: Qualified and quoted.
        column: Its name, quoted where it must be.
        value: What is looked for.

    Returns:
        False also for a table that is not there, or has no such column.

    Raises:
        StatementError: The server could not tell; such as a lock that was not granted.
    """
    query = f"SELECT 1 FROM {table} WHERE {column} = {quote_text(value)} LIMIT 1"
    try:
        return bool(await session.texts(query))
    except PermissionDeniedError:
        return False
    except StatementError as exc:
        if exc.is_passing:
            raise
        return False
