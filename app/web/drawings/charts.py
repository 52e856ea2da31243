"""
Pictures of numbers, drawn by the server as SVG; behind each stands the same in words.

Colours come from the page's styles, by class; what a state is can be seen without them, by its shape.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

from markupsafe import Markup

from app.domain.year import Day, DayState
from app.web.filters import size


_CELL: Final = 14
_TOP, _LEFT = 18, 30
# Whole weeks of a year, and one more where they begin in the middle of one; `.days` in the styles has as many.
_COLUMNS: Final = 54
_WEEKDAYS: Final = ((0, "Mon"), (2, "Wed"), (4, "Fri"))
# A path of 10 by 10 for each state, from where it is put: a square with a tick, a square, a triangle, a cross, a ring, a dot.
_SHAPES: Final[Mapping[DayState, str]] = {
    DayState.PROVEN: "h10v10h-10zm2 5l2 3 4-6",
    DayState.OK: "h10v10h-10z",
    DayState.WARNING: "m5 0l5 10h-10z",
    DayState.FAILED: "m1 1l8 8m0-8l-8 8",
    DayState.MISSED: "m5 1a4 4 0 1 0 .01 0",
    DayState.NONE: "m4.5 5h1",
}
LEGEND: Final[Mapping[DayState, str]] = {
    DayState.PROVEN: "made and proven to restore",
    DayState.OK: "made",
    DayState.WARNING: "made, with warnings or after a failure",
    DayState.FAILED: "failed",
    DayState.MISSED: "missed",
    DayState.NONE: "nothing recorded",
}
_WIDTH, _HEIGHT = 800, 180
# Above the line, for its breadth.
_ROOM: Final = 4


def shape(state: DayState) -> Markup:
    """Draw the sign of one state, for a legend."""
    return Markup(
        '<svg class="day {0}" viewBox="-1 -1 12 12" width="14" height="14" aria-hidden="true">'
        '<path d="M0 0{1}"/></svg>'
    ).format(state.value, _SHAPES[state])


def year_map(days: Sequence[Day], runs_path: str) -> Markup:
    """
    Draw a map of days, a column a week, and over each day a link to its runs.

    One path draws all days of a state, and a link is one element: a page stays light. A script makes one stop of
    the map, at the newest day, and leads from day to day; without it each day is one.

    Args:
        days: Oldest first, at most as many as the columns have places for.
        runs_path: Path of the list of runs.

    Returns:
        Markup.
    """
    shift = days[0].day.weekday()
    drawn: dict[DayState, list[str]] = {}
    for index, day in enumerate(days):
        column, row = divmod(index + shift, 7)
        drawn.setdefault(day.state, []).append(
            f"M{_LEFT + column * _CELL} {_TOP + row * _CELL}{_SHAPES[day.state]}"
        )
    paths = [
        Markup('<path class="{0}" d="{1}"/>').format(state.value, "".join(parts))
        for state, parts in drawn.items()
    ]
    links = [
        Markup('<a href="{0}?kind=backup&amp;day={1}" title="{2}"></a>').format(
            runs_path, day.day.isoformat(), _told(day)
        )
        for day in days
    ]
    width, height = _LEFT + _COLUMNS * _CELL, _TOP + 7 * _CELL
    return Markup(
        '<div class="year-map"><svg class="chart year" viewBox="0 0 {0} {1}" aria-hidden="true">{2}</svg>'
        '<div class="days" data-days role="group" aria-label="Days, with the arrow keys">{3}{4}</div></div>'
    ).format(
        width,
        height,
        Markup("").join([_month_names(days, shift), _weekday_names(), *paths]),
        Markup("<i></i>") * shift,
        Markup("").join(links),
    )


def _told(day: Day) -> str:
    counts = [
        f"{day.succeeded} made" if day.succeeded else "",
        f"{day.failed} failed" if day.failed else "",
    ]
    return f"{day.day:%Y-%m-%d}: {LEGEND[day.state]}" + "".join(
        f", {text}" for text in counts if text
    )


def _month_names(days: Sequence[Day], shift: int) -> Markup:
    names = [
        Markup('<text x="{0}" y="11">{1}</text>').format(
            _LEFT + ((index + shift) // 7) * _CELL, f"{day.day:%b}"
        )
        for index, day in enumerate(days)
        if day.day.day == 1 and index < len(days) - 14
    ]
    return Markup("").join(names)


def _weekday_names() -> Markup:
    return Markup("").join(
        Markup('<text x="0" y="{0}">{1}</text>').format(_TOP + row * _CELL + 9, name)
        for row, name in _WEEKDAYS
    )


def size_line(days: Sequence[Day]) -> Markup:
    """
    Draw the size of the newest backup of each day.

    Args:
        days: Oldest first; those without a backup are passed over.

    Returns:
        SVG; empty with fewer than two points.
    """
    known = [(index, day.size) for index, day in enumerate(days) if day.size]
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return Markup("")
    first, last = known[0][0], known[-1][0]
    most = max(count for _, count in known)
    points = [
        (
            (index - first) / max(last - first, 1) * _WIDTH,
            _ROOM + (1 - count / most) * (_HEIGHT - _ROOM),
        )
        for index, count in known
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    # Words stand around it, so that they are as large on a phone.
    return Markup(
        '<div class="ends"><span>{most}</span></div>'
        '<svg class="chart sizes" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img"'
        ' aria-label="Size of the newest backup by day">'
        '<path class="axis" d="M0 0V{h}H{w}"/><polyline class="line" points="{line}"/></svg>'
        '<div class="ends"><span>{begin}</span><span>{end}</span></div>'
    ).format(
        w=_WIDTH, h=_HEIGHT, most=size(most),
        begin=f"{days[first].day:%Y-%m-%d}", end=f"{days[last].day:%Y-%m-%d}", line=line,
    )  # fmt: skip


def by_month(days: Sequence[Day]) -> list[str]:
    """Tell of each month how many days had which state, newest first; with the size of its newest backup."""
    return [_month(name, list(found)) for name, found in groupby(reversed(days), key=_month_of)]


def _month_of(day: Day) -> str:
    return f"{day.day:%Y-%m}"


def _month(name: str, days: Sequence[Day]) -> str:
    """Tell of the days of one month, newest first."""
    counts = Counter(day.state for day in days)
    told = ", ".join(f"{counts[state]} {text}" for state, text in LEGEND.items() if counts[state])
    newest = next((day.size for day in days if day.size), 0)
    return f"{name}: {told}" + (f"; the newest backup has {size(newest)}" if newest else "")
