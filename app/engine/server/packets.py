"""
Rows, and events of the binary log, taken out of the bytes that a server sends: no I/O.

The driver needs some ten microseconds a row, the server one or two. A result of one column is simple
enough to be read here: each packet is a row, its length before it (MariaDB and MySQL, text protocol).
Source: mariadb.com/kb/en/result-set-packets, dev.mysql.com/doc/dev/mysql-server, "Text Resultset".
"""

import struct
from typing import Final, Generic, TypeVar

import pymysql

from app.mysql.refusals import MOST_BYTES, malformed, raise_error, too_large


Rest = TypeVar("Rest", bytes, bytearray)

# A packet of this many bytes goes on in the next one.
_WHOLE: Final = 0xFFFFFF
_NULL, _ERROR, _LAST = 0xFB, 0xFF, 0xFE
_EVENT = 0x00
# Bytes before the value, by the first one; anything below 251 is itself the length.
_PREFIX: Final = {0xFC: 3, 0xFD: 4, 0xFE: 9}
# A packet that begins as a value of 8 bytes of length, and is shorter than that, ends the rows.
_END_BYTES: Final = 9
_HEADER: Final = struct.Struct("<I")


def whole_packets(
    received: bytes | bytearray, count: int, sequence: int
) -> tuple[list[bytes], int]:
    """
    Cut short packets out of what has come.

    Args:
        received: Begins with a packet.
        count: How many are wanted.
        sequence: The number of the first one, 0 to 255.

    Returns:
        Their payloads, and how many bytes they take; no payloads where not all have come, or one is out of
        order, an error, empty or not short: what reads packets one by one knows what to make of that.
    """
    found: list[bytes] = []
    start, length = _HEADER.size, len(received)
    for number in range(sequence, sequence + count):
        if start >= length:
            return [], 0
        (header,) = _HEADER.unpack_from(received, start - _HEADER.size)
        size = header & _WHOLE
        end = start + size
        is_odd = header >> 24 != number & 0xFF or size in {0, _WHOLE} or received[start] == _ERROR
        if is_odd or end > length:
            return [], 0
        found.append(bytes(received[start:end]))
        start = end + _HEADER.size
    return found, start - _HEADER.size


class _Packets(Generic[Rest]):
    """What a server sends, up to where it was cut."""

    def __init__(self, sequence: int, rest: Rest) -> None:
        """Take the number that the next packet must have, 0 to 255, and where bytes are kept."""
        self._sequence = sequence
        self._rest: Rest = rest
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    @property
    def missing(self) -> int:
        """Return how many bytes are needed at least, before there is one packet more."""
        if len(self._rest) < _HEADER.size:
            return _HEADER.size - len(self._rest)
        size: int = _HEADER.unpack_from(self._rest)[0] & _WHOLE
        return _HEADER.size + size - len(self._rest)

    def _joined(self, payload: bytes) -> bytes | None:
        """Take what is in a packet; return all that belongs together, or None while more follows."""
        self._parts.append(payload)
        self._parts_bytes += len(payload)
        if self._parts_bytes > MOST_BYTES:
            raise too_large()
        if len(payload) == _WHOLE:
            return None
        whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        return whole


class RowPackets(_Packets[bytes]):
    """
    The rows of one query with one column.

    Attributes:
        over: Whether the end was seen.
    """

    def __init__(self, sequence: int) -> None:
        super().__init__(sequence, b"")
        self.over = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """
        Take the next bytes, however they were cut.

        Returns:
            The rows that are whole by now; may be empty.

        Raises:
            InternalError: A packet is out of order.
            Refusal: A row is larger than any may be, or none at all.
            Error: Another one of the driver's, for what the server reports in the middle of the rows.
        """
        data = self._rest + data if self._rest else data
        rows: list[bytes | None] = []
        start, sequence, unpack = _HEADER.size, self._sequence, _HEADER.unpack_from
        while start <= len(data):
            (header,) = unpack(data, start - _HEADER.size)
            end = start + (header & _WHOLE)
            if end > len(data):
                break
            if header >> 24 != sequence:
                raise pymysql.err.InternalError("a packet is out of order")
            sequence = (sequence + 1) & 0xFF
            first = data[start] if end > start else _NULL
            if first < _NULL and end - start < _WHOLE and not self._parts:
                rows.append(data[start + 1 : end])
            else:
                self._take(data[start:end], rows)
            start = end + _HEADER.size
        self._rest, self._sequence = data[start - _HEADER.size :], sequence
        return rows

    def _take(self, payload: bytes, rows: list[bytes | None]) -> None:
        """Take a packet that is not simply a short value."""
        whole = self._joined(payload)
        if whole is None:
            return
        if not whole:
            raise malformed()
        first = whole[0]
        if first == _ERROR:
            raise_error(whole)
        elif first == _LAST and len(whole) < _END_BYTES:
            self.over = True
        elif first == _NULL:
            rows.append(None)
        else:
            rows.append(whole[_PREFIX.get(first, 1) :])


class EventPackets(_Packets[bytearray]):
    """The events of a binary log."""

    def __init__(self, sequence: int) -> None:
        super().__init__(sequence, bytearray())

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes, however they were cut.

        Returns:
            The events that are whole by now; may be empty.

        Raises:
            EOFError: The server has ended the log.
            malformed: What it sends is none of the protocol; a Refusal.
            Error: Another one of the driver's, for what the server reports.
        """
        rest = self._rest
        rest += data
        events: list[bytes] = []
        offset, length = 0, len(rest)
        while length - offset >= _HEADER.size:
            size = int.from_bytes(rest[offset : offset + 3], "little")
            end = offset + _HEADER.size + size
            if end > length:
                break
            if rest[offset + 3] != self._sequence:
                raise malformed("the server's packets are out of order")
            self._sequence = (self._sequence + 1) & 0xFF
            self._take(bytes(rest[offset + _HEADER.size : end]), events)
            offset = end
        del rest[:offset]
        return events

    def _take(self, payload: bytes, events: list[bytes]) -> None:
        if not self._parts:
            _require_event(payload)
        whole = self._joined(payload)
        if whole is not None:
            events.append(whole[1:])


def _require_event(payload: bytes) -> None:
    kind = payload[0] if payload else _LAST
    if kind == _EVENT:
        return
    if kind == _ERROR:
        raise_error(payload)
    if kind == _LAST:
        raise EOFError("the server has ended the log")
    raise malformed()
