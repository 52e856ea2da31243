"""
Where transactions begin and end.

MariaDB begins each with a GTID event that says whether one statement follows or several; MySQL with one that
does not, so its first statement tells. A prepared XA transaction and its COMMIT are two transactions of a log.

Source: https://mariadb.com/docs/server/reference/clientserver-protocol/replication-protocol/gtid_event,
https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Gtid__event.html
"""

import re
import struct
from typing import Final, NamedTuple
from uuid import UUID

from app.binlog.events.caveats import with_event
from app.binlog.events.headers import HEADER_BYTES, Header, Kind, Malformed
from app.binlog.events.rows import table_number
from app.binlog.events.statements import LEAD, QUERIES, SETTINGS, ends_in_comment, query_text
from app.domain.restores.log_archive import NO_CAVEATS, Caveats


_BEGINNINGS: Final = frozenset({Kind.MARIA_GTID, Kind.GTID, Kind.ANONYMOUS_GTID})
_ENDINGS: Final = frozenset({Kind.XID, Kind.XA_PREPARE, Kind.PAYLOAD})
# Of whole statements and rows: none may stand outside a transaction.
_INNER: Final = frozenset(
    {Kind.TABLE_MAP, Kind.PARTIAL_UPDATE_ROWS, *range(Kind.WRITE_ROWS_1, Kind.DELETE_ROWS_1 + 1)}
    | {*range(Kind.WRITE_ROWS, Kind.DELETE_ROWS + 1), Kind.EXECUTE_LOAD_QUERY}
    | {*range(Kind.WRITE_ROWS_COMPRESSED_1, Kind.DELETE_ROWS_COMPRESSED + 1)}
    | QUERIES
    | _ENDINGS
)
_MARIA: Final = struct.Struct("<QIB")
_STANDALONE: Final = 0x01
_MYSQL: Final = struct.Struct("<B16sqBqq")
_COMMIT_TIME: Final = HEADER_BYTES + _MYSQL.size
_COMMIT_TIME_BYTES: Final = 7
# Behind them nothing but the text of a name.
_OPENING: Final = (b"BEGIN", b"XA START ", b"XA BEGIN ")
_CLOSING: Final = (b"COMMIT", b"ROLLBACK")
_XA_CLOSING: Final = (b"XA COMMIT ", b"XA ROLLBACK ")
# MySQL's CREATE TABLE ... SELECT: rows follow it.
_GOES_ON: Final = b" START TRANSACTION"
# Changes what is there: a table that is made, dropped or emptied is none of those of a snapshot.
_REDEFINES: Final = re.compile(
    (SETTINGS + LEAD).encode()
    + rb"(?:ALTER|RENAME|(?:CREATE|DROP)(?!\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?"
    rb"(?:TABLE|SEQUENCE|DATABASE|SCHEMA|USER|ROLE)\b))\b",
    re.IGNORECASE | re.DOTALL,
)


class Group(NamedTuple):
    """
    A whole transaction in a file.

    Attributes:
        start: Position of its GTID event.
        end: Behind its last event.
        gtid: Empty where it has none.
        timestamp: When the statement that ended it began, seconds since 1970 by its session's clock.
        commit_us: Microseconds since 1970 of its commit by the server; None where only MySQL would say it.
        redefines: Whether it changed the definition of something that was there.
        caveats: What a replay of it may do otherwise.
    """

    start: int
    end: int
    gtid: str
    timestamp: int
    commit_us: int | None
    redefines: bool
    caveats: Caveats


class Groups:
    """
    The transactions of one file, event by event.

    Attributes:
        is_open: Whether a transaction has begun and not ended.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._start = 0
        self._gtid = ""
        self._commit_us: int | None = None
        # None until MySQL's first statement has told.
        self._is_alone: bool | None = False
        self._caveats = NO_CAVEATS
        self._tables: dict[int, bytes] = {}

    def accept(self, header: Header, event: bytes, start: int, end: int) -> Group | None:
        """
        Take the next event.

        Args:
            header: Of it.
            event: All of it, without its checksum.
            start: Its position in the file, of 64 bits.
            end: Where it ends.

        Returns:
            The transaction that it ends, if it does.

        Raises:
            Malformed: It cannot stand here.
        """
        if header.kind in _BEGINNINGS:
            self._begin(header, event, start)
            return None
        if header.kind not in _INNER:
            return None
        if not self.is_open:
            raise Malformed(f"an event of type {header.kind} stands outside any transaction")
        if header.kind == Kind.TABLE_MAP:
            self._tables[table_number(event)] = event
        self._caveats = with_event(self._caveats, header, event, self._tables)
        if header.kind not in _ENDINGS and not self._ends_by(header.kind, event):
            return None
        self.is_open = False
        is_definition = self._is_alone is True and redefines(header.kind, event)
        return Group(
            start=self._start,
            end=end,
            gtid=self._gtid,
            timestamp=header.timestamp,
            commit_us=self._commit_us,
            redefines=is_definition,
            caveats=self._caveats,
        )

    def _begin(self, header: Header, event: bytes, start: int) -> None:
        if self.is_open:
            raise Malformed("a transaction begins inside another one")
        try:
            if header.kind == Kind.MARIA_GTID:
                sequence, domain, flags = _MARIA.unpack_from(event, HEADER_BYTES)
                self._gtid = f"{domain}-{header.server_id}-{sequence}"
                self._is_alone = bool(flags & _STANDALONE)
            else:
                self._begin_mysql(header, event)
        except struct.error:
            raise Malformed("a GTID is cut short") from None
        self.is_open = True
        self._start = start
        self._caveats = NO_CAVEATS
        self._tables = {}

    def _begin_mysql(self, header: Header, event: bytes) -> None:
        _, source, number, *_ = _MYSQL.unpack_from(event, HEADER_BYTES)
        has_gtid = header.kind == Kind.GTID
        self._gtid = f"{UUID(bytes=source)}:{number}" if has_gtid else ""
        packed = event[_COMMIT_TIME : _COMMIT_TIME + _COMMIT_TIME_BYTES]
        # The topmost bit says that the time on the first server follows.
        self._commit_us = int.from_bytes(packed, "little") & ((1 << 55) - 1)
        self._is_alone = None

    def _ends_by(self, kind: int, event: bytes) -> bool:
        """Take an event that need not end a transaction, and return whether it does; the first one tells of MySQL's."""
        if kind not in QUERIES:
            if self._is_alone is None:
                self._is_alone = False
            return False
        if self._is_alone:
            return True
        text = b"" if kind == Kind.QUERY_COMPRESSED else query_text(event)
        if self._is_alone is None:
            goes_on = text.startswith(_OPENING) or (
                text.endswith(_GOES_ON) and not ends_in_comment(text)
            )
            self._is_alone = not goes_on
            return not goes_on
        return text in _CLOSING or text.startswith(_XA_CLOSING)


def is_plain(group: Group) -> bool:
    """Tell whether a replay takes a transaction as it is, statements in place of rows aside, and tells it by a GTID."""
    caveats = group.caveats._replace(executes=frozenset())
    return caveats == NO_CAVEATS and bool(group.gtid)


def redefines(kind: int, event: bytes) -> bool:
    """Tell whether an event without its checksum may change the definition of something that was there."""
    # A compressed text is long, and few definitions are: it may be one.
    return kind == Kind.QUERY_COMPRESSED or bool(
        kind == Kind.QUERY and _REDEFINES.match(query_text(event))
    )
