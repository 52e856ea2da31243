"""
Streams on disk: their documents, and the chain of their segments.

Segments follow each other without a gap, and each names the document before it; what is missing, or stands in
another's place, is damage. So is what `stream.json` says otherwise than when a segment was sealed: each names
the SHA-256 of it. What was noted since then is proven by its signature where the archive is encrypted.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from app.binlog.archive import layout
from app.binlog.archive.documents import (
    HINT,
    MOST_BYTES,
    STREAMS,
    StreamDocument,
    is_signed,
    signature_of,
    stream_digest,
)
from app.binlog.archive.keys import PLAIN, LogKeys
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
    """Read what a stream claims to be; raises BinlogDamagedError, StorageError."""
    return STREAMS.parse(_read(directory), layout.STREAM)


def _read(directory: LocalDirectory) -> bytes:
    if not directory.exists(layout.STREAM):
        raise BinlogDamagedError(f"{directory.path.name}: {layout.STREAM} is missing", hint=HINT)
    return directory.read(layout.STREAM, MOST_BYTES)


def proven_stream_document(
    directory: LocalDirectory, keys: LogKeys, *, must_be_signed: bool | None = None
) -> StreamDocument:
    """
    Read what a stream is, by whoever is known.

    Args:
        directory: Of the stream.
        keys: Who is believed.
        must_be_signed: Whether it is; None = where its newest segment says so.

    Returns:
        It; what segments say of it is not looked at.

    Raises:
        BinlogDamagedError: It is not what was written.
        NoIdentityError: It is signed, and there are no keys here.
        SignatureMismatchError: It was changed by somebody.
        UnknownSignerError: Nobody here knows who has written it.
        StorageError: The medium does not answer.
    """
    data = _read(directory)
    document = STREAMS.parse(data, layout.STREAM)
    if must_be_signed is None:
        must_be_signed = not is_signed(data) and _newest_is_signed(directory)
    if must_be_signed or is_signed(data):
        keys.backups.verify(*signature_of(data, layout.STREAM))
    return document


def _newest_is_signed(directory: LocalDirectory) -> bool:
    names = [*filter(None, map(parse_name, directory.names()))]
    newest = max((stem for stem, kind in names if kind == DOCUMENT), default=None)
    if newest is not None:
        return _signs(read_document(directory, newest))
    # One that has just begun: its document was signed before its tail was encrypted.
    return any(read_head(directory, stem).head.is_framed for stem, kind in names if kind == HEAD)


def _signs(sealed: Sealed) -> bool:
    """Tell whether the stream's document was signed when a segment was sealed."""
    return sealed.is_encrypted and bool(sealed.segment.stream_sha256)


def write_stream_document(
    directory: LocalDirectory, document: StreamDocument, keys: LogKeys = PLAIN
) -> None:
    """Write what a new stream is, signed where it is encrypted; raises StorageError."""
    _write(directory, document, keys, signs=bool(keys.backups.recipients()))


def _write(
    directory: LocalDirectory, document: StreamDocument, keys: LogKeys, *, signs: bool
) -> None:
    directory.replace(layout.STREAM, STREAMS.dump(document, keys.backups.sign if signs else None))


def change_stream_document(
    directory: LocalDirectory,
    change: Callable[[StreamDocument], StreamDocument],
    keys: LogKeys = PLAIN,
) -> StreamDocument:
    """
    Change what a stream is, one process at a time; what was signed stays so.

    Returns:
        What it is now.

    Raises:
        AppError: As `proven_stream_document`; nothing was changed.
    """
    with directory.locked():
        document = change(proven_stream_document(directory, keys))
        signs = is_signed(_read(directory)) or bool(keys.backups.recipients())
        _write(directory, document, keys, signs=signs)
    return document


def sign_stream_document(directory: LocalDirectory, keys: LogKeys) -> None:
    """Sign what a stream is from when on it is encrypted; raises as `change_stream_document`."""
    if keys.backups.recipients() and not is_signed(_read(directory)):
        change_stream_document(directory, lambda document: document, keys)


def note_break(directory: LocalDirectory, found: LogBreak, keys: LogKeys = PLAIN) -> None:
    """Note a change of the data that the log does not have; raises as `change_stream_document`."""
    change_stream_document(
        directory, lambda document: replace(document, breaks=(*document.breaks, found)), keys
    )


def load_stream(directory: LocalDirectory, keys: LogKeys) -> StoredStream:
    """
    Look at a stream, which may be written meanwhile; blocks.

    Returns:
        What there was at some moment of the look.

    Raises:
        BinlogDamagedError: Something is missing, or is not what was written.
        SignatureMismatchError: Something of an encrypted archive was changed by somebody.
        UnknownSignerError: Nobody here knows who has written them.
        StorageError: The medium does not answer.
    """
    for _ in range(_LOOKS - 1):
        # A tail that was sealed in the middle of the look, or segments that were pruned, look like damage.
        with suppress(BinlogDamagedError, StorageUnavailableError):
            return _look(directory, keys)
    return _look(directory, keys)


def _look(directory: LocalDirectory, keys: LogKeys) -> StoredStream:
    data = _read(directory)
    document = STREAMS.parse(data, layout.STREAM)
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
    is_new = not segments and tail is not None and tail.head.is_framed
    if is_signed(data) or is_new or (signed is not None and _signs(signed)):
        keys.backups.verify(*signature_of(data, layout.STREAM))
    for sealed in filter(None, (signed, segments[-1] if segments else None)):
        require_same_stream(document, sealed)
    if tail is not None:
        _require_next(segments[-1] if segments else None, tail.stem, first)
    leftovers = tuple(stem for stem in heads if stem in set(stems))
    return StoredStream(directory, document, segments, tail, size, changed_ms, leftovers, keys)


def require_same_stream(document: StreamDocument, sealed: Sealed) -> None:
    """Refuse a document that says something else of a stream than when a segment was sealed; breaks may follow."""
    known = sealed.segment.breaks
    if not sealed.segment.stream_sha256:
        return
    if (
        len(document.breaks) < known
        or stream_digest(document, known) != sealed.segment.stream_sha256
    ):
        raise BinlogDamagedError(
            f"{layout.STREAM}: it is not what it was when {sealed.stem}{DOCUMENT} was written",
            hint=HINT,
        )


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
    expected = before.follower if before else first
    if stem != expected:
        raise BinlogDamagedError(f"{expected}{DOCUMENT}: it is missing", hint=HINT)
