"""How far points in time reach, and how much would be lost if the server were gone now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from app.domain.restores.log_archive import BinlogOverview, LogStreamFacts


@dataclass(frozen=True, slots=True)
class Base:
    """
    A backup that a recovery can begin with.

    Attributes:
        backup_id: Its id.
        stream: Id of the stream it stands in.
        at: From when on points can be reached by it: everything that its run has seen was committed before.
        is_recovered: Whether it was itself recovered.
        until: Aware instant at which something was changed past the log, first since what it holds; None = nothing
            was. Before `at` where it holds what was there before that, and serves no moment.
    """

    backup_id: str
    stream: str
    at: datetime
    is_recovered: bool
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """All the moments between two can be reached."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Reach:
    """
    What can be recovered.

    Attributes:
        overview: Archiver and archive.
        bases: The oldest first.
        spans: The oldest first; no two touch.
        is_all: Whether every backup was looked at; of many only the newest are.
    """

    overview: BinlogOverview
    bases: tuple[Base, ...]
    spans: tuple[Span, ...]
    is_all: bool = True

    @property
    def is_current(self) -> bool:
        """Whether a base stands in the stream that goes on, and nothing was changed past its log since then."""
        growing = self.overview.stream
        goes_on = [
            stream.id
            for stream in self.overview.streams
            if stream.began_at and not stream.ended_at and growing in {"", stream.id}
        ]
        ends = {
            end_of(stream, self.overview)
            for stream in self.overview.streams
            if stream.id in goes_on
        }
        return bool(self.spans) and self.spans[-1].end in ends

    @property
    def newest_stream(self) -> LogStreamFacts | None:
        """The newest stream that a base stands in; None = none does."""
        based = {base.stream for base in self.bases}
        return next(
            (stream for stream in reversed(self.overview.streams) if stream.id in based), None
        )

    @property
    def until(self) -> datetime | None:
        """The newest moment that can be reached; None = none can."""
        return self.spans[-1].end if self.spans else None


@dataclass(frozen=True, slots=True)
class Exposure:
    """
    What would be lost if the server were gone now.

    Attributes:
        since: Everything that was committed after it; None = everything there is.
        by_log: Whether the archive of the binary log holds what was before, and not a backup alone.
        seconds: How long ago that was; None while nobody knows, as after a clock was set back.
    """

    since: datetime | None
    by_log: bool
    seconds: float | None


def end_of(stream: LogStreamFacts, overview: BinlogOverview) -> datetime | None:
    """Return until when all of a stream is archived; None while it is empty."""
    if stream.id == overview.stream and overview.current_as_of:
        return overview.current_as_of
    return stream.committed_at


def reach_of(overview: BinlogOverview, bases: Sequence[Base], *, is_all: bool = True) -> Reach:
    """
    Say which moments can be reached.

    A base reaches to the end of its stream, or to the first change that the log of it lacks.

    Args:
        overview: Archiver and archive.
        bases: In any order.
        is_all: Whether there are no others.

    Returns:
        Bases and spans in order.
    """
    ordered = tuple(sorted(bases, key=lambda base: base.at))
    spans: list[Span] = []
    for span in sorted(_reached(overview, ordered), key=lambda span: span.begin):
        if spans and span.begin <= spans[-1].end:
            spans[-1] = Span(spans[-1].begin, max(spans[-1].end, span.end))
        else:
            spans.append(span)
    return Reach(overview, ordered, tuple(spans), is_all)


def _reached(overview: BinlogOverview, bases: Sequence[Base]) -> Iterator[Span]:
    streams = {stream.id: stream for stream in overview.streams}
    for base in bases:
        stream = streams.get(base.stream)
        end = end_of(stream, overview) if stream else None
        if stream is None or end is None:
            continue
        lacks = (datetime.fromisoformat(found.at) for found in stream.breaks)
        end = min([end, base.until or end, *(at for at in lacks if at > base.at)])
        if base.at <= end:
            yield Span(base.at, end)


def exposure_of(reach: Reach, newest_backup: datetime | None, now: datetime) -> Exposure:
    """
    Say how much would be lost, by the archive or by the newest backup, whichever holds more.

    Args:
        reach: What can be recovered.
        newest_backup: When the newest good backup was made; None = there is none.
        now: Aware instant.

    Returns:
        From when on nothing would be left.
    """
    until, overview = reach.until, reach.overview
    if until is not None and (newest_backup is None or until >= newest_backup):
        lag = overview.lag_seconds if until == overview.current_as_of else None
        return Exposure(until, by_log=True, seconds=_age(until, now, lag))
    seconds = _age(newest_backup, now, None) if newest_backup else None
    return Exposure(newest_backup, by_log=False, seconds=seconds)


def _age(moment: datetime, now: datetime, known: float | None) -> float | None:
    """Tell how long ago something was at least; by the clock alone, that knows nothing of what is to come."""
    seconds = (now - moment).total_seconds()
    if known is not None:
        return max(known, seconds)
    return seconds if seconds >= 0 else None


@dataclass(frozen=True, slots=True)
class Gap:
    """
    Moments between two spans, which cannot be reached.

    Attributes:
        reason: Why; empty where no backup was made to begin with.
    """

    begin: datetime
    end: datetime
    reason: str


def gaps_of(reach: Reach) -> tuple[Gap, ...]:
    """Say what lies between the spans, and why it cannot be reached."""
    reasons = {
        datetime.fromisoformat(found.at): found.reason
        for stream in reach.overview.streams
        for found in stream.breaks
    }
    ended = {
        end_of(stream, reach.overview): stream.ended_because for stream in reach.overview.streams
    }
    return tuple(
        Gap(span.end, following.begin, reasons.get(span.end) or ended.get(span.end) or "")
        for span, following in pairwise(reach.spans)
    )
