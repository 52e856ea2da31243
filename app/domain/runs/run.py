"""Runs: one execution each of a backup, a restore or another piece of work, and their history."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from app.domain.document import JsonObject
from app.domain.runs.progress import ProgressReport
from app.errors import RunNotFoundError


RunId = NewType("RunId", str)

RUN_DIGITS: Final = 16
_RUN_ID: Final = re.compile(rf"run_[0-9a-f]{{{RUN_DIGITS}}}")


class RunKind(StrEnum):
    """What a run does."""

    BACKUP = "backup"
    RECOVERY_POINT = "recovery-point"
    VERIFICATION = "verification"
    DELETION = "deletion"
    PRUNE = "prune"
    RESTORE = "restore"
    UNDO = "undo"
    DRILL = "drill"
    DRY_RUN = "dry-run"
    COPY = "copy"
    RECOVERY = "recovery"
    RECOVERY_DRILL = "recovery-drill"


# What schedules ask for: a backup of the server, or one that is recovered.
_OF_SCHEDULES: Final = frozenset({RunKind.BACKUP, RunKind.RECOVERY})


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self not in {RunState.QUEUED, RunState.RUNNING}


class Origin(StrEnum):
    """By which way a run was asked for."""

    API = "api"
    CLI = "cli"
    SCHEDULE = "schedule"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Requester:
    """
    Who asks for a run.

    Attributes:
        name: Of a user of the service, or of the operating system for the command line.
        origin: By which way.
    """

    name: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Failure:
    """How a run failed: an error, without anything that only operators of the machine may see."""

    code: str
    title: str
    message: str
    hint: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Run:
    """
    One execution.

    Attributes:
        owner: Which installation runs it; only that one may say that it was interrupted.
        backup_id: Backup that it makes or works with; empty while unknown.
        restore_id: Restore that it makes; empty for other kinds and while unknown.
        request: What was asked for, as it was asked for.
        revision: Counts the changes, from 1; a higher one has everything of a lower one.
        result: What came of it, the document of the command; None unless it succeeded.
        error: Why it failed or was cancelled.
        created_at: Aware UTC instant, as the other two.
    """

    run_id: RunId
    kind: RunKind
    state: RunState
    requested_by: str
    origin: Origin
    owner: str
    created_at: datetime
    backup_id: str = ""
    restore_id: str = ""
    request: JsonObject = field(default_factory=dict)
    revision: int = 1
    cancel_requested: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress: ProgressReport | None = None
    result: JsonObject | None = None
    error: Failure | None = None

    @property
    def store(self) -> str:
        """Name of the store that it was about; empty = the backup directory."""
        key = "to" if self.kind is RunKind.COPY else "store"
        return str(self.request.get(key, ""))

    @property
    def schedule(self) -> str:
        """Name of the schedule whose backup it makes; empty = of none."""
        named = self.request.get("schedule")
        return named if self.kind in _OF_SCHEDULES and isinstance(named, str) else ""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """
    A caller's promise that two requests are one.

    Attributes:
        key: Text of the caller, unique among theirs; 1 to 128 characters of `[A-Za-z0-9._:-]`.
        fingerprint: SHA-256 of what was asked for, hexadecimal.
    """

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """
    Which runs a list shows; empty = no condition.

    Attributes:
        backup_id: Runs about this backup.
        restore_id: Runs that made this restore or undo.
        since: Runs that began at this aware instant or later.
        until: Runs that began before this one.
    """

    kinds: tuple[RunKind, ...] = ()
    states: tuple[RunState, ...] = ()
    requested_by: str = ""
    backup_id: str = ""
    restore_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunTally:
    """
    How many runs of a kind, an origin and a state the history has.

    Attributes:
        seconds: How long they took in all; 0 unless they are over.
        last_at: When the last one of them ended; None unless they are over.
    """

    kind: RunKind
    origin: Origin
    state: RunState
    count: int
    seconds: float
    last_at: datetime | None


def new_run_id() -> RunId:
    """Make an id that nobody has used."""
    return RunId(f"run_{secrets.token_hex(RUN_DIGITS // 2)}")


def parse_run_id(text: str) -> RunId:
    """
    Accept user input as an id.

    Returns:
        The same text, known to be an id.

    Raises:
        RunNotFoundError: It cannot name a run.
    """
    if _RUN_ID.fullmatch(text) is None:
        raise RunNotFoundError(f"no run {text[:80]!r}")
    return RunId(text)
