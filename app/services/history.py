"""The history of runs where there is none: commands work without the control database."""

from collections.abc import Sequence

from app.domain.run import IdempotencyKey, Run, RunFilter, RunId
from app.domain.stores import Page
from app.errors import RunNotFoundError


class NoHistory:
    """A `RunStore` that remembers nothing."""

    async def add(self, run: Run, key: IdempotencyKey | None = None) -> Run | None:
        """Forget it."""
        _ = run, key
        return None

    async def find_by_key(self, asked_by: str, key: IdempotencyKey) -> Run | None:
        """Know no key."""
        _ = asked_by, key
        return None

    async def save(self, run: Run) -> bool:
        """Forget it; nobody can have asked to cancel it."""
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

    async def request_cancel(self, run_id: RunId) -> None:
        """Know no run."""
        _ = run_id
