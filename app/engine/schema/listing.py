"""Which tables information_schema is asked about, and what it guesses of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from typing import Final

from app.domain.server.inventory import InventoryTable
from app.engine.flavor import Flavor
from app.engine.server.connection import OTHER_SUBTRACTION, Session
from app.engine.sql.ddl import without_directories
from app.engine.sql.quoting import qualified, quote_text, same_name, same_names
from app.engine.storage_engines import ROWLESS_ENGINES
from app.errors import StatementError


# What MariaDB lists of its data directory although it never made it: `lost+found`, `.ssh`, a copied
# `posts-old.frm`. Nobody can make or name a database or table like that there; on MySQL, which lists what is in
# its dictionary, it is a name like any other.
# Source: https://mariadb.com/kb/en/identifier-to-file-name-mapping/
STRAY: Final = "#mysql50#"
NO_STRAYS: Final = f"TRUE /*M! AND TABLE_NAME NOT LIKE '{STRAY}%' */"
# Whatever is a table or sequence and no view. A view whose text MariaDB cannot read is a table to it, without
# an engine, unless it is asked for names and types alone.
ARE_TABLES: Final = (
    "TABLE_TYPE IN ('BASE TABLE', 'SEQUENCE', 'SYSTEM VERSIONED') AND (ENGINE IS NOT NULL OR"
    " (TABLE_SCHEMA, TABLE_NAME) NOT IN"
    " (SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'))"
)
_SIZES: Final = "IFNULL(TABLE_ROWS, 0), IFNULL(DATA_LENGTH, 0)"


def lists_strays(flavor: Flavor) -> bool:
    """Tell whether a server lists files that are none of its own."""
    return bool(flavor.name_from_files)


def scope_of(databases: Iterable[str], names: Collection[str] = ()) -> str:
    """Return a condition for the tables of some databases, all or those of some names."""
    # The server opens only tables whose names pass.
    some = f" AND {same_names('TABLE_NAME', names)}" if names else ""
    return f"{same_names('TABLE_SCHEMA', databases)}{some} AND {NO_STRAYS}"


async def list_elsewhere(session: Session, scope: str = NO_STRAYS) -> list[tuple[str, str]]:
    """
    Name the tables whose rows another server has.

    That of FEDERATED is asked for more than names and engine, and a dead one fails the whole query.

    Args:
        session: Any.
        scope: Condition on information_schema.TABLES.

    Returns:
        Database and name of each.
    """
    rows = await session.texts(
        f"SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE {scope}"
        f" AND ENGINE IN ({', '.join(map(quote_text, sorted(ROWLESS_ENGINES)))})"
    )
    return [(database, name) for database, name in rows]


async def open_signed(session: Session, unopened: Sequence[tuple[str, str]]) -> bool:
    """
    Open tables that MariaDB could not open to list them, if only for the sql_mode of the session.

    Args:
        session: Has just read information_schema.TABLES.
        unopened: Database and name of those of which nothing is known, not even the engine.

    Returns:
        Whether it is to read again: what is open it lists.
    """
    if not unopened or OTHER_SUBTRACTION not in {code for code, _ in await session.warnings()}:
        return False
    for database, name in unopened:
        with suppress(StatementError):
            await session.query(f"SELECT 1 FROM {qualified(database, name)} LIMIT 0")
    return True


async def list_in_directories(session: Session, database: str) -> list[str]:
    """
    Find tables whose files the server loses at its next start once they were renamed.

    Those are in a DATA DIRECTORY: MariaDB leaves them where they are, under the name of the old database,
    and looks for them there no more when a table of that name has come.

    Returns:
        Names of tables of InnoDB.
    """
    if session.flavor.moves_directories:
        return []
    rows = await session.texts(
        "SELECT TABLE_NAME, CREATE_OPTIONS FROM information_schema.TABLES"
        f" WHERE {same_name('TABLE_SCHEMA', database)} AND ENGINE = 'InnoDB' AND {NO_STRAYS}"
        " AND (CREATE_OPTIONS LIKE '%partitioned%' OR CREATE_OPTIONS LIKE '%DATA DIRECTORY=%')"
        " ORDER BY TABLE_NAME"
    )
    found: list[str] = []
    for name, options in rows:
        if "DATA DIRECTORY=" not in options:
            printed = (await session.texts(f"SHOW CREATE TABLE {qualified(database, name)}"))[0][1]
            if without_directories(printed) == printed:
                continue
        found.append(name)
    return found


def in_tables(tables: Iterable[tuple[str, str]], schema: str = "TABLE_SCHEMA") -> str:
    """Return a condition for some tables, at least one."""
    names = defaultdict(list)
    for database, name in tables:
        names[database].append(name)
    parts = (
        f"{same_name(schema, database)} AND {same_names('TABLE_NAME', found)}"
        for database, found in names.items()
    )
    return f"({' OR '.join(parts)})"


async def read_sizes(session: Session, databases: Sequence[str]) -> list[InventoryTable]:
    """
    List tables and sequences with what the server guesses of them.

    Args:
        session: Any.
        databases: Exact names.

    Returns:
        By database and name; of what another server holds, or nobody can open, the name alone.

    Raises:
        StatementError: The server does not list them.
    """
    if not databases:
        return []
    scope = scope_of(databases)
    try:
        return await _read(session, scope, _SIZES)
    except StatementError:
        elsewhere = await list_elsewhere(session, scope)
        if not elsewhere:
            raise
    here = await _read(session, f"{scope} AND NOT {in_tables(elsewhere)}", _SIZES)
    others = await _read(session, in_tables(elsewhere), "0, 0")
    return sorted((*here, *others), key=lambda table: (table.database, table.name))


async def _read(session: Session, scope: str, sizes: str) -> list[InventoryTable]:
    rows = await session.texts(
        f"SELECT TABLE_SCHEMA, TABLE_NAME, {sizes} FROM information_schema.TABLES"
        f" WHERE {scope} AND {ARE_TABLES} ORDER BY TABLE_SCHEMA, TABLE_NAME"
    )
    return [
        InventoryTable(database, name, int(count), int(size))
        for database, name, count, size in rows
    ]
