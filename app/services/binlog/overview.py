"""What archiver and archive are at the moment, as values of the domain."""

from datetime import UTC, datetime

from app.binlog.archive.reading import ArchivedStream
from app.binlog.events.headers import Place
from app.binlog.status import ArchiverStatus
from app.domain.restores.log_archive import BinlogOverview, LogCopy, LogPlace, LogStreamFacts


def describe_stream(stream: ArchivedStream) -> LogStreamFacts:
    """Describe a stream."""
    first, last = stream.window or (None, None)
    document, identity = stream.document, stream.identity
    moment = stream.committed_ms
    return LogStreamFacts(
        id=stream.id,
        began_at=document.began_at,
        vendor=identity.vendor,
        version=identity.version,
        address=identity.address,
        first=_place(first),
        last=_place(last),
        committed_at=_moment(moment),
        files=len(stream.files),
        size=sum(file.size - file.start for file in stream.files),
        breaks=stream.breaks,
        ended_at=document.ended_at,
        ended_because=document.ended_because,
        unsigned_from=_place(stream.unsigned_from),
    )


def describe(
    status: ArchiverStatus,
    now: datetime,
    streams: tuple[LogStreamFacts, ...],
    copies: tuple[LogCopy, ...],
) -> BinlogOverview:
    """
    Describe an archiver and its archive.

    Args:
        status: Of the archiver.
        now: When it was so.
        streams: The oldest first.
        copies: Of each store.

    Returns:
        All of it.
    """
    return BinlogOverview(
        state=status.state,
        stream=status.stream,
        archived_end=_place(status.archived_end),
        current_as_of=_moment(status.current_as_of_ms),
        lag_seconds=status.lag_seconds(now),
        code=status.code,
        message=status.message,
        hint=status.hint,
        broken_at=status.broken_at,
        broken_because=status.broken_because,
        findings=status.findings,
        streams=streams,
        copies=copies,
    )


def _place(place: Place | None) -> LogPlace | None:
    return place and LogPlace(place.name, place.position)


def _moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
