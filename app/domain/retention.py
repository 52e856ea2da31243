"""Retention: which backups go, and why the others stay. Nothing here looks at a clock or a disk."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """
    What is kept of the backups of one schedule; 0 = no such rule.

    A backup stays when any of the first seven rules wants it, or when none of them is set. The last
    two are limits, which end also what a rule wants.

    Attributes:
        count: The newest so many.
        days: All that are younger.
        hourly: The newest of each of the last so many hours that have one.
        daily: The same for days, in UTC.
        weekly: The same for ISO weeks.
        monthly: The same for months.
        yearly: The same for years.
        max_days: Nothing older stays.
        max_bytes: Stored bytes in all; the oldest go first.
    """

    count: int = 0
    days: float = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    max_days: float = 0
    max_bytes: int = 0
