"""
What a logical backup cannot carry, counted on the server that is backed up.

docs/production.md has the same list, with what to do about each. A query that this server or this
user's rights do not answer counts nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from app.domain.backups.manifest import LOST_HISTORY, TRANSACTION_HISTORY
from app.engine.schema.tables import Table
from app.engine.server.connection import Session
from app.engine.server.description import LOADED_FUNCTIONS, REFERENCE_SYSTEMS
from app.engine.sql.ddl import unquoted_parts, without_directories
from app.engine.sql.quoting import quote_text
from app.engine.storage_engines import CONNECT
from app.errors import PermissionDeniedError, StatementError


_BY_COUNT: Final = "PARTITION BY SYSTEM_TIME LIMIT "
# Names that are shown of each kind.
_MOST_NAMES: Final = 3
# Engines whose tables show rows that others keep; what else has no rows of its own loses nothing.
_ELSEWHERE: Final = frozenset({CONNECT, "FEDERATED", "SPIDER", "SPHINX"})
# Queries of names, `{}` is a list of databases; and what is said of them.
_OF_DATABASES: Final = (
    (
        (
            "SELECT CONCAT(G_TABLE_SCHEMA, '.', G_TABLE_NAME, '.', G_GEOMETRY_COLUMN)"
            " FROM information_schema.GEOMETRY_COLUMNS WHERE SRID <> 0 AND G_TABLE_SCHEMA IN ({})"
        ),
        "geometry columns with REF_SYSTEM_ID, which no definition shows",
    ),
    (
        (
            "SELECT CONCAT(LIBRARY_SCHEMA, '.', LIBRARY_NAME) FROM information_schema.LIBRARIES"
            " WHERE LIBRARY_SCHEMA IN ({})"
        ),
        "libraries (CREATE LIBRARY)",
    ),
    (
        (
            "SELECT CONCAT(SCHEMA_NAME, '.', TABLE_NAME, '.', COLUMN_NAME)"
            " FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME IN ({})"
        ),
        "histograms (ANALYZE TABLE ... UPDATE HISTOGRAM)",
    ),
    (
        (
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
            " WHERE DEFAULT_ENCRYPTION = 'YES' AND SCHEMA_NAME IN ({})"
        ),
        "databases with DEFAULT ENCRYPTION",
    ),
    (
        (
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA_EXTENSIONS"
            " WHERE OPTIONS <> '' AND SCHEMA_NAME IN ({})"
        ),
        "databases that are READ ONLY",
    ),
)
_OF_SERVER: Final = (
    ("SELECT Server_name FROM mysql.servers", "server definitions (CREATE SERVER)"),
    (LOADED_FUNCTIONS, "functions of libraries (CREATE FUNCTION ... SONAME)"),
    (REFERENCE_SYSTEMS, "spatial reference systems (CREATE SPATIAL REFERENCE SYSTEM)"),
    (
        (
            "SELECT RESOURCE_GROUP_NAME FROM information_schema.RESOURCE_GROUPS"
            " WHERE RESOURCE_GROUP_NAME NOT IN ('SYS_default', 'SYS_internal', 'USR_default')"
        ),
        "resource groups",
    ),
    (
        (
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'sys'"
            " AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME <> 'sys_config'"
        ),
        "tables in the server's own database sys (--database sys backs them up)",
    ),
)


async def list_uncarried(
    session: Session, databases: Sequence[str], tables: Sequence[Table]
) -> list[str]:
    """
    Count what of some databases, and of their server, is not in a backup.

    Returns:
        A warning for each kind, with its count and the first names.

    Raises:
        DatabaseError: The server fails us.
    """
    found = list(_of_tables(tables))
    # The empty name is of none; MariaDB looks only one up where all in a list are alike to it.
    names = ", ".join(map(quote_text, [*databases, ""]))
    for query, what in (*_OF_DATABASES, *_OF_SERVER):
        if "sys" in databases and "'sys'" in query:
            continue
        try:
            rows = await session.texts(query.format(names))
        except (StatementError, PermissionDeniedError):
            continue
        if rows:
            found.append(_warning([name for (name,) in rows], what))
    return found


def list_in_directories(printed: Mapping[str, str]) -> list[str]:
    """Count the tables, of definitions by label, whose directories no restore asks for."""
    labels = [label for label, sql in printed.items() if without_directories(sql) != sql]
    if not labels:
        return []
    told = (
        f"{len(labels)} tables have a DATA DIRECTORY or INDEX DIRECTORY, which a restore leaves out"
    )
    return [f"{told} ({_names(labels)})"]


def list_counted_histories(printed: Mapping[str, str]) -> list[str]:
    """Count the tables, of definitions by label, whose history is in partitions by the number of its rows."""
    labels = [
        label
        for label, sql in printed.items()
        if _BY_COUNT in sql and _BY_COUNT in "".join(unquoted_parts(sql))
    ]
    if not labels:
        return []
    told = f"{len(labels)} tables keep their history in partitions by LIMIT; a restore loads all of it into one"
    return [f"{told} ({_names(labels)})"]


def _of_tables(tables: Sequence[Table]) -> Iterator[str]:
    history = [table.label for table in tables if table.entry.partial == TRANSACTION_HISTORY]
    if history:
        yield _warning(history, "histories by transaction numbers; current rows are")
    older = [table.label for table in tables if table.entry.partial == LOST_HISTORY]
    if older:
        yield _warning(older, "histories, which this version cannot load again; current rows are")
    outside: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        if table.entry.engine in _ELSEWHERE and not table.has_rows:
            outside[table.entry.engine].append(table.label)
    for engine, labels in sorted(outside.items()):
        yield _warning(labels, f"contents of {engine} tables, which are kept elsewhere")


def _warning(names: Sequence[str], what: str) -> str:
    return f"not in the backup: {len(names)} {what} ({_names(names)})"


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMES])
    return f"{shown}, ..." if len(names) > _MOST_NAMES else shown
