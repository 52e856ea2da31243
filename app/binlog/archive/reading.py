"""
The archive for those who read it: streams, their files, bytes and transactions.

Everything is proven while it is read: documents by their sums and their chain, bytes by their SHA-256 and by
the rules of a log. What lies in a tail counts up to the last whole transaction. All calls block.
"""

import base64
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from app.binlog.archive.documents import HINT, Identity, StreamDocument
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.layout import (
    STREAM,
    file_number,
    parse_name,
    root_of,
    stream_directory,
    stream_ids,
)
from app.binlog.archive.parts import Border, Part, parts_of
from app.binlog.archive.sealed import Sealed
from app.binlog.archive.streams import StoredStream, load_stream
from app.binlog.archive.times import STEP_MS
from app.binlog.events.headers import HEADER_BYTES, MAGIC, Place, read_header
from app.domain.restores.log_archive import LogBreak, LoggedTransaction
from app.errors import BinlogDamagedError, NoIdentityError
from app.storage.local import LocalDirectory


_BEHIND_ALL: Final = (1 << 62, 0)


class ArchivedFile(NamedTuple):
    """
    One file of the server in the archive.

    Attributes:
        name: As the server calls it.
        number: Its number, which rises by one from file to file.
        start: Position at which the archive of it begins; 0 but for the first file after a pruning.
        end: Position behind its last whole transaction.
        size: Bytes behind which nothing of it is archived; above `end` only where the server died in a transaction.
        is_closed: Whether the next file follows.
    """

    name: str
    number: int
    start: int
    end: int
    size: int
    is_closed: bool


class ArchivedStream:
    """
    One stream, as it was when it was opened.

    Attributes:
        document: Identity, settings, breaks.
    """

    def __init__(self, stored: StoredStream) -> None:
        self.document: StreamDocument = stored.document
        self._stored = stored
        self._parts = parts_of(stored)

    @property
    def id(self) -> str:
        """Its id."""
        return self.document.stream

    @property
    def identity(self) -> Identity:
        """What the server said of itself."""
        return self.document.identity

    @property
    def is_mariadb(self) -> bool:
        """Tell whose log it is."""
        return self._stored.is_mariadb

    @property
    def settings(self) -> dict[str, str]:
        """Variables of the server that a replay depends on, by name."""
        return self.document.settings

    @property
    def breaks(self) -> tuple[LogBreak, ...]:
        """Changes that the log does not have."""
        return self.document.breaks

    @cached_property
    def files(self) -> tuple[ArchivedFile, ...]:
        """The files, by rising numbers."""
        found: dict[int, ArchivedFile] = {}
        for part in self._parts:
            start = found[part.number].start if part.number in found else part.start
            found[part.number] = ArchivedFile(
                part.file, part.number, start, part.border, part.size, part.is_closed
            )
        return tuple(found.values())

    @cached_property
    def _by_number(self) -> dict[int, ArchivedFile]:
        return {file.number: file for file in self.files}

    @cached_property
    def _of_file(self) -> dict[int, list[Part]]:
        return {number: [*parts] for number, parts in groupby(self._parts, attrgetter("number"))}

    @property
    def segments(self) -> tuple[Sealed, ...]:
        """What is sealed of it, in order."""
        return self._stored.segments

    @property
    def window(self) -> tuple[Place, Place] | None:
        """First and last place that the archive has; None while it is empty."""
        if not self.files or (len(self.files) == 1 and self.files[0].size <= self.files[0].start):
            return None
        first, last = self.files[0], self.files[-1]
        return Place(first.name, first.start), Place(last.name, last.end)

    @property
    def unsigned_from(self) -> Place | None:
        """Where what is signed ends before an encrypted tail; None where that is empty, or not encrypted."""
        last = self._parts[-1] if self._parts else None
        if last is None or last.head is None or not last.head.is_framed:
            return None
        if not self.segments:
            return Place(last.file, last.start)
        sealed = self.segments[-1].segment
        return Place(sealed.head.file, sealed.border)

    @property
    def committed_ms(self) -> int:
        """Commit time of the last transaction, milliseconds since 1970; 0 when there is none."""
        return self._parts[-1].after.committed_ms if self._parts else 0

    def went_back_over(self, moment_ms: int) -> bool:
        """Tell whether the archiver's clock came to a moment more than once, in milliseconds since 1970."""
        highest = 0
        for received in self._received():
            if received <= moment_ms < highest and highest - received > STEP_MS:
                return True
            highest = max(highest, received)
        return False

    def _received(self) -> Iterator[int]:
        tail = self._stored.tail
        for clock in (
            *(sealed.segment.clock for sealed in self.segments),
            tail.clock if tail else (),
        ):
            yield from (moment for _, moment in clock)

    def file(self, number: int) -> ArchivedFile | None:
        """Find a file by its number."""
        return self._by_number.get(number)

    def file_named(self, name: str) -> ArchivedFile | None:
        """Find a file by the server's name of it."""
        number = file_number(name)
        found = None if number is None else self.file(number)
        return found if found and found.name == name else None

    def copy(self, number: int, start: int, end: int, into: Callable[[bytes], object]) -> None:
        """
        Copy a part of a file of the server.

        Args:
            number: Of the file.
            start: Position of the first byte.
            end: Position behind the last one; at most the file's `size`.
            into: Takes blocks in order; they are proven only when this returns.

        Raises:
            BinlogDamagedError: Something is missing, or is not what was archived.
            StorageError: The medium does not answer.
        """
        for block in self.blocks(number, start, end):
            into(block)

    def blocks(self, number: int, start: int, end: int) -> Iterator[bytes]:
        """Yield what `copy` copies; a block is proven when the iterator has come to its end."""
        position = start
        for part in self.parts(number, start, end):
            offset = part.start
            for block in part.raw():
                piece = block[max(0, start - offset) : max(0, end - offset)]
                offset += len(block)
                position += len(piece)
                if piece:
                    yield piece
        if position < end:
            raise BinlogDamagedError(
                f"{self.id}: the archive has no byte {position} of file {number}", hint=HINT
            )

    def parts(self, number: int, start: int, end: int) -> Iterator[Part]:
        """Yield the parts that have bytes of a file from one position to another."""
        for part in self._of_file.get(number, ()):
            if part.size > start and part.start < end:
                yield part

    def format_event(self, number: int) -> bytes:
        """
        Return the first event of a file.

        Returns:
            Its format description, with its checksum.

        Raises:
            BinlogDamagedError: The file is not archived, or not what was written.
            StorageError: The medium does not answer.
        """
        if number not in self._of_file:
            raise BinlogDamagedError(f"{self.id}: the archive has no file {number}", hint=HINT)
        first = self._of_file[number][0]
        known = first.sealed.segment.format_event if first.sealed else first.format_event
        if known:
            return base64.b64decode(known)
        head = b"".join(self.blocks(number, len(MAGIC), len(MAGIC) + HEADER_BYTES))
        return b"".join(self.blocks(number, len(MAGIC), len(MAGIC) + read_header(head).size))

    def border_at(self, number: int, position: int) -> Border | None:
        """
        Tell what the log has at a place; raises what `copy` raises.

        Returns:
            None when the place lies in a transaction, in an event, or not in the archive.
        """
        parts = self._of_file.get(number, ())
        found = next((part for part in parts if part.start <= position <= part.border), None)
        return found.border_at(position) if found else None

    def transactions(
        self, start: Place | None = None, end: Place | None = None, *, counts: bool = True
    ) -> Iterator[LoggedTransaction]:
        """
        Go through whole transactions.

        Args:
            start: Those that begin there or later; None = from the first.
            end: Those that end there or earlier; None = to the last.
            counts: Whether rows are counted and statements shown, which takes most of the time.

        Yields:
            Each, in the order of the log.

        Raises:
            BinlogDamagedError: Something is missing, or is not what was archived.
            StorageError: The medium does not answer.
        """
        first = _key(start) if start else (0, 0)
        last = _key(end) if end else _BEHIND_ALL
        for part in self._parts:
            if (part.number, part.border) <= first:
                continue
            if (part.number, part.start) >= last:
                return
            for found in part.transactions(counts=counts):
                if (found.number, found.end) > last:
                    return
                if (found.number, found.start) >= first:
                    yield found

    def stretches(
        self,
        start: Place,
        is_passed: Callable[[Part], bool],
        *,
        statements: bool = True,
        counts: bool = False,
    ) -> Iterator[LoggedTransaction | Part]:
        """
        Go through what follows a place, and look into what needs a look alone.

        Args:
            start: The place; a border.
            is_passed: Whether a whole part that is plain may be passed over.
            statements: Whether that is so with statements in place of rows in it.
            counts: As of `transactions`.

        Yields:
            Transactions, and between them the parts that were passed over: unread,
            and proven to be what was sealed. Raises what `transactions` raises.
        """
        first = _key(start)
        for part in self._parts:
            if (part.number, part.border) <= first:
                continue
            is_whole = (part.number, part.start) >= first and is_passed(part)
            if is_whole and part.is_plain(statements=statements):
                part.require_unchanged()
                yield part
                continue
            for found in part.transactions(counts=counts):
                if (found.number, found.start) >= first:
                    yield found

    def committed_between(self, since_ms: int, until_ms: int) -> Iterator[LoggedTransaction]:
        """Go through what was committed from one moment to another, in milliseconds since 1970; as `transactions`."""
        for part in self._parts:
            if part.after.committed_ms < since_ms:
                continue
            if part.before.committed_ms > until_ms:
                return
            for found in part.transactions(counts=True):
                if found.committed_ms > until_ms:
                    return
                if found.committed_ms >= since_ms:
                    yield found

    def verify(self) -> int:
        """Read all that the archive has of the stream; returns its bytes, raises what `copy` raises."""
        for part in self._parts:
            position, gtids = part.start, part.before.gtids
            for scan, _ in part.walked():
                position, gtids = scan.position, scan.gtids
            expected = part.after.gtids.text if part.after.gtids else ""
            if position != max(part.size, part.start) or (gtids.text if gtids else "") != expected:
                raise BinlogDamagedError(f"{part.label}: it is not what was archived", hint=HINT)
        return sum(part.size - part.start for part in self._parts)


def _key(place: Place) -> tuple[int, int]:
    return file_number(place.name) or 0, place.position


def open_stream(directory: LocalDirectory, keys: LogKeys = PLAIN) -> ArchivedStream:
    """Open one stream; raises as `open_streams`."""
    while True:
        names = {*directory.names()}
        try:
            return ArchivedStream(load_stream(directory, keys))
        except NoIdentityError:
            # A tail that is sealed in the middle of the look is read by nobody here from then on; its segment need not
            # be. What is sealed gets another name.
            if names == {*directory.names()}:
                raise


def open_streams(backups: Path, keys: LogKeys = PLAIN) -> list[ArchivedStream]:
    """
    Open the streams of a backup directory.

    Args:
        backups: The directory; the archive is the folder `binlog` in it.
        keys: Who reads what is encrypted of it.

    Returns:
        The oldest first; none where there is no archive.

    Raises:
        BinlogDamagedError: Something is missing, or is not what was written.
        NoIdentityError: The tail is encrypted for others.
        SignatureMismatchError: An encrypted segment was changed by somebody.
        UnknownSignerError: Nobody here knows who has written it.
        StorageError: The medium does not answer.
    """
    directories = stream_directories(LocalDirectory(root_of(backups)))
    streams = [open_stream(directory, keys) for directory in directories]
    return sorted(streams, key=lambda stream: (stream.document.began_at, stream.id))


def stream_directories(root: LocalDirectory) -> list[LocalDirectory]:
    """Return the directories of streams, in no order; what a crash left of one that is none is not among them."""
    found = [stream_directory(root.path, name) for name in stream_ids(root)]
    return [directory for directory in found if _has_begun(directory)]


def _has_begun(directory: LocalDirectory) -> bool:
    return directory.exists(STREAM) or any(map(parse_name, directory.names()))
