"""What people read."""

import pytest

from app.cli.output import duration, plural, printable, size
from app.cli.progress import describe
from app.domain.runs.progress import Pace, Phase, Progress


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (123_456_789, "123.5 MB"),
        (5 * 10**18, "5000.0 PB"),
    ],
)
def test_sizes_have_one_decimal(count, text):
    """Powers of 1000; never 1000.0 of a smaller unit."""
    assert size(count) == text


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
