"""The last year by day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.domain.runs.run import RunState
from app.domain.year import DAYS, DayState, by_day
from tests.unit.domain.backups.test_size_anomaly import entry


NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
OK, FAILED = (NOW, RunState.SUCCEEDED), (NOW, RunState.FAILED)


def today(runs=(), missed=(), entries=(), proven=()):
    """The state of the last day."""
    days = by_day(NOW, ZoneInfo("UTC"), runs, missed, entries, dict.fromkeys(proven))
    assert len(days) == DAYS
    return days[-1].state


def made(**facts):
    """A backup of the last day."""
    return replace(entry(1), created_at=NOW, **facts)


def test_a_day_of_which_nothing_is_recorded_is_empty():
    """It is not called good, nor missed."""
    assert today() is DayState.NONE


@pytest.mark.parametrize(
    ("runs", "missed", "state"),
    [
        ([OK], [], DayState.OK),
        ([FAILED], [], DayState.FAILED),
        ([], [NOW], DayState.MISSED),
        ([FAILED], [NOW], DayState.FAILED),
        ([FAILED, OK], [], DayState.WARNING),
        ([OK], [NOW], DayState.OK),
        ([(NOW, RunState.CANCELLED)], [], DayState.NONE),
    ],
)
def test_the_worst_that_was_not_made_good_counts(runs, missed, state):
    """A success of the same day makes a missed time good, and a failure half of it."""
    assert today(runs, missed) is state


def test_a_backup_that_is_there_counts_without_its_run():
    """It may have been made by another installation; proven and warnings are its own."""
    backup = made()
    assert today(entries=[backup]) is DayState.OK
    assert today(entries=[backup], proven=[backup.backup_id]) is DayState.PROVEN
    assert today(entries=[made(warnings_count=1)]) is DayState.WARNING
    assert today(entries=[made(recovery_point=True)]) is DayState.NONE


def test_days_are_those_of_the_zone():
    """Half past eleven in the evening is the next day farther east."""
    late = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)
    runs = [(late, RunState.SUCCEEDED)]
    states = {}
    for name in ("UTC", "Asia/Tokyo"):
        days = by_day(NOW, ZoneInfo(name), runs, [], [], {})
        states[name] = next(day.day for day in days if day.state is DayState.OK)

    assert states == {"UTC": date(2026, 11, 27), "Asia/Tokyo": date(2026, 11, 28)}


def test_the_year_ends_today_and_has_no_gap():
    """Every day once, oldest first, through both changes of the clock."""
    zone = ZoneInfo("Europe/Berlin")
    days = [day.day for day in by_day(NOW, zone, [], [], [], {})]

    assert days[-1] == date(2026, 11, 28)
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
