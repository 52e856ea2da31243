"""
Events of a binary log, one by one: header, checksum, and the few bodies that hold a file together.

Both vendors write version 4 of the format since MySQL 5.0: 19 bytes of header, a body, and four bytes of
CRC-32 where the file's format description says so.

Source: https://mariadb.com/docs/server/reference/clientserver-protocol/replication-protocol,
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_replication_binlog_event.html
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple


MAGIC: Final = b"\xfebin"
HEADER_BYTES: Final = 19
CHECKSUM_BYTES: Final = 4
# Positions in events have 32 bits, files may be longer.
POSITIONS: Final = 1 << 32
# No server takes a longer one; MySQL's packets end at 1 GiB, and events have some bytes more.
MOST_EVENT_BYTES: Final = (1 << 30) + (1 << 20)
_HEADER: Final = struct.Struct("<IBIIIH")
_POSITION_OFFSET: Final = 13
_FLAGS_OFFSET: Final = 17
_IN_USE: Final = 0x01
_ARTIFICIAL: Final = 0x20
IGNORABLE: Final = 0x80
_POSITION_BYTES: Final = 8
# The version of the format.
_FOUR: Final = b"\x04\x00"
_CREATED_OFFSET: Final = HEADER_BYTES + 2 + 50
_VERSION: Final = slice(HEADER_BYTES + 2, HEADER_BYTES + 52)


class Kind(IntEnum):
    """Types of events that are told apart here; 160 and above are MariaDB's, 33 to 42 MySQL's."""

    QUERY = 2
    STOP = 3
    ROTATE = 4
    LOAD_DATA = 6
    APPEND_BLOCK = 9
    FORMAT = 15
    XID = 16
    BEGIN_LOAD_QUERY = 17
    EXECUTE_LOAD_QUERY = 18
    TABLE_MAP = 19
    WRITE_ROWS_1 = 23
    UPDATE_ROWS_1 = 24
    DELETE_ROWS_1 = 25
    INCIDENT = 26
    IGNORABLE = 28
    ROWS_QUERY = 29
    WRITE_ROWS = 30
    UPDATE_ROWS = 31
    DELETE_ROWS = 32
    GTID = 33
    ANONYMOUS_GTID = 34
    PREVIOUS_GTIDS = 35
    XA_PREPARE = 38
    PARTIAL_UPDATE_ROWS = 39
    PAYLOAD = 40
    TAGGED_GTID = 42
    ANNOTATE_ROWS = 160
    MARIA_GTID = 162
    MARIA_GTID_LIST = 163
    START_ENCRYPTION = 164
    QUERY_COMPRESSED = 165
    WRITE_ROWS_COMPRESSED_1 = 166
    UPDATE_ROWS_COMPRESSED_1 = 167
    DELETE_ROWS_COMPRESSED_1 = 168
    WRITE_ROWS_COMPRESSED = 169
    UPDATE_ROWS_COMPRESSED = 170
    DELETE_ROWS_COMPRESSED = 171


# No transaction has them; MariaDB sends the last one to whoever begins in the middle of an encrypted file.
_OF_FILES: Final = frozenset({
    Kind.ROTATE,
    Kind.FORMAT,
    Kind.MARIA_GTID_LIST,
    Kind.PREVIOUS_GTIDS,
    Kind.START_ENCRYPTION,
})


class Malformed(Exception):  # noqa: N818 - no error of the program: whoever reads says where it was
    """Bytes that are no event, or not the one that must stand there; the text says why."""


class Header(NamedTuple):
    """
    The first 19 bytes of an event.

    Attributes:
        timestamp: When its statement began, seconds since 1970, by the session's clock.
        kind: Its type; many have no name here.
        server_id: Who wrote it first.
        size: Bytes, header and checksum included.
        log_pos: Where it ends, modulo 2^32; 0 in some that are not in the file.
        flags: Bits.
    """

    timestamp: int
    kind: int
    server_id: int
    size: int
    log_pos: int
    flags: int

    @property
    def is_artificial(self) -> bool:
        """Tell whether the server made it for the reader: it stands in no file."""
        # Inside of transactions MariaDB from 11.4 on leaves out where an event ends, so 0 alone says nothing.
        return bool(self.flags & _ARTIFICIAL) or (self.log_pos == 0 and self.kind in _OF_FILES)


class Place(NamedTuple):
    """
    A place in a server's binary log.

    Attributes:
        name: Of the server's file.
        position: Bytes before it.
    """

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Format:
    """
    What a format description event says of its file.

    Attributes:
        has_checksums: Whether each event ends in a CRC-32.
        server_version: Of the server that wrote the file.
        created: Nonzero in the first file after a start of the server.
    """

    has_checksums: bool
    server_version: str
    created: int


def read_header(data: bytes | memoryview, offset: int = 0) -> Header:
    """Read a header; raises Malformed where there are too few bytes, or its size makes no sense."""
    if len(data) - offset < HEADER_BYTES:
        raise Malformed("it is shorter than a header")
    header = Header._make(_HEADER.unpack_from(data, offset))
    if not HEADER_BYTES <= header.size <= MOST_EVENT_BYTES:
        raise Malformed(f"it says that it has {header.size} bytes")
    return header


def without_in_use(event: bytes) -> bytes:
    """Return a format description as the server's dump sends it, also while its file is written."""
    low = event[_FLAGS_OFFSET] & ~_IN_USE
    return event[:_FLAGS_OFFSET] + bytes((low,)) + event[_FLAGS_OFFSET + 1 :]


def has_right_checksum(event: bytes) -> bool:
    """Tell whether the last four bytes are the CRC-32 of those before, the in-use bit of a file aside."""
    if len(event) < HEADER_BYTES + CHECKSUM_BYTES:
        return False
    if event[4] == Kind.FORMAT:
        event = without_in_use(event)
    found = int.from_bytes(event[-CHECKSUM_BYTES:], "little")
    return zlib.crc32(memoryview(event)[:-CHECKSUM_BYTES]) == found


def read_format(event: bytes) -> Format:
    """
    Read a format description event.

    Returns:
        What matters here.

    Raises:
        Malformed: It is of another version of the format, or its checksum is wrong.
    """
    # It always has the byte of the algorithm and a checksum, whatever those after it have.
    if len(event) < _CREATED_OFFSET + 5 + 5 or event[19:21] != _FOUR:
        raise Malformed("the format description is not of version 4")
    if not has_right_checksum(event):
        raise Malformed("the checksum of the format description is wrong")
    algorithm = event[-5]
    if algorithm > 1:
        raise Malformed(f"it has checksums of an unknown kind ({algorithm})")
    version = event[_VERSION].split(b"\0", 1)[0].decode("ascii", "replace")
    created = int.from_bytes(event[_CREATED_OFFSET : _CREATED_OFFSET + 4], "little")
    return Format(algorithm == 1, version, created)


def is_of_one_file(event: bytes, other: bytes) -> bool:
    """
    Tell whether two format descriptions are of the same file.

    Args:
        event: One.
        other: The other one; whoever begins in the middle of a file gets it without its position.

    Returns:
        False also where only the second differs in which the file was begun.
    """
    return (
        event[:_POSITION_OFFSET] == other[:_POSITION_OFFSET] and event[_VERSION] == other[_VERSION]
    )


def read_rotate(event: bytes, *, has_checksums: bool) -> Place:
    """
    Read where the log goes on.

    Args:
        event: A Rotate, as in a file or made by the server.
        has_checksums: Of the file; what the server made says so by itself.

    Returns:
        A file, and where its events begin.

    Raises:
        Malformed: It names none.
    """
    ends_in_checksum = has_checksums or has_right_checksum(event)
    body = event[HEADER_BYTES : len(event) - CHECKSUM_BYTES * ends_in_checksum]
    if len(body) <= _POSITION_BYTES:
        raise Malformed("a rotation names no file")
    position = int.from_bytes(body[:_POSITION_BYTES], "little")
    return Place(body[_POSITION_BYTES:].decode("utf-8", "surrogateescape"), position)


def made_ignorable(size: int, end: int, server_id: int, *, has_checksums: bool) -> bytes:
    """
    Make an event that every applier passes over.

    It takes the place of the one that the server leaves out of a decrypted log, so that all others stand at
    their positions.

    Args:
        size: Its bytes, at least 19, or 23 with a checksum.
        end: Where it ends.
        server_id: Whose it looks like.
        has_checksums: Of the file.

    Returns:
        The event.
    """
    head = _HEADER.pack(0, Kind.IGNORABLE, server_id, size, end % POSITIONS, IGNORABLE)
    body = head + bytes(size - HEADER_BYTES - CHECKSUM_BYTES * has_checksums)
    return body + zlib.crc32(body).to_bytes(4, "little") if has_checksums else body


def split_events(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """
    Cut bytes of a log, from any event on, into events.

    Args:
        blocks: The bytes in order; consumed once.

    Yields:
        Whole events; what is left at the end and is none is given as the last one, if it is a part of one.

    Raises:
        Malformed: The size of an event makes no sense.
    """
    rest = bytearray()
    for block in blocks:
        rest += block
        offset = 0
        # The size of the next event is known from its first bytes: a large one is gathered, not looked at again.
        while (size := _whole_size(rest, offset)) is not None:
            yield bytes(rest[offset : offset + size])
            offset += size
        if offset:
            del rest[:offset]
    if rest:
        yield bytes(rest)


def _whole_size(data: bytearray, offset: int) -> int | None:
    if len(data) - offset < HEADER_BYTES:
        return None
    size = int.from_bytes(data[offset + 9 : offset + 13], "little")
    if size < HEADER_BYTES:
        raise Malformed(f"an event says that it has {size} bytes")
    return size if offset + size <= len(data) else None
