"""The form of a schedule: what is typed is what is set, and what is shown is what would be."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError

from app.domain.backups.pruning import RetentionPlan
from app.domain.backups.retention import (
    Holdings,
    RetentionDecision,
    RetentionItem,
    RetentionPolicy,
)
from app.domain.schedule import Frequency, Schedule, ScheduleOptions
from app.web.forms.schedule import (
    change_of,
    compare,
    errors_of,
    next_times,
    typed_anew,
    typed_in,
    typed_of,
)


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FULL = Schedule(
    "shop",
    None,
    NOON,
    cron="30 2 * * 1-5",
    timezone="Europe/Berlin",
    enabled=False,
    external=True,
    options=ScheduleOptions(
        ("shop", "with space"),
        ("orders*",),
        ("shop.log", "tmp?"),
        include_data=False,
        description="Nightly <b>",
        compress=False,
        verify=True,
    ),
    retention=RetentionPolicy(
        count=3, days=0.041666667, hourly=24, daily=7, weekly=5, monthly=12, yearly=100_000, max_days=1234.5678,
        max_bytes=1_500_000_001,
    ),
)  # fmt: skip
PLAIN = Schedule("default", Frequency.WEEKLY, NOON)


@pytest.mark.parametrize("schedule", [FULL, PLAIN])
def test_what_a_schedule_is_comes_back_from_its_form(schedule):
    """Every field, to the byte."""
    change = change_of(typed_of(schedule), may_keep_less=True)

    assert change.applied(None, NOON, "UTC").retention == schedule.retention
    again = change.applied(None, NOON, "UTC")
    assert again.options == schedule.options
    assert (again.expression, again.timezone) == (schedule.expression, schedule.timezone)
    assert (again.name, again.enabled, again.external) == (
        schedule.name,
        schedule.enabled,
        schedule.external,
    )


def test_who_may_not_keep_less_does_not_touch_what_is_kept():
    """Whatever fields of it are sent all the same."""
    typed = typed_of(FULL) | {"keep_count": "1"}
    change = change_of(typed, may_keep_less=False)

    assert "retention" in change.keeps
    assert change.applied(FULL, NOON, "UTC").retention == FULL.retention


@pytest.mark.parametrize(
    ("field", "text", "known"),
    [
        ("name", "Über alles", "name"),
        ("name", "", "name"),
        ("name", "x" * 33, "name"),
        ("when", "sometimes", "when"),
        ("keep_count", "many", "keep_count"),
        ("keep_count", "1.5", "keep_count"),
        ("keep_count", "-1", "keep_count"),
        ("keep_count", "9" * 30, "keep_count"),
        ("keep_days", "nan", "keep_days"),
        ("keep_days", "-0.1", "keep_days"),
        ("keep_max_days", "1e9", "keep_max_days"),
        ("keep_max_bytes", "inf", "keep_max_bytes"),
        ("keep_max_bytes", "-1", "keep_max_bytes"),
        ("databases", "x" * 65, "databases"),
        ("description", "x" * 1001, "description"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(field, text, known):
    """And at no other."""
    typed = typed_anew("UTC") | {"name": "shop", "keeping": "own", field: text}
    with pytest.raises(ValidationError) as caught:
        change_of(typed, may_keep_less=True)

    found = errors_of(caught.value)
    assert set(found) == {known}
    assert found[known].endswith(".")


def test_what_was_not_sent_is_empty():
    """A tick that is not there is none."""
    typed = typed_in({"name": "shop", "foreign": "x"})

    assert typed["name"] == "shop"
    assert typed["enabled"] == ""
    assert "foreign" not in typed


@pytest.mark.parametrize(
    ("now", "word", "hours"),
    [
        (datetime(2026, 3, 27, 12, tzinfo=UTC), "forward by 1 h", 23),
        (datetime(2026, 10, 23, 12, tzinfo=UTC), "back by 1 h", 25),
    ],
)
def test_the_next_times_say_where_the_clocks_change(now, word, hours):
    """Each is the scheduler's own; a night is an hour shorter, or longer."""
    schedule = Schedule("s", None, now, cron="0 4 * * *", timezone="Europe/Berlin")
    times = next_times(schedule, now)

    at = now
    for due in times:
        assert schedule.due_after(at) == due.at
        assert (due.local.hour, due.local.minute) == (4, 0)
        at = due.at
    marked = [due for due in times if due.clocks]
    assert len(times) == 5
    assert [word in due.clocks for due in marked] == [True]
    gaps = {later.at - sooner.at for sooner, later in pairwise(times)}
    assert gaps == {timedelta(hours=24), timedelta(hours=hours)}


def test_what_falls_into_the_hour_that_is_skipped_comes_after_it():
    """As the scheduler does it."""
    now = datetime(2026, 3, 28, 12, tzinfo=UTC)
    schedule = Schedule("s", None, now, cron="30 2 * * *", timezone="Europe/Berlin")

    first = next_times(schedule, now)[0]

    assert first.at == schedule.due_after(now)
    assert f"{first.local:%H:%M}" == "03:00"
    assert "forward" in first.clocks


def _decision(number: int, schedule: str, *, is_kept: bool) -> RetentionDecision:
    item = RetentionItem(f"b{number}", NOON, number, schedule, Holdings(frozenset()), is_good=True)
    return RetentionDecision(item, is_kept=is_kept, reason="")


def test_a_comparison_shows_the_schedule_and_whatever_else_would_change():
    """What goes is first; others that fare as before are left out."""
    now = RetentionPlan(
        tuple(
            _decision(number, name, is_kept=True)
            for number, name in ((1, "shop"), (2, "shop"), (4, "other"), (8, "other"))
        ),
        None,
    )
    then = RetentionPlan(
        tuple(
            _decision(number, name, is_kept=number not in {2, 8})
            for number, name in ((1, "shop"), (2, "shop"), (4, "other"), (8, "other"))
        ),
        None,
    )
    found = compare(now, then, "shop")

    assert [decision.item.backup_id for _, decision in found.changes] == ["b2", "b8", "b1"]
    assert all(is_kept for is_kept, _ in found.changes)
    assert (found.goes, found.freed_bytes, found.stays, found.kept_bytes) == (2, 10, 1, 1)
    assert (found.total, found.clock) == (3, "")
