"""Days in addresses of lists, such as `day=2026-11-28`."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field


# Days before and after them are none in other zones.
_FIRST: Final = date(1970, 1, 1)
_LAST: Final = date(9998, 12, 31)


def is_day(text: str) -> bool:
    """Tell whether text is a day that has one before and after it in every zone."""
    try:
        return _FIRST <= date.fromisoformat(text) <= _LAST
    except ValueError:
        return False


def _require_day(text: str) -> str:
    if text and not is_day(text):
        raise ValueError(text)
    return text


# Empty = any day.
DayText = Annotated[str, Field(max_length=10), AfterValidator(_require_day)]


def span_of(day: str, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """Return when a day of a zone begins, and when the next one does; nothing for any day."""
    if not day:
        return None, None
    begin = datetime.combine(date.fromisoformat(day), time.min, zone)
    return begin, begin + timedelta(days=1)
