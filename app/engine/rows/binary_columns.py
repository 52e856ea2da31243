"""
What is selected of each column for the binary protocol, and how it must arrive: pure text, no I/O.

The text that is made of it is that of `app.engine.sql.literals`, byte for byte. What is rare is selected as
the literal that the server formats, and copied.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import ColumnEntry
from app.engine.flavor import Flavor
from app.engine.native import Kind
from app.engine.sql import literals
from app.engine.sql.quoting import quote


# Numbers of types on the wire, with and without a sign, and what is made of them.
# Source: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
_INTEGERS: Final = {
    (1, False): Kind.INT8,
    (1, True): Kind.UINT8,
    (2, False): Kind.INT16,
    (2, True): Kind.UINT16,
    (3, False): Kind.INT32,
    (3, True): Kind.UINT32,
    (9, False): Kind.INT32,
    (9, True): Kind.UINT32,
    (8, False): Kind.INT64,
    (8, True): Kind.UINT64,
}
_STRINGS: Final = (15, 249, 250, 251, 252, 253, 254)
_DATE: Final = 10
_CLOCKS: Final = {
    "datetime": (12, Kind.DATETIME),
    "timestamp": (7, Kind.DATETIME),
    "time": (11, Kind.TIME),
}
_FRACTION: Final = re.compile(r"\((\d)\)")
# Sent in the character set of our connection as they are, or by the same conversion that a literal asks for.
_SENT: Final = frozenset({"utf8mb4", "latin1"})
# Sent to us, bytes that are no text would be lost.
_CAST: Final = frozenset({"utf8mb3", "utf8", "ascii"})
_BINARY: Final = frozenset({
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
})


@dataclass(frozen=True, slots=True)
class Selected:
    """
    One column of a query.

    Attributes:
        expression: What is selected.
        kinds: What is made of it, by the number of its type on the wire and whether it has no sign.
        decimals: Digits of a second that are shown.
    """

    expression: str
    kinds: Mapping[tuple[int, bool], Kind]
    decimals: int = 0


def selected(column: ColumnEntry, flavor: Flavor) -> Selected:
    """
    Choose how a column is selected.

    Returns:
        Its expression, and the ways in which it may travel.

    Raises:
        UnsupportedObjectError: Its type is unknown.
    """
    name, kind, full = quote(column.name), column.data_type, column.column_type.lower()
    found: Selected | None = None
    is_real = kind in literals.REAL_TYPES
    if "zerofill" in full or (
        is_real and not flavor.long_doubles
    ):  # only the server knows how wide
        found = None
    elif kind in literals.INTEGER_TYPES:
        found = Selected(name, _INTEGERS)
    elif kind in {"enum", "set"}:
        found = Selected(flavor.member_number.replace("{}", name), _INTEGERS)
    elif kind in _CLOCKS:
        wire, made = _CLOCKS[kind]
        digits = _FRACTION.search(full)
        found = Selected(name, _only(made, wire), int(digits[1]) if digits else 0)
    elif plain := _PLAIN.get(kind):
        pattern, kinds = plain
        found = Selected(name, kinds) if pattern.fullmatch(full) else None
    else:
        found = _string(name, column)
    return found or formatted(column, flavor)


def _only(kind: Kind, *wires: int) -> dict[tuple[int, bool], Kind]:
    return {(wire, unsigned): kind for wire in wires for unsigned in (False, True)}


_TEXT: Final = _only(Kind.TEXT, *_STRINGS)
_ASCII: Final = _only(Kind.ASCII, *_STRINGS)
_BYTES: Final = _only(Kind.BINARY, *_STRINGS)
_LITERAL: Final = _only(Kind.LITERAL, *_STRINGS)
_ANY: Final = re.compile(r".*")
# With digits behind the point the server rounds as it shows; it alone shows a YEAR(2).
_PLAIN: Final = {
    "year": (re.compile(r"year(\(4\))?"), _only(Kind.YEAR, 13)),
    "decimal": (_ANY, _only(Kind.BARE, 246)),
    "double": (re.compile(r"double( unsigned)?"), _only(Kind.DOUBLE, 5)),
    "float": (re.compile(r"float( unsigned)?"), _only(Kind.FLOAT, 4)),
    "date": (_ANY, _only(Kind.DATE, _DATE)),
    "bit": (_ANY, _only(Kind.BIT, 16)),
}


def _string(name: str, column: ColumnEntry) -> Selected | None:
    if column.data_type in _BINARY:
        return Selected(name, _BYTES)
    if column.data_type == "json":
        return Selected(f"CAST({name} AS CHAR CHARACTER SET utf8mb4)", _TEXT)
    if column.charset in _SENT and column.data_type in literals.SLICED_TYPES:
        return Selected(name, _TEXT)
    if column.charset in _CAST and column.data_type in literals.SLICED_TYPES:
        return Selected(f"CAST({name} AS BINARY)", _ASCII if column.charset == "ascii" else _TEXT)
    return None


def formatted(column: ColumnEntry, flavor: Flavor) -> Selected:
    """Let the server format a column; for its arguments and what it returns see `selected`."""
    return Selected(literals.row([literals.literal(column, flavor)]), _LITERAL)


def matched(
    columns: Sequence[Selected], wires: Sequence[tuple[int, bool]]
) -> list[tuple[int, int]] | None:
    """
    Choose what is made of each column.

    Args:
        columns: What was selected.
        wires: Type of each on the wire, and whether it has no sign.

    Returns:
        Kind and digits of a second, for `RowText`; None when one travels as nobody has expected.
    """
    if len(columns) != len(wires):
        return None
    found: list[tuple[int, int]] = []
    for column, wire in zip(columns, wires, strict=True):
        if (kind := column.kinds.get(wire)) is None:
            return None
        found.append((kind, column.decimals))
    return found
