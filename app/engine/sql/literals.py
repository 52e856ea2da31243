"""
Rows as SQL literals, formatted by the server: pure text, no I/O.

Each column becomes an expression whose value is a literal that loads back to the same bytes. An
unknown type is refused, never guessed. The reasons type by type: docs/hazards.md, 25 to 40.
"""

import re
from collections.abc import Sequence
from typing import Final

from app.domain.backups.manifest import ColumnEntry
from app.engine.flavor import Flavor
from app.engine.sql.quoting import quote
from app.errors import UnsupportedObjectError


# QUOTE() escapes this character always, so in a result it can only be the separator of two rows.
SEPARATOR: Final = b"\x1a"
SEPARATOR_SQL: Final = "X'1A'"
ROW_JOIN: Final = b"),\n("
_BINARY: Final = "CAST('' AS BINARY)"

_JSON: Final = "json"
INTEGER_TYPES: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
FLOAT: Final = "float"
REAL_TYPES: Final = frozenset({FLOAT, "double"})
_NUMBERS: Final = INTEGER_TYPES | {"decimal", "year"}
_QUOTED: Final = frozenset({"date", "datetime", "timestamp", "time"})
_CAST_QUOTED: Final = frozenset({"uuid", "inet4", "inet6"})
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES: Final = frozenset(
    {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
    | {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"}
    | {"multipolygon", "geometrycollection", "geomcollection"},
)
# What may be larger than a statement.
SLICED_TYPES: Final = _TEXTS | _BYTES | frozenset({_JSON})
# Numbers of an ENUM and SET member, not its label: index 0 and the label '' are different values.
_AS_INTEGER: Final = frozenset({"enum", "set", "bit"})
# The bytes of these are valid UTF-8 as they are.
_UTF8: Final = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
# Of these the server refuses other bytes; a damaged or exchanged data file may hold some all the same.
CHECKED_CHARSETS: Final = frozenset({"utf8mb4", "utf8mb3", "utf8"})

# Literals by type: `{}` is the column; a bare one is NULL when the column is, QUOTE() gives the word.
# DOUBLE is quoted because -0 without quotes is an integer; FLOAT is the flavor's, because as text it
# is cut to 6 digits.
_LITERALS: Final = (
    (_NUMBERS, "{}", True),
    (_BYTES, "CONCAT('X''', HEX({}), '''')", True),
    (_QUOTED | {"double"}, "QUOTE({})", False),
    (_CAST_QUOTED, "QUOTE(CAST({} AS CHAR))", False),
    (frozenset({_JSON}), "QUOTE(CAST({} AS CHAR CHARACTER SET utf8mb4))", False),
)

# Numbers of JSON, as MySQL prints them, that may be others once their text was read again: what is exact
# becomes a double. They are told from other columns' by the blank behind a comma; what looks like one in a
# string costs a second query and no more.
_EXACT_NUMBERS: Final = re.compile(rb"(?:\d[\d.]{15,66}+|0\.0000\d*)(?:, |[\]}'])")
_FRACTIONS: Final = re.compile(rb"\.\d+0(?:, |[\]}])")
_SCALARS: Final = re.compile(rb"'-?\d+\.\d+0'")  # by itself, or it were a DATETIME(6)
# Looked for with every digit a zero, many times faster than by an expression.
_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_ONE_RUN: Final = bytes.maketrans(b".", b"0")
_LONG_NUMBER: Final = b"0" * 16
_SMALL_NUMBER: Final = b"0.0000"
# What MySQL prints for dates, times and binary values inside of JSON; strings may look the same.
_TYPED_STRINGS: Final = (b'"0000-00-00"', b'00:00:00.000000"', b'"base00:type')

_DIGITS: Final = re.compile(r"\((\d+),(\d+)\)")
_UNDERFLOW: Final = "'''-1e-46'''"

# Types whose order and equality survive a literal, so that a key range means the same rows always.
_KEY_TYPES: Final = (
    _NUMBERS | _QUOTED | _CAST_QUOTED | frozenset({"char", "varchar", "binary", "varbinary"})
)


def literal(column: ColumnEntry, flavor: Flavor, *, parsed: bool = False) -> str:
    """
    Format one column.

    Args:
        column: Which.
        flavor: Of the server.
        parsed: Whether JSON is written as it is once it was loaded, which takes twice as long.

    Returns:
        An expression for the literal of its value, never NULL.

    Raises:
        UnsupportedObjectError: A type that is not in the table.
    """
    name = quote(column.name)
    if column.data_type in _AS_INTEGER:
        return _nullable(flavor.member_number.replace("{}", name), column)
    if column.data_type in _TEXTS:
        return _text(name, column)
    if parsed and has_parsed([column], flavor):
        return f"QUOTE({text_of(column, flavor)})"
    for kinds, template, is_bare in _LITERALS:
        if column.data_type in kinds:
            expression = template.replace("{}", name)
            return _nullable(expression, column) if is_bare else expression
    if column.data_type == FLOAT:
        # A FLOAT can hold -0, which prints as 0; only a number too small for it makes one again.
        exact = _within_digits(flavor.exact_float.replace("{}", name), column.column_type)
        return f"IF({minus_zero(column)}, {_UNDERFLOW}, QUOTE({exact}))"
    raise UnsupportedObjectError(
        f"column {column.name!r} has type {column.column_type!r}, which this version cannot read",
        hint="Leave the table out with --exclude-table, and report the type.",
    )


def minus_zero(column: ColumnEntry) -> str:
    """Return a condition for a FLOAT of -0, which equals 0."""
    name = quote(column.name)
    return f"{name} = 0 AND ATAN2({name}, -1) < 0"


def text_of(column: ColumnEntry, flavor: Flavor) -> str:
    """Return an expression for what is written of a value that may travel in slices."""
    name = quote(column.name)
    return flavor.parsed_json.replace("{}", name) if has_parsed([column], flavor) else name


def has_parsed(columns: Sequence[ColumnEntry], flavor: Flavor) -> bool:
    """Tell whether columns hold values of JSON that their own text does not bring back."""
    return bool(flavor.parsed_json) and any(column.data_type == _JSON for column in columns)


def may_differ_parsed(body: bytes) -> bool:
    """Tell whether the text of some JSON among these rows may be another once it was loaded."""
    if _FRACTIONS.search(body) or _SCALARS.search(body):
        return True
    digits = body.translate(_ZEROS)
    may_be = _SMALL_NUMBER in digits or _LONG_NUMBER in digits.translate(_ONE_RUN)
    return may_be and _EXACT_NUMBERS.search(body) is not None


def may_lose_types(body: bytes) -> bool:
    """Tell whether some JSON among these rows may be of other types once it was loaded."""
    digits = body.translate(_ZEROS)
    return may_differ_parsed(body) or any(text in digits for text in _TYPED_STRINGS)


def changed_json(columns: Sequence[ColumnEntry], flavor: Flavor) -> str:
    """Return a condition for rows whose JSON comes back with other numbers, or values of other types."""
    found = []
    for column in columns:
        if column.data_type == _JSON:
            name, parsed = quote(column.name), text_of(column, flavor)
            found.append(f"{name} <> CAST({parsed} AS JSON)")
            found.append(
                f"CAST(CAST({name} AS CHAR CHARACTER SET utf8mb4) AS BINARY) <> CAST({parsed} AS BINARY)"
            )
    return " OR ".join(found)


def _within_digits(exact: str, column_type: str) -> str:
    """Keep a FLOAT(9,3) of 999999.999, which is 1000000 in 24 bits, from being out of its own range."""
    digits = _DIGITS.search(column_type)
    if digits is None:
        return exact
    whole, decimals = int(digits[1]) - int(digits[2]), int(digits[2])
    limit = f"{'9' * whole or '0'}.{'9' * decimals}e0"
    return f"GREATEST(LEAST({exact}, {limit}), -{limit})"


def _text(name: str, column: ColumnEntry) -> str:
    # QUOTE on bytes is a third faster than on characters, and escapes the same: no byte of a
    # multi-byte UTF-8 character is an ASCII one.
    if column.charset in _UTF8:
        return f"QUOTE(CAST({name} AS BINARY))"
    if column.charset == "latin1":  # maps to Unicode one to one, all 256 bytes
        return f"QUOTE(CAST(CONVERT({name} USING utf8mb4) AS BINARY))"
    return _nullable(_hex_text(column), column)


def _hex_text(column: ColumnEntry) -> str:
    """Format a text by its bytes, in its own character set; NULL when it is."""
    return f"CONCAT('_{column.charset} X''', HEX({quote(column.name)}), '''')"


def _nullable(expression: str, column: ColumnEntry) -> str:
    return f"IFNULL({expression}, 'NULL')" if column.nullable else expression


def bulk_kind(column: ColumnEntry) -> str | None:
    """
    Tell how LOAD DATA turns a literal of this column into its value.

    Returns:
        Empty for literals that it reads as they are; an expression of `{}`, the literal's text; None
        when it cannot.
    """
    if column.data_type in _TEXTS:
        return "" if column.charset in _UTF8 or column.charset == "latin1" else None
    if column.data_type in _BYTES:
        return "UNHEX(SUBSTRING({}, 3, CHAR_LENGTH({}) - 3))"
    return "CAST({} AS UNSIGNED)" if column.data_type == "bit" else ""


def key_literal(column: ColumnEntry, flavor: Flavor) -> str:
    """
    Format one column of a key.

    Returns:
        An expression for a literal to compare the column with, in the column's own character set: one
        of another could be converted, or convert the column and lose the index.
    """
    if column.data_type in _TEXTS:
        return _hex_text(column)
    return literal(column, flavor)


def can_bound(column: ColumnEntry) -> bool:
    """Tell whether key ranges may be cut at values of this column."""
    return column.data_type in _KEY_TYPES and not column.nullable


def hex_rows(columns: Sequence[ColumnEntry], flavor: Flavor) -> list[str]:
    """Return one expression a column with the bytes of every text as hex, valid text or not."""
    return [
        _nullable(_hex_text(column), column)
        if column.data_type in _TEXTS
        else literal(column, flavor, parsed=True)
        for column in columns
    ]


def stream_rows(columns: Sequence[ColumnEntry], flavor: Flavor, *, as_hex: bool) -> list[str]:
    """
    Return one expression a column for rows that are read one by one.

    There no warning is seen, so each literal is right by itself: bytes of ascii columns that are no
    UTF-8 are in hex, and a value whose HEX, CONVERT or CAST could exceed max_allowed_packet, and so
    be NULL and then look like one, makes the whole row NULL.

    Returns:
        Expressions for literals, NULL when the row must be read in slices.
    """
    hexes = hex_rows(columns, flavor)
    texts = hexes if as_hex else [literal(column, flavor, parsed=True) for column in columns]
    found = []
    for column, text, in_hex in zip(columns, texts, hexes, strict=True):
        name = quote(column.name)
        safe = text
        if column.charset == "ascii":
            safe = f"IF({flavor.odd_ascii.replace('{}', name)}, {in_hex}, {text})"
        if column.data_type in SLICED_TYPES:
            # No character of latin1 takes more than three bytes in UTF-8, none of hex more than two.
            safe = f"IF(OCTET_LENGTH({name}) * 3 > @@max_allowed_packet, NULL, {safe})"
        found.append(safe)
    return found


def stored_row(columns: Sequence[ColumnEntry], flavor: Flavor) -> str:
    """
    Format what a row holds in stored generated columns, for a digest.

    Returns:
        An expression for one text; empty without such columns.
    """
    if not columns:
        return ""
    texts = []
    for column in columns:
        try:
            texts.append(literal(column, flavor))
        except UnsupportedObjectError:  # nothing has to load it
            texts.append(f"IFNULL(HEX({quote(column.name)}), 'NULL')")
    return fast_row(texts)


def row(expressions: Sequence[str]) -> str:
    """
    Format one row.

    Returns:
        An expression for the text between its parentheses.

    The leading binary value makes the whole result binary: no collations to agree on, nothing
    converted on the wire, bytes in the driver. A literal `_binary''` would not: a column's character
    set is stronger than a literal's.
    """
    values = ", ',', ".join(expressions)
    return f"CONCAT({_BINARY}, {values})" if values else _BINARY


def fast_row(expressions: Sequence[str]) -> str:
    """
    Format one row of a chunk, a sixth faster than `row` on tables of numbers.

    CONCAT_WS passes over a NULL instead of becoming one. Nothing here is NULL but by exceeding
    max_allowed_packet, and of that the server warns; so only where warnings are seen may it be used.

    Returns:
        An expression for the text between its parentheses.
    """
    return f"CONCAT_WS(_binary',', {', '.join(expressions)})" if expressions else _BINARY


def chunk(
    select: str, row_expression: str, source: str, *, order: str = "", stored: str = ""
) -> str:
    """
    Return the query for one chunk.

    Args:
        select: SELECT, with what belongs behind it.
        row_expression: Text of a row.
        source: What follows FROM.
        order: ORDER BY list; empty where the source is in order.
        stored: Text of what a row holds in stored generated columns; may be empty.

    Returns:
        A query for the number of rows, their text with separators, and the digest of `stored`.
    """
    ordered = f" ORDER BY {order}" if order else ""
    tail = f"{ordered} SEPARATOR {SEPARATOR_SQL})"
    digest = f"SHA2(GROUP_CONCAT({stored}{tail}, 256)" if stored else "''"
    return f"{select} COUNT(*), GROUP_CONCAT({row_expression}{tail}, {digest} FROM {source}"


def insert_head(table: str, columns: Sequence[ColumnEntry]) -> bytes:
    """Return what stands before the first row of an INSERT."""
    names = ",".join(quote(column.name) for column in columns)
    return f"INSERT INTO {quote(table)} ({names}) VALUES\n(".encode()


def joined(body: bytes, rows: int) -> bytes | None:
    """
    Put SQL between the rows of a reply.

    Args:
        body: Rows as the server joined them.
        rows: How many there should be.

    Returns:
        The text between the first and the last parenthesis, None when it is not of that many rows.
    """
    text = body.replace(SEPARATOR, ROW_JOIN)
    return text if len(text) - len(body) == (rows - 1) * (len(ROW_JOIN) - 1) else None


def insert(head: bytes, body: bytes) -> bytes:
    """
    Make the statement of one chunk.

    Args:
        head: From `insert_head`.
        body: Rows, already joined.

    Returns:
        UTF-8 SQL. A carriage return can stand only inside a text; it is escaped, because the mysql
        client would turn CR LF into LF.
    """
    if b"\r" in body:
        body = body.replace(b"\r", b"\\r")
    return b"".join((head, body, b");\n"))
