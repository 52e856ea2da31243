"""Schedules: which backups are made by themselves, and when the next one is due."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from app.errors import IntegrityError


DEFAULT_NAME: Final = "default"


class Frequency(StrEnum):
    """How often a backup is made."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def interval(self) -> timedelta:
        """Time from one to the next."""
        return _INTERVALS[self]


_INTERVALS: Final = {
    Frequency.HOURLY: timedelta(hours=1),
    Frequency.DAILY: timedelta(days=1),
    Frequency.WEEKLY: timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """
    What a schedule backs up, and how; the fields mean what they mean in a `BackupRequest`.

    Attributes:
        compress: None = as the settings say, like `verify`.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    include_data: bool = True
    description: str = ""
    compress: bool | None = None
    verify: bool | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    One schedule.

    Attributes:
        name: Tells it from others.
        last_run_at: When it last began a backup, aware UTC.
        last_success_at: When the last backup that came of it began.
        last_backup_id: That backup; empty when there is none.
    """

    name: str
    frequency: Frequency
    updated_at: AwareDatetime
    enabled: bool = True
    options: ScheduleOptions = ScheduleOptions()
    last_run_at: AwareDatetime | None = None
    last_success_at: AwareDatetime | None = None
    last_backup_id: str = ""

    def next_due(self, now: datetime) -> datetime | None:
        """Return when the next backup is due; in the past or now = it is; None = never."""
        if not self.enabled:
            return None
        if self.last_success_at is None:
            return now
        return self.last_success_at + self.frequency.interval


@dataclass(frozen=True, slots=True)
class _File:
    schedules: tuple[Schedule, ...]
    version: int = 1


_FILE: Final = TypeAdapter(_File)


def encode_schedules(schedules: tuple[Schedule, ...]) -> bytes:
    """Encode `schedule.json`."""
    return _FILE.dump_json(_File(schedules), indent=2) + b"\n"


def decode_schedules(data: bytes) -> tuple[Schedule, ...]:
    """
    Decode `schedule.json`.

    Returns:
        Its schedules, names unique or not.

    Raises:
        IntegrityError: It is damaged, or of a newer version.
    """
    try:
        file = _FILE.validate_json(data)
    except ValidationError as exc:
        raise IntegrityError(
            "schedule.json: cannot be understood", hint="Correct it, or remove it and set it anew."
        ) from exc
    if file.version != 1:
        raise IntegrityError(
            f"schedule.json: is of version {file.version}", hint="Use a newer release."
        )
    return file.schedules
