"""
Partitions whose function goes below 0: `RANGE (a - 10)` of a BIGINT UNSIGNED, with a partition below -5.

Such a table is made, filled and opened under NO_UNSIGNED_SUBTRACTION only. A session opens it by itself
(`app.engine.server.connection`); a restore makes and fills it in a session that the manifest names.
"""

import re
from typing import Final

from app.engine.flavor import LOAD_SESSION
from app.engine.rows.queries import TableSql
from app.engine.rows.stored import Settings
from app.engine.server.connection import SIGNED, Session
from app.engine.sql.ddl import split_items, tokens, unquoted_parts
from app.engine.sql.quoting import quote
from app.errors import StatementError


# MySQL says so in a comment that it executes.
_FUNCTION: Final = re.compile(r"PARTITION BY (?:LINEAR )?(?:RANGE|LIST|HASH) ?\Z")
_VALUES: Final = re.compile(r"\bVALUES (?:LESS THAN|IN) \Z")


def signed(settings: Settings) -> Settings:
    """Return a session in which differences may be below 0, and which is as it was in all else."""
    found = dict(settings)
    mode = found.get("sql_mode", LOAD_SESSION["sql_mode"])
    found["sql_mode"] = mode if SIGNED in mode.split(",") else f"{mode},{SIGNED}"
    return tuple(sorted(found.items()))


async def goes_below(session: Session, sql: TableSql, definition: str) -> bool:
    """
    Tell whether the partitions of a table need differences below 0.

    Args:
        session: In the state of a dump.
        sql: Queries of the table.
        definition: Its CREATE TABLE.

    Returns:
        True where a partition says so, or a row.

    Raises:
        DatabaseError: The server fails us.
    """
    unsigned = [
        quote(column.name) for column in sql.table.entry.columns if "unsigned" in column.column_type
    ]
    functions = [
        function
        for function in partition_functions(definition)
        if "-" in function and any(name in function for name in unsigned)
    ]
    if not functions or has_negative(definition):
        return bool(functions)
    try:
        for function in functions:
            await session.query(
                f"SELECT MAX({function}) FROM {sql.source}", redact=True, no_timeout=True
            )
    except StatementError:
        return True
    return False


def partition_functions(sql: str) -> list[str]:
    """Return the expressions by which rows find their partitions and subpartitions, without brackets."""
    return _bracketed(sql, _FUNCTION)


def has_negative(sql: str) -> bool:
    """Tell whether a bound or a value of some partition is below 0."""
    return any("-" in part for text in _bracketed(sql, _VALUES) for part in unquoted_parts(text))


def _bracketed(sql: str, before: re.Pattern[str]) -> list[str]:
    """Return what stands in the brackets after each place that a pattern finds, behind all columns."""
    found: list[str] = []
    parts = tokens(split_items(sql)[2])
    for index, part in enumerate(parts[:-1]):
        if parts[index + 1] != "(" or not before.search(part):
            continue
        depth = 0
        for end in range(index + 1, len(parts)):
            depth += (parts[end] == "(") - (parts[end] == ")")
            if not depth:
                found.append("".join(parts[index + 2 : end]))
                break
    return found
