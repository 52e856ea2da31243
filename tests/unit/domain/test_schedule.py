"""When a scheduled backup is due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from app.domain.schedule import (
    Frequency,
    Schedule,
    ScheduleOptions,
    decode_schedules,
    encode_schedules,
)


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
INSTANTS = st.datetimes(timezones=st.just(UTC))
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.lists(TEXTS, max_size=3).map(tuple)
CHOICES = st.none() | st.booleans()
OPTIONS = st.builds(
    ScheduleOptions, NAMES, NAMES, NAMES, st.booleans(), TEXTS, compress=CHOICES, verify=CHOICES
)
SCHEDULES = st.builds(
    Schedule,
    TEXTS,
    st.sampled_from(Frequency),
    INSTANTS,
    enabled=st.booleans(),
    options=OPTIONS,
    last_run_at=st.none() | INSTANTS,
    last_success_at=st.none() | INSTANTS,
    last_backup_id=TEXTS,
)


@pytest.mark.parametrize(
    ("frequency", "interval"),
    [
        (Frequency.HOURLY, timedelta(hours=1)),
        (Frequency.DAILY, timedelta(days=1)),
        (Frequency.WEEKLY, timedelta(days=7)),
    ],
)
def test_the_next_one_is_due_an_interval_after_the_last_success(frequency, interval):
    """Whenever that was, and whatever has failed since."""
    done = Schedule("s", frequency, NOON, last_success_at=NOON, last_run_at=NOON + 9 * interval)

    assert done.next_due(NOON) == NOON + interval
    assert done.next_due(NOON + 5 * interval) == NOON + interval


def test_a_schedule_that_never_succeeded_is_due_now():
    """However often it ran."""
    assert Schedule("s", Frequency.WEEKLY, NOON).next_due(NOON) == NOON
    assert Schedule("s", Frequency.WEEKLY, NOON, last_run_at=NOON).next_due(NOON) == NOON


def test_a_schedule_that_is_switched_off_is_never_due():
    """Not even if it never ran."""
    off = Schedule("s", Frequency.HOURLY, NOON, enabled=False)

    assert off.next_due(NOON) is None
    assert replace(off, last_success_at=NOON - timedelta(days=9)).next_due(NOON) is None


@given(st.lists(SCHEDULES, max_size=4).map(tuple))
def test_schedules_come_back_as_they_were(schedules):
    """Any text and any instant, to the microsecond."""
    assert decode_schedules(encode_schedules(schedules)) == schedules
