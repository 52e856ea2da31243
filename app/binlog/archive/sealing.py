"""
How a tail becomes a sealed segment.

1. The bytes are scanned by the rules of a log, hashed, compressed, and encrypted where backups are, into a
   file, which is synced.
2. Its document is published, and names the SHA-256 of the document before it and of what the stream is, its
   breaks included. That of an encrypted segment is signed; what only those may know who read it is encrypted
   in it.
3. Then the tail goes. After a crash the document says whether the segment is sealed.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from app.age.encryptor import encrypt
from app.age.header import Wrapper
from app.archive.file.codec import compressor
from app.archive.file.content import WrittenContent
from app.binlog.archive.documents import (
    HIDDEN,
    SEGMENTS,
    Head,
    Hidden,
    Segment,
    StreamDocument,
    stream_digest,
)
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import DOCUMENT, TAIL, Stem
from app.binlog.archive.sealed import Sealed, data_name, located, remove_tail, stem_of
from app.binlog.archive.tail import KnownTail, tail_blocks
from app.binlog.archive.times import commit_ms, received_ms
from app.binlog.archive.walk import Walked, scan_from, walk
from app.binlog.events.caveats import EDITION
from app.binlog.events.contents import Contents
from app.binlog.events.groups import is_plain
from app.binlog.events.gtids import GtidState, parsed_state
from app.binlog.events.headers import MAGIC
from app.binlog.events.scan import Scan
from app.domain.backups.manifest import Codec
from app.storage.files import RangedFile
from app.storage.layout import PARTIAL
from app.storage.local import LocalDirectory


# Beyond that a document would be too large to be of use; the list is a hint, and nothing is skipped by it.
_MOST_TABLES: Final = 100_000
# Behind the end of any tail.
_END: Final = 1 << 62


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
        self.is_plain = True
        self._known: GtidState | None = None
        self._clock = known.clock
        self._contents = Contents(counts=False)

    def take(self, walked: Walked) -> None:
        """Take the next event, which the scan has taken."""
        self.events += 1
        if self.gtids_before is None and self.scan.gtids is not None:
            self.gtids_before = self.scan.gtids.text
        self._known = self._known or (self.scan.gtids and self.scan.gtids.copy())
        self._contents.accept(walked.kind, walked.body)
        if walked.group is None:
            return
        latest = self._clock[-1][1] if self._clock else self.committed_ms
        received = received_ms(self._clock, walked.group.end, latest)
        self.committed_ms = commit_ms(walked.group, received, self.committed_ms)
        self.transactions += 1
        self.is_plain &= is_plain(walked.group) and self._is_new(walked.group.gtid)
        self.has_statement_dml |= self._contents.has_statement_dml
        if len(self.tables) < _MOST_TABLES:
            self.tables.update(dict.fromkeys(found[:2] for found in self._contents.tables))
        self._contents = Contents(counts=False)

    def _is_new(self, gtid: str) -> bool:
        """Tell whether GTIDs have risen so far: then what two states have tells what is between."""
        assert self._known is not None  # noqa: S101 - the scan refuses transactions before the list
        is_new = not self._known.has(gtid)
        self._known.add(gtid)
        return is_new


def seal(
    directory: LocalDirectory,
    known: KnownTail,
    previous: Sealed | None,
    *,
    codec: Codec,
    next_file: str | None,
    keys: LogKeys,
    stream: StreamDocument,
) -> Sealed:
    """
    Seal a tail that nobody writes any more, and remove it; blocks.

    Args:
        directory: Of the stream.
        known: The tail; all of it was synced.
        previous: The segment before it; None for the first.
        codec: How it is compressed.
        next_file: As in the document.
        keys: For whom it is encrypted, and who reads the tail.
        stream: What the stream is, with all breaks that are noted; proven.

    Returns:
        The segment, which is published.

    Raises:
        BinlogDamagedError: The tail is not what was written into it.
        InvalidRequestError: A key makes no sense; the tail is as before.
        NoIdentityError: The tail is encrypted for others.
        StorageError: The medium refused; the tail is as before.
    """
    stem, survey = known.stem, _survey(known, previous, stream)
    scan, recipients = survey.scan, keys.backups.recipients()
    name = data_name(stem, codec, is_encrypted=bool(recipients))
    _remove_unfinished(directory, stem, codec)
    with directory.watch(f"{stem}{TAIL}") as tail, directory.create(name + PARTIAL) as target:
        packing = _Packing(WrittenContent(target, recipients), codec)
        blocks = packing.packed(tail_blocks(tail, known.head, 0, _END, keys))
        with located(f"{stem}{TAIL}", scan):
            for walked in walk(scan, blocks, has_magic=not stem.start and tail.size > 0):
                survey.take(walked)
        packing.finish()
        target.rename(name)
        target.keep()
        segment = replace(_described(survey, known, packing, previous), next=next_file)
        segment = _told(segment, stream)
        if recipients:
            segment = _concealed(segment, _echo(tail, known, scan.last_start, keys), keys)
    return _publish(directory, segment, keys)


def _remove_unfinished(directory: LocalDirectory, stem: Stem, codec: Codec) -> None:
    for is_encrypted in (False, True):  # keys may have been set since then
        directory.remove(data_name(stem, codec, is_encrypted=is_encrypted) + PARTIAL)


def _survey(known: KnownTail, previous: Sealed | None, stream: StreamDocument) -> Survey:
    committed_ms = previous.segment.committed_ms if previous else 0
    return Survey(_scan_of(known.head, stream), known, committed_ms)


def _scan_of(head: Head, stream: StreamDocument) -> Scan:
    is_mariadb = stream.identity.vendor == "mariadb"
    gtids = None if head.gtids is None else parsed_state(head.gtids, is_mariadb=is_mariadb)
    return scan_from(head.start, gtids, head.format_event)


class _Packing:
    """A tail being compressed and hashed."""

    def __init__(self, target: WrittenContent, codec: Codec) -> None:
        self.codec = codec
        self.raw_size = 0
        self.raw = hashlib.sha256()
        self.target = target
        self._press = compressor(codec)

    def packed(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass blocks on, each after it was taken."""
        for block in blocks:
            self.raw.update(block)
            self.raw_size += len(block)
            self.target.write(self._press.compress(block))
            yield block

    def finish(self) -> None:
        """Write what is left, and force all to the medium."""
        self.target.write(self._press.flush())
        self.target.finish()


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
        size=packing.target.stored.size,
        raw_size=packing.raw_size,
        sha256=packing.target.checksum,
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
        plain_by=EDITION * survey.is_plain,
        clock=known.clock,
    )


def _told(segment: Segment, stream: StreamDocument) -> Segment:
    breaks = len(stream.breaks)
    return replace(segment, breaks=breaks, stream_sha256=stream_digest(stream, breaks))


def _echo(tail: RangedFile, known: KnownTail, last_start: int | None, keys: LogKeys) -> str:
    """Hash what must come again after an interruption; `last_start` is where the last transaction begins."""
    start = max(known.stem.start, len(MAGIC)) if last_start is None else last_start
    digest = hashlib.sha256()
    for block in tail_blocks(tail, known.head, start - known.stem.start, _END, keys):
        digest.update(block)
    return _sealed_for(keys.for_echoes(), digest.hexdigest().encode())


def _concealed(segment: Segment, echo: str, keys: LogKeys) -> Segment:
    """Leave out what nobody may know without an identity, and put it in for those who have one."""
    told = Hidden(segment.raw_sha256, segment.tables, segment.has_statement_dml, segment.plain_by)
    hidden = HIDDEN.dump(told)
    return replace(
        segment,
        raw_sha256="",
        tables=(),
        has_statement_dml=False,
        plain_by=0,
        recipients=keys.backups.recipient_ids(),
        hidden=_sealed_for(keys.backups.recipients(), hidden),
        echo=echo,
    )


def _sealed_for(recipients: Sequence[Wrapper], data: bytes) -> str:
    return base64.b64encode(encrypt(data, recipients)).decode()


def _publish(directory: LocalDirectory, segment: Segment, keys: LogKeys) -> Sealed:
    directory.sync()
    sign = keys.backups.sign if segment.recipients else None
    stem, document = stem_of(segment), SEGMENTS.dump(segment, sign)
    directory.replace(f"{stem}{DOCUMENT}", document)
    remove_tail(directory, stem)
    return Sealed(segment, hashlib.sha256(document).hexdigest())
