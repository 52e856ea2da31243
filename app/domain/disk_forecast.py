"""
When a disk will be full, by how much of it was free each day.

The slope is the median of those between all pairs of days (Theil and Sen), so that a day on which
somebody has deleted much, or copied something there, does not turn it.
Source: https://en.wikipedia.org/wiki/Theil%E2%80%93Sen_estimator
"""

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import combinations
from statistics import median
from typing import Final


WINDOW: Final = timedelta(days=30)
# With fewer nobody knows.
LEAST_DAYS: Final = 7
# What is farther away depends on more than the last month.
_MOST_DAYS: Final = 3650


def days_until_full(free: Mapping[date, int], today: date, free_now: int) -> float | None:
    """
    Forecast how long a disk lasts.

    Args:
        free: Free bytes by day.
        today: The last day that counts.
        free_now: Free bytes at this moment.

    Returns:
        Days; None when there are too few of them, or it does not get fuller.
    """
    days = sorted(day for day in free if today - WINDOW < day <= today)
    if len(days) < LEAST_DAYS:
        return None
    slope = median(
        (free[later] - free[earlier]) / (later - earlier).days
        for earlier, later in combinations(days, 2)
    )
    if slope >= 0:
        return None
    left = free_now / -slope
    return left if left <= _MOST_DAYS else None
