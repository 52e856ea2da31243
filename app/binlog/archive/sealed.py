"""
Sealed segments: how a tail becomes one, and how its bytes are read back.

1. The bytes are scanned by the rules of a log, hashed and compressed into a file, which is synced.
2. Its document is published, and names the SHA-256 of the document before it.
3. Then the tail goes. After a crash the document says whether the segment is sealed.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from app.archive.file.codec import compressor, inflated
from app.binlog.archive.documents import HINT, MOST_BYTES, SEGMENTS, Segment
from app.binlog.archive.layout import DATA, DOCUMENT, HEAD, TAIL, Stem
from app.binlog.archive.tail import BLOCK_BYTES, KnownTail, tail_blocks
from app.binlog.archive.times import commit_ms, received_ms
from app.binlog.archive.walk import Walked, scan_from, walk
from app.binlog.events.contents import Contents
from app.binlog.events.gtids import parsed_state
from app.binlog.events.headers import Malformed
from app.binlog.events.scan import Scan
from app.domain.backups.manifest import Codec
from app.errors import (
    BinlogDamagedError,
    ChecksumMismatchError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.storage.files import WriteFile
from app.storage.layout import PARTIAL
from app.storage.local import LocalDirectory


# Beyond that a document would be too large to be of use; the list is a hint, and nothing is skipped by it.
_MOST_TABLES: Final = 100_000


class Sealed(NamedTuple):
    """
    A segment, and the SHA-256 of its document, which the next one names.

    Attributes:
        segment: The segment.
        digest: 64 hexadecimal digits.
    """

    segment: Segment
    digest: str

    @property
    def stem(self) -> Stem:
        """What its files are called."""
        return stem_of(self.segment)

    @property
    def data_name(self) -> str:
        """Name of the file of its bytes."""
        return f"{self.stem}{DATA[self.segment.codec]}"


def stem_of(segment: Segment) -> Stem:
    """Return what the files of a segment are called."""
    return Stem(segment.head.number, segment.head.start)


class Survey:
    """
    What is noted of a segment while it is scanned.

    Args:
        scan: Stands where it begins.
        known: What is known of its tail.
        committed_ms: Commit time of the last transaction before it.
    """

    def __init__(self, scan: Scan, known: KnownTail, committed_ms: int) -> None:
        self.scan = scan
        self.committed_ms = committed_ms
        self.events = 0
        self.transactions = 0
        self.gtids_before = known.head.gtids
        self.tables: dict[tuple[str, str], None] = {}
        self.has_statement_dml = False
        self._clock = known.clock
        self._contents = Contents(counts=False)

    def take(self, walked: Walked) -> None:
        """Take the next event, which the scan has taken."""
        self.events += 1
        if self.gtids_before is None and self.scan.gtids is not None:
            self.gtids_before = self.scan.gtids.text
        self._contents.accept(walked.kind, walked.body)
        if walked.group is None:
            return
        latest = self._clock[-1][1] if self._clock else self.committed_ms
        received = received_ms(self._clock, walked.group.end, latest)
        self.committed_ms = commit_ms(walked.group, received, self.committed_ms)
        self.transactions += 1
        self.has_statement_dml |= self._contents.has_statement_dml
        if len(self.tables) < _MOST_TABLES:
            self.tables.update(dict.fromkeys(found[:2] for found in self._contents.tables))
        self._contents = Contents(counts=False)


def seal(
    directory: LocalDirectory,
    known: KnownTail,
    previous: Sealed | None,
    *,
    codec: Codec,
    is_mariadb: bool,
    next_file: str | None,
) -> Sealed:
    """
    Seal a tail that nobody writes any more, and remove it; blocks.

    Args:
        directory: Of the stream.
        known: The tail; all of it was synced.
        previous: The segment before it; None for the first.
        codec: How it is compressed.
        is_mariadb: Whose GTIDs it has.
        next_file: As in the document.

    Returns:
        The segment, which is published.

    Raises:
        BinlogDamagedError: The tail is not what was written into it.
        StorageError: The medium refused; the tail is as before.
    """
    before = previous.segment if previous else None
    stem = known.stem
    found = known.head.gtids
    gtids = None if found is None else parsed_state(found, is_mariadb=is_mariadb)
    scan = scan_from(stem.start, gtids, known.head.format_event)
    survey = Survey(scan, known, before.committed_ms if before else 0)
    name = f"{stem}{DATA[codec]}"
    directory.remove(name + PARTIAL)
    with directory.watch(f"{stem}{TAIL}") as tail, directory.create(name + PARTIAL) as target:
        packing = _Packing(target, codec)
        blocks = packing.packed(tail_blocks(tail, 0, tail.size))
        with located(f"{stem}{TAIL}", scan):
            for walked in walk(scan, blocks, has_magic=not stem.start and tail.size > 0):
                survey.take(walked)
        packing.finish()
        target.sync()
        target.rename(name)
        target.keep()
        segment = _described(survey, known, packing, previous)
    return _publish(directory, replace(segment, next=next_file))


class _Packing:
    """A tail being compressed and hashed."""

    def __init__(self, target: WriteFile, codec: Codec) -> None:
        self.codec = codec
        self.raw_size = 0
        self.size = 0
        self.raw = hashlib.sha256()
        self.packed_sum = hashlib.sha256()
        self._target = target
        self._press = compressor(codec)

    def packed(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass blocks on, each after it was taken."""
        for block in blocks:
            self.raw.update(block)
            self.raw_size += len(block)
            self._write(self._press.compress(block))
            yield block

    def finish(self) -> None:
        """Write what is left."""
        self._write(self._press.flush())

    def _write(self, piece: bytes) -> None:
        self.packed_sum.update(piece)
        self.size += len(piece)
        self._target.write(piece)


def _described(
    survey: Survey, known: KnownTail, packing: _Packing, previous: Sealed | None
) -> Segment:
    """Describe a segment; of the file that follows nothing is said yet."""
    before = previous.segment if previous else None
    scan, head = survey.scan, known.head
    last_file, last_start = (before.last_file, before.last_start) if before else ("", 0)
    if scan.last_start is not None:
        last_file, last_start = head.file, scan.last_start
    return Segment(
        head=head,
        end=head.start + packing.raw_size,
        border=scan.border if packing.raw_size else head.start,
        next=None,
        has_checksums=bool(scan.format and scan.format.has_checksums),
        codec=packing.codec,
        size=packing.size,
        raw_size=packing.raw_size,
        sha256=packing.packed_sum.hexdigest(),
        raw_sha256=packing.raw.hexdigest(),
        previous=previous.digest if previous else "",
        gtids_before=survey.gtids_before or "",
        gtids=scan.gtids.text if scan.gtids else "",
        format_event=base64.b64encode(scan.format_event).decode(),
        events=survey.events,
        transactions=survey.transactions,
        last_file=last_file,
        last_start=last_start,
        committed_ms=survey.committed_ms,
        tables=tuple(survey.tables),
        has_statement_dml=survey.has_statement_dml,
        clock=known.clock,
    )


def _publish(directory: LocalDirectory, segment: Segment) -> Sealed:
    directory.sync()
    stem, document = stem_of(segment), SEGMENTS.dump(segment)
    directory.replace(f"{stem}{DOCUMENT}", document)
    remove_tail(directory, stem)
    return Sealed(segment, hashlib.sha256(document).hexdigest())


def remove_tail(directory: LocalDirectory, stem: Stem) -> None:
    """Remove a tail that is sealed; raises StorageError."""
    directory.remove(f"{stem}{TAIL}")
    directory.remove(f"{stem}{HEAD}")
    directory.sync()


def read_document(directory: LocalDirectory, stem: Stem) -> Sealed:
    """Read the document of a segment; raises BinlogDamagedError, StorageError."""
    name = f"{stem}{DOCUMENT}"
    data = directory.read(name, MOST_BYTES)
    segment = SEGMENTS.parse(data, name)
    if stem_of(segment) != stem:
        raise BinlogDamagedError(f"{name}: it is of another segment", hint=HINT)
    return Sealed(segment, hashlib.sha256(data).hexdigest())


def sealed_blocks(directory: LocalDirectory, sealed: Sealed) -> Iterator[bytes]:
    """
    Read the bytes of the log that a segment holds; blocks.

    Yields:
        Blocks in order; trust them only after the last one.

    Raises:
        BinlogDamagedError: They are not what was sealed.
        StorageError: The medium does not answer.
    """
    segment, name = sealed.segment, sealed.data_name
    raw, packed = hashlib.sha256(), hashlib.sha256()
    with _damage(name), directory.open(name) as file:

        def blocks() -> Iterator[bytes]:
            for block in tail_blocks(file, 0, segment.size + 1):
                packed.update(block)
                yield block

        for block in inflated(
            segment.codec, blocks(), raw_size=segment.raw_size, source=name, block=BLOCK_BYTES
        ):
            raw.update(block)
            yield block
    if (packed.hexdigest(), raw.hexdigest()) != (segment.sha256, segment.raw_sha256):
        where = f"between positions {segment.head.start} and {segment.end} of {segment.head.file}"
        raise BinlogDamagedError(f"{name}: its SHA-256 is another one, {where}", hint=HINT)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except (ChecksumMismatchError, TruncatedFileError) as exc:
        raise BinlogDamagedError(str(exc), hint=HINT) from exc
    except StorageUnavailableError as exc:
        if isinstance(exc.__cause__, FileNotFoundError):
            raise BinlogDamagedError(f"{name}: it is missing", hint=HINT) from exc
        raise


@contextmanager
def located(name: str, scan: Scan) -> Iterator[None]:
    """Say of what breaks a rule where it stands; raises BinlogDamagedError."""
    try:
        yield
    except Malformed as exc:
        raise BinlogDamagedError(f"{name}: at position {scan.position}: {exc}", hint=HINT) from exc
