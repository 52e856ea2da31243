"""What people read."""

from datetime import UTC, datetime

import pytest

from app.cli.output import duration, minute, moment, plural, printable
from app.cli.progress import describe
from app.domain.runs.progress import Pace, Phase, Progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.004, "0.00 s"), (9.5, "9.50 s"), (59.94, "59.9 s"), (60, "1:00"), (3723.4, "1:02:03")],
)
def test_durations_grow_coarser(seconds, text):
    """Hundredths first, then tenths, then a clock."""
    assert duration(seconds) == text


def test_control_characters_are_shown_not_obeyed():
    """A table's name can move no cursor."""
    assert printable("a\x1b[2Jb\r\u202ec\n✓") == "a\\x1b[2Jb\\r\\u202ec\n✓"


def test_progress_says_only_what_is_known():
    """Phase first; table, counts, rate and time left once there are any."""
    progress, pace = Progress(), Pace(0.0)
    early = describe(pace.report(progress, 0.0))
    progress.expect(tables=2, rows=10, size=3_000_000)
    progress.enter(Phase.DUMP)
    pace.report(progress, 10.2)
    progress.moved("shop.users", rows=1, size=1_000_000)

    assert early == "connect"
    assert describe(pace.report(progress, 12.0)) == (
        "dump: shop.users, 0/2 tables, 1 row, 1.0 MB, 500.0 kB/s, 4.00 s left"
    )
    assert plural(2000, "row") == "2,000 rows"


def test_moments_are_of_one_width():
    """In UTC, to the second or the minute; what never was has a word of its own."""
    at = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)

    assert (moment(at), minute(at)) == ("2026-02-03 04:05:06", "2026-02-03 04:05")
    assert (moment(None), minute(None, "never")) == ("-", "never")
