"""
What a server sends, event by event, on its way into the archive.

1. What stands in no file is looked at and left out: heartbeats, and what the server makes for its readers.
2. As long as the archive is ahead, events are compared with it.
3. After that they go into the archive, by the rules of a log.
4. A file follows another one by its number, and only after a rotation, a stop, or a start of the server.
5. That there is nothing new is true of when the server said so, which is not when somebody comes to read it.
   It says so after a pause of seconds only, so after what it said before had come.
"""

from typing import Final

from app.binlog.archive.times import commit_ms
from app.binlog.archive.writing import StreamWriter
from app.binlog.events.headers import (
    CHECKSUM_BYTES,
    MAGIC,
    POSITIONS,
    Header,
    Kind,
    Malformed,
    made_ignorable,
    read_format,
    read_header,
    read_rotate,
)
from app.binlog.moments import NEVER, Moments
from app.binlog.overlap import Overlap
from app.concurrency import run_in_thread
from app.errors import BinlogBrokenError


_HEARTBEATS: Final = frozenset({27, 41})
# Of the event by which an encrypted log begins; the server keeps it to itself.
_ENCRYPTION_BYTES: Final = 36


class Intake:
    """
    One connection's way into a stream.

    Attributes:
        overlap: What must come again; None once it has.
        current: Everything that was committed before this moment is here.
    """

    def __init__(self, writer: StreamWriter, overlap: Overlap | None, moments: Moments) -> None:
        self.overlap = overlap
        self.current = NEVER
        self._writer = writer
        self._moments = moments
        # What is read now was sent after the first, if the way to here takes no longer than a heartbeat.
        self._since = self._heard = moments.now()
        place = overlap.place if overlap else None
        self._file = place.name if place else writer.file
        self._position = place.position if place else len(MAGIC)
        self._next_file = ""
        self._is_known = False
        self._may_have_gap = False
        self._has_checksums = False

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._moments.now().ms

    def hear(self, *, waited: bool) -> None:
        """Note that bytes have come; `waited` tells that none had been there, as they may have been for long."""
        if waited:
            self._since, self._heard = self._heard, self._moments.now()

    async def take(self, event: bytes) -> None:
        """
        Take the next event that the server sends.

        Raises:
            BinlogBrokenError: It cannot follow what is in the archive.
            BinlogDamagedError: The archive cannot be read.
            StorageError: The medium refused; the writer is of no use any more.
        """
        try:
            await self._take(read_header(event), event)
        except Malformed as exc:
            raise BinlogBrokenError(f"{self._file} at {self._position}: {exc}") from exc

    async def _take(self, header: Header, event: bytes) -> None:
        if header.kind in _HEARTBEATS:
            self._note_idle(header)
        elif header.is_artificial:
            if header.kind == Kind.ROTATE:
                self._note_file(read_rotate(event, has_checksums=False).name)
            elif header.kind == Kind.FORMAT and self.overlap is not None:
                await self.overlap.require_file(event)
        else:
            if self._next_file:
                await self._change_file(header, event)
            await self._fill(header, event)
            await self._put(event)

    def _note_idle(self, header: Header) -> None:
        """The server has nothing more to send: now the archive must not be ahead of it."""
        if self.overlap is not None:
            raise BinlogBrokenError("the server's log ends before the archive does")
        if header.log_pos == self._position % POSITIONS:
            self.current = self.current.later(self._since)

    def _note_file(self, name: str) -> None:
        if not self._is_known and name != self._file:
            raise BinlogBrokenError(f"the server begins with {name} in place of {self._file}")
        self._is_known = True
        self._next_file = name if name != self._file else ""

    async def _change_file(self, header: Header, event: bytes) -> None:
        name, self._next_file = self._next_file, ""
        if header.kind != Kind.FORMAT:
            raise Malformed(f"{name} does not begin with its format description")
        if self.overlap is not None:
            self.overlap.change_file(name)
            if self.overlap.is_over:
                self.overlap = None
        else:
            if self._writer.scan.next is None and not read_format(event).created:
                raise Malformed(f"the log goes on in {name} without a rotation")
            moment = self.now_ms
            await run_in_thread(lambda: self._writer.change_file(name, moment))
        self._file, self._position = name, len(MAGIC)

    async def _fill(self, header: Header, event: bytes) -> None:
        """Put an event that is passed over where a server that encrypts its log leaves one out."""
        gap = (header.log_pos - len(event) - self._position) % POSITIONS
        if not gap or not self._may_have_gap:
            return
        has_checksums = self._has_checksums
        if gap == _ENCRYPTION_BYTES + CHECKSUM_BYTES * has_checksums:
            end = self._position + gap
            await self._put(made_ignorable(gap, end, header.server_id, has_checksums=has_checksums))

    async def _put(self, event: bytes) -> None:
        if self.overlap is not None:
            await self.overlap.compare(event)
            if self.overlap.is_over:
                self.overlap = None
        else:
            group = self._writer.accept(event)
            if group is not None:
                committed = self._moments.of(commit_ms(group, self.now_ms, 0))
                self.current = self.current.later(committed)
        self._may_have_gap = event[4] == Kind.FORMAT
        if self._may_have_gap:
            self._has_checksums = read_format(event).has_checksums
        self._position += len(event)
