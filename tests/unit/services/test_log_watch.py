"""Whether points in time go back as far as is wanted, and what is told where they do not."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.restores.log_archive import ArchiverState, BinlogOverview, LogBreak, LogStreamFacts
from app.domain.restores.reach import Base, reach_of
from app.services.log_watch import shortfall


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def ago(days):
    return NOW - timedelta(days=days)


def reach(*, began=30.0, bases=(), breaks=(), ended=None):
    """Make the reach of one stream by days ago; `bases` and `breaks` are such."""
    stream = LogStreamFacts(
        id="s",
        began_at=ago(began).isoformat(),
        committed_at=NOW if ended is None else ago(ended),
        breaks=tuple(LogBreak(ago(days).isoformat(), 1, 4, "of a test") for days in breaks),
        ended_at="" if ended is None else ago(ended).isoformat(),
    )
    overview = BinlogOverview(
        state=ArchiverState.LIVE, stream="s", archived_end=None, current_as_of=None, lag_seconds=1.0,
        code="", message="", hint="", broken_at="", broken_because="", findings=(), streams=(stream,),
    )  # fmt: skip
    return reach_of(overview, [Base(f"b{days}", "s", ago(days), False) for days in bases])


@pytest.mark.parametrize(
    ("facts", "lacking"),
    [
        ({"bases": [8.0, 3.0]}, ""),
        ({"bases": [3.0]}, "2026-01-28 12:00"),
        ({"bases": []}, "none of now"),
        ({"bases": [8.0, 2.0], "breaks": [4.0]}, "2026-01-29 12:00"),
        ({"bases": [9.0], "breaks": [1.0]}, "none of now"),
        ({"bases": [9.0], "ended": 1.0}, "none of now"),
        ({"bases": [1.9], "began": 2.0}, ""),
        ({"bases": [], "began": 0.5}, ""),
    ],
)
def test_a_window_that_is_shorter_than_wished_is_told(facts, lacking):
    """Gaps count, and what an archive cannot hold yet that is younger does not."""
    found = shortfall(reach(**facts), 7, NOW)
    assert (lacking in found) if lacking else not found
    assert not shortfall(reach(**facts), 0, NOW)
