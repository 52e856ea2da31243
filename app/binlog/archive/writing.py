"""
One stream that is being written.

Its bytes are those of the server's files. A tail is sealed when its file ends, or at the end of a transaction
when it is large or old enough. All calls but `accept` block; not for two threads at once.
"""

import base64
from collections import deque
from collections.abc import Callable
from typing import Self

from app.binlog.archive.documents import HINT, Head, StreamDocument
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.layout import TAIL, file_number
from app.binlog.archive.sealed import remove_tail
from app.binlog.archive.sealing import seal
from app.binlog.archive.streams import (
    StoredStream,
    load_stream,
    proven_stream_document,
    require_same_stream,
    sign_stream_document,
    write_stream_document,
)
from app.binlog.archive.tail import KnownTail, Tail, tail_blocks
from app.binlog.archive.walk import scan_from, walk
from app.binlog.events.groups import Group
from app.binlog.events.gtids import parsed_state
from app.binlog.events.headers import MAGIC, Malformed, Place
from app.binlog.events.scan import Scan
from app.domain.backups.manifest import Codec
from app.errors import BinlogDamagedError
from app.storage.local import LocalDirectory


class StreamWriter:
    """
    A stream that grows.

    Attributes:
        document: What it is.
        file: The server's file that is written now.
        scan: Stands behind the last event that was accepted.
        last: Where the last transaction begins; None before the first.
        synced: Place before which everything is on the medium, up to the end of a transaction.
        pending_bytes: Accepted, and not written yet.
        guard: Called before anything is written; raises where nothing must be any more.
    """

    def __init__(
        self,
        stored: StoredStream,
        tail: Tail,
        scan: Scan,
        codec: Codec,
    ) -> None:
        self.document = stored.document
        self.file = tail.known.head.file
        self.scan = scan
        self.pending_bytes = 0
        self.guard: Callable[[], None] = lambda: None
        self._directory = stored.directory
        self._codec = codec
        self._keys = stored.keys
        self._newest = stored.segments[-1] if stored.segments else None
        self._tail = tail
        self._pending: list[bytes] = []
        last = self._newest.segment if self._newest else None
        self.last = Place(last.last_file, last.last_start) if last and last.last_file else None
        if scan.last_start is not None:
            self.last = Place(self.file, scan.last_start)
        self.synced = Place(self.file, scan.border)

    @classmethod
    def begin(
        cls,
        directory: LocalDirectory,
        document: StreamDocument,
        codec: Codec,
        keys: LogKeys = PLAIN,
    ) -> Self:
        """Begin a stream with the first byte of its first file; raises StorageError."""
        directory.path.mkdir(mode=0o700, exist_ok=True)
        write_stream_document(directory, document, keys)
        stored = StoredStream(directory, document, (), None, 0, 0, (), keys)
        head = Head(document.stream, document.first_file, document.first_number, 0, None, "")
        return cls(stored, Tail.begin(directory, head, keys), scan_from(0, None, ""), codec)

    @classmethod
    def resume(cls, directory: LocalDirectory, codec: Codec, keys: LogKeys = PLAIN) -> Self:
        """
        Go on with a stream: what is torn at its end is cut off, and what was being sealed is put right.

        Returns:
            It, at the end of the last whole transaction.

        Raises:
            BinlogDamagedError: Something that was synced is not what was written.
            NoIdentityError: Its tail is encrypted for others.
            StorageError: The medium refused.
        """
        sign_stream_document(directory, keys)
        stored = load_stream(directory, keys)
        for stem in stored.leftovers:
            remove_tail(directory, stem)
        if stored.tail is None:
            return cls(stored, *_continued(stored), codec)
        scan = _scan_tail(stored, stored.tail)
        # The file of a tail whose head was published and no more.
        if not directory.exists(f"{stored.tail.stem}{TAIL}"):
            tail = Tail.begin(directory, stored.tail.head, keys)
        else:
            has_magic = scan.border > len(MAGIC) or stored.tail.stem.start
            tail = Tail.resume(directory, stored.tail, scan.border if has_magic else 0, keys)
        return cls(stored, tail, scan.at_border(), codec)

    @property
    def size(self) -> int:
        """Bytes in the tail, written or not."""
        return self._tail.size + self.pending_bytes

    def settle(self, received_ms: int) -> None:
        """
        Seal a tail that is encrypted where nothing is any more, or not where it is now; raises as `roll`.

        One in which nothing is begins anew: a segment of no bytes would be called as the one behind it.
        """
        if self._tail.known.head.is_framed == bool(self._keys.backups.recipients()):
            return
        if self.size:
            self.roll(received_ms)
        else:
            self._tail.close()
            self._tail = Tail.begin(self._directory, self._tail.known.head, self._keys)

    def accept(self, event: bytes) -> Group | None:
        """
        Take the next event of the file; it is written by the next `flush`.

        Returns:
            The transaction that it ends, if it does.

        Raises:
            Malformed: It cannot be the next one; the stream is at its end.
        """
        group = self.scan.accept(event)
        if group is not None:
            self.last = Place(self.file, group.start)
        self._pending.append(event)
        self.pending_bytes += len(event)
        return group

    def flush(self) -> None:
        """Write what was accepted; raises StorageError, after which the writer is of no use."""
        self.guard()
        data, self._pending, self.pending_bytes = b"".join(self._pending), [], 0
        if data:
            self._tail.write(data)

    def sync(self, received_ms: int) -> None:
        """Write, and force it to the medium; raises StorageError as `flush` does."""
        self.flush()
        self._tail.sync(received_ms)
        self.synced = Place(self.file, self.scan.border)

    def roll(self, received_ms: int) -> bool:
        """
        Seal the tail if something is in it, no transaction is open and its file goes on, and go on in that.

        Returns:
            Whether it did: behind a rotation only the next file seals, else whoever goes on after a crash would
            not know that there was one.

        Raises:
            BinlogDamagedError: What is sealed is not what was written.
            StorageError: The medium refused.
        """
        if self.scan.border != self.scan.position or not self.scan.has_begun:
            return False
        if self.scan.next is not None or not self.size:
            return False
        self.sync(received_ms)
        self._seal(None)
        head = self._head(self.file, self.scan.position)
        self._tail = Tail.begin(self._directory, head, self._keys)
        return True

    def change_file(self, name: str, received_ms: int) -> None:
        """
        Seal the tail, and begin the next file of the server.

        Args:
            name: Of the file that follows.
            received_ms: Now.

        Raises:
            Malformed: It is not the file that can follow.
            StorageError: The medium refused.
        """
        number = file_number(name)
        if number != self._tail.known.head.number + 1:
            raise Malformed(f"{name} does not follow {self.file}")
        if self.scan.next and self.scan.next.name not in {"", name}:
            raise Malformed(f"{self.file} ends with a rotation to another file than {name}")
        self.sync(received_ms)
        self._seal(name)
        self.file = name
        gtids = self.scan.gtids
        self.scan = scan_from(0, gtids, "")
        head = Head(self.document.stream, name, number, 0, gtids.text if gtids else None, "")
        self._tail = Tail.begin(self._directory, head, self._keys)
        self.synced = Place(name, 0)

    def end(self, received_ms: int) -> None:
        """Seal what there is: nothing follows in this stream. Raises StorageError."""
        self._pending, self.pending_bytes = [], 0
        if self._tail.size:
            self._tail.sync(received_ms)
            self._seal(None)
        self.close()

    def close(self) -> None:
        """Close the files; what was accepted and not written is forgotten."""
        self._tail.close()

    def _seal(self, next_file: str | None) -> None:
        self._tail.close()
        known = self._tail.known
        signs = True if self._keys.backups.recipients() else None
        stream = proven_stream_document(self._directory, self._keys, must_be_signed=signs)
        if self._newest is not None:
            require_same_stream(stream, self._newest)
        self._newest = seal(
            self._directory,
            KnownTail(known.stem, known.head, tuple(self._tail.clock)),
            self._newest,
            codec=self._codec,
            next_file=next_file,
            keys=self._keys,
            stream=stream,
        )

    def _head(self, file: str, start: int) -> Head:
        gtids = self.scan.gtids
        number = self._tail.known.head.number
        text = gtids.text if gtids else None
        format_event = base64.b64encode(self.scan.format_event).decode()
        return Head(self.document.stream, file, number, start, text, format_event)


def _continued(stored: StoredStream) -> tuple[Tail, Scan]:
    """Make the tail that a crash left out: behind the last segment, or the first of a stream."""
    document = stored.document
    if not stored.segments:
        head = Head(document.stream, document.first_file, document.first_number, 0, None, "")
        return Tail.begin(stored.directory, head, stored.keys), scan_from(0, None, "")
    segment = stored.segments[-1].segment
    head = segment.head
    if segment.next is None:
        following = Head(
            document.stream,
            head.file,
            head.number,
            segment.end,
            segment.gtids,
            segment.format_event,
        )
    else:
        following = Head(document.stream, segment.next, head.number + 1, 0, segment.gtids, "")
    gtids = parsed_state(segment.gtids, is_mariadb=stored.is_mariadb)
    scan = scan_from(following.start, gtids, following.format_event)
    return Tail.begin(stored.directory, following, stored.keys), scan


def _scan_tail(stored: StoredStream, known: KnownTail) -> Scan:
    """Scan a tail up to what is torn; raises BinlogDamagedError where that was synced before."""
    found = known.head.gtids
    gtids = None if found is None else parsed_state(found, is_mariadb=stored.is_mariadb)
    scan = scan_from(known.stem.start, gtids, known.head.format_event)
    if not stored.tail_size:
        return scan
    name = f"{known.stem}{TAIL}"
    with stored.directory.watch(name) as file:
        blocks = tail_blocks(file, known.head, 0, stored.tail_size, stored.keys)
        try:
            deque(walk(scan, blocks, has_magic=not known.stem.start), maxlen=0)
        except Malformed as exc:
            if scan.position < known.synced:
                raise BinlogDamagedError(
                    f"{name}: at position {scan.position}: {exc}", hint=HINT
                ) from exc
    return scan
