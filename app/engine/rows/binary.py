"""
Ranges read by the binary protocol.

Their text is made here by compiled code, and is the one that the server would format: a third of the work.

MariaDB sends -0 as 0. So where a FLOAT or DOUBLE is zero the server is asked for its sign, and formats the
range itself if there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.engine.native import IS_BUILT, RowText
from app.engine.native.prepared import RowsRead, Wire, can_bind
from app.engine.rows.binary_columns import Selected, matched, selected
from app.engine.rows.queries import TableSql
from app.engine.server.connection import RowSource, Session
from app.engine.sql.key_ranges import Range
from app.engine.sql.quoting import quote


# Below, preparing a query costs more than it spares; bytes of a table that is read at once.
_WORTHWHILE_BYTES: Final = 64 << 10
_LIMITS: Final = "SELECT LEAST(@@group_concat_max_len, @@max_allowed_packet)"


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes what turns rows into text, once the server has said how they travel."""

    columns: Sequence[Selected]
    limit: int

    def __call__(self, wires: Sequence[Wire]) -> RowText | None:
        kinds = matched(self.columns, wires)
        return None if kinds is None else RowText(kinds, self.limit)


def is_worthwhile(session: Session, sql: TableSql, part: Range) -> bool:
    """Tell whether a range is to be read so; what is not, the server formats."""
    if not IS_BUILT or session.row_source is RowSource.SERVER or sql.stored or not sql.columns:
        return False
    if session.row_source is RowSource.NATIVE:
        return True
    is_small = sql.table.bytes_estimate < _WORTHWHILE_BYTES
    return not is_small or part != Range()


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
    columns = [selected(column, session.flavor) for column in sql.columns]
    where, values = _where(part, sql.table.entry.key)
    names = ", ".join(column.expression for column in columns)
    order = f" ORDER BY {sql.order}" if sql.order else ""
    query = f"{sql.select} {names} FROM {sql.source}{where}{order}"
    found = await session.read_rows(query, values, _Maker(columns, session.row_limit))
    if found and found.has_zero and found.text is not None and await _has_signs(session, sql, part):
        return None
    return found


async def _has_signs(session: Session, sql: TableSql, part: Range) -> bool:
    """Tell whether a FLOAT or DOUBLE of a range is -0."""
    query = sql.minus_zero(part)
    return bool((await session.query(query, redact=True, no_timeout=True)).rows)


def _where(part: Range, key: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Spell a range out, with parameters where it is of integers, so that the query is the one before."""
    ends = part.integers
    if ends is None or not can_bind(*ends):
        return part.where(key), ()
    return f" WHERE {quote(key[0])} BETWEEN ? AND ?", ends
