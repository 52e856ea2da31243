"""
Prepared statements as packets: no I/O.

Source: mariadb.com/kb/en/com_stmt_execute, dev.mysql.com/doc/dev/mysql-server, "COM_STMT_EXECUTE".
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.engine.native import RowText
from app.mysql.refusals import understood


PREPARE, EXECUTE, CLOSE = 0x16, 0x17, 0x19
_UNSIGNED_FLAG: Final = 0x20
_LONGLONG, _WITHOUT_SIGN = 8, 0x80
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
# Character set, length, type, flags and decimals of a column; its names are before, each behind its length.
_FIELD: Final = struct.Struct("<xHIBHB")
_FIELD_BYTES: Final = 13
# Before a number of columns of two bytes; no table has more.
_TWO_BYTES: Final = 0xFC
_PREPARED: Final = struct.Struct("<xIHH")

# Type of a column on the wire, and whether it has no sign.
Wire = tuple[int, bool]
# Makes what turns rows of such columns into text; None where it cannot.
Maker = Callable[[Sequence[Wire]], RowText | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    What the server says of a statement that it has prepared.

    Attributes:
        number: Its number there.
        columns: How many columns its rows have.
        parameters: How many values it takes.
    """

    number: int
    columns: int
    parameters: int


@dataclass(frozen=True, slots=True)
class RowsRead:
    """
    The rows of one execution.

    Attributes:
        rows: How many.
        text: Of their values; None when it was longer than it may be.
        warnings: How many the server raised.
        has_zero: Whether a FLOAT is 0 without a sign.
        has_odd_ascii: Whether a column of character set ascii holds other bytes.
    """

    rows: int
    text: bytes | None
    warnings: int
    has_zero: bool
    has_odd_ascii: bool


# Of rows in pieces: what comes from here on the server has to format.
REST: Final = RowsRead(0, None, 0, has_zero=False, has_odd_ascii=False)


def read_prepared(packet: bytes) -> Prepared:
    """Read the first packet of the answer to PREPARE; refuses what is none."""
    with understood():
        return Prepared(*_PREPARED.unpack_from(packet))


def read_count(packet: bytes) -> int:
    """Read the number of columns of rows that follow; refuses what is none."""
    with understood():
        return packet[0] if packet[0] < _TWO_BYTES else int(*struct.unpack_from("<xH", packet))


def read_wire(packet: bytes) -> Wire:
    """Read the definition of a column; refuses what is none."""
    with understood():
        # MariaDB may put more between the names and the last part, never behind it.
        _, _, kind, flags, _ = _FIELD.unpack_from(packet, len(packet) - _FIELD_BYTES)
        return kind, bool(flags & _UNSIGNED_FLAG)


def read_warnings(packet: bytes) -> int:
    """Read the number of warnings in the packet that ends rows; refuses what is none."""
    with understood():
        (warnings,) = struct.unpack_from("<H", packet, 1)
    return int(warnings)


def can_bind(*values: int) -> bool:
    """Tell whether numbers may be parameters."""
    return all(_LEAST <= value <= _MOST for value in values)


def execution(number: int, values: Sequence[int]) -> bytes:
    """
    Write what executes a statement.

    Args:
        number: The server's, of the statement.
        values: Of all its parameters; -2^63 to 2^64 - 1.

    Returns:
        The payload of EXECUTE, for rows without a cursor.
    """
    head = struct.pack("<IBI", number, 0, 1)
    if not values:
        return head
    signs = [_WITHOUT_SIGN if value >= 1 << 63 else 0 for value in values]
    types = b"".join(bytes((_LONGLONG, sign)) for sign in signs)
    bound = b"".join((value & _MOST).to_bytes(8, "little") for value in values)
    return b"".join((head, bytes((len(values) + 7) // 8), b"\x01", types, bound))
