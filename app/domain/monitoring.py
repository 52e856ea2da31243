"""What a look at the whole installation has found: how the backups are doing, and what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.check_notes import Pin
from app.domain.places.report import CopiesReport
from app.domain.runs.run import Run
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """Bytes of the file system where backups are kept, or will be."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """
    The state of everything at one moment.

    Attributes:
        last_backup: Newest backup that is no recovery point.
        last_backup_proven_at: When that was last restored and equal.
        pins: Which backups are pinned; None for one that may be, as nobody can read its notes.
        size_bytes: Of all backups, as stored.
        disk: None while there is no backup directory.
        running: Runs that are not over, oldest first.
        next_due_at: When the next scheduled backup is due; None when none is.
        last_failures: Runs that failed last, newest first.
        damaged: Backups that are not whole, with data files that lack a manifest.
        unknown: Backups of a signer that is not known here, of which nobody here can tell.
        checks_failing: Backups of which the last check failed.
        last_proven_at: When any backup was last restored and equal, all of it; None = never.
        last_recovery_proven_at: When an older backup and the binary log last gave what a newer backup holds.
        copies: Where backups lie, and whether in enough places.
    """

    last_backup: CatalogueEntry | None
    last_backup_proven_at: datetime | None
    pins: Mapping[str, Pin | None]
    backups_count: int
    size_bytes: int
    raw_size_bytes: int
    disk: DiskUsage | None
    running: tuple[Run, ...]
    next_due_at: datetime | None
    last_failures: tuple[Run, ...]
    damaged: int
    unknown: int
    checks_failing: int
    last_proven_at: datetime | None
    last_recovery_proven_at: datetime | None
    copies: CopiesReport


class FirstStep(StrEnum):
    """What makes of a fresh installation one that can be relied on, in order."""

    SERVER = "server"
    BACKUP = "backup"
    DRILL = "drill"
    SCHEDULE = "schedule"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served, by what that takes: a name, and why not."""

    checks: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.checks.values())


class CheckState(StrEnum):
    """What came out of a check of the doctor."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """
    One finding of the doctor.

    Attributes:
        name: What was looked at.
        state: What came out.
        detail: What was found.
        remedy: What to do about it, a step a line; empty when nothing.
        error: What a backup would raise; None unless `state` is FAIL.
    """

    name: str
    state: CheckState
    detail: str
    remedy: str = ""
    error: AppError | None = None


def failed(name: str, error: AppError) -> DoctorCheck:
    """Make the finding of an error: its words, and its hint as the remedy."""
    return DoctorCheck(name, CheckState.FAIL, f"{error.title}: {error}", error.hint, error)
