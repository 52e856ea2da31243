"""
Runs: every piece of work, begun, watched, cancelled and remembered in one way.

1. A run takes its locks or is refused, then it is written down. 2. While it works, its counters are
written down twice a second, and whether somebody asked to cancel it is read. 3. It lets go of what
it needed, then its end is written down and told, then it lets its own lock go: so it looks alive until then.

The history may fail without harm: work goes on, and the end is kept until it can be written down.

Not guaranteed: a run of a process that was killed looks alive until the next start of the service.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeVar, cast

from app.concurrency import Bound, shielded
from app.domain.document import JsonObject
from app.domain.ports import Clock, RunListener
from app.domain.runs.failures import failure
from app.domain.runs.progress import Pace, Progress
from app.domain.runs.run import (
    IdempotencyKey,
    Requester,
    Run,
    RunFilter,
    RunId,
    RunKind,
    RunState,
    new_run_id,
    parse_run_id,
)
from app.domain.stores import Page, RunStore
from app.errors import AlreadyRunningError, AppError, NotCancellableError
from app.services.runs.active import ActiveRun, bind_run, new_run, report_failure, warn_unwritten
from app.services.runs.admission import Admission
from app.services.runs.ends import RunEnds, write_down, write_end
from app.services.runs.job import Job
from app.services.runs.listeners import RunListeners
from app.storage.run_ends import RunEndFiles
from app.storage.run_locks import HeldLocks, RunLocks
from app.telemetry.bugs import outlived


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
# Watchers are promised a second; half of it leaves room for a busy machine.
BEAT_SECONDS: Final = 0.5
_WATCH_SECONDS: Final = 0.2


class RunService:
    """Executes work, remembers it, and tells its `listeners`."""

    def __init__(
        self,
        store: RunStore,
        locks: RunLocks,
        clock: Clock,
        listeners: Sequence[RunListener] = (),
        files: RunEndFiles | None = None,
        bounds: Mapping[RunKind, Bound] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._ends = RunEnds(store, files)
        self._locks = locks
        self._clock = clock
        self.listeners = RunListeners(store, locks, listeners)
        self._active: dict[str, ActiveRun[object]] = {}
        self._turn = asyncio.Lock()
        self._admission = Admission(locks, bounds)
        self._closed = False

    async def start(
        self,
        job: Job[T],
        requester: Requester,
        key: IdempotencyKey | None = None,
        *,
        needs_history: bool = True,
    ) -> tuple[Run, bool]:
        """
        Begin a run and return while it goes on.

        Args:
            job: What to do.
            requester: Who asks for it.
            key: The same key of the same requester means the same run.
            needs_history: Whether it does not begin where it cannot be written down.

        Returns:
            The run, and whether it is a new one.

        Raises:
            AlreadyRunningError: Another run has what this one needs; named.
            KeyReusedError: The key was used for something else.
            NotDueError: Its claim was refused, like every other error of it.
            StorageError: The state directory or the control database refused.
        """
        async with self._turn:
            if key is not None and (known := await self._store.find_by_key(requester.name, key)):
                return known, False
            active = await self._begin(job, requester, Progress())
            known = await self._record(active, key, needs_history=needs_history)
            if known is not None:
                return known, False
            task = self._launch(active)
            task.add_done_callback(lambda _: report_failure(active.run, task))
            return active.run, True

    async def perform(
        self, job: Job[T], requester: Requester, progress: Progress | None = None
    ) -> T:
        """
        Do a piece of work as a run, and wait for it.

        Returns:
            What the work returned.

        Raises:
            CancelledError: This task was cancelled, or somebody cancelled the run.
            AppError: What the work raised; AlreadyRunningError as for `start`.
        """
        active = await self._begin(job, requester, progress or Progress())
        try:
            await shielded(self._store.add(active.run))
        except AppError as exc:
            active.warn_unrecorded(exc)
        except asyncio.CancelledError:
            active.cancel()  # before its first step; it is written down like every other
        except BaseException:
            await shielded(self._let_go(active.run.run_id, active.locks))
            raise
        task = self._launch(active)
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                active.cancel()
        return task.result()

    async def get(self, run_id: str) -> Run:
        """Return a run as it is now; raises RunNotFoundError."""
        if (active := self._active.get(run_id)) is not None:
            return active.run
        return self._ends.find(run_id) or await self._store.get(parse_run_id(run_id))

    async def list(self, wanted: RunFilter, page: Page) -> tuple[Sequence[Run], int]:
        """Return a page of the history, and how many runs there are in all."""
        runs, total = await self._store.list(wanted, page)
        return [self._now(run) for run in runs], total

    async def unfinished(self) -> Sequence[Run]:
        """Return what is not over, oldest first."""
        runs = [self._now(run) for run in await self._store.unfinished()]
        return [run for run in runs if not run.state.is_over]

    async def failures(self, count: int) -> Sequence[Run]:
        """Return what has failed last, newest first."""
        return await self._store.failures(count)

    async def wait(self, run_id: str, seconds: float) -> Run:
        """Wait for the end of a run, for some seconds at most, and return it as it is then."""
        deadline = self._clock.monotonic() + seconds
        run = await self.get(run_id)
        while not run.state.is_over and (left := deadline - self._clock.monotonic()) > 0:
            active = self._active.get(run_id)
            if active is not None and active.task is not None:
                await asyncio.wait([active.task], timeout=left)
            else:
                await asyncio.sleep(min(left, _WATCH_SECONDS))
            run = await self.get(run_id)
        return run

    async def watch(self, run_id: str, after: int = 0) -> AsyncGenerator[Run, None]:
        """
        Follow a run.

        Args:
            run_id: Text of a user.
            after: Revision that is known already.

        Yields:
            The run after each change, at least twice a second, until it is over. A state that is
            skipped is no loss: each holds everything.
        """
        while True:
            run = await self.get(run_id)
            if run.revision > after:
                after = run.revision
                yield run
            if run.state.is_over:
                return
            await asyncio.sleep(_WATCH_SECONDS)

    async def cancel(self, run_id: str) -> Run:
        """
        Ask a run to stop, whichever process it is in; it cleans up after itself.

        Returns:
            The run as it is now, most often still at work.

        Raises:
            RunNotFoundError: No such run.
            NotCancellableError: It is over.
            AppError: The history refused, and the run is of another process.
        """
        run = await self.get(run_id)
        active = self._active.get(run_id)
        if run.state.is_over or (active is not None and active.is_ending):
            raise NotCancellableError(
                f"{run.run_id} has {run.state if run.state.is_over else 'ended'}"
            )
        if active is not None:
            active.run = replace(active.run, cancel_requested=True)
            active.cancel()
        try:
            await self._store.request_cancel(run.run_id)
        except AppError as exc:
            if active is None:
                raise
            warn_unwritten(run.run_id, exc)
        return replace(run, cancel_requested=True)

    async def orphans(self) -> Sequence[Run]:
        """Return runs of this installation that are not over although nobody runs them any more."""
        owner = await asyncio.to_thread(self._locks.owner)
        dead = {
            run.run_id
            for run in await self._store.unfinished()
            if run.owner == owner and not await asyncio.to_thread(self._locks.is_held, run.run_id)
        }
        # Asked again: one that ended meanwhile has written its end down before it let its lock go.
        dead -= await self._ends.kept()  # as is what it could not write down
        return [run for run in await self._store.unfinished() if run.run_id in dead] if dead else []

    async def write_ends(self) -> None:
        """Write down the ends that the history did not take; raises AppError when it does not yet."""
        await self._ends.write()

    async def rewrite(self, run: Run) -> None:
        """Write down how a run ended at last: an orphan, or one that was repaired since."""
        run = replace(run, revision=run.revision + 1, finished_at=self._clock.now())
        await write_end(self._store, run)
        await self.listeners.ended(run)
        await asyncio.to_thread(self._locks.delete, run.run_id)

    async def close(self, wait_seconds: float) -> None:
        """
        Take no more runs, and end those there are.

        Args:
            wait_seconds: How long they may go on before they are cancelled.
        """
        self._closed = True
        async with self._turn:  # what is being begun is ended too
            tasks = [active.task for active in self._active.values() if active.task is not None]
        if tasks and wait_seconds > 0:
            await asyncio.wait(tasks, timeout=wait_seconds)
        for active in list(self._active.values()):
            active.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with suppress(AppError):  # the next start does it
            await self._ends.write()

    async def _begin(self, job: Job[T], requester: Requester, progress: Progress) -> ActiveRun[T]:
        if self._closed:
            raise AlreadyRunningError("the service is stopping", hint="Try again when it is back.")
        owner = await asyncio.to_thread(self._locks.owner)
        run_id = new_run_id()
        locks = await self._admission.admit(run_id, job)
        run = new_run(run_id, job, requester, owner, self._clock.now())
        return ActiveRun(run, job, locks, progress, Pace(self._clock.monotonic()))

    async def _record(
        self, active: ActiveRun[T], key: IdempotencyKey | None, *, needs_history: bool
    ) -> Run | None:
        """Add a new run; returns the one that another process made for the key meanwhile."""
        try:
            known = await self._store.add(active.run, key)
        except BaseException as exc:
            if isinstance(exc, AppError) and not needs_history:
                active.warn_unrecorded(exc)
                return None
            await shielded(self._let_go(active.run.run_id, active.locks))
            raise
        if known is not None:
            await shielded(self._let_go(active.run.run_id, active.locks))
        return known

    def _launch(self, active: ActiveRun[T]) -> "asyncio.Task[T]":
        self._active[active.run.run_id] = cast("ActiveRun[object]", active)
        active.task = asyncio.create_task(self._execute(active), name=active.run.run_id)
        return active.task

    async def _execute(self, active: ActiveRun[T]) -> T:
        bind_run(active.run)
        active.run = replace(active.run, state=RunState.RUNNING, started_at=self._clock.now())
        active.progress.listener = active.notice_name
        beat = asyncio.create_task(self._beat(active))
        active.begun = True
        try:
            if active.cancelled:
                raise asyncio.CancelledError  # noqa: TRY301 - ends as every cancelled run does
            await self.listeners.begun(active.run)
            value = await active.job.work(active.progress)
            document = active.job.document(value).model_dump(mode="json")
        except asyncio.CancelledError as exc:
            await shielded(self._end(active, beat, RunState.CANCELLED, error=exc))
            raise
        except Exception as exc:  # the one place that may: every failed run is written down
            if not isinstance(exc, AppError):
                _log.exception("Run failed by a bug", extra={"facts": {"run": active.run.run_id}})
            await shielded(self._end(active, beat, RunState.FAILED, error=exc))
            raise
        try:
            await shielded(self._end(active, beat, RunState.SUCCEEDED, result=document))
        except asyncio.CancelledError:
            _log.info("Run was cancelled too late", extra={"facts": {"run": active.run.run_id}})
        return value

    async def _end(
        self,
        active: ActiveRun[T],
        beat: "asyncio.Task[None]",
        state: RunState,
        *,
        result: JsonObject | None = None,
        error: BaseException | None = None,
    ) -> None:
        beat.cancel()
        await asyncio.wait([beat])
        # Who sees that it is over may begin the next one at once.
        active.locks.release_resources()
        active.is_ending = True
        over = replace(
            active.counted(self._clock.monotonic()),
            state=state,
            finished_at=self._clock.now(),
            result=result,
            error=failure(error) if error is not None else None,
        )
        try:
            await self._write_end(active, over)
            active.run = over  # not before: who sees that it is over looks for it in the history
            await self.listeners.ended(over)
        finally:  # not before: the lock of a killed process says that nobody was told
            active.run = over
            await self._let_go(over.run_id, active.locks)

    async def _write_end(self, active: ActiveRun[T], over: Run) -> None:
        try:
            await self._write(active, over)
        except AppError as exc:
            warn_unwritten(over.run_id, exc)
            await self._ends.keep(over)

    async def _let_go(self, run_id: RunId, locks: HeldLocks) -> None:
        await self._admission.let_go(run_id, locks)
        self._active.pop(run_id, None)

    async def _beat(self, active: ActiveRun[T]) -> None:
        """Write the counters down, and find out whether somebody wants it cancelled."""
        while True:
            try:
                with outlived(_log, "The counters of a run"):
                    active.run = active.counted(self._clock.monotonic())
                    # Not cancelled half way: the connection would be lost to its pool.
                    if await shielded(self._write(active, active.run)):
                        active.run = replace(active.run, cancel_requested=True)
                        active.cancel()
            except AppError as exc:
                active.warn_unwritten(exc)
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await active.named.wait()
            except TimeoutError:
                continue
            active.named.clear()

    async def _write(self, active: ActiveRun[T], run: Run) -> bool:
        """Write a state down, and that there is such a run; return whether it is to be cancelled."""
        # An end is written whether or not the run is known: the history may be an older copy since it began.
        if active.is_recorded and not run.state.is_over:
            return await self._store.save(run)
        await write_down(self._store, run)
        active.is_recorded = True
        return False

    def _now(self, run: Run) -> Run:
        active = self._active.get(run.run_id)
        return active.run if active else self._ends.find(run.run_id) or run
