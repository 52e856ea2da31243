"""The picture of what can be reached."""

import re

from app.domain.restores.reach import reach_of
from app.web.drawings.window_bar import begin_of, window_bar
from tests.unit.domain.restores.test_reach import at, base, overview, stream


def shapes(picture):
    """Names of what is drawn, with the places from left to right at which each begins."""
    found = re.findall(r'<path class="(\w+)" d="M([\d.]+) ', picture)
    return [(name, float(place)) for name, place in found if name != "axis"]


def test_everything_stands_where_it_was():
    """Bars for what lasts, lines for moments; the picture begins a little before the first base."""
    reach = reach_of(overview(stream(breaks=[60]), current=at(100)), [base(0), base(80)])
    now = at(100)
    scale = 1000 / ((now - begin_of(reach, now)) / (at(1) - at(0)))

    assert begin_of(reach, now) == at(-4)
    assert shapes(window_bar(reach, now)) == [
        ("archived", round(4 * scale, 1)),
        ("reached", round(4 * scale, 1)),
        ("reached", round(84 * scale, 1)),
        ("base", round(4 * scale, 1)),
        ("base", round(84 * scale, 1)),
        ("break", round(64 * scale, 1)),
    ]


def test_what_lies_before_the_picture_is_cut_off():
    """A stream that began long ago, and one that ended before anything that can be reached."""
    reach = reach_of(overview(stream("old", until=-50), stream(breaks=[-30])), [base(9)])
    found = shapes(window_bar(reach, at(10)))

    assert [name for name, _ in found] == ["archived", "reached", "base"]
    assert found[0][1] == 0


def test_without_an_archive_there_is_no_picture():
    """Nor one that is empty; without a base it begins with the archive."""
    assert window_bar(reach_of(overview(), []), at(0)) == ""
    reach = reach_of(overview(stream()), [])
    assert [name for name, _ in shapes(window_bar(reach, at(10)))] == ["archived"]
    assert begin_of(reach, at(10)) < at(0)
