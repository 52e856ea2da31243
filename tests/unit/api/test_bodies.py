"""What requests may hold: a number is a number, an instant an instant, and nothing is guessed."""

import inspect

import pytest
from pydantic import ValidationError

from app.api import bodies
from app.api.bodies import AuditQuery, BackupQuery, Body, PageQuery, RetentionBody


BODIES = [
    found
    for _, found in inspect.getmembers(bodies, inspect.isclass)
    if issubclass(found, Body) and not issubclass(found, PageQuery)
]
NUMBERS = [
    (body, name)
    for body in BODIES
    for name, facts in body.model_json_schema()["properties"].items()
    if facts.get("type") in {"integer", "number"}
]


def test_the_numbers_of_bodies_are_known():
    """All that there are today, so that the next test leaves none out."""
    assert {name for body, name in NUMBERS if body is RetentionBody} == set(
        RetentionBody.model_fields
    )


@pytest.mark.parametrize(
    ("body", "name"), NUMBERS, ids=lambda case: getattr(case, "__name__", case)
)
@pytest.mark.parametrize(
    "value", [True, False, "1", "", None, [1], -1, 1e300, float("inf")], ids=repr
)
def test_a_number_is_nothing_else(body, name, value):
    """`true` was one day."""
    with pytest.raises(ValidationError):
        body(**{name: value})
    assert getattr(body(**{name: 1}), name) == 1


@pytest.mark.parametrize("value", [0, 1, "true", "1", "yes", None, []], ids=repr)
def test_yes_and_no_are_nothing_else(value):
    """Nobody is to find out later what a text was taken for."""
    for body in BODIES:
        for name, facts in body.model_json_schema()["properties"].items():
            if facts.get("type") == "boolean":
                with pytest.raises(ValidationError):
                    body(**{name: value})


@pytest.mark.parametrize("text", ["0.5", "0", "1700000000", "-1", "1e9", "", " 2026-01-31", "now"])
def test_an_instant_is_no_number(text):
    """Nor what a parser takes for seconds since 1970."""
    for query in (AuditQuery, BackupQuery):
        for name in ("since", "until", "created_after", "created_before"):
            if name in query.model_fields:
                with pytest.raises(ValidationError):
                    query(**{name: text})


@pytest.mark.parametrize(
    "text", ["2026-01-31T14:30:15Z", "2026-01-31T15:30:15+01:00", "2026-01-31 14:30:15"]
)
def test_an_instant_without_a_zone_is_utc(text):
    """As lists show theirs."""
    found = AuditQuery.model_validate({"since": text}).since

    assert str(found) == "2026-01-31 14:30:15+00:00"
