"""
What the API answers, for its document and its checks.

The models describe what `app.services.documents` makes; a key that is in one of both only is a bug,
which ends as one.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.access.user import Role
from app.domain.runs.run import Origin, RunKind, RunState
from app.domain.schedule import Frequency


BACKUP_ID = "backup_65ba1f2f3d4e5"
RUN_ID = "run_1f6a0c9d2b7e4f83"
RESTORE_ID = "restore_861d0b977aca"

Seconds = Annotated[float, Field(description="Seconds.")]
Bytes = Annotated[int, Field(description="Bytes.", examples=[1048576])]
Moment = Annotated[
    str, Field(description="UTC, `YYYY-MM-DD HH:MM:SS`.", examples=["2024-01-31 14:30:15"])
]
BackupIdField = Annotated[str, Field(examples=[BACKUP_ID])]
Success = Annotated[bool, Field(examples=[True])]


class Answer(BaseModel):
    """Whatever is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InvalidField(Answer):
    """One field of a request that is wrong."""

    field: Annotated[str, Field(examples=["body.compress"])]
    message: Annotated[str, Field(examples=["Input should be a valid boolean"])]


class Problem(Answer):
    """What went wrong, as RFC 9457 has it; `code` is stable, the texts are for people."""

    type: Annotated[str, Field(examples=["urn:backstay:error:already-running"])]
    title: Annotated[str, Field(examples=["Already running"])]
    status: Annotated[int, Field(examples=[409])]
    detail: Annotated[str, Field(examples=[f"{RUN_ID} holds the backups of this server"])]
    code: Annotated[str, Field(description="See docs/errors.md.", examples=["already-running"])]
    hint: Annotated[
        str,
        Field(
            description="What to do about it; empty when nothing helps.",
            examples=["Wait until that run is over, or cancel it."],
        ),
    ]
    retryable: Annotated[bool, Field(description="Whether the same request may succeed later.")]
    run_id: Annotated[
        str | None, Field(description="The run it is about, if any.", examples=[RUN_ID])
    ]
    errors: Annotated[
        tuple[InvalidField, ...], Field(description="The fields that are wrong, if it is that.")
    ]


class RetentionFacts(Answer):
    """What is kept of the backups of a schedule; 0 = no such rule."""

    count: int
    days: float
    hourly: int
    daily: int
    weekly: int
    monthly: int
    yearly: int
    max_days: float
    max_bytes: int


class ScheduleFacts(Answer):
    """One schedule."""

    name: Annotated[str, Field(examples=["default"])]
    frequency: Annotated[Frequency | None, Field(description="null = `cron` says when.")]
    cron: str
    expression: Annotated[str, Field(examples=["0 2 * * *"], description="Its due times.")]
    timezone: Annotated[str, Field(examples=["Europe/Berlin"])]
    enabled: bool
    external: Annotated[bool, Field(description="Others begin its backups, such as cron.")]
    options: dict[str, list[str] | bool | str | None]
    retention: Annotated[RetentionFacts | None, Field(description="null = as the settings say.")]
    updated_at: datetime
    last_run_at: datetime | None
    last_success_at: datetime | None
    last_backup_id: str | None
    last_error: Annotated[str | None, Field(description="Code; null = its last run was well.")]
    missed: Annotated[int, Field(description="Due times that nobody considered in time.")]
    last_missed_at: datetime | None
    next_due_at: Annotated[
        datetime | None, Field(description="In the past = overdue; null = never.")
    ]


class ScheduleList(Answer):
    """All schedules."""

    success: Success
    schedules: tuple[ScheduleFacts, ...]


class ScheduleAnswer(Answer):
    """A schedule as it is now."""

    success: Success
    schedule: ScheduleFacts


class ScheduleDeleted(Answer):
    """A schedule that is no more."""

    success: Success
    name: str


class NotDue(Answer):
    """A scheduled backup that has time."""

    success: Success
    due: Literal[False]
    next_due_at: datetime | None


class ProgressFacts(Answer):
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


class RunFailure(Answer):
    """How a run failed."""

    code: str
    title: str
    message: str
    hint: str
    retryable: bool


class RunAnswer(Answer):
    """One execution of a backup, a restore or other work."""

    success: Annotated[bool | None, Field(description="null until it is over.")]
    run_id: Annotated[str, Field(examples=[RUN_ID])]
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
    error: RunFailure | None


class RunList(Answer):
    """A page of the history."""

    success: Success
    runs: tuple[RunAnswer, ...]
    total: int
    limit: int
    offset: int


class TokenAnswer(Answer):
    """What a login gives."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Field(description="Seconds.", examples=[900])]
    refresh_token: Annotated[str, Field(description="Good once, for POST /api/auth/refresh.")]
    role: Role


class IdentityAnswer(Answer):
    """Who a token belongs to."""

    name: Annotated[str, Field(examples=["alice"])]
    role: Role


class UserFacts(Answer):
    """Somebody who may log in."""

    name: Annotated[str, Field(examples=["alice"])]
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class UserAnswer(Answer):
    """One user."""

    success: Success
    user: UserFacts


class UserList(Answer):
    """All users, by name."""

    success: Success
    users: tuple[UserFacts, ...]


class AuditFacts(Answer):
    """One link of the audit."""

    number: int
    at: datetime
    actor: str
    role: str
    address: str
    action: Annotated[str, Field(examples=["create_backup"])]
    target: Annotated[str, Field(examples=["POST /api/admin/backup/create"])]
    status: int
    result: Annotated[str, Field(description="`ok`, or the code of an error.")]
    run_id: str | None
    digest: str


class AuditList(Answer):
    """A page of the audit."""

    success: Success
    entries: tuple[AuditFacts, ...]
    total: int
    limit: int
    offset: int


class Health(Answer):
    """The process is alive."""

    status: Literal["ok"]


class Ready(Answer):
    """Whether requests can be served; a check that failed has the code of its error."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]
