"""Points in time as people give them."""

from datetime import UTC, datetime

import pytest

from app.domain.restores.points import PointKind, parse_point
from app.errors import InvalidRequestError


NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ((NOON, "", "", ""), PointKind.TIME, "2024-01-31 12:00:00 UTC"),
        ((None, "0-1-2", "", ""), PointKind.GTID, "behind transaction 0-1-2"),
        ((None, "", "0-1-2", ""), PointKind.BEFORE_GTID, "just before transaction 0-1-2"),
        ((None, "", "", "a:b.000012:4711"), PointKind.POSITION, "a:b.000012:4711"),
    ],
)
def test_each_way_names_a_point(given, kind, words):
    """One of the four, and how people say it."""
    point = parse_point(*given)

    assert (point.kind, point.words) == (kind, words)


def test_a_position_is_a_file_and_an_offset():
    """A file may have a colon."""
    point = parse_point(None, "", "", "a:b.000012:4711")

    assert (point.file, point.position) == ("a:b.000012", 4711)


@pytest.mark.parametrize(
    "given",
    [
        (None, "", "", ""),
        (NOON, "0-1-2", "", ""),
        (None, "", "", "binlog.000012"),
        (None, "", "", "binlog.000012:x"),
        (None, "", "", ":12"),
        (None, "", "", "binlog.000012:" + "9" * 5000),
    ],
)
def test_what_is_no_point_is_refused(given):
    """None, several, or no position."""
    with pytest.raises(InvalidRequestError):
        parse_point(*given)
