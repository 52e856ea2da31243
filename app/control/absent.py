"""The histories where there are none: commands work without the control database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from app.domain.alerts.alert import Alert
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
from app.domain.stores import AlertFilter, Page
from app.errors import ControlUnavailableError, RunNotFoundError


class NoHistory:
    """A `RunStore` that records nothing."""

    async def add(self, run: Run, key: IdempotencyKey | None = None) -> Run | None:
        """Record nothing."""
        _ = run, key
        return None

    async def find_by_key(self, requested_by: str, key: IdempotencyKey) -> Run | None:
        """Know no key."""
        _ = requested_by, key
        return None

    async def save(self, run: Run) -> bool:
        """Record nothing; nobody can have requested its cancellation."""
        _ = run
        return False

    async def get(self, run_id: RunId) -> Run:
        """Know no run; raises RunNotFoundError."""
        raise RunNotFoundError(f"no run {run_id!r}")

    async def list(self, wanted: RunFilter, page: Page) -> tuple[Sequence[Run], int]:
        """Know no run."""
        _ = wanted, page
        return (), 0

    async def unfinished(self) -> Sequence[Run]:
        """Know no run."""
        return ()

    async def failures(self, count: int) -> Sequence[Run]:
        """Know no run."""
        _ = count
        return ()

    async def outcomes(self, kind: RunKind, since: datetime) -> Sequence[tuple[datetime, RunState]]:
        """Know no run."""
        _ = kind, since
        return ()

    async def tally(self) -> Sequence[RunTally]:
        """Know no run."""
        return ()

    async def request_cancel(self, run_id: RunId) -> None:
        """Know no run."""
        _ = run_id


class UnwrittenHistory(NoHistory):
    """A `RunStore` that takes nothing now, so that ends of runs are kept for later."""

    async def add(self, run: Run, key: IdempotencyKey | None = None) -> Run | None:
        """Refuse."""
        _ = run, key
        _refuse()

    async def save(self, run: Run) -> bool:
        """Refuse."""
        _ = run
        _refuse()


class NoAlerts:
    """An `AlertStore` that is never there, so that alerts are sent at once or not at all."""

    async def raise_alert(
        self, alert: Alert, at: datetime, *, told_before: datetime, targets: Sequence[str]
    ) -> bool:
        """Raise ControlUnavailableError, as everything here does."""
        _ = alert, at, told_before, targets
        _refuse()

    async def resolve(self, key: str, at: datetime, closing: str) -> bool:
        """Refuse."""
        _ = key, at, closing
        _refuse()

    async def claim(
        self, target: str, at: datetime, until: datetime
    ) -> tuple[Delivery, AlertRecord] | None:
        """Refuse."""
        _ = target, at, until
        _refuse()

    async def finish(
        self, delivery: Delivery, at: datetime, error: str, next_due_at: datetime | None
    ) -> None:
        """Refuse."""
        _ = delivery, at, error, next_due_at
        _refuse()

    async def next_due(self, target: str) -> datetime | None:
        """Refuse."""
        _ = target
        _refuse()

    async def record(self, alert: Alert, at: datetime, outcomes: Mapping[str, str]) -> None:
        """Refuse."""
        _ = alert, at, outcomes
        _refuse()

    async def list(self, wanted: AlertFilter, page: Page) -> tuple[Sequence[AlertRecord], int]:
        """Refuse."""
        _ = wanted, page
        _refuse()

    async def deliveries(self, alert_ids: Sequence[AlertId], most: int) -> Sequence[Delivery]:
        """Refuse."""
        _ = alert_ids, most
        _refuse()

    async def expire(self, at: datetime, *, before: datetime, stale: datetime) -> None:
        """Refuse."""
        _ = at, before, stale
        _refuse()


def _refuse() -> NoReturn:
    raise ControlUnavailableError("the control database is not used")
