"""
Rows too large for one statement, read and written in slices.

A large value is read by SUBSTRING and becomes `SET @backstay_1 = X'..'` and
`SET @backstay_1 = CONCAT(@backstay_1, X'..')` statements, the row's INSERT names the variable. So no
statement grows with the value, and the mysql client can load it too. What remains is the server's
own limit: no value may exceed max_allowed_packet of the server that loads it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import ColumnEntry, StatementKind
from app.domain.ports import Statement
from app.engine.rows.chunks import LargeRow
from app.engine.rows.queries import TableSql
from app.engine.server.connection import Session
from app.engine.sql import literals
from app.errors import SnapshotError, UnsupportedObjectError


# Values travel alone, the largest first, until the rest of the row is no larger than this; bytes.
SLICE_FROM: Final = 256 << 10
# Characters (bytes for binary columns) of one slice: at most 2 MiB of hex for 4-byte characters.
_SLICE_UNITS: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that travels in slices."""

    column: ColumnEntry
    units: int
    size: int


async def read_large_row(
    session: Session,
    sql: TableSql,
    row: LargeRow,
) -> AsyncGenerator[Statement]:
    """
    Read one row in slices.

    Yields:
        PIECE statements, one INSERT with `sliced`, then a SESSION statement that frees the variables.

    Raises:
        SnapshotError: The row is not there any more.
        UnsupportedObjectError: A row of history; its position cannot be named.
    """
    if sql.table.entry.history:
        raise UnsupportedObjectError(
            f"{sql.table.label}: a row of history is larger than a statement may be",
            hint="Leave the table out with --exclude-table, or drop its history.",
        )
    where = row.part.where(sql.table.entry.key)
    limit = "" if sql.table.entry.index else f" LIMIT 1 OFFSET {row.ordinal}"
    tail = f"FROM {sql.source}{where}{limit}"
    values = await _large_values(session, sql, tail)
    variables: dict[str, str] = {}
    for number, value in enumerate(values, 1):
        variable = f"@backstay_{number}"
        variables[value.column.name] = _reference(variable, value.column)
        async for piece in _pieces(session, sql.select, variable, value, tail):
            yield piece
    yield await _insert(session, sql, row, variables, tail)
    names = [f"@backstay_{number} = NULL" for number in range(1, len(values) + 1)]
    if names:
        yield Statement(StatementKind.SESSION, f"SET {', '.join(names)};\n".encode())


async def _large_values(session: Session, sql: TableSql, tail: str) -> list[_Value]:
    """Find the values of a row that travel alone."""
    columns = [column for column in sql.columns if column.data_type in literals.SLICED_TYPES]
    if not columns:
        return []
    texts = [literals.text_of(column, session.flavor) for column in columns]
    sizes = ", ".join(f"CHAR_LENGTH({text}), OCTET_LENGTH({text})" for text in texts)
    rows = (await session.query(f"{sql.select} {sizes} {tail}", redact=True)).rows
    if len(rows) != 1:
        raise SnapshotError(f"{sql.table.label}: a row is gone")
    numbers = [int(value or 0) for value in rows[0]]
    values = [_Value(*value) for value in zip(columns, numbers[::2], numbers[1::2], strict=True)]
    values.sort(key=lambda value: value.size, reverse=True)
    remaining = sum(numbers[1::2])
    taken = []
    for value in values:
        if remaining <= SLICE_FROM:
            break
        taken.append(value)
        remaining -= value.size
    return taken


def _reference(variable: str, column: ColumnEntry) -> str:
    # MySQL refuses JSON from a variable of bytes; see hazard 34.
    charset = "utf8mb4" if column.data_type == "json" else column.charset
    return f"CONVERT({variable} USING {charset})" if charset else variable


async def _pieces(
    session: Session,
    select: str,
    variable: str,
    value: _Value,
    tail: str,
) -> AsyncIterator[Statement]:
    text = literals.text_of(value.column, session.flavor)
    for begin in range(1, value.units + 1, _SLICE_UNITS):
        query = f"{select} HEX(SUBSTRING({text}, {begin}, {_SLICE_UNITS})) {tail}"
        part = await session.scalar(query)
        if not part:
            raise SnapshotError(
                f"column {value.column.name!r}: a part of a large value cannot be read",
                hint="Raise max_allowed_packet of the server to 4 MiB or more.",
            )
        literal = f"X'{part}'"
        whole = literal if begin == 1 else f"CONCAT({variable}, {literal})"
        yield Statement(StatementKind.PIECE, f"SET {variable} = {whole};\n".encode())


async def _insert(
    session: Session,
    sql: TableSql,
    row: LargeRow,
    variables: dict[str, str],
    tail: str,
) -> Statement:
    """Make the INSERT that puts small values and variables together."""
    # In hex, because nobody looks whether all of it is UTF-8; there is little of it left.
    texts = [
        f"'{variables[column.name]}'" if column.name in variables else text
        for column, text in zip(
            sql.columns, literals.hex_rows(sql.columns, session.flavor), strict=True
        )
    ]
    digest = f"SHA2({sql.stored}, 256)" if sql.stored else "''"
    query = f"{sql.select} {literals.row(texts)}, {digest} {tail}"
    rows = (await session.query(query, redact=True)).rows
    body, stored = rows[0] if rows else (None, None)
    if body is None:
        raise SnapshotError(f"{sql.table.label}: a large row cannot be read in slices")
    return Statement(
        StatementKind.INSERT,
        literals.insert(sql.head, body),
        rows=1,
        lower=row.part.lower,
        upper=row.part.upper,
        sliced=True,
        stored_sha256=(stored or b"").decode(),
    )


def value_bytes(statement: bytes) -> int:
    """Count the bytes that a PIECE adds to its value; 0 for a statement that is none."""
    if not statement.startswith(b"SET @backstay_") or not statement.endswith((b"';\n", b"');\n")):
        return 0
    return (statement.rindex(b"'") - statement.index(b"X'") - len(b"X'")) // 2
