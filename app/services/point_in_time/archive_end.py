"""The end of the archive of the binary log: where it is, and whether that is now."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.binlog.archive.layout import file_number, root_of, stream_ids
from app.binlog.archive.reading import ArchivedStream
from app.binlog.ownership import is_owned
from app.binlog.status import ArchiverStatus, read_status
from app.domain.restores.points import Point, PointKind
from app.errors import PointNotCoveredError
from app.storage.local import LocalDirectory


NO_ARCHIVE: Final = "Set BACKSTAY_BINLOG=true for the service, or run 'backstay binlog run'."
_LOOK: Final = "'backstay binlog status' says what keeps it from going on."


def require_current(backup_dir: Path, now: datetime, most_seconds: float) -> str:
    """
    Require that the archive is kept up to date; blocks.

    Args:
        backup_dir: Where it is.
        now: Aware instant.
        most_seconds: How far it may be behind the server.

    Returns:
        Id of the stream that grows; by its times another one may be newer.

    Raises:
        PointNotCoveredError: There is none, nobody archives, or it is further behind.
        StorageError: The medium does not answer.
    """
    root = LocalDirectory(root_of(backup_dir))
    if not root.is_there() or not stream_ids(root):
        raise PointNotCoveredError("there is no archive of the binary log", hint=NO_ARCHIVE)
    if not is_owned(root):
        raise PointNotCoveredError(
            "nothing archives the binary log, so its end is not what the server holds now",
            hint=NO_ARCHIVE,
        )
    status = read_status(root)
    lag = status.lag_seconds(now)
    if lag is None:
        raise PointNotCoveredError(
            "the archiver of the binary log has not reached the server yet", hint=_LOOK
        )
    if lag > most_seconds:
        raise PointNotCoveredError(
            f"the archive of the binary log is {lag:.0f} s behind the server, more than {most_seconds:g} s",
            hint=_LOOK,
        )
    return status.stream


def told_by_archiver(backup_dir: Path) -> ArchiverStatus:
    """Return what the archiver has told last; blocks. Ask before a stream is opened, which then holds as much."""
    return read_status(LocalDirectory(root_of(backup_dir)))


def current_until(stream: ArchivedStream, told: ArchiverStatus | None = None) -> datetime:
    """
    Return until when everything that was committed is in a stream.

    The archive itself knows its last commit alone: bytes that came later may be of long before it, where an
    archiver was catching up. That one hears from a server that has nothing to write, too, and is believed as
    long as the stream holds all that it had then.

    Args:
        stream: Opened after `told` was read.
        told: By whoever archives; None = nobody was asked.

    Returns:
        Aware instant; of an empty stream 1970.
    """
    known_ms = stream.committed_ms
    if told and told.stream == stream.id and told.archived_end and stream.window:
        last, end = stream.window[1], told.archived_end
        reached = (file_number(last.name) or 0, last.position)
        if reached >= (file_number(end.name) or 0, end.position):
            known_ms = max(known_ms, told.current_as_of_ms)
    return datetime.fromtimestamp(known_ms / 1000, UTC)


def end_of(stream: ArchivedStream, now: datetime) -> Point:
    """Return where a stream ends, as what is wanted now; raises PointNotCoveredError for an empty one."""
    if stream.window is None:
        raise PointNotCoveredError("the archive of the binary log is empty", hint=_LOOK)
    _, last = stream.window
    text = f"{last.name}:{last.position}"
    return Point(PointKind.POSITION, text, at=now, file=last.name, position=last.position)
