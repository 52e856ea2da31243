"""Schedules: what is backed up by itself, and when."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from app.documents.base import Document, RetentionFacts, Success
from app.domain.schedule import Frequency, Schedule, ScheduleKind


class ScheduleFacts(Document):
    """One schedule."""

    name: Annotated[str, Field(examples=["default"])]
    kind: Annotated[
        ScheduleKind,
        Field(description="`synthetic`: of an older backup and the archive of the binary log."),
    ]
    frequency: Annotated[Frequency | None, Field(description="null = `cron` says when.")]
    updated_at: datetime
    cron: str
    timezone: Annotated[str, Field(examples=["Europe/Berlin"])]
    enabled: bool
    external: Annotated[bool, Field(description="Others begin its backups, such as cron.")]
    options: dict[str, list[str] | bool | int | str | None]
    retention: Annotated[RetentionFacts | None, Field(description="null = as the settings say.")]
    last_run_at: datetime | None
    last_success_at: datetime | None
    last_backup_id: str | None
    last_error: Annotated[str | None, Field(description="Code; null = its last run was well.")]
    missed: Annotated[int, Field(description="Due times that nobody considered in time.")]
    last_missed_at: datetime | None
    expression: Annotated[str, Field(examples=["0 2 * * *"], description="Its due times.")]
    next_due_at: Annotated[
        datetime | None, Field(description="In the past = overdue; null = never.")
    ]

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Describe a schedule; what a scheduler has considered is how it works, not what it is."""
        return cls.taken(
            schedule,
            options=asdict(schedule.options),
            last_backup_id=schedule.last_backup_id or None,
            last_error=schedule.last_error or None,
            next_due_at=schedule.next_due(),
        )


class ScheduleList(Document):
    """All schedules."""

    success: Success
    schedules: tuple[ScheduleFacts, ...]

    @classmethod
    def of(cls, schedules: Iterable[Schedule]) -> Self:
        """Describe them in their order."""
        return cls(success=True, schedules=tuple(map(ScheduleFacts.of, schedules)))


class ScheduleChanged(Document):
    """A schedule as it is now."""

    success: Success
    schedule: ScheduleFacts

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """Describe it."""
        return cls(success=True, schedule=ScheduleFacts.of(schedule))


class ScheduleDeleted(Document):
    """A schedule that is no more."""

    success: Success
    name: str

    @classmethod
    def of(cls, name: str) -> Self:
        """Name it."""
        return cls(success=True, name=name)


class NotDue(Document):
    """A scheduled backup that has time."""

    success: Success
    due: Literal[False]
    next_due_at: datetime | None

    @classmethod
    def of(cls, next_due_at: datetime | None) -> Self:
        """Say when it will be due; None = never."""
        return cls(success=True, due=False, next_due_at=next_due_at)
