"""
Who is told of runs: of their beginning, and of their end also when the process was killed before it told.

The lock file of a run is deleted when all have been told. One that is left and held by nobody is that of a
process that was killed; where the history says that its run is over, everybody is told once more.

Not guaranteed: once. Whoever is told twice of one end must make the same of it.
"""

import asyncio
from collections.abc import Sequence

from app.domain.ports import RunListener
from app.domain.runs.run import Run, RunId
from app.domain.stores import RunStore
from app.errors import RunNotFoundError
from app.storage.run_locks import RunLocks


class RunListeners:
    """All who listen to the runs of one installation."""

    def __init__(self, store: RunStore, locks: RunLocks, listeners: Sequence[RunListener]) -> None:
        self._store = store
        self._locks = locks
        self._listeners = listeners

    async def begun(self, run: Run) -> None:
        """Tell that a run begins."""
        for listener in self._listeners:
            await listener.begun(run)

    async def ended(self, run: Run) -> None:
        """Tell that a run is over."""
        for listener in self._listeners:
            await listener.ended(run)

    async def tell_left(self) -> None:
        """Tell of each end that a killed process has written down and not told; raises AppError."""
        for run_id in await asyncio.to_thread(self._locks.left):
            try:
                run = await self._store.get(RunId(run_id))
            except RunNotFoundError:  # it may begin at this moment
                continue
            if run.state.is_over:
                await self.ended(run)
                await asyncio.to_thread(self._locks.delete, run_id)
