"""
Rules of a table that its rows keep in some sessions only: `CHECK (ts > '2020-01-01')` of a TIMESTAMP.

MySQL asks each row that is loaded, in the time zone of the load. So a backup asks all rows in that zone,
and names the rules that would refuse some. MariaDB loads without asking.
"""

from collections.abc import Iterator
from typing import Final

from app.engine.flavor import Flavor
from app.engine.rows.queries import TableSql
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.errors import StatementError


# How what `find_broken` returns begins.
RULES: Final = ("CHECK `", "UNIQUE KEY `")
_BEFORE_CONDITION: Final = " CHECK "


def may_break(sql: TableSql, flavor: Flavor) -> bool:
    """Tell whether rows may keep a rule in one time zone only."""
    is_asked = flavor.vendor == "mysql"
    return is_asked and any(column.data_type == "timestamp" for column in sql.table.entry.columns)


async def find_broken(session: Session, sql: TableSql, definition: str) -> tuple[str, ...]:
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
        elif item.startswith("UNIQUE KEY ") and item.count("((") and "," not in parts:
            expression = "".join(parts[parts.index("(") + 1 : -1])
            yield f"UNIQUE KEY {parts[1]}", f"COUNT({expression}) - COUNT(DISTINCT {expression})"
