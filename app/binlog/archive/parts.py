"""Parts of files as they are read back: sealed segments and the tail, behind one face."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import NamedTuple

from app.binlog.archive.documents import HINT, Head, Received
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import TAIL, Stem
from app.binlog.archive.sealed import (
    Sealed,
    hidden_of,
    located,
    read_document,
    require_unchanged,
    sealed_blocks,
)
from app.binlog.archive.streams import StoredStream
from app.binlog.archive.tail import KnownTail, tail_blocks
from app.binlog.archive.times import commit_ms, commit_us, earliest_ms, latest_ms, received_ms
from app.binlog.archive.walk import Walked, scan_from, walk
from app.binlog.events.caveats import EDITION
from app.binlog.events.contents import Contents
from app.binlog.events.gtids import GtidState, parsed_state
from app.binlog.events.headers import Malformed
from app.binlog.events.scan import Scan
from app.domain.restores.log_archive import LoggedTransaction
from app.errors import BinlogDamagedError, StorageUnavailableError
from app.storage.local import LocalDirectory


class Border(NamedTuple):
    """
    A place where no transaction is open.

    Attributes:
        gtids: What the log has there; None before the first file has said it.
        committed_ms: Commit time of the last transaction before it, milliseconds since 1970; 0 before the first.
    """

    gtids: GtidState | None
    committed_ms: int


@dataclass(frozen=True, slots=True)
class Part:
    """
    A segment or a tail.

    Attributes:
        stream: Id of its stream.
        file: The server's name of its file.
        number: Number of the file.
        start: Position of its first byte.
        border: Position behind its last whole transaction.
        size: Position behind its last byte that counts.
        is_closed: Whether the next file follows.
        before: What the log has at its start.
        after: What it has at its border.
        format_event: The format description of its file, base64; empty when the part begins with it.
        clock: When its bytes were received.
        latest_ms: When the last of them were, at most.
        sealed: None for a tail.
        head: Of a tail; None for a segment.
        keys: Who reads it.
    """

    directory: LocalDirectory
    stream: str
    file: str
    number: int
    start: int
    border: int
    size: int
    is_closed: bool
    before: Border
    after: Border
    format_event: str
    clock: tuple[Received, ...]
    latest_ms: int
    sealed: Sealed | None
    head: Head | None
    keys: LogKeys

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.sealed.data_name if self.sealed else f"{Stem(self.number, self.start)}{TAIL}"

    def is_plain(self, *, statements: bool) -> bool:
        """
        Tell whether no transaction in it needs a look before a replay.

        Args:
            statements: Whether statements in place of rows may be in it.

        Returns:
            True when they need none.

        Raises:
            BinlogDamagedError: Its document is not what was written.
            NoIdentityError: It is encrypted for others.
        """
        if self.sealed is None or self.before.gtids is None or self.after.gtids is None:
            return False
        told = hidden_of(self.sealed, self.keys)
        return told.plain_by == EDITION and (statements or not told.has_statement_dml)

    def require_unchanged(self) -> None:
        """Prove its bytes without looking into them, if it is sealed; raises BinlogDamagedError, StorageError."""
        if self.sealed is not None:
            require_unchanged(self.directory, self.sealed)

    def raw(self) -> Iterator[bytes]:
        """
        Read its bytes.

        Yields:
            Blocks in order, proven when it ends.

        Raises:
            BinlogDamagedError: They are not what was archived.
            NoIdentityError: They are encrypted for others.
            StorageError: The medium does not answer.
        """
        if self.sealed is not None:
            yield from sealed_blocks(self.directory, self.sealed, self.keys)
            return
        assert self.head is not None  # noqa: S101 - it is one or the other
        length = self.size - self.start
        stem = Stem(self.number, self.start)
        try:
            file = self.directory.watch(f"{stem}{TAIL}")
        except StorageUnavailableError:
            # It was sealed meanwhile, and may have grown before.
            sealed = read_document(self.directory, stem)
            yield from _first(length, sealed_blocks(self.directory, sealed, self.keys))
            return
        with file:
            yield from tail_blocks(file, self.head, 0, length, self.keys)

    def walked(self) -> Iterator[tuple[Scan, Walked]]:
        """Go through its events; raises BinlogDamagedError, StorageError."""
        scan = scan_from(self.start, self.before.gtids, self.format_event)
        with located(self.label, scan):
            for event in walk(scan, self.raw(), has_magic=not self.start and self.size > 0):
                yield scan, event

    def transactions(self, *, counts: bool) -> Iterator[LoggedTransaction]:
        """Go through its whole transactions; raises BinlogDamagedError, StorageError."""
        committed = self.before.committed_ms
        contents = Contents(counts=counts)
        for _, (kind, body, group) in self.walked():
            if counts:
                contents.accept(kind, body)
            if group is None:
                continue
            received = received_ms(self.clock, group.end, self.latest_ms)
            previous, committed = committed, commit_ms(group, received, committed)
            yield LoggedTransaction(
                stream=self.stream,
                file=self.file,
                number=self.number,
                start=group.start,
                end=group.end,
                gtid=group.gtid,
                committed_ms=committed,
                committed_us=commit_us(group, committed),
                earliest_ms=earliest_ms(group, received, previous, committed),
                latest_ms=latest_ms(group, received, committed),
                redefines=group.redefines,
                caveats=group.caveats,
                tables=contents.tables,
                database=contents.database,
                statement=contents.statement,
            )
            contents = Contents(counts=counts)

    def border_at(self, position: int) -> Border | None:
        """Tell what the log has at a place in it; None when that is in a transaction or in an event."""
        if position in {self.start, self.border}:
            return self.before if position == self.start else self.after
        committed = self.before.committed_ms
        for scan, (_, _, group) in self.walked():
            if group is not None:
                received = received_ms(self.clock, group.end, self.latest_ms)
                committed = commit_ms(group, received, committed)
            if scan.position >= position:
                is_border = scan.position == scan.border == position
                return Border(scan.gtids and scan.gtids.copy(), committed) if is_border else None
        return None


def _first(length: int, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield so many bytes, and read the others all the same: what proves them comes last."""
    for block in blocks:
        if length:
            yield block[:length]
        length -= min(length, len(block))


def parts_of(stored: StoredStream) -> tuple[Part, ...]:
    """Return the parts of a stream in order; raises BinlogDamagedError, StorageError."""
    parts: list[Part] = []
    committed = stored.document.first_committed_ms
    # Nobody changes one, and a segment begins with what the one before it ends with.
    state = lru_cache(maxsize=1)(partial(_state, stored=stored))
    for sealed in stored.segments:
        parts.append(_sealed_part(stored, sealed, committed, state))
        committed = sealed.segment.committed_ms
    if stored.tail is not None and stored.tail_size:
        parts.append(_tail_part(stored, stored.tail, committed))
    return tuple(parts)


def _sealed_part(
    stored: StoredStream,
    sealed: Sealed,
    committed_ms: int,
    state: Callable[[str | None], GtidState | None],
) -> Part:
    segment, head = sealed.segment, sealed.segment.head
    before = state(head.gtids)
    return Part(
        directory=stored.directory,
        stream=stored.document.stream,
        file=head.file,
        number=head.number,
        start=head.start,
        border=segment.border,
        size=segment.end,
        is_closed=segment.next is not None,
        before=Border(before, committed_ms),
        after=Border(state(segment.gtids), segment.committed_ms),
        format_event=head.format_event,
        clock=segment.clock,
        latest_ms=segment.clock[-1][1] if segment.clock else 0,
        sealed=sealed,
        head=None,
        keys=stored.keys,
    )


def _tail_part(stored: StoredStream, known: KnownTail, committed_ms: int) -> Part:
    """Scan the tail up to what is torn; that is damage where it was synced before."""
    head, name = known.head, f"{known.stem}{TAIL}"
    before = Border(_state(head.gtids, stored), committed_ms)
    latest = stored.tail_changed_ms
    whole = Part(
        directory=stored.directory,
        stream=stored.document.stream,
        file=head.file,
        number=head.number,
        start=head.start,
        border=head.start,
        size=head.start + stored.tail_size,
        is_closed=False,
        before=before,
        after=before,
        format_event=head.format_event,
        clock=known.clock,
        latest_ms=latest,
        sealed=None,
        head=head,
        keys=stored.keys,
    )
    scan = scan_from(head.start, before.gtids, head.format_event)
    try:
        for event in walk(scan, whole.raw(), has_magic=not head.start):
            if event.group is not None:
                received = received_ms(known.clock, event.group.end, latest)
                committed_ms = commit_ms(event.group, received, committed_ms)
    except Malformed as exc:
        if scan.position < known.synced:
            raise BinlogDamagedError(
                f"{name}: at position {scan.position}: {exc}", hint=HINT
            ) from exc
    end = scan.border if scan.has_begun or head.start else head.start
    after = Border(scan.at_border().gtids, committed_ms)
    return replace(whole, border=end, size=end, after=after)


def _state(text: str | None, stored: StoredStream) -> GtidState | None:
    return None if text is None else parsed_state(text, is_mariadb=stored.is_mariadb)
