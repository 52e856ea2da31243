"""
The content of one table as text that loses nothing.

Every column becomes one ASCII expression. Small tables are fetched whole and sorted, so that tables without a key compare.
Large ones become a digest: count, sum and xor of numbers cut from the SHA-256 of the length-prefixed row.
A sum beside the xor, because two equal rows cancel each other in a xor.
"""

from collections.abc import Callable
from dataclasses import dataclass


Rows = list[tuple[str | None, ...]]
Run = Callable[[str], Rows]

# Above this a table is compared by digest: a diff of rows is of no use to a reader any more.
WHOLE_ROWS = 20_000
WHOLE_BYTES = 64 << 20
# HEX doubles a value, and what passes max_allowed_packet (16 MiB by default) becomes NULL with only a warning.
HEX_BYTES = 1 << 20
LOST = "!lost"

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_PRINTED = frozenset({
    *("decimal", "date", "datetime", "timestamp", "time", "uuid", "inet4", "inet6", "json"),
})
_STRINGS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({
    *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"),
})
_SHAPES = frozenset([
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
])


@dataclass(frozen=True, slots=True)
class Content:
    """
    What a table holds.

    Attributes:
        count: Number of row versions read.
        rows: Sorted rows, each one text; empty when there is a digest.
        digest: Sum and xor over all rows, for large tables.
    """

    count: int
    rows: tuple[str, ...] = ()
    digest: str | None = None


def read_content(run: Run, database: str, table: str) -> Content:
    """
    Read one table, history and invisible and generated columns included.

    Raises:
        TypeError: The table has a column type that this oracle does not know.
        ValueError: The server answered NULL for a value that is not NULL.
    """
    columns, period = _columns(run, database, table)
    source = _quote(table) + (" FOR SYSTEM_TIME ALL" if period else "")
    exact = [_guarded(name, _expression(name, kind)) for name, kind in columns]
    [(count, size)] = run(f"SELECT COUNT(*), {_size(columns)} FROM {source}")
    if int(count or 0) > WHOLE_ROWS or int(float(size or 0)) > WHOLE_BYTES:
        return Content(int(count or 0), digest=_digest(run, source, exact))
    rows = run(f"SELECT {','.join(exact)} FROM {source}")
    if any(value == LOST for row in rows for value in row):
        message = f"{table}: the server lost a value while printing it"
        raise ValueError(message)
    return Content(len(rows), tuple(sorted(_row_text(columns, row) for row in rows)))


def _row_text(columns: list[tuple[str, str]], row: tuple[str | None, ...]) -> str:
    cells = (
        f"{name}={'NULL' if value is None else value!r}"
        for (name, _), value in zip(columns, row, strict=True)
    )
    return " ".join(cells)


def _columns(run: Run, database: str, table: str) -> tuple[list[tuple[str, str]], bool]:
    where = " AND ".join(
        f"{column}={_literal(name)} AND CAST({column} AS BINARY)=CAST({_literal(name)} AS BINARY)"
        for column, name in (("TABLE_SCHEMA", database), ("TABLE_NAME", table))
    )
    found = run(
        "SELECT COLUMN_NAME, DATA_TYPE, IFNULL(GENERATION_EXPRESSION,'') "
        f"FROM information_schema.COLUMNS WHERE {where} ORDER BY ORDINAL_POSITION"
    )
    [(kind,)] = run(f"SELECT TABLE_TYPE FROM information_schema.TABLES WHERE {where}")
    columns = [(name or "", data_type or "") for name, data_type, _ in found]
    if kind != "SYSTEM VERSIONED":
        return columns, False
    periods = [
        (name or "", data_type or "")
        for name, data_type, rule in found
        if rule in {"ROW START", "ROW END"}
    ]
    if not periods:
        return [*columns, ("row_start", "timestamp"), ("row_end", "timestamp")], True
    if any(data_type == "bigint" for _, data_type in periods):
        # Transaction numbers belong to the server they were made on.
        return [column for column in columns if column not in periods], False
    return columns, True


def _expression(name: str, kind: str) -> str:
    column = _quote(name)
    if kind in _INTEGERS | _PRINTED:
        return f"CAST({column} AS CHAR)"
    if kind in {"float", "double"}:
        # FLOAT as text keeps six digits and FLOAT(M,D) prints D; as DOUBLE every bit shows but one:
        # minus zero prints as 0, and only its angle tells.
        return (
            f"IF({column}=0 AND ATAN2({column},-1)<0,'-0',CAST(CAST({column} AS DOUBLE) AS CHAR))"
        )
    if kind in {"bit", "year"}:
        return f"CAST({column}+0 AS CHAR)"
    if kind in {"enum", "set"}:
        return f"CONCAT({column}+0,':',HEX(CAST({column} AS BINARY)))"
    if kind in _STRINGS | _BYTES | _SHAPES:
        # SHA2 reads the bytes of the column's own character set, so no conversion can hide a change.
        return (
            f"IF(LENGTH({column})>{HEX_BYTES},CONCAT('sha256 ',LENGTH({column}),' ',SHA2({column},256)),"
            f"HEX(CAST({column} AS BINARY)))"
        )
    message = f"the oracle does not know the column type {kind}"
    raise TypeError(message)


def _guarded(name: str, expression: str) -> str:
    # Tells a true NULL from a NULL that the server made of a value it could not print.
    return f"COALESCE({expression},IF(ISNULL({_quote(name)}),NULL,'{LOST}'))"


def _size(columns: list[tuple[str, str]]) -> str:
    wide = [name for name, kind in columns if kind in _STRINGS | _BYTES | _SHAPES]
    if not wide:
        return "0"
    terms = "+".join(f"IFNULL(LEAST(LENGTH({_quote(name)}),{HEX_BYTES}),0)" for name in wide)
    return f"2*SUM({terms})"


def _digest(run: Run, source: str, exact: list[str]) -> str:
    # The length before each value leaves no two rows with one text; N is NULL.
    cells = ",".join(f"IFNULL(CONCAT(LENGTH({value}),':',{value}),'N')" for value in exact)
    [(count, lost, total, xor)] = run(
        "SELECT COUNT(m), SUM(lost), SUM(CAST(CONV(LEFT(m,15),16,10) AS DECIMAL(30,0))), "
        "BIT_XOR(CAST(CONV(RIGHT(m,16),16,10) AS UNSIGNED)) FROM "
        f"(SELECT LEFT(SHA2(r,256),32) AS m, r IS NULL OR LOCATE('{LOST}',r)>0 AS lost FROM "
        f"(SELECT CONCAT({cells},'') AS r FROM {source}) AS printed) AS hashed"
    )
    if lost not in {None, "0"}:
        message = f"{source}: the server lost a value while printing it"
        raise ValueError(message)
    return f"{count} {total} {xor}"


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
