"""Points in time as people give them."""

from datetime import UTC, datetime

import pytest

from app.domain.restores.points import PointKind, parse_point
from app.errors import InvalidRequestError


NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ((NOON, "", "", ""), PointKind.TIME),
        ((None, "0-1-2", "", ""), PointKind.GTID),
        ((None, "", "0-1-2", ""), PointKind.BEFORE_GTID),
        ((None, "", "", "a:b.000012:4711"), PointKind.POSITION),
    ],
)
def test_each_way_names_a_point(given, kind):
    """One of the four."""
    assert parse_point(*given).kind is kind


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
    ],
)
def test_what_is_no_point_is_refused(given):
    """None, several, or no position."""
    with pytest.raises(InvalidRequestError):
        parse_point(*given)
