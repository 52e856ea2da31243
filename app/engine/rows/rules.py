"""
Rules of a table that its rows keep in some sessions only: `CHECK (ts > '2020-01-01')` of a TIMESTAMP.

MySQL asks each row that is loaded, in the time zone of the load, and reads texts in the rule as the session
reads its own: under NO_BACKSLASH_ESCAPES a backslash that is printed twice is two. So a backup asks all rows
in the session of a restore, and names the rules that would refuse some. MariaDB loads without asking.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from app.engine.rows.queries import TableSql
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.quoting import same_names
from app.errors import StatementError


# How what `find_broken_rules` returns begins.
RULES: Final = ("CHECK `", "UNIQUE KEY `")
_BEFORE_CONDITION: Final = " CHECK "
# The dictionary prints a backslash four times, and a quote behind one. The others ask a variable of the session:
# its time zone, first day of a week, language, or the digits of a quotient.
_ODD: Final = r"RLIKE '[\\\\]{{2}}|unix|week|name|format|str_to_date|/'"
_SCHEMAS: Final = ("CONSTRAINT_SCHEMA", "TABLE_SCHEMA")
_ASKING: Final = (
    "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.CHECK_CONSTRAINTS"
    " JOIN information_schema.TABLE_CONSTRAINTS USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME)"
    f" WHERE {{}} AND CHECK_CLAUSE {_ODD}"
    " UNION SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.STATISTICS"
    f" WHERE {{}} AND NOT NON_UNIQUE AND EXPRESSION {_ODD}"
)
_PREFIX: Final = re.compile(r"(`(?:[^`]|``)+`)(\(\d+\))")


async def list_breakable(
    session: Session, databases: Collection[str], queries: Sequence[TableSql]
) -> set[str]:
    """
    List the tables whose rows may keep a rule in some sessions only.

    Args:
        session: Reads what is defined.
        databases: That have these tables.
        queries: Of the tables.

    Returns:
        Their labels; none of MariaDB.
    """
    if session.flavor.vendor != "mysql" or not databases:
        return set()
    asking = {
        (database, name)
        for database, name in await session.texts(
            _ASKING.format(*(same_names(column, databases) for column in _SCHEMAS))
        )
    }
    return {
        sql.table.label
        for sql in queries
        if (sql.table.database, sql.table.name) in asking
        or any(column.data_type == "timestamp" for column in sql.table.entry.columns)
    }


async def find_broken_rules(session: Session, sql: TableSql, definition: str) -> tuple[str, ...]:
    """
    Find the rules that would refuse rows in the session of a restore.

    Args:
        session: In the state of a dump, whose time zone is that of a restore.
        sql: Queries of the table.
        definition: CREATE TABLE with all texts as they are.

    Returns:
        CHECKs and unique keys over one expression, as `CHECK `name``.

    Raises:
        DatabaseError: The server fails us.
    """
    broken: list[str] = []
    for name, count in _counts(definition):
        try:
            query = f"SELECT {count} FROM {sql.source}"
            reply = await session.query(query, redact=True, no_timeout=True)
        except StatementError:  # an expression that only a definition may hold
            continue
        if any(int(value or 0) for row in reply.rows for value in row):
            broken.append(name)
    return tuple(broken)


def _counts(definition: str) -> Iterator[tuple[str, str]]:
    """Yield each rule with an expression that counts the rows that break it."""
    for item in ddl.split_items(definition)[1]:
        parts = ddl.tokens(item)
        if item.startswith("CONSTRAINT ") and parts[2].startswith(_BEFORE_CONDITION):
            if "NOT ENFORCED" not in parts[-1]:
                condition = "".join(parts[2:]).removeprefix(_BEFORE_CONDITION)
                yield f"CHECK {parts[1]}", f"SUM(NOT {condition})"
        elif item.startswith("UNIQUE KEY ") and "((" in item:
            keys = [_key(key) for key in ddl.split_items(item)[1]]
            filled = " AND ".join(f"{key} IS NOT NULL" for key in keys)
            yield f"UNIQUE KEY {parts[1]}", f"SUM({filled}) - COUNT(DISTINCT {', '.join(keys)})"


def _key(printed: str) -> str:
    """Return what is compared of one part of a key."""
    key = printed.removesuffix(" DESC")
    found = _PREFIX.fullmatch(key)
    return f"LEFT({found[1]}, {found[2][1:-1]})" if found else key
