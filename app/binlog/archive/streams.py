"""
Streams on disk: their documents, and the chain of their segments.

Segments follow each other without a gap, and each names the document before it; what is missing, or stands in
another's place, is damage.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from app.binlog.archive import layout
from app.binlog.archive.documents import HINT, MOST_BYTES, STREAMS, StreamDocument
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import DOCUMENT, HEAD, TAIL, Stem, parse_name
from app.binlog.archive.sealed import Sealed, read_document, require_signature
from app.binlog.archive.tail import KnownTail, read_head, tail_size
from app.domain.restores.log_archive import LogBreak
from app.errors import BinlogDamagedError, StorageUnavailableError
from app.storage.local import LocalDirectory


# A tail may be sealed while others look for it.
_LOOKS: Final = 5


@dataclass(frozen=True, slots=True)
class StoredStream:
    """
    What lies in the directory of a stream.

    Attributes:
        segments: Sealed, in order, proven to follow each other.
        tail: The segment that grows; None when there is none.
        leftovers: Tails that are sealed.
        keys: Who reads it.
        tail_size: Bytes of the log in the tail at that moment.
        tail_changed_ms: When it was written last, milliseconds since 1970.
    """

    directory: LocalDirectory
    document: StreamDocument
    segments: tuple[Sealed, ...]
    tail: KnownTail | None
    tail_size: int
    tail_changed_ms: int
    leftovers: tuple[Stem, ...]
    keys: LogKeys

    @property
    def is_mariadb(self) -> bool:
        """Tell whose log it is."""
        return self.document.identity.vendor == "mariadb"


def read_stream_document(directory: LocalDirectory) -> StreamDocument:
    """Read what a stream is; raises BinlogDamagedError, StorageError."""
    if not directory.exists(layout.STREAM):
        raise BinlogDamagedError(f"{directory.path.name}: {layout.STREAM} is missing", hint=HINT)
    return STREAMS.parse(directory.read(layout.STREAM, MOST_BYTES), layout.STREAM)


def write_stream_document(directory: LocalDirectory, document: StreamDocument) -> None:
    """Write what a new stream is; raises StorageError."""
    directory.replace(layout.STREAM, STREAMS.dump(document))


def change_stream_document(
    directory: LocalDirectory, change: Callable[[StreamDocument], StreamDocument]
) -> StreamDocument:
    """Change what a stream is, one process at a time; raises BinlogDamagedError, StorageError."""
    with directory.locked():
        document = change(read_stream_document(directory))
        write_stream_document(directory, document)
    return document


def note_break(directory: LocalDirectory, found: LogBreak) -> None:
    """Note a change of the data that the log does not have; raises BinlogDamagedError, StorageError."""
    change_stream_document(
        directory, lambda document: replace(document, breaks=(*document.breaks, found))
    )


def load_stream(directory: LocalDirectory, keys: LogKeys) -> StoredStream:
    """
    Look at a stream, which may be written meanwhile; blocks.

    Returns:
        What there was at some moment of the look.

    Raises:
        BinlogDamagedError: Something is missing, or is not what was written.
        SignatureMismatchError: An encrypted segment was changed by somebody.
        UnknownSignerError: Nobody here knows who has written them.
        StorageError: The medium does not answer.
    """
    for _ in range(_LOOKS - 1):
        # A tail that was sealed in the middle of the look, or segments that were pruned, look like damage.
        with suppress(BinlogDamagedError, StorageUnavailableError):
            return _look(directory, keys)
    return _look(directory, keys)


def _look(directory: LocalDirectory, keys: LogKeys) -> StoredStream:
    document = read_stream_document(directory)
    names = sorted(filter(None, map(parse_name, directory.names())))
    first = Stem(document.first_number, document.first_start)
    # What is before the first was pruned, whether or not its files have gone yet.
    found = [(stem, kind) for stem, kind in names if stem >= first]
    stems = [stem for stem, kind in found if kind == DOCUMENT]
    heads = [stem for stem, kind in found if kind == HEAD]
    growing = [stem for stem in heads if not stems or stem > stems[-1]]
    # Before all the segments: that takes long where there are many, and what lives shortest is the tail.
    tail, size, changed_ms = None, 0, 0
    if growing:
        if len(growing) > 1:
            raise BinlogDamagedError(f"{growing[0]}{DOCUMENT}: it is missing", hint=HINT)
        tail = read_head(directory, growing[0])
        size, changed_ms = tail_size(directory, growing[0], tail.head)
        if growing[0].start + size < tail.synced:
            message = f"{growing[0]}{TAIL}: it ends before position {tail.synced}, which was synced"
            raise BinlogDamagedError(message, hint=HINT)
    segments = tuple(_chain(directory, stems, document))
    signed = next((sealed for sealed in reversed(segments) if sealed.is_encrypted), None)
    if signed is not None:
        require_signature(directory, signed, keys)
    if tail is not None:
        _require_next(segments[-1] if segments else None, tail.stem, first)
    leftovers = tuple(stem for stem in heads if stem in set(stems))
    return StoredStream(directory, document, segments, tail, size, changed_ms, leftovers, keys)


def _chain(directory: LocalDirectory, stems: list[Stem], document: StreamDocument) -> list[Sealed]:
    chain: list[Sealed] = []
    for stem in stems:
        sealed = read_document(directory, stem)
        before = chain[-1] if chain else None
        _require_next(before, stem, Stem(document.first_number, document.first_start))
        name = f"{stem}{DOCUMENT}"
        if sealed.segment.head.stream != document.stream:
            raise BinlogDamagedError(f"{name}: it is of another stream", hint=HINT)
        if before and sealed.segment.previous != before.digest:
            message = f"{name}: the segment before it is not the one that was there"
            raise BinlogDamagedError(message, hint=HINT)
        facts = directory.stat(sealed.data_name)
        if facts is None or facts.st_size != sealed.segment.size:
            what = "is missing" if facts is None else f"has not {sealed.segment.size} bytes"
            raise BinlogDamagedError(f"{sealed.data_name}: it {what}", hint=HINT)
        chain.append(sealed)
    return chain


def _require_next(before: Sealed | None, stem: Stem, first: Stem) -> None:
    """Refuse a segment that does not begin where the one before it ended."""
    if before is None:
        expected = first
    elif before.segment.next is None:
        expected = Stem(before.segment.head.number, before.segment.end)
    else:
        expected = Stem(before.segment.head.number + 1, 0)
    if stem != expected:
        raise BinlogDamagedError(f"{expected}{DOCUMENT}: it is missing", hint=HINT)
