"""The map of the last year: light, and a link a day."""

import re
from datetime import date, timedelta

from app.domain.year import DAYS, Day, DayState
from app.web.drawings.charts import size_line, year_map


def days_until(last, state=DayState.OK):
    """Make the days of a year, the first of which failed."""
    days = [last - timedelta(days=ago) for ago in reversed(range(DAYS))]
    return [Day(day, DayState.FAILED if day == days[0] else state, 1, 0, 0) for day in days]


def test_a_year_is_drawn_by_a_path_a_state():
    """However many days have it."""
    drawn = year_map(days_until(date(2026, 11, 29)), "/runs")

    assert drawn.count("<path") == 2
    assert drawn.count("<a ") == DAYS


def test_words_of_sizes_are_as_large_as_all_others():
    """What stands in a drawing shrinks with it, and on a phone nobody can read it."""
    days = [Day(date(2026, 11, number), DayState.OK, 1, 0, number * 1000) for number in (1, 2)]
    drawn = size_line(days)

    assert "2.0 kB" in drawn
    assert "<text" not in drawn


def test_each_day_leads_to_its_runs():
    """Also where no script makes one stop of the map: none is left out of the way of the Tab key."""
    drawn = year_map(days_until(date(2026, 11, 29)), "/runs")
    stops = re.findall(r'href="([^"]*)"', drawn)

    assert stops[-1] == "/runs?kind=backup&amp;day=2026-11-29"
    assert len(stops) == DAYS
    assert "tabindex" not in drawn
    assert 'title="2025-11-24: failed, 1 made"' in drawn


def test_links_lie_over_their_days_whatever_weekday_is_first():
    """A column begins on Monday."""
    for first in range(7):
        last = date(2026, 11, 29) + timedelta(days=first)
        drawn = year_map(days_until(last), "/runs")
        begin = last - timedelta(days=DAYS - 1)
        (top,) = re.findall(r'class="failed" d="M30 (\d+)', drawn)

        assert drawn.count("<i>") == begin.weekday() == (int(top) - 18) // 14
