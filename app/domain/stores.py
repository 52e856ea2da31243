"""What the services need of the control database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.access.audit import AuditCut, AuditEntry, AuditEvent, AuditSeals
from app.domain.access.user import LoginSession, SessionKind, User
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.alerts.notice import AlertId, AlertRecord, Delivery
from app.domain.runs.run import (
    IdempotencyKey,
    Run,
    RunFilter,
    RunId,
    RunKind,
    RunState,
    RunTally,
)


@dataclass(frozen=True, slots=True)
class Page:
    """
    A part of a list.

    Attributes:
        limit: Most entries, at least 1.
        offset: Entries before it.
        sort: Name of a field; newest or largest first with a `-` before it.
    """

    limit: int = 50
    offset: int = 0
    sort: str = "-created_at"


class RunStore(Protocol):
    """Where runs are recorded; every call may raise ControlUnavailableError."""

    async def add(self, run: Run, key: IdempotencyKey | None = None) -> Run | None:
        """
        Record a new run.

        Returns:
            None; or, when this requester has used the key before, the run of that time, and nothing was
            added.

        Raises:
            KeyReusedError: The key was used for another request.
        """
        ...

    async def find_by_key(self, requested_by: str, key: IdempotencyKey) -> Run | None:
        """Find what a key was used for; raises KeyReusedError as `add` does."""
        ...

    async def save(self, run: Run) -> bool:
        """
        Write the state of a run, unless a later revision is there.

        Returns:
            Whether somebody has requested its cancellation.
        """
        ...

    async def get(self, run_id: RunId) -> Run:
        """Return one run; raises RunNotFoundError."""
        ...

    async def list(self, wanted: RunFilter, page: Page) -> tuple[Sequence[Run], int]:
        """Return a page, sorted by `created_at`, `finished_at` or `kind`, and the count of all."""
        ...

    async def unfinished(self) -> Sequence[Run]:
        """Return what is not over, oldest first."""
        ...

    async def failures(self, count: int) -> Sequence[Run]:
        """Return what has failed last, newest first."""
        ...

    async def outcomes(self, kind: RunKind, since: datetime) -> Sequence[tuple[datetime, RunState]]:
        """Return when each run of a kind began since an instant, and how it ended; those that are over."""
        ...

    async def tally(self) -> Sequence[RunTally]:
        """Count all runs by kind, origin and state; in no order, nothing for what there is none of."""
        ...

    async def request_cancel(self, run_id: RunId) -> None:
        """Request the cancellation of a run; nothing happens to one that is over or not there."""
        ...


@dataclass(frozen=True, slots=True)
class EndedLogins:
    """
    Logins of a user that end with a change of the user.

    Attributes:
        at: When.
        kind: Only those of this kind; None = all.
    """

    at: datetime
    kind: SessionKind | None = None


class UserStore(Protocol):
    """Users and their logins; every call may raise ControlUnavailableError."""

    async def add(self, user: User) -> None:
        """Add a user; raises UserExistsError."""
        ...

    async def add_first(self, user: User) -> bool:
        """Add a user unless there is one, whoever else does the same; returns whether it was added."""
        ...

    async def get(self, name: str) -> User:
        """Return one user; raises UserNotFoundError."""
        ...

    async def find(self, name: str) -> User | None:
        """Return one user, None when there is none."""
        ...

    async def list(self) -> Sequence[User]:
        """Return all users by name."""
        ...

    async def replace(self, before: User, after: User, ended: EndedLogins | None = None) -> bool:
        """
        Write role, hash and `disabled_at` of a user, and end logins by that, in one step.

        Returns:
            Whether the user still was as `before`; otherwise nothing was changed.

        Raises:
            ConflictError: No admin would be left; nothing was changed.
        """
        ...

    async def open_session(self, session: LoginSession) -> None:
        """Add a login."""
        ...

    async def find_session(self, session_id: str) -> tuple[LoginSession, User] | None:
        """Return a login and its user in one query."""
        ...

    async def list_sessions(self, user: str) -> Sequence[LoginSession]:
        """Return all logins of a user that are kept, also those that are over, newest first."""
        ...

    async def rotate(self, session_id: str, *, old: str, new: str, expires_at: datetime) -> bool:
        """
        Replace the digest of a refresh token, in one statement.

        Returns:
            Whether `old` was the good one and the login not revoked; otherwise nothing was changed.
            That of a browser is never rotated: its cookie is no refresh token.
        """
        ...

    async def prolong(
        self, session_id: str, *, expires_at: datetime, proven_at: datetime | None
    ) -> None:
        """Let a login last longer, and note when its password was last given."""
        ...

    async def revoke(self, session_id: str, at: datetime) -> None:
        """End a login; one that is over or unknown is fine."""
        ...

    async def delete_sessions(self, before: datetime) -> None:
        """Delete logins that expired before an instant."""
        ...


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries a list shows; empty = no condition."""

    actor: str = ""
    action: str = ""
    result: str = ""
    since: datetime | None = None
    until: datetime | None = None


class AuditStore(Protocol):
    """Where the chain lies; every call may raise ControlUnavailableError."""

    async def append(self, event: AuditEvent, seals: AuditSeals) -> AuditEntry:
        """Seal an event over the newest entry and add it; safe against other processes."""
        ...

    async def list(self, wanted: AuditFilter, page: Page) -> tuple[Sequence[AuditEntry], int]:
        """Return a page, sorted by `number`, and the count of all."""
        ...

    async def read(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return entries with higher numbers, in order."""
        ...

    async def newest_before(self, at: datetime) -> AuditEntry | None:
        """Return the newest entry that is older than an instant; None when there is none."""
        ...

    async def find_cut(self) -> AuditCut | None:
        """Return the newest checkpoint; None when there is none."""
        ...

    async def cut(self, cut: AuditCut) -> None:
        """Add a checkpoint in the place of those before it."""
        ...

    async def remove(self, up_to: int) -> None:
        """Remove the entries up to a number."""
        ...


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """
    Which conditions a list shows; None or empty = no condition.

    Attributes:
        is_own: Whether those of other installations on the same control database are left out; of open ones alone.
    """

    is_open: bool | None = None
    kinds: tuple[AlertKind, ...] = ()
    is_own: bool = False


class AlertStore(Protocol):
    """
    Conditions, and the log of messages about them; every call may raise ControlUnavailableError.

    Several processes may use one: of each condition one is open at a time, and each message is claimed
    by one of them.
    """

    async def raise_alert(
        self, alert: Alert, at: datetime, *, told_before: datetime, targets: Sequence[str]
    ) -> bool:
        """
        Record a condition, and plan messages when it is new or they were planned before an instant.

        Args:
            alert: The condition; what is open already gets its text.
            at: When it was seen.
            told_before: Where messages were planned later than this, no others are.
            targets: Who gets messages; those that still wait for an earlier message get only that one.

        Returns:
            Whether it is new, or messages about it are due again.
        """
        ...

    async def resolve(self, key: str, at: datetime, closing: str) -> bool:
        """
        Close a condition: who got a message gets its end too, and what is not sent yet is withdrawn.

        Returns:
            Whether it was open.
        """
        ...

    async def claim(
        self, target: str, at: datetime, until: datetime
    ) -> tuple[Delivery, AlertRecord] | None:
        """
        Take the next message that is due to a target; nobody else gets it before `until`.

        Returns:
            It and what it is about, as it is now; None when there is none.
        """
        ...

    async def finish(
        self, delivery: Delivery, at: datetime, error: str, next_due_at: datetime | None
    ) -> None:
        """
        Record how an attempt ended, and plan the next one.

        Args:
            delivery: What was claimed; finished by somebody else meanwhile, nothing happens.
            at: When it ended.
            error: Why it failed; empty when it arrived. Then, if the condition is over by now, a
                recovery is planned.
            next_due_at: Of the next attempt if this one failed; None = it was the last. An alarm that
                is over by now is not tried again.
        """
        ...

    async def next_due(self, target: str) -> datetime | None:
        """Return when the next message to a target is due, also one that somebody has claimed."""
        ...

    async def record(self, alert: Alert, at: datetime, outcomes: Mapping[str, str]) -> None:
        """Record a condition that is over already, and attempts by target with their errors."""
        ...

    async def list(self, wanted: AlertFilter, page: Page) -> tuple[Sequence[AlertRecord], int]:
        """Return a page, sorted by `opened_at` or `last_rung_at`, and the count of all."""
        ...

    async def deliveries(self, alert_ids: Sequence[AlertId], most: int) -> Sequence[Delivery]:
        """Return the newest attempts about conditions, at most so many of each, newest first."""
        ...

    async def expire(self, at: datetime, *, before: datetime, stale: datetime) -> None:
        """
        Delete what is long over, and give up what nobody sends.

        What a clock that was set back since has put off by more than a day is due now.

        Args:
            at: Now.
            before: Conditions that were over and attempts that were made before this are deleted.
            stale: Messages that are due since before this are given up.
        """
        ...
