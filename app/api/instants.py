"""Instants in requests: with a date, and in UTC where no zone is given."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field


_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _utc(at: datetime) -> datetime:
    """Take an instant without a zone as UTC, which is how lists show theirs."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("out of the range of years") from exc


def _written(at: object) -> object:
    """Refuse a number, which would be taken for seconds since 1970, or for milliseconds."""
    if isinstance(at, str) and _DATE.match(at) is None:
        raise ValueError("an instant begins with a date, such as 2024-01-31T14:30:15Z")
    return at


Instant = Annotated[
    datetime,
    BeforeValidator(_written),
    AfterValidator(_utc),
    Field(description="Without a zone: UTC.", examples=["2024-01-31T14:30:15Z"]),
]
