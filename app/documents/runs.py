"""Runs: what is being done, and the history."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from app.documents.base import BACKUP_ID, RESTORE_ID, Document, RunIdText, Success
from app.domain.runs.run import Origin, Run, RunKind, RunState
from app.errors import AppError


class JournalFacts(Document):
    """Something that happened in a run."""

    elapsed: Annotated[float, Field(description="Seconds since the run began.")]
    text: Annotated[str, Field(examples=["dump"])]


class ProgressFacts(Document):
    """Counters of a run."""

    phase: Annotated[str, Field(examples=["dump"])]
    table: str
    tables_done: int
    tables_total: Annotated[int, Field(description="0 while unknown, as the other totals.")]
    rows_done: int
    rows_total: int
    bytes_done: Annotated[int, Field(description="Bytes of SQL, uncompressed.")]
    bytes_total: int
    bytes_per_second: float
    seconds_left: Annotated[float | None, Field(description="Of this phase, estimated.")]
    elapsed: float
    journal: Annotated[
        tuple[JournalFacts, ...],
        Field(description="Phases that began, and what went otherwise than usual."),
    ]


class FailureFacts(Document):
    """How a run or a command failed."""

    code: str
    title: str
    message: str
    hint: str
    retryable: bool

    @classmethod
    def of(cls, error: AppError) -> Self:
        """Describe an error in its own words."""
        return cls.taken(error, message=str(error))


class RunFacts(Document):
    """One execution of a backup, a restore or other work."""

    success: Annotated[bool | None, Field(description="null until it is over.")]
    run_id: RunIdText
    kind: RunKind
    state: RunState
    backup_id: Annotated[
        str | None,
        Field(description="Made or worked with; null while unknown.", examples=[BACKUP_ID]),
    ]
    restore_id: Annotated[
        str | None, Field(description="What `undo` takes.", examples=[RESTORE_ID])
    ]
    asked_by: Annotated[str, Field(examples=["alice"])]
    origin: Origin
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    revision: Annotated[int, Field(description="Grows with every change; the id of its events.")]
    request: Annotated[dict[str, object], Field(description="What was asked.")]
    progress: ProgressFacts | None
    result: Annotated[
        dict[str, object] | None,
        Field(description="The document that the command line prints with `--json`."),
    ]
    error: FailureFacts | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """Describe a run as it is now."""
        return cls.taken(
            run,
            success=run.state is RunState.SUCCEEDED if run.state.is_over else None,
            backup_id=run.backup_id or None,
            restore_id=run.restore_id or None,
            asked_by=run.requested_by,
        )


class RunEnded(Document):
    """A run that somebody has ended in the history, without knowing what became of it."""

    success: Success
    run_id: RunIdText
    kind: RunKind
    error: FailureFacts

    @classmethod
    def of(cls, run: Run) -> Self:
        """Tell what the history says of it now."""
        return cls.taken(run, success=True)


class RunList(Document):
    """A page of the history."""

    success: Success
    runs: tuple[RunFacts, ...]
    total: int
    limit: int
    offset: int

    @classmethod
    def of(cls, runs: Iterable[Run], *, total: int, limit: int, offset: int) -> Self:
        """Describe runs in their order, with which part of how many they are."""
        facts = tuple(map(RunFacts.of, runs))
        return cls(success=True, runs=facts, total=total, limit=limit, offset=offset)
