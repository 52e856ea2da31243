"""What requests may hold; anything else is refused."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
)

from app.api.instants import Instant
from app.domain.access.user import MAX_PASSWORD, MIN_PASSWORD, Role
from app.domain.alerts.alert import AlertKind
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec
from app.domain.backups.retention import RetentionPolicy
from app.domain.runs.run import RunKind, RunState
from app.domain.schedule import (
    DEFAULT_NAME,
    Frequency,
    ScheduleChange,
    ScheduleKind,
    ScheduleOptions,
)
from app.errors import InvalidRequestError


# Names of servers have at most 64 characters; a glob on `database.table` may have both.
Name = Annotated[str, Field(min_length=1, max_length=64)]
Glob = Annotated[str, Field(min_length=1, max_length=256)]
Names = Annotated[tuple[Name, ...], Field(max_length=1000)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=1000)]
Description = Annotated[str, Field(max_length=1000, description="Words for people, one line.")]
ScheduleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
StoreName = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")]
# Strict: true is no number, nor is a text of digits; what is kept must be what was meant.
Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]
Level = Annotated[int, Field(strict=True, ge=1, le=19)]
Days = Annotated[float, Field(strict=True, ge=0, le=36_500)]
Password = Annotated[SecretStr, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]


class Body(BaseModel):
    """Whatever is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateBody(Body):
    """A backup that is wanted; what is left open, the settings decide."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"description": "Manual backup", "compress": True}]}
    )

    description: Description = ""
    compress: Annotated[StrictBool | None, Field(description="false: plain SQL.")] = None
    verify: Annotated[StrictBool | None, Field(description="Whether it is read back.")] = None
    include_data: Annotated[StrictBool, Field(description="false: definitions only.")] = True
    databases: Annotated[Names, Field(description="Empty: as the settings say.")] = ()
    tables: Annotated[Globs, Field(description="Globs on `table` or `database.table`.")] = ()
    exclude_tables: Globs = ()
    codec: Codec | None = None
    level: Annotated[
        Level | None, Field(description="Of compression: gzip 1 to 9, zstd 1 to 19.")
    ] = None
    accounts: Annotated[StrictBool, Field(description="Users, roles and grants as well.")] = False


class RecoveryPointBody(Body):
    """A point to go back to, before something risky."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"description": "Before the new prices"}]}
    )

    description: Description = "Recovery point"
    databases: Names = ()


class RestoreBody(Body):
    """A restore that is wanted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"verify_before": True, "create_backup": True}]}
    )

    verify_before: Annotated[StrictBool, Field(description="Check the whole file first.")] = True
    verify_after: Annotated[StrictBool, Field(description="Read all rows back.")] = True
    create_backup: Annotated[StrictBool, Field(description="Back up first what is there.")] = True
    databases: Annotated[Names, Field(description="Empty: all of the backup.")] = ()
    tables: Annotated[Globs, Field(description="Empty: all, and nothing else stays.")] = ()
    into: Annotated[
        Name | None, Field(description="Another database, where nothing is overwritten.")
    ] = None
    schema_only: StrictBool = False
    data_only: StrictBool = False
    accounts: StrictBool = False
    skip_binlog: StrictBool = False


class TestRestoreBody(RestoreBody):
    """A restore that is only tried."""

    drill: Annotated[
        StrictBool, Field(description="Restore into scratch schemas, prove, and drop them.")
    ] = False


class RecoverBody(Body):
    """A point in time of which a backup is wanted: exactly one of the first four."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to_time": "2024-01-31T14:30:15Z"}]})

    to_time: Instant | None = None
    to_gtid: Glob | None = None
    before_gtid: Glob | None = None
    to_position: Glob | None = None
    databases: Annotated[Names, Field(description="Empty: all that the base holds.")] = ()
    dry_run: StrictBool = False


class VerifyBody(Body):
    """How far to look."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"level": "content"}]})

    level: VerifyLevel = VerifyLevel.CONTENT


class CopyBody(Body):
    """Where a copy shall be."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "offsite"}]})

    to: Annotated[
        StoreName, Field(description="Store that gets it; empty: the backup directory.")
    ] = ""
    source: Annotated[
        StoreName, Field(description="Store that has it; empty: the backup directory.")
    ] = ""
    rewrap: Annotated[
        StrictBool,
        Field(
            description="Whether the copy is encrypted for the recipients of now; needs an identity."
        ),
    ] = False


class PinBody(Body):
    """Why a backup shall be kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Before the audit"}]})

    reason: Description = ""


class ScheduleOptionsBody(Body):
    """What a schedule backs up."""

    databases: Names = ()
    tables: Globs = ()
    exclude_tables: Globs = ()
    include_data: StrictBool = True
    description: Description = ""
    compress: StrictBool | None = None
    level: Annotated[Level | None, Field(description="As for a backup.")] = None
    verify: StrictBool | None = None
    copies: Annotated[
        tuple[ScheduleName, ...],
        Field(max_length=20, description="Stores that get a copy of each backup."),
    ] = ()
    store: Annotated[
        StoreName,
        Field(description="Store that its backups are made in; empty: the backup directory."),
    ] = ""


class RetentionBody(Body):
    """What is kept of the backups of a schedule; 0 = no such rule, all 0 = everything."""

    count: Annotated[Count, Field(description="The newest so many.")] = 0
    days: Annotated[Days, Field(description="All that are younger.")] = 0
    hourly: Annotated[Count, Field(description="The newest of each of the last hours.")] = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    max_days: Annotated[Days, Field(description="Nothing older stays.")] = 0
    max_bytes: Annotated[
        int, Field(strict=True, ge=0, le=1 << 60, description="In all, as stored.")
    ] = 0

    def as_policy(self) -> RetentionPolicy:
        """Return the rules."""
        return RetentionPolicy(**self.model_dump())


class PruneBody(Body):
    """Which old backups shall go: those that no rule keeps."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dry_run": True}]})

    dry_run: Annotated[StrictBool, Field(description="Only say what would go, and why.")] = True
    accept_clock: Annotated[StrictBool, Field(description="What the clock says now is right.")] = (
        False
    )
    schedule: Annotated[
        ScheduleName | None,
        Field(description="With `dry_run`: as if this schedule kept what `retention` says."),
    ] = None
    retention: Annotated[
        RetentionBody | None, Field(description="Of `schedule`; null: as the settings say.")
    ] = None
    store: Annotated[
        StoreName,
        Field(
            description="What lies in this store, by its own rules; empty: the backup directory."
        ),
    ] = ""

    def require_tried(self) -> None:
        """Refuse rules that are not saved for what deletes; raises InvalidRequestError."""
        if (self.schedule or self.retention) and not self.dry_run:
            raise InvalidRequestError("schedule and retention are for a dry run")
        if self.retention and not self.schedule:
            raise InvalidRequestError("retention is that of a schedule, which is not named")
        if self.schedule and self.store:
            raise InvalidRequestError("schedule and store: a store has rules of its own")


class ScheduleBody(Body):
    """A schedule as it shall be: a frequency, or a cron expression."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"frequency": "daily"},
                {
                    "name": "shop",
                    "cron": "30 2 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "options": {"databases": ["shop"]},
                    "retention": {"daily": 7, "weekly": 5, "monthly": 12},
                },
            ]
        }
    )

    frequency: Annotated[
        Frequency | None,
        Field(description="hourly: at the full hour; daily: at 02:00; weekly: Sundays at 02:00."),
    ] = None
    cron: Annotated[
        str, Field(max_length=200, description="Minute, hour, day, month, weekday.")
    ] = ""
    timezone: Annotated[
        str, Field(max_length=64, description="IANA name; empty: as the settings say.")
    ] = ""
    name: ScheduleName = DEFAULT_NAME
    kind: Annotated[
        ScheduleKind, Field(description="synthetic: recovered, not read; left out: as it was.")
    ] = ScheduleKind.BACKUP
    enabled: StrictBool = True
    external: Annotated[
        StrictBool, Field(description="Others begin its backups, such as cron.")
    ] = False
    options: Annotated[ScheduleOptionsBody, Field(description="Left out: as they were.")] = (
        ScheduleOptionsBody()
    )
    retention: Annotated[
        RetentionBody | None, Field(description="null: as the settings say; left out: as it was.")
    ] = None

    def as_change(self) -> ScheduleChange:
        """Return what is wanted; kind, options and retention that were left out stay as they were."""
        return ScheduleChange(
            name=self.name,
            kind=self.kind,
            frequency=self.frequency,
            cron=self.cron,
            timezone=self.timezone,
            enabled=self.enabled,
            external=self.external,
            options=ScheduleOptions(**self.options.model_dump()),
            retention=self.retention.as_policy() if self.retention else None,
            keeps=frozenset({"kind", "options", "retention"} - self.model_fields_set),
        )


class RunScheduledBody(Body):
    """Which scheduled backup to run."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"frequency": "daily"}]})

    frequency: Annotated[Frequency | None, Field(description="Instead of the schedule's.")] = None
    name: ScheduleName = DEFAULT_NAME
    force: Annotated[StrictBool, Field(description="Run it even when it is not due.")] = False


class RefreshBody(Body):
    """A refresh token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "0f6c….9QpT…"}]})

    refresh_token: Annotated[str, Field(max_length=1024)]


class LogoutBody(Body):
    """The login that ends; without a refresh token that of the access token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "0f6c….9QpT…"}]})

    refresh_token: Annotated[str | None, Field(max_length=1024)] = None


class UserBody(Body):
    """A user to be."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "alice", "password": "correct horse", "role": "viewer"}]
        }
    )

    name: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")]
    password: Password
    role: Role


class UserChangeBody(Body):
    """What changes about a user; the rest stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "operator"}]})

    role: Role | None = None
    password: Password | None = None
    disabled: StrictBool | None = None


class PageQuery(Body):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    offset: Annotated[int, Field(ge=0, le=1 << 31)] = 0


class BackupQuery(PageQuery):
    """Which backups, in which order."""

    sort: Literal[
        "-created_at",
        "created_at",
        "-size",
        "size",
        "-duration",
        "duration",
        "-rows_count",
        "rows_count",
    ] = "-created_at"
    database: Annotated[str, Field(max_length=64)] = ""
    text: Annotated[str, Field(max_length=200, description="Part of the description.")] = ""
    recovery_point: bool | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None


class AlertQuery(PageQuery):
    """Which conditions, in which order."""

    sort: Literal["-opened_at", "opened_at", "-last_rung_at", "last_rung_at"] = "-opened_at"
    kind: tuple[AlertKind, ...] = ()
    open: bool | None = None


class RunQuery(PageQuery):
    """Which runs, in which order."""

    sort: Literal["-created_at", "created_at", "-finished_at", "finished_at", "kind", "-kind"] = (
        "-created_at"
    )
    kind: tuple[RunKind, ...] = ()
    state: tuple[RunState, ...] = ()
    asked_by: Annotated[str, Field(max_length=128)] = ""
    backup_id: Annotated[str, Field(max_length=64)] = ""


class AuditQuery(PageQuery):
    """Which entries, in which order."""

    sort: Literal["-number", "number"] = "-number"
    actor: Annotated[str, Field(max_length=128)] = ""
    action: Annotated[str, Field(max_length=64)] = ""
    result: Annotated[str, Field(max_length=64)] = ""
    since: Instant | None = None
    until: Instant | None = None
