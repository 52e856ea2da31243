"""
Due times of cron expressions, as APScheduler wants to be asked for them.

Its own cron trigger counts weekdays from Monday as 0, wants day of the month AND weekday, and fires
twice when clocks are put back; `app.domain.schedule.due_after` has the semantics of Debian's cron.
"""

from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from app.domain.schedule import due_after


class DueTrigger(BaseTrigger):  # type: ignore[misc]  # the library publishes no types
    """
    The due times of an expression in a time zone.

    Attributes:
        expression: Cron, five fields.
        timezone: IANA name.
    """

    __slots__ = ("expression", "timezone")

    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = expression
        self.timezone = timezone

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the first due time after both, aware UTC; None = never."""
        base = max(previous_fire_time, now) if previous_fire_time else now
        return due_after(self.expression, self.timezone, base.astimezone(UTC))

    def __eq__(self, other: object) -> bool:
        """Tell whether it has the same due times."""
        return isinstance(other, DueTrigger) and (self.expression, self.timezone) == (
            other.expression,
            other.timezone,
        )

    def __hash__(self) -> int:
        return hash((self.expression, self.timezone))


class Every(BaseTrigger):  # type: ignore[misc]  # the same
    """Again and again, so many seconds after it was last asked, whatever the clock said before."""

    __slots__ = ("interval",)

    def __init__(self, seconds: float) -> None:
        self.interval = timedelta(seconds=seconds)

    def get_next_fire_time(
        self,
        previous_fire_time: datetime | None,  # noqa: ARG002 - as it is called
        now: datetime,
    ) -> datetime:
        """Return the instant after this interval."""
        return now + self.interval
