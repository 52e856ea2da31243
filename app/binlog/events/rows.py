"""
Rows of row events, counted and not read: only how wide each column is matters.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Table__map__event.html,
https://mariadb.com/docs/server/reference/clientserver-protocol/replication-protocol/table_map_event
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from app.binlog.events.headers import HEADER_BYTES, Kind, Malformed


_ID_AND_FLAGS: Final = 8
_INSERTS: Final = {
    Kind.WRITE_ROWS_1,
    Kind.WRITE_ROWS,
    Kind.WRITE_ROWS_COMPRESSED_1,
    Kind.WRITE_ROWS_COMPRESSED,
}
_UPDATES: Final = {
    Kind.UPDATE_ROWS_1,
    Kind.UPDATE_ROWS,
    Kind.UPDATE_ROWS_COMPRESSED_1,
    Kind.UPDATE_ROWS_COMPRESSED,
    Kind.PARTIAL_UPDATE_ROWS,
}
# Of MySQL they have other types.
_MARIADB_UPDATES: Final = frozenset({
    Kind.UPDATE_ROWS_1,
    Kind.UPDATE_ROWS_COMPRESSED_1,
    Kind.UPDATE_ROWS_COMPRESSED,
})
_DELETES: Final = {
    Kind.DELETE_ROWS_1,
    Kind.DELETE_ROWS,
    Kind.DELETE_ROWS_COMPRESSED_1,
    Kind.DELETE_ROWS_COMPRESSED,
}
ROWS: Final = frozenset(_INSERTS | _UPDATES | _DELETES)
_WITH_EXTRA: Final = frozenset({
    Kind.WRITE_ROWS,
    Kind.UPDATE_ROWS,
    Kind.DELETE_ROWS,
    Kind.PARTIAL_UPDATE_ROWS,
    Kind.WRITE_ROWS_COMPRESSED,
    Kind.UPDATE_ROWS_COMPRESSED,
    Kind.DELETE_ROWS_COMPRESSED,
})
_MOST_ROWS_BYTES: Final = 1 << 30
# What an integer begins with that has more bytes than one, and how many.
_FIRST_LONG: Final = 0xFB
_LONG: Final[Mapping[int, int]] = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_DIGITS: Final = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_JSON: Final = 245
_ENUM_AND_SET: Final = frozenset({247, 248})


def _decimal(digits: int) -> int:
    return digits // 9 * 4 + _DIGITS[digits % 9]


def _string(meta: bytes) -> int:
    # Two bits of the length of a long CHAR lie, turned round, where its type has ones.
    kind = meta[0] | 0x30
    if kind in _ENUM_AND_SET:
        return meta[1]
    return -2 if ((meta[0] & 0x30) ^ 0x30) else -1


# Widths of columns without anything more to be said of them, by type.
_FIXED: Final[Mapping[int, int]] = {
    1: 1, 2: 2, 3: 4, 6: 0, 7: 4, 8: 8, 9: 3, 10: 3, 11: 3, 12: 8, 13: 1, 14: 3
}  # fmt: skip
# Others: bytes of metadata, and the width by them; negative: the length comes first, in so many bytes.
_WIDTHS: Final[Mapping[int, tuple[int, Callable[[bytes], int]]]] = {
    4: (1, lambda meta: meta[0]),  # FLOAT
    5: (1, lambda meta: meta[0]),  # DOUBLE
    15: (2, lambda meta: -2 if meta[1] else -1),  # VARCHAR
    16: (2, lambda meta: meta[1] + bool(meta[0])),  # BIT
    17: (1, lambda meta: 4 + (meta[0] + 1) // 2),  # TIMESTAMP
    18: (1, lambda meta: 5 + (meta[0] + 1) // 2),  # DATETIME
    19: (1, lambda meta: 3 + (meta[0] + 1) // 2),  # TIME
    140: (1, lambda meta: -meta[0]),  # BLOB COMPRESSED
    141: (2, lambda meta: -2 if meta[1] else -1),  # VARCHAR COMPRESSED
    242: (1, lambda meta: -meta[0]),  # VECTOR
    245: (1, lambda meta: -meta[0]),  # JSON
    246: (2, lambda meta: _decimal(meta[0] - meta[1]) + _decimal(meta[1])),
    247: (2, lambda meta: meta[1]),  # ENUM
    248: (2, lambda meta: meta[1]),  # SET
    249: (1, lambda meta: -meta[0]),
    250: (1, lambda meta: -meta[0]),
    251: (1, lambda meta: -meta[0]),
    252: (1, lambda meta: -meta[0]),  # BLOB
    253: (2, lambda meta: -2 if meta[1] else -1),
    254: (2, _string),
    255: (1, lambda meta: -meta[0]),  # GEOMETRY
}


class TableMap(NamedTuple):
    """
    What a transaction calls a table.

    Attributes:
        number: Its number in the events that follow.
        widths: Of its columns, in bytes; negative: the length comes first, in so many. None: a type that is
            not known here.
        documents: Which columns are JSON, whose updates may be partial.
    """

    number: int
    database: str
    table: str
    widths: tuple[int, ...] | None
    documents: tuple[bool, ...]


class Counts(NamedTuple):
    """Rows of one event; None for what cannot be counted here."""

    inserted: int | None = 0
    updated: int | None = 0
    deleted: int | None = 0


def read_table_map(event: bytes) -> TableMap:
    """Read a Table_map event without its checksum; raises Malformed."""
    try:
        number = int.from_bytes(event[HEADER_BYTES : HEADER_BYTES + 6], "little")
        offset = HEADER_BYTES + _ID_AND_FLAGS
        database, offset = _name(event, offset)
        table, offset = _name(event, offset)
        count, offset = lenenc(event, offset)
        types = event[offset : offset + count]
        size, offset = lenenc(event, offset + count)
        widths = _widths(types, event[offset : offset + size])
    except IndexError:
        raise Malformed("the description of a table is cut short") from None
    return TableMap(number, database, table, widths, tuple(kind == _JSON for kind in types))


def _name(event: bytes, offset: int) -> tuple[str, int]:
    end = offset + 1 + event[offset]
    return event[offset + 1 : end].decode("utf-8", "replace"), end + 1


def _widths(types: bytes, metadata: bytes) -> tuple[int, ...] | None:
    found, offset = [], 0
    for kind in types:
        if kind in _FIXED:
            found.append(_FIXED[kind])
        elif kind in _WIDTHS:
            size, width = _WIDTHS[kind]
            found.append(width(metadata[offset : offset + size]))
            offset += size
        else:
            return None
    return tuple(found)


def lenenc(data: bytes, offset: int) -> tuple[int, int]:
    """Read an integer of the protocol, and where it ends; raises IndexError."""
    first = data[offset]
    if first < _FIRST_LONG:
        return first, offset + 1
    size = _LONG.get(first, 0)
    if not size or offset + 1 + size > len(data):
        raise IndexError
    return int.from_bytes(data[offset + 1 : offset + 1 + size], "little"), offset + 1 + size


def table_number(event: bytes) -> int:
    """Return the number of the table of a row event."""
    return int.from_bytes(event[HEADER_BYTES : HEADER_BYTES + 6], "little")


def count_rows(kind: int, event: bytes, table: TableMap) -> Counts:
    """
    Count the rows of a row event.

    Args:
        kind: Its type.
        event: Without its checksum.
        table: What its table number stands for.

    Returns:
        How many were inserted, updated or deleted.

    Raises:
        Malformed: Its rows do not end where it ends.
    """
    try:
        count = None if table.widths is None else _count(kind, event, table)
    except IndexError:
        raise Malformed(f"rows of {table.database}.{table.table} are cut short") from None
    if kind in _INSERTS:
        return Counts(inserted=count)
    return Counts(updated=count) if kind in _UPDATES else Counts(deleted=count)


def lacking_columns(kind: int, event: bytes) -> tuple[int, tuple[int, ...]]:
    """
    Tell which columns MariaDB has left out of what rows have become.

    Returns:
        How many there are, and the numbers of those that lack.

    Raises:
        Malformed: It is cut short.
    """
    if kind not in _MARIADB_UPDATES:
        return 0, ()
    offset = HEADER_BYTES + _ID_AND_FLAGS
    try:
        if kind in _WITH_EXTRA:
            offset += int.from_bytes(event[offset : offset + 2], "little")
        columns, offset = lenenc(event, offset)
    except IndexError:
        raise Malformed("an update is cut short") from None
    size = (columns + 7) // 8
    bits = int.from_bytes(event[offset + size : offset + 2 * size], "little")
    if bits == (1 << columns) - 1:
        return columns, ()
    return columns, tuple(number for number in range(columns) if not bits >> number & 1)


def _count(kind: int, event: bytes, table: TableMap) -> int:
    offset = HEADER_BYTES + _ID_AND_FLAGS
    if kind in _WITH_EXTRA:
        offset += int.from_bytes(event[offset : offset + 2], "little")
    columns, offset = lenenc(event, offset)
    images = []
    for _ in range(1 + (kind in _UPDATES)):
        bits = int.from_bytes(event[offset : offset + (columns + 7) // 8], "little")
        offset += (columns + 7) // 8
        images.append(_Image(table, columns, bits))
    data = event[offset:]
    if kind >= Kind.WRITE_ROWS_COMPRESSED_1:
        data = inflate(data)
    images[-1].is_partial = kind == Kind.PARTIAL_UPDATE_ROWS
    count, position = 0, 0
    while position < len(data):
        for image in images:
            position = image.skip(data, position)
        count += 1
    if position != len(data):
        raise IndexError
    return count


class _Image:
    """The columns that a row event has of each row, before or after it."""

    def __init__(self, table: TableMap, columns: int, bits: int) -> None:
        present = [index for index in range(columns) if bits >> index & 1]
        widths = table.widths or ()
        self.is_partial = False
        self._widths = [widths[index] for index in present]
        self._documents = sum(table.documents)
        self._null_bytes = (len(present) + 7) // 8

    def skip(self, data: bytes, position: int) -> int:
        if self.is_partial:
            options, position = lenenc(data, position)
            position += (self._documents + 7) // 8 if options & 1 else 0
        nulls = int.from_bytes(data[position : position + self._null_bytes], "little")
        position += self._null_bytes
        for index, width in enumerate(self._widths):
            if nulls >> index & 1:
                continue
            if width >= 0:
                position += width
            else:
                position -= width
                position += int.from_bytes(data[position + width : position], "little")
        if position > len(data):
            raise IndexError
        return position


def inflate(data: bytes) -> bytes:
    """Undo the compression of MariaDB's events; raises Malformed."""
    length_bytes = data[0] & 0x07
    expected = int.from_bytes(data[1 : 1 + length_bytes], "big")
    if expected > _MOST_ROWS_BYTES:
        raise Malformed("a compressed event is too large")
    try:
        found = zlib.decompressobj().decompress(data[1 + length_bytes :], expected + 1)
    except zlib.error:
        raise Malformed("a compressed event cannot be read") from None
    if len(found) != expected:
        raise Malformed("a compressed event has another length than it says")
    return found
