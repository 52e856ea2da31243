"""Schedules: what is backed up by itself, and when; and the tables to choose from."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from app.documents.base import Document, RetentionFacts, Success
from app.domain.schedule import Frequency, Schedule, ScheduleKind
from app.domain.server.inventory import FoundPattern, InventoryTable, Selection


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


class ServerTable(Document):
    """A table or sequence of the server."""

    database: Annotated[str, Field(examples=["shop"])]
    table: Annotated[str, Field(examples=["orders"])]
    rows: Annotated[int, Field(description="The server's guess.")]
    size: Annotated[int, Field(description="Bytes of its data, the server's guess.")]
    chosen: Annotated[bool, Field(description="Whether a backup would hold it.")]

    @classmethod
    def of(cls, table: InventoryTable, *, chosen: bool) -> Self:
        """Describe a table."""
        return cls(
            database=table.database,
            table=table.name,
            rows=table.rows,
            size=table.size,
            chosen=chosen,
        )


class PatternFacts(Document):
    """What a pattern matches now."""

    pattern: Annotated[str, Field(examples=["shop.log_*"])]
    leaves_out: bool
    tables_count: Annotated[
        int, Field(description="0: with a pattern of what is taken, a backup would fail.")
    ]

    @classmethod
    def of(cls, found: FoundPattern) -> Self:
        """Describe what was found."""
        return cls(
            pattern=found.pattern, leaves_out=found.leaves_out, tables_count=len(found.tables)
        )


class _Selection(Document):
    """What a backup would hold if it were made now."""

    success: Success
    would_fail: Annotated[bool, Field(description="Whether something that is named is not there.")]
    tables: tuple[ServerTable, ...]
    chosen_count: int
    rows: Annotated[int, Field(description="In the tables that are taken, the server's guess.")]
    size: Annotated[int, Field(description="Bytes of their data, the server's guess.")]
    patterns: tuple[PatternFacts, ...]
    missing: Annotated[tuple[str, ...], Field(description="Databases that are not there.")]

    @classmethod
    def _found(cls, found: Selection, first: int, last: int | None, **others: int) -> Self:
        every = sorted(
            [(table, True) for table in found.taken] + [(table, False) for table in found.left_out],
            key=lambda pair: (pair[0].database, pair[0].name),
        )
        return cls(
            success=True,
            would_fail=found.would_fail,
            tables=tuple(
                ServerTable.of(table, chosen=chosen) for table, chosen in every[first:last]
            ),
            chosen_count=len(found.taken),
            rows=found.rows,
            size=found.size,
            patterns=tuple(map(PatternFacts.of, found.patterns)),
            missing=found.missing,
            **others,
        )


class TableSelection(_Selection):
    """A page of it."""

    total: Annotated[int, Field(description="Tables of the databases that are meant.")]
    limit: int
    offset: int

    @classmethod
    def of(cls, found: Selection, *, limit: int, offset: int) -> Self:
        """Describe the tables of a page, and what is taken in all."""
        total = len(found.taken) + len(found.left_out)
        return cls._found(found, offset, offset + limit, total=total, limit=limit, offset=offset)


class PrintedTableSelection(_Selection):
    """All of it, as commands print it."""

    @classmethod
    def of(cls, found: Selection) -> Self:
        """Describe all."""
        return cls._found(found, 0, None)
