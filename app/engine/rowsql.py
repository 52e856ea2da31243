"""
Rows as SQL literals, formatted by the server: pure text, no I/O.

Each column becomes an expression whose value is a literal that loads back to the same bytes. An
unknown type is refused, never guessed. HAZARDS 1.1 has the reasons type by type; docs/adr/0002 the
decision.
"""

from collections.abc import Sequence
from typing import Final

from app.domain.manifest import ColumnEntry
from app.engine.flavor import Flavor
from app.engine.quoting import quote
from app.errors import UnsupportedObjectError


# QUOTE() escapes this character always, so in a result it can only be the separator of two rows.
SEPARATOR: Final = b"\x1a"
_SEPARATOR_SQL: Final = "X'1A'"
ROW_JOIN: Final = b"),\n("
_BINARY: Final = "CAST('' AS BINARY)"

_NUMBERS: Final = frozenset({
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "bigint",
    "decimal",
    "year",
})
_QUOTED: Final = frozenset({"date", "datetime", "timestamp", "time"})
_CAST_QUOTED: Final = frozenset({"uuid", "inet4", "inet6"})
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES: Final = frozenset(
    {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
    | {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"}
    | {"multipolygon", "geometrycollection", "geomcollection"},
)
# What may be larger than a statement.
SLICED_TYPES: Final = _TEXTS | _BYTES | frozenset({"json"})
# Numbers of an ENUM and SET member, not its label: index 0 and the label '' are different values.
_AS_INTEGER: Final = frozenset({"enum", "set", "bit"})
# The bytes of these are valid UTF-8 as they are.
_UTF8: Final = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})

# Types whose order and equality survive a literal, so that a key range means the same rows always.
_KEY_TYPES: Final = (
    frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"})
    | _QUOTED
    | _CAST_QUOTED
    | frozenset({"char", "varchar", "binary", "varbinary"})
)
INTEGER_TYPES: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})


def literal(column: ColumnEntry, flavor: Flavor) -> str:
    """
    Return an expression for the literal of one column's value, never NULL.

    Raises:
        UnsupportedObjectError: A type that is not in the table.
    """
    name = quote(column.name)
    kind = column.data_type
    if kind in _NUMBERS:
        return _nullable(name, column)
    if kind in _AS_INTEGER:
        return _nullable(f"{name} + 0", column)
    if kind == "float":  # as text a FLOAT is cut to 6 digits
        return f"QUOTE({flavor.exact_float.format(name)})"
    if kind == "double" or kind in _QUOTED:  # quoted, because -0 without quotes is an integer
        return f"QUOTE({name})"
    if kind in _CAST_QUOTED:
        return f"QUOTE(CAST({name} AS CHAR))"
    if kind == "json":
        return f"QUOTE(CAST({name} AS CHAR CHARACTER SET utf8mb4))"
    if kind in _TEXTS:
        return _text(name, column)
    if kind in _BYTES:
        return _nullable(f"CONCAT('X''', HEX({name}), '''')", column)
    raise UnsupportedObjectError(
        f"column {column.name!r} has type {column.column_type!r}, which this version cannot read",
        hint="Leave the table out with --exclude-table, and report the type.",
    )


def _text(name: str, column: ColumnEntry) -> str:
    if column.charset in _UTF8:
        return f"QUOTE({name})"
    if column.charset == "latin1":  # maps to Unicode one to one, all 256 bytes
        return f"QUOTE(CONVERT({name} USING utf8mb4))"
    return _nullable(f"CONCAT('_{column.charset} X''', HEX({name}), '''')", column)


def _nullable(expression: str, column: ColumnEntry) -> str:
    return f"IFNULL({expression}, 'NULL')" if column.nullable else expression


def key_literal(column: ColumnEntry, flavor: Flavor) -> str:
    """
    Return an expression for a literal to compare the column with, in the column's own charset.

    A literal of another character set could be converted, or convert the column and lose the index.
    """
    if column.data_type in _TEXTS:
        return f"CONCAT('_{column.charset} X''', HEX({quote(column.name)}), '''')"
    return literal(column, flavor)


def can_bound(column: ColumnEntry) -> bool:
    """Tell whether key ranges may be cut at values of this column."""
    return column.data_type in _KEY_TYPES and not column.nullable


def hex_rows(columns: Sequence[ColumnEntry], flavor: Flavor) -> list[str]:
    """Return one expression a column with the bytes of every text as hex, valid text or not."""
    return [
        _nullable(f"CONCAT('_{column.charset} X''', HEX({quote(column.name)}), '''')", column)
        if column.data_type in _TEXTS
        else literal(column, flavor)
        for column in columns
    ]


def row(expressions: Sequence[str]) -> str:
    """
    Return an expression for the text between the parentheses of one row.

    The leading binary value makes the whole result binary: no collations to agree on, nothing
    converted on the wire, bytes in the driver. A literal `_binary''` would not: a column's character
    set is stronger than a literal's.
    """
    values = ", ',', ".join(expressions)
    return f"CONCAT({_BINARY}, {values})" if values else _BINARY


def chunk(row_expression: str, source: str, *, order: str = "") -> str:
    """Return the query for one chunk: the number of rows, and their text with separators."""
    ordered = f" ORDER BY {order}" if order else ""
    return (
        f"SELECT COUNT(*), GROUP_CONCAT({row_expression}{ordered} SEPARATOR {_SEPARATOR_SQL}) "  # noqa: S608
        f"FROM {source}"
    )


def insert_head(table: str, columns: Sequence[ColumnEntry]) -> bytes:
    """Return what stands before the first row of an INSERT."""
    names = ",".join(quote(column.name) for column in columns)
    return f"INSERT INTO {quote(table)} ({names}) VALUES\n(".encode()


def insert(head: bytes, body: bytes) -> bytes:
    """
    Make the statement of one chunk.

    Args:
        head: From `insert_head`.
        body: Rows as the server joined them.

    Returns:
        UTF-8 SQL. A carriage return can stand only inside a text; it is escaped, because the mysql
        client would turn CR LF into LF.
    """
    if b"\r" in body:
        body = body.replace(b"\r", b"\\r")
    return b"".join((head, body.replace(SEPARATOR, ROW_JOIN), b");\n"))


def is_utf8(body: bytes) -> bool:
    """Tell whether all text of a chunk is valid; ASCII is told apart ten times faster."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
