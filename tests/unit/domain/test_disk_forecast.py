"""When a disk will be full."""

from datetime import date, timedelta

import pytest
from hypothesis import given, strategies as st

from app.domain.disk_forecast import LEAST_DAYS, days_until_full


TODAY = date(2026, 11, 28)
GB = 10**9


def free(*amounts):
    """Free bytes of the last days, oldest first."""
    return {
        TODAY - timedelta(days=ago): amount
        for ago, amount in zip(reversed(range(len(amounts))), amounts, strict=True)
    }


def test_a_disk_that_gets_fuller_by_as_much_each_day():
    """Ten days at a gigabyte a day, and twenty are left."""
    known = free(*(30 * GB - day * GB for day in range(10)))

    assert days_until_full(known, TODAY, 20 * GB) == pytest.approx(20)


def test_days_on_which_something_large_lay_there_do_not_turn_it():
    """The pace is that of most days."""
    amounts = [100 * GB - day * GB for day in range(20)]
    for day in (11, 12):
        amounts[day] -= 60 * GB

    assert days_until_full(free(*amounts), TODAY, 50 * GB) == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize("amounts", [[5] * (LEAST_DAYS - 1), [5] * 10, list(range(10))])
def test_nobody_knows_or_it_never_gets_full(amounts):
    """Too few days, always the same, or more every day."""
    assert days_until_full(free(*amounts), TODAY, 5) is None


def test_older_days_do_not_count():
    """What was before the last thirty days says nothing of the next."""
    known = {TODAY - timedelta(days=ago): ago * GB for ago in range(31, 60)}

    assert days_until_full(known, TODAY, GB) is None


@given(st.lists(st.integers(0, 10**15), max_size=40), st.integers(0, 10**15))
def test_whatever_was_free_the_answer_is_a_time_or_unknown(amounts, now):
    """No input divides by zero, or gives a time that is past."""
    found = days_until_full(free(*amounts), TODAY, now)

    assert found is None or found >= 0
