"""
Ranges read by the binary protocol.

Their text is made here by compiled code, and is the one that the server would format: a third of the work.

MariaDB sends -0 as 0. So where a FLOAT is zero the server is asked for its sign, and formats the range itself
if there is one. A DOUBLE of -0 it neither stores nor prints.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.engine.flavor import Flavor
from app.engine.native import IS_BUILT, RowText, is_utf8
from app.engine.native.prepared import REST, RowsRead, Wire, can_bind
from app.engine.rows.binary_columns import Selected, formatted, matched, selected
from app.engine.rows.queries import TableSql
from app.engine.server.connection import Session
from app.engine.server.row_reader import RowSource
from app.engine.sql import literals
from app.engine.sql.key_ranges import Range
from app.engine.sql.quoting import quote


# Of a table of fewer bytes preparing a query costs more than it spares, and so does a stream.
SMALL_BYTES: Final = 64 << 10
# Bytes of a value's literal for one of the value, at most; see `app.engine.sql.literals.stream_rows`.
_LARGEST_GROWTH: Final = 3
_LIMITS: Final = "SELECT LEAST(@@group_concat_max_len, @@max_allowed_packet)"


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes what turns rows into text, once the server has said how they travel."""

    columns: Sequence[Selected]
    limit: int
    full: int = 0

    def __call__(self, wires: Sequence[Wire]) -> RowText | None:
        kinds = matched(self.columns, wires)
        return None if kinds is None else RowText(kinds, self.limit, self.full)


def is_worthwhile(session: Session, sql: TableSql, part: Range) -> bool:
    """Tell whether a range is to be read so; what is not, the server formats."""
    if not IS_BUILT or session.row_source is RowSource.SERVER or sql.stored or not sql.columns:
        return False
    if session.row_source is RowSource.NATIVE:
        return True
    is_small = sql.table.bytes_estimate < SMALL_BYTES
    return not is_small or part != Range()


def is_streamable(session: Session, sql: TableSql) -> bool:
    """Tell whether a table is to be read so from end to end."""
    # History has an order of its text, and JSON on MySQL is looked at again.
    is_plain = not sql.table.entry.history and not sql.parsed_row
    return is_plain and is_worthwhile(session, sql, Range())


async def read_binary(session: Session, sql: TableSql, part: Range) -> RowsRead | None:
    """
    Read the rows of a range.

    Returns:
        Their text as a GROUP_CONCAT of the server has it, between two of them what an INSERT has; None
        where the server has to format them.

    Raises:
        DatabaseError: The server fails us; no row is known.
    """
    if not session.row_limit:
        session.row_limit = int(await session.scalar(_LIMITS))
    columns, source = _selection(sql, session.flavor)
    where, values = _where(part, sql.table.entry.key)
    order = f" ORDER BY {sql.order}" if sql.order else ""
    query = f"{source}{where}{order}"
    found = await session.read_rows(query, values, _Maker(columns, session.row_limit))
    if found and found.has_zero and found.text is not None and await _has_signs(session, sql, part):
        return None
    return found


async def stream_binary(
    session: Session, sql: TableSql, piece_bytes: int, row_bytes: int
) -> AsyncGenerator[RowsRead]:
    """
    Read all rows of a table in the order of a scan.

    Args:
        session: Any.
        sql: The table's.
        piece_bytes: A piece ends with the row by which it has so many bytes, one byte behind each row.
        row_bytes: Most bytes of a row.

    Yields:
        Pieces, whose text is UTF-8. One without text where the server has to format all that follow: a row
        is longer, or holds what is no text, or is to be looked at again.

    Raises:
        DatabaseError: The server fails us.
    """
    # Nobody sees afterwards whether a zero has had a sign.
    columns = [
        (formatted if column.data_type == literals.FLOAT else selected)(column, session.flavor)
        for column in sql.columns
    ]
    packet_bytes = int(await session.scalar("SELECT @@max_allowed_packet"))
    # A value that might be too large for a packet as hex is left to the server.
    limit = min(row_bytes, packet_bytes // _LARGEST_GROWTH)
    names = ", ".join(column.expression for column in columns)
    query = f"{sql.select} {names} FROM {sql.source}"
    is_left = False
    maker = _Maker(columns, limit, piece_bytes)
    async with aclosing(session.stream_rows(query, maker)) as pieces:
        async for piece in pieces:
            is_left = is_left or piece.text is None or not is_utf8(piece.text)
            if not is_left:
                yield piece
    if is_left:
        yield REST


# Of the tables that the connections read now, which is one or a few.
@lru_cache(maxsize=16)
def _selection(sql: TableSql, flavor: Flavor) -> tuple[Sequence[Selected], str]:
    """Choose how each column of a table is selected, and begin the query."""
    columns = [selected(column, flavor) for column in sql.columns]
    names = ", ".join(column.expression for column in columns)
    return columns, f"{sql.select} {names} FROM {sql.source}"


async def _has_signs(session: Session, sql: TableSql, part: Range) -> bool:
    """Tell whether a FLOAT of a range is -0."""
    query = sql.minus_zero(part)
    return bool((await session.query(query, redact=True, no_timeout=True)).rows)


def _where(part: Range, key: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Spell a range out, with parameters where it is of integers, so that the query is the one before."""
    ends = part.integers
    if ends is None or not can_bind(*ends):
        return part.where(key), ()
    return f" WHERE {quote(key[0])} BETWEEN ? AND ?", ends
