"""What a run needs before it begins: its locks, and the answer that it is still wanted."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import TypeVar

from app.concurrency import Bound, shielded
from app.domain.runs.run import RunId, RunKind
from app.errors import AppError, TooManyRunsError
from app.services.runs.active import warn_unwritten
from app.services.runs.job import Job
from app.storage.run_locks import HeldLocks, Places, RunLocks


T = TypeVar("T")


class Admission:
    """Lets runs in and out."""

    def __init__(self, locks: RunLocks, bounds: Mapping[RunKind, Bound]) -> None:
        self._locks = locks
        self._bounds = bounds
        self._inside: dict[RunId, Bound] = {}

    async def admit(self, run_id: RunId, job: Job[T]) -> HeldLocks:
        """
        Take the locks of a run, then ask whether it is still wanted; all or nothing.

        Returns:
            The locks, the run's own one last.

        Raises:
            AlreadyRunningError: Another run has what this one needs; named.
            TooManyRunsError: As many of its kind go on as may at once.
            NotDueError: Its claim was refused, like every other error of it.
            StorageError: The state directory refused.
        """
        locks = await self._hold(run_id, job)
        if job.claim is not None:
            await self._claim(job.claim(), run_id, locks)
        return locks

    async def let_go(self, run_id: RunId, locks: HeldLocks) -> None:
        """Let everything go that a run holds; never raises an error of ours."""
        try:
            await asyncio.to_thread(self._locks.delete, run_id)
        except AppError as exc:  # it is locked by nobody any more, and means nothing
            warn_unwritten(run_id, exc)
        finally:
            locks.release()
            if (bound := self._inside.pop(run_id, None)) is not None:
                bound.used -= 1

    async def _hold(self, run_id: RunId, job: Job[T]) -> HeldLocks:
        """Take locks, or let them go again when this task is cancelled while a thread takes them."""
        bound = self._bounds.get(job.kind) if job.takes_place else None
        places = None
        if bound is not None:
            places = Places(job.kind, bound.limit, f"BACKSTAY_{bound.name.upper()}")
        held: list[HeldLocks] = []

        def take() -> None:
            held.append(self._locks.acquire(run_id, job.resources, places))

        try:
            await shielded(asyncio.to_thread(take))
        except asyncio.CancelledError:
            for locks in held:
                await shielded(self.let_go(run_id, locks))
            raise
        except TooManyRunsError:
            if bound is not None:
                bound.hits += 1
            raise
        if bound is not None:
            bound.used += 1
            self._inside[run_id] = bound
        return held[0]

    async def _claim(
        self, claim: Coroutine[object, object, object], run_id: RunId, locks: HeldLocks
    ) -> None:
        """Ask whether it is still wanted, to the end; locks are let go when it is not."""
        try:
            await shielded(claim)
        except BaseException:
            await shielded(self.let_go(run_id, locks))
            raise
