"""How far points in time reach, and how much would be lost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.domain.restores.log_archive import (
    ArchiverState,
    BinlogOverview,
    LogBreak,
    LogPlace,
    LogStreamFacts,
)
from app.domain.restores.reach import Base, Exposure, Gap, Span, exposure_of, gaps_of, reach_of


BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def at(hours):
    return BEGIN + timedelta(hours=hours)


def base(hours, stream="new"):
    return Base(f"backup_{hours}", stream, at(hours), is_recovered=False)


def stream(name="new", *, until=10, breaks=(), ended_because=""):
    return LogStreamFacts(
        id=name,
        began_at=BEGIN.isoformat(),
        last=LogPlace("binlog.000001", 4),
        committed_at=at(until),
        breaks=tuple(LogBreak(at(hours).isoformat(), 1, 4, f"past {hours}") for hours in breaks),
        ended_at=at(until).isoformat() if ended_because else "",
        ended_because=ended_because,
    )


def overview(*streams, current=None):
    return BinlogOverview(
        state=ArchiverState.LIVE,
        stream="new",
        archived_end=None,
        current_as_of=current,
        lag_seconds=None,
        code="",
        message="",
        hint="",
        broken_at="",
        broken_because="",
        findings=(),
        streams=streams,
    )


def test_the_newest_stream_is_one_that_a_base_stands_in():
    """Whatever began later: an empty one, or the log of another server."""
    streams = overview(stream("old"), stream("new"), stream("other"))

    assert reach_of(streams, [base(2, "old"), base(3)]).newest_stream == streams.streams[1]
    assert reach_of(streams, []).newest_stream is None


def test_a_base_reaches_to_the_end_of_what_is_archived():
    """That is later than the last transaction while an archiver says that nothing came since."""
    assert reach_of(overview(stream()), [base(2)]).spans == (Span(at(2), at(10)),)
    current = overview(stream(), current=at(12))
    assert reach_of(current, [base(5), base(2)]).spans == (Span(at(2), at(12)),)
    assert reach_of(current, [base(2)]).until == at(12)


def test_without_a_base_or_an_archive_nothing_is_reached():
    """Nor by a backup of a stream that is gone, or one that is newer than the archive."""
    assert reach_of(overview(stream()), []).spans == ()
    assert reach_of(overview(), [base(2)]).until is None
    assert reach_of(overview(stream()), [base(2, "gone"), base(11)]).spans == ()


def test_behind_a_change_past_the_log_a_later_backup_is_needed():
    """The gap between says what was changed."""
    reach = reach_of(overview(stream(breaks=[4])), [base(2), base(6)])

    assert reach.spans == (Span(at(2), at(4)), Span(at(6), at(10)))
    assert gaps_of(reach) == (Gap(at(4), at(6), "past 4"),)


def test_between_two_streams_lies_a_gap():
    """With the reason why the first one has ended."""
    ended = stream("old", until=3, ended_because="the log was reset")
    reach = reach_of(overview(ended, stream(until=9)), [base(1, "old"), base(5)])

    assert reach.spans == (Span(at(1), at(3)), Span(at(5), at(9)))
    assert gaps_of(reach) == (Gap(at(3), at(5), "the log was reset"),)


def test_what_would_be_lost_is_what_neither_archive_nor_backup_has():
    """Whichever holds more."""
    reach = reach_of(overview(stream()), [base(2)])

    def lost(reached, newest):
        return exposure_of(reached, newest, at(12))

    assert lost(reach, at(2)) == Exposure(at(10), by_log=True, seconds=7200)
    assert lost(reach, None) == Exposure(at(10), by_log=True, seconds=7200)
    assert lost(reach, at(11)) == Exposure(at(11), by_log=False, seconds=3600)
    assert lost(reach_of(overview(), []), None) == Exposure(None, by_log=False, seconds=None)


def test_how_much_would_be_lost_is_unknown_where_a_clock_was_set_back():
    """And no less than what the archiver knows by a clock that nobody sets."""
    current = overview(stream(), current=at(12))
    reach = reach_of(current, [base(2)])
    assert exposure_of(reach, None, at(11)).seconds is None
    told = reach_of(replace(current, lag_seconds=65.0), [base(2)])
    assert exposure_of(told, None, at(11)).seconds == 65
    assert exposure_of(told, None, at(13)).seconds == 3600


def test_a_base_that_holds_what_was_before_a_break_reaches_to_it_whenever_it_was_made():
    """One that was recovered to before it, after it, serves no moment."""
    facts = overview(stream(breaks=(4,)))
    recovered = Base("recovered", "new", at(6), is_recovered=True, until=at(4))
    assert reach_of(facts, [recovered]).spans == ()
    assert reach_of(facts, [base(2), recovered]).spans == (Span(at(2), at(4)),)
    assert not reach_of(facts, [base(2), recovered]).is_current


def test_a_stream_that_rests_beside_the_one_that_grows_is_not_of_now():
    """It was fetched from a store, or belongs to another server; nobody will ever end it."""
    facts = overview(stream("rests", until=8), stream(until=10))
    assert not reach_of(facts, [base(2, "rests")]).is_current
    assert reach_of(facts, [base(2, "rests"), base(9)]).is_current
