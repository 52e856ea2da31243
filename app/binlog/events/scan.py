"""
The rules that the events of one file must keep, one after the other.

1. A file begins with its format description, then a list of the GTIDs before it, equal to what is known of them.
2. An event begins where the one before it ended, and says so: `log_pos` is its end, modulo 2^32, or 0 inside
   of a transaction.
3. Its checksum is right where the file has some.
4. Transactions are whole, and none begins inside another one.

What was read from the server and what lies in the archive go through the same rules.
"""

from typing import Final

from app.binlog.events.groups import Group, Groups
from app.binlog.events.gtids import GtidState, MariaGtids, MysqlGtids
from app.binlog.events.headers import (
    CHECKSUM_BYTES,
    MAGIC,
    POSITIONS,
    Format,
    Header,
    Kind,
    Malformed,
    Place,
    has_right_checksum,
    read_format,
    read_header,
    read_rotate,
)


_LISTS: Final = frozenset({Kind.MARIA_GTID_LIST, Kind.PREVIOUS_GTIDS})


class Scan:
    """
    One file, or a part of it.

    Attributes:
        position: Behind the last event.
        border: Behind the last event that left no transaction open.
        last_start: Where the last transaction begins; None before the first.
        format: What the file says of itself; None before its first event.
        format_event: The event that says so; empty before it.
        gtids: What the log has at `border`; None while nobody has said it.
        next: Where the log goes on, once the file says it; an empty name after a stop of the server.
        header: Of the last event.
    """

    def __init__(
        self,
        *,
        position: int = len(MAGIC),
        format_event: bytes = b"",
        gtids: GtidState | None = None,
    ) -> None:
        self.position = position
        self.border = position
        self.last_start: int | None = None
        self.format: Format | None = read_format(format_event) if format_event else None
        self.format_event = format_event
        self.gtids = gtids.copy() if gtids else None
        self.next: Place | None = None
        self.header: Header | None = None
        self._groups = Groups()

    @property
    def has_begun(self) -> bool:
        """Tell whether the head of the file was seen."""
        return self.format is not None and self.gtids is not None

    def at_border(self) -> "Scan":
        """Return one that has seen everything up to the border, and nothing behind it."""
        scan = Scan(position=self.border, format_event=self.format_event, gtids=self.gtids)
        scan.last_start = self.last_start
        if self.border == self.position:
            scan.next, scan.header = self.next, self.header
        return scan

    def accept(self, event: bytes) -> Group | None:
        """
        Take the next event of the file.

        Args:
            event: All of it.

        Returns:
            The transaction that it ends, if it does.

        Raises:
            Malformed: It breaks a rule; the scan is of no use any more.
        """
        header = read_header(event)
        end = self.position + header.size
        if header.size != len(event):
            raise Malformed(f"{len(event)} bytes instead of {header.size}")
        # MariaDB from 11.4 on leaves it out inside of transactions (binlog_legacy_event_pos).
        is_left_out = header.log_pos == 0 and self._groups.is_open
        if header.log_pos != end % POSITIONS and not is_left_out:
            raise Malformed(f"it says that it ends at {header.log_pos}, and ends at {end}")
        if self.next is not None:
            raise Malformed("an event stands behind the end of its file")
        if self.format is None or header.kind == Kind.FORMAT:
            self._begin(header, event)
        elif self.format.has_checksums:
            if not has_right_checksum(event):
                raise Malformed("its checksum is wrong")
            event = event[:-CHECKSUM_BYTES]
        group = self._look_at(header, event, end)
        self.header = header
        self.position = end
        if not self._groups.is_open:
            self.border = end
        return group

    def _begin(self, header: Header, event: bytes) -> None:
        if self.format is not None or header.kind != Kind.FORMAT:
            raise Malformed(
                "the format description does not stand at the beginning, and nowhere else"
            )
        self.format = read_format(event)
        self.format_event = event

    def _look_at(self, header: Header, event: bytes, end: int) -> Group | None:
        kind = header.kind
        if kind in _LISTS:
            self._compare(kind, event)
        elif kind == Kind.ROTATE:
            self._close(read_rotate(event, has_checksums=False))
        elif kind == Kind.STOP:
            self._close(Place("", len(MAGIC)))
        elif kind == Kind.INCIDENT:
            raise Malformed("the server says that it has lost events")
        elif kind == Kind.TAGGED_GTID:
            raise Malformed("it is a GTID with a tag, which is not known here")
        group = self._groups.accept(header, event, self.position, end)
        if group is not None:
            self.last_start = group.start
            if self.gtids is None:
                raise Malformed("a transaction stands before the list of GTIDs")
            self.gtids.add(group.gtid)
        return group

    def _compare(self, kind: int, event: bytes) -> None:
        read = MariaGtids.listed if kind == Kind.MARIA_GTID_LIST else MysqlGtids.listed
        listed: GtidState = read(event, has_checksums=False)
        if self.gtids is not None and self.gtids.text != listed.text:
            raise Malformed(f"the file begins at {listed.text}, the log had {self.gtids.text}")
        self.gtids = listed

    def _close(self, place: Place) -> None:
        if self._groups.is_open:
            raise Malformed("the file ends inside a transaction")
        self.next = place
