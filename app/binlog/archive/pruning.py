"""
The beginning of streams, removed when nobody needs it any more.

1. `stream.json` says where the stream begins from now on; that is the moment at which the rest has gone.
2. The files before it are removed. What a crash leaves of them counts for nobody, and goes the next time.

Who reads a stream has a lease of it, and step 1 waits for no reader: it is refused. All calls block.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from app.binlog.archive.documents import StreamDocument
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.layout import (
    BEHIND_ALL,
    LEASE,
    STREAM,
    Stem,
    file_number,
    parse_name,
    root_of,
)
from app.binlog.archive.reading import ArchivedStream, open_stream, stream_directories
from app.binlog.archive.sealed import Sealed
from app.binlog.archive.streams import change_stream_document, read_stream_document
from app.domain.restores.points import Place
from app.errors import BinlogDamagedError, StorageError
from app.storage.files import ReadFile
from app.storage.layout import LOCK
from app.storage.local import LocalDirectory


# A stream that nobody knows the age of may be the newest, and no other answers for it.
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Beginning(NamedTuple):
    """
    Where a stream begins when what is before it has gone.

    Attributes:
        stem: Of its first segment; None when the whole stream goes.
        file: The server's name of the file of that; empty when the whole stream goes.
        segments: How many go.
        size: Bytes that they take.
        committed_ms: Commit time of the last transaction that goes.
    """

    stem: Stem | None
    file: str
    segments: int
    size: int
    committed_ms: int


class LeasedStream(NamedTuple):
    """
    A stream that nobody prunes.

    Attributes:
        began: Aware instant, as its document claims.
        id: Its id.
        ended: Aware instant; None when it goes on, or nobody knows.
        open: Opens it, once; raises what `open_stream` does.
    """

    began: datetime
    id: str
    ended: datetime | None
    open: Callable[[], ArchivedStream]


@contextmanager
def leased(directory: LocalDirectory) -> Iterator[None]:
    """
    Keep the beginning of a stream for the length of a block.

    Raises:
        BackupInUseError: It is being removed right now, which takes moments.
        StorageError: The medium refused.
    """
    with _open_lease(directory, exclusive=False):
        yield


@contextmanager
def leased_streams(backups: Path, keys: LogKeys = PLAIN) -> Iterator[list[LeasedStream]]:
    """
    Find the streams of a backup directory, and keep the beginnings of all for the length of a block.

    Yields:
        The oldest first; each is opened when that is asked for, so that a damaged one is in the way of no other.

    Raises:
        BackupInUseError: As `leased`.
        StorageError: The medium does not answer.
    """
    with ExitStack() as leases:
        directories = stream_directories(LocalDirectory(root_of(backups)))
        for directory in directories:
            leases.enter_context(leased(directory))
        found = [_known(directory, keys) for directory in directories]
        yield sorted(found, key=lambda stream: (stream.began, stream.id))


def _known(directory: LocalDirectory, keys: LogKeys) -> LeasedStream:
    """Tell what a stream claims to be; when one with a damaged document began, the file says at least."""
    name, ended = directory.path.name, None
    opened = cache(lambda: open_stream(directory, keys))
    try:
        document = read_stream_document(directory)
    except BinlogDamagedError:
        facts = directory.describe(STREAM)
        began = datetime.fromtimestamp(facts.changed_ns / 1e9, UTC) if facts else _NEVER
    else:
        began = datetime.fromisoformat(document.began_at)
        ended = datetime.fromisoformat(document.ended_at) if document.ended_at else None
    return LeasedStream(began, name, ended, opened)


def _open_lease(directory: LocalDirectory, *, exclusive: bool) -> ReadFile:
    if not directory.exists(LEASE):
        with suppress(StorageError):  # whoever cannot make it cannot open it
            directory.ensure(LEASE)
    return directory.open(LEASE, exclusive=exclusive)


def beginning_at(stream: ArchivedStream, place: Place | None) -> Beginning | None:
    """
    Find where a stream can begin so that a place and all that follows stay.

    Where some of it is needed, its last transaction stays: the archiver proves by it that the log goes on.

    Args:
        stream: The stream.
        place: In it; None = nothing of it is needed, and it goes whole.

    Returns:
        The beginning; None when nothing can go.
    """
    segments = stream.segments
    if place is None:
        return _going(segments, None)
    newest = segments[-1].segment if segments else None
    number = file_number(newest.last_file) if newest else None
    if newest is None or number is None:
        return None
    needed = min(place, Place(number, newest.last_start))
    for index, sealed in enumerate(segments):
        if Place(sealed.segment.head.number, sealed.segment.end) >= needed:
            return _going(segments[:index], sealed) if index else None
    return None


def _going(segments: tuple[Sealed, ...], first: Sealed | None) -> Beginning:
    return Beginning(
        first and first.stem,
        first.segment.head.file if first else "",
        len(segments),
        sum(sealed.segment.size for sealed in segments),
        segments[-1].segment.committed_ms if segments else 0,
    )


def prune(directory: LocalDirectory, beginning: Beginning | None, keys: LogKeys = PLAIN) -> None:
    """
    Remove what lies before a beginning; again is harmless.

    Raises:
        BackupInUseError: Somebody reads the stream; nothing was removed.
        BinlogDamagedError: Its document is not what was written; the same.
        SignatureMismatchError: It was changed by somebody; the same.
        StorageError: The medium refused; the next time removes the rest.
    """
    if beginning is not None:
        with _open_lease(directory, exclusive=True):
            change_stream_document(directory, lambda document: _begun_at(document, beginning), keys)
    _sweep(directory)


def _begun_at(document: StreamDocument, beginning: Beginning) -> StreamDocument:
    stem = beginning.stem or BEHIND_ALL
    if stem <= Stem(document.first_number, document.first_start):  # another prune was faster
        return document
    return replace(
        document,
        first_file=beginning.file,
        first_number=stem.number,
        first_start=stem.start,
        first_committed_ms=beginning.committed_ms,
    )


def _sweep(directory: LocalDirectory) -> None:
    """Remove the files before the beginning of a stream, and all of one that has none."""
    document = read_stream_document(directory)
    first = Stem(document.first_number, document.first_start)
    names = [name for name in directory.names() if (found := parse_name(name)) and found[0] < first]
    for name in sorted(names):
        directory.remove(name)
    if names:
        directory.sync()
    if first == BEHIND_ALL:
        _remove_empty(directory)


def _remove_empty(directory: LocalDirectory) -> None:
    for name in (STREAM, LEASE, LOCK):
        directory.remove(name)
        directory.sync()
    with suppress(OSError):  # what somebody else has put there stays
        directory.kernel.rmdir(str(directory.path))
