"""What the services ask of the control database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.audit import AuditEntry, AuditEvent
from app.domain.run import IdempotencyKey, Run, RunFilter, RunId
from app.domain.user import Session, User


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
    """Where runs are remembered; every call may raise ControlUnavailableError."""

    async def add(self, run: Run, key: IdempotencyKey | None = None) -> Run | None:
        """
        Remember a new run.

        Returns:
            None; or, when this asker has used the key before, the run of that time, and nothing was
            added.

        Raises:
            KeyReusedError: The key was used for another request.
        """
        ...

    async def find_by_key(self, asked_by: str, key: IdempotencyKey) -> Run | None:
        """Find what a key was used for; raises KeyReusedError as `add` does."""
        ...

    async def save(self, run: Run) -> bool:
        """
        Write the state of a run, unless a later revision is there.

        Returns:
            Whether somebody has asked to cancel it.
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

    async def request_cancel(self, run_id: RunId) -> None:
        """Ask whoever runs it to cancel; nothing happens to one that is over or not there."""
        ...


class UserStore(Protocol):
    """Users and their logins; every call may raise ControlUnavailableError."""

    async def add(self, user: User) -> None:
        """Add a user; raises UserExistsError."""
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

    async def save(self, user: User) -> None:
        """Write role, hash and `disabled_at` of a user; raises UserNotFoundError."""
        ...

    async def open_session(self, session: Session) -> None:
        """Add a login."""
        ...

    async def find_session(self, session_id: str) -> tuple[Session, User] | None:
        """Return a login and its user in one query."""
        ...

    async def rotate(self, session_id: str, *, old: str, new: str, expires_at: datetime) -> bool:
        """
        Replace the digest of a refresh token, in one statement.

        Returns:
            Whether `old` was the good one and the login not revoked; otherwise nothing was changed.
        """
        ...

    async def revoke(self, session_id: str, at: datetime) -> None:
        """End a login; one that is over or unknown is fine."""
        ...

    async def revoke_all(self, user: str, at: datetime) -> None:
        """End all logins of a user."""
        ...

    async def forget_sessions(self, before: datetime) -> None:
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

    async def append(self, event: AuditEvent) -> AuditEntry:
        """Seal an event over the newest entry and add it; safe against other processes."""
        ...

    async def list(self, wanted: AuditFilter, page: Page) -> tuple[Sequence[AuditEntry], int]:
        """Return a page, sorted by `number`, and the count of all."""
        ...

    async def read(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return entries with higher numbers, in order."""
        ...
