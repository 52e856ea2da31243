"""Forms of recoveries: moments in somebody's zone, and points from buttons."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from starlette.datastructures import FormData

from app.domain.restores.points import PointKind
from app.domain.runs.run import Origin, Run, RunId, RunKind, RunState
from app.errors import InvalidRequestError
from app.web.forms.recovery import (
    NearQuery,
    body_of,
    command_of,
    fields_of,
    request_again,
    request_of,
)


NOW = datetime(2026, 11, 29, tzinfo=UTC)
POINTS = (
    "time 2026-11-29T07:00:00+00:00",
    "gtid 0-1-4711",
    "before-gtid 3e11fa47-71ca-11e1-9e33-c80aa9429562:23",
    "position binlog.000012:4711",
)


def request(**fields):
    given = {"point": POINTS[2], "scope": "all"} | fields
    pairs = [(name, text) for name, value in given.items() for text in ([value] if isinstance(value, str) else value)]  # fmt: skip
    return request_of(FormData(pairs), 2)


def test_a_time_is_one_of_the_zone_that_was_shown():
    """With an offset it says so itself; without a time it is the newest."""
    assert NearQuery(at="2026-07-01T12:00:05", zone="Europe/Moscow").moment(NOW) == datetime(
        2026, 7, 1, 9, 0, 5, tzinfo=UTC
    )
    assert NearQuery(at="2026-07-01T12:00:00+01:00", zone="Europe/Moscow").moment(NOW).hour == 11
    assert NearQuery().moment(NOW) == NOW
    # When summer ended: with an offset, before and behind the hour that was twice.
    for at, hour in (
        ("02:30:00+02:00", 0),
        ("02:30:00+01:00", 1),
        ("01:59:59", 23),
        ("03:00:00", 2),
    ):
        query = NearQuery(at=f"2026-10-25T{at}", zone="Europe/Berlin")
        assert query.moment(NOW).hour == hour
    assert NearQuery(at="2026-03-29T03:00:00", zone="Europe/Berlin").moment(NOW).hour == 1


@pytest.mark.parametrize(
    "query",
    [
        {"at": "yesterday"},
        {"at": "0001-01-01T00:00"},
        {"at": "9999-12-31T23:59"},
        {"zone": "../../etc/passwd"},
        {"zone": "Middle/Earth"},
        {"zone": "Europe"},
        {"zone": ""},
        {"within": "for ever"},
        {"match": "x" * 201},
        {"at": "2026-10-25T02:30", "zone": "Europe/Berlin"},  # it was twice
        {"at": "2026-03-29T02:30", "zone": "Europe/Berlin"},  # it never was
    ],
)
def test_what_makes_no_sense_is_refused(query):
    """As in every address of a page."""
    with pytest.raises(ValidationError):
        NearQuery(**query)


@pytest.mark.parametrize("point", POINTS)
def test_a_point_travels_from_a_button_to_the_recovery(point):
    """Through the fields of a form, and through the history of runs."""
    wanted = request(point=point, scope="databases", database=["a b", "c"])
    again = request_of(FormData(list(fields_of(wanted))), 2)
    run = Run(
        run_id=RunId("run_0000000000000000"), kind=RunKind.RECOVERY, state=RunState.SUCCEEDED,
        requested_by="admin", origin=Origin.WEB, owner="", created_at=NOW,
        request={"to": {wanted.point.kind: wanted.point.text}, "databases": wanted.databases},
    )  # fmt: skip

    assert again == request_again(run, 2) == wanted
    assert wanted.databases == ("a b", "c")
    assert command_of(wanted).endswith("--database 'a b' --database c")
    assert wanted.point.text in body_of(wanted)


@pytest.mark.parametrize(
    "fields",
    [
        {"point": ""},
        {"point": "time tomorrow"},
        {"point": "position nowhere"},
        {"point": "elsewhere 1"},
        {"scope": ""},
        {"scope": "databases"},
        {"scope": "all", "database": "a"},
    ],
)
def test_a_form_that_does_not_say_what_is_wanted_begins_nothing(fields):
    """An empty choice is never taken for everything."""
    with pytest.raises(InvalidRequestError):
        request(**fields)


def test_the_time_of_a_point_is_utc():
    """Whatever its offset was."""
    point = request(point="time 2026-11-29T10:00:00+03:00").point

    assert (point.kind, point.text) == (PointKind.TIME, "2026-11-29T07:00:00+00:00")
