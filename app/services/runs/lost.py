"""
Runs of other installations that are not over, and of which nothing is heard any more.

A state directory is an installation, and each one judges its own runs by what is there. Where it was lost
and the control database kept, its runs are nobody's: they would be called running for ever. A run at work
writes its counters down twice a second; where they stand still, somebody may say that it is over.

Not guaranteed: that it is. Its machine may have lost the control database alone, so the words claim nothing
about what became of it; and whoever is still at work writes its counters down over them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.domain.ports import Clock
from app.domain.runs.failures import failure
from app.domain.runs.run import Run, RunState, parse_run_id
from app.domain.stores import RunStore
from app.errors import AlreadyRunningError, ConflictError, NotCancellableError, RunLostError
from app.storage.run_locks import RunLocks


# Six times as long as between two counters, for a busy machine far away.
SILENT_SECONDS: Final = 3.0


class LostRuns:
    """Finds them, and ends them in the history."""

    def __init__(
        self, store: RunStore, locks: RunLocks, clock: Clock, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._store = store
        self._locks = locks
        self._clock = clock
        self._silent_seconds = silent_seconds

    async def find(self) -> Sequence[Run]:
        """
        Find those that are silent now; looks for some seconds if there are any of others.

        Returns:
            Them, oldest first.

        Raises:
            AppError: The history or the state directory refused.
        """
        before = await self._of_others()
        if not before:
            return ()
        await asyncio.sleep(self._silent_seconds)
        after = await self._of_others()
        return [run for run_id, run in after.items() if run.revision == _revision(before, run_id)]

    async def end(self, run_id: str, by: str, reason: str) -> Run:
        """
        End one in the history.

        Args:
            run_id: Text of a user.
            by: Who says so.
            reason: Why, for people.

        Returns:
            The run as it is told from now on.

        Raises:
            RunNotFoundError: There is none of this id.
            NotCancellableError: It is over.
            ConflictError: It is of this installation, which judges it.
            AlreadyRunningError: Its counters move.
            AppError: The history or the state directory refused.
        """
        run = await self._store.get(parse_run_id(run_id))
        if run.state.is_over:
            raise NotCancellableError(f"{run.run_id} has {run.state}")
        if run.run_id not in await self._of_others():
            raise ConflictError(
                f"{run.run_id} is of this installation",
                hint="It is judged by what is there: within a minute when the service runs.",
            )
        await asyncio.sleep(self._silent_seconds)
        ended = await self._write(run, by, reason)
        if ended is None:
            raise AlreadyRunningError(
                f"{run.run_id} is at work elsewhere: its counters move",
                run_id=run.run_id,
                hint="Cancel it, or wait until it is over.",
            )
        return ended

    async def _write(self, run: Run, by: str, reason: str) -> Run | None:
        """Write the end down, unless the run has moved; returns what the history says."""
        error = RunLostError(
            f"{by} has ended it in the history: {reason}; nothing is heard of it any more, and nobody here"
            " knows what became of it",
            hint="Look at what is there, in the list of backups and in the database, before you start it again.",
        )
        over = replace(
            run,
            state=RunState.FAILED,
            revision=run.revision + 1,
            finished_at=self._clock.now(),
            error=failure(error),
        )
        if (await self._store.get(run.run_id)).revision == run.revision:
            await self._store.save(over)
        found = await self._store.get(run.run_id)
        return found if found.state.is_over else None

    async def _of_others(self) -> dict[str, Run]:
        runs = await self._store.unfinished()
        if not runs:
            return {}
        owner = await asyncio.to_thread(self._locks.owner)
        return {run.run_id: run for run in runs if run.owner != owner}


def _revision(runs: dict[str, Run], run_id: str) -> int | None:
    return runs[run_id].revision if run_id in runs else None
