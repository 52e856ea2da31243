"""What a trial of a store has found: one finding for each thing that backups need of it."""

from dataclasses import dataclass

from app.domain.backups.retention import RetentionPolicy
from app.domain.monitoring import CheckState
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """
    A store, as it is defined.

    Attributes:
        name: Of its table.
        kind: `local`, `s3`, `gcs`, `azure` or `sftp`.
        place: Where it is; holds no secret.
        append_only: Whether nothing is ever deleted there.
        object_lock_days: How long the store keeps each object from deletion; 0 = it does not.
        is_in_clear: Whether others on the way can read what is sent there.
        is_offsite: Whether it is reached over a network, and not on this machine.
        retention: What is kept there; None = nothing is deleted there by rules.
        check_days: How often each backup there is read back; 0 = only when somebody asks for it.
        drill_days: How often one of them is restored for proof; 0 = the same.
        site: What it is lost with, at once: a bucket, a container, a server, a directory.
    """

    name: str
    kind: str
    place: str
    append_only: bool
    object_lock_days: int
    is_in_clear: bool = False
    is_offsite: bool = False
    retention: RetentionPolicy | None = None
    check_days: float = 0.0
    drill_days: float = 0.0
    site: str = ""


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """
    One finding.

    Attributes:
        name: What was tried.
        state: What came out.
        detail: What was found.
        remedy: What to do about it; empty when nothing.
        error: What a backup would raise; None unless `state` is FAIL.
    """

    name: str
    state: CheckState
    detail: str
    remedy: str = ""
    error: AppError | None = None


@dataclass(frozen=True, slots=True)
class StoreTrial:
    """
    What was found in one store.

    Attributes:
        store: Which.
        checks: In the order in which they were made; those after a failure that ended the trial are missing.
        clock_skew_seconds: How far the store's clock is ahead of this machine's; None = nobody knows.
    """

    store: StoreFacts
    checks: tuple[StoreCheck, ...]
    clock_skew_seconds: float | None

    @property
    def is_fit(self) -> bool:
        """Whether backups can be kept there."""
        return not any(check.error for check in self.checks)
