"""Tasks and threads that are waited for: several as one, one however often it is cancelled, and in turn."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from threading import Event, Lock
from typing import TypeVar


T = TypeVar("T")
Item = TypeVar("Item")
Worker = TypeVar("Worker")


async def together(*work: Coroutine[object, object, None]) -> None:
    """
    Run all; the first failure cancels the rest and is what the caller sees.

    Not a TaskGroup: when this task is cancelled and a part fails while it winds up, a group raises the
    failure, and the run would look failed, not cancelled.

    Raises:
        CancelledError: This task was cancelled, whatever its parts said to that.
        BaseException: What the first failing task raised, itself and not in a group.
    """
    if not work:
        return
    ended: list[asyncio.Task[None]] = []
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    for task in tasks:
        task.add_done_callback(ended.append)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        if not task.cancelled() and (failure := task.exception()) is not None:
            first = leading(failure)
            raise first from first.__cause__


async def share(
    items: Iterable[Item],
    workers: Iterable[Worker],
    work: Callable[[Worker, Item], Awaitable[None]],
) -> None:
    """
    Let workers take items, each the next one whenever it is free; fails as `together` does.

    Args:
        items: In the order in which they are taken.
        workers: Each works on one item at a time, such as a connection.
        work: What a worker does with an item.
    """
    pending = iter(items)

    async def take_all(worker: Worker) -> None:
        for item in pending:
            await work(worker, item)

    await together(*(take_all(worker) for worker in workers))


async def shielded(work: Coroutine[object, object, T]) -> T:
    """
    Run what must not be left half done, however often this task is cancelled meanwhile.

    Returns:
        What it returned.

    Raises:
        CancelledError: This task was cancelled; the work has ended all the same.
        BaseException: What it raised.
    """
    task = asyncio.ensure_future(work)
    if await _wait_until_over(task):
        raise asyncio.CancelledError
    return task.result()


def heed_cancellation() -> None:
    """Raise the CancelledError in whose place another error was raised while this task wound up."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def leading(failure: BaseException) -> BaseException:
    """Return the first exception of a group that is no group."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


async def run_in_thread(
    work: Callable[[], T], *, executor: Executor | None = None, stop: Event | None = None
) -> T:
    """
    Run blocking work in a thread and wait until it is over, even when this task is cancelled.

    Args:
        work: Blocks; takes no arguments.
        executor: Where it runs; the loop's own when None.
        stop: Set on cancellation, for long work that looks at it.

    Returns:
        What `work` returns.

    Raises:
        CancelledError: The task was cancelled; `work` is over, and an error of it is dropped.
    """
    # As asyncio.to_thread does: the lines of the thread are those of this task.
    context = copy_context()
    future = asyncio.get_running_loop().run_in_executor(executor, lambda: context.run(work))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        await _wait_until_over(future)
        raise


async def on_own_loop(work: Coroutine[object, object, T]) -> T:
    """
    Run work on an event loop and in a thread of its own, so that its steps hold up nobody here.

    Args:
        work: Uses nothing that belongs to another loop, and closes what it opens.

    Returns:
        What it returned.

    Raises:
        CancelledError: This task was cancelled; so was the work, which has ended, even if it was done.
        BaseException: What it raised.
    """
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop = runner.get_loop()
    task = loop.create_task(work, context=copy_context())

    async def end() -> T:
        return await task

    def run() -> T:
        with runner:
            return runner.run(end())

    # Not a thread of the pool that others share: the work may take hours.
    thread = ThreadPoolExecutor(1, thread_name_prefix="own-loop")
    future = asyncio.get_running_loop().run_in_executor(thread, run)
    thread.shutdown(wait=False)

    def cancel() -> None:
        with suppress(RuntimeError):  # its loop was closed this moment
            loop.call_soon_threadsafe(task.cancel)

    cancelled = await _wait_until_over(future, cancel)
    result = future.result()
    if cancelled:
        raise asyncio.CancelledError
    return result


async def _wait_until_over(
    future: "asyncio.Future[T]", hear: Callable[[], None] = lambda: None
) -> bool:
    """Wait for the end of what goes on when this task is cancelled; `hear` is called then, and True returned."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
            hear()
    if not future.cancelled():
        future.exception()  # seen, so that asyncio does not report it
    return cancelled


class Bound:
    """
    So many of a thing at once; what is beyond that waits, or is refused and counted.

    Attributes:
        name: Of the setting that says how many, without its prefix.
        limit: How many; of a time-out, how many seconds.
        counts: Whether places are taken; a time-out only has hits.
        used: How many there are now.
        hits: How often there was no place.
    """

    def __init__(self, name: str, limit: int, *, counts: bool = True) -> None:
        self.name = name
        self.limit = limit
        self.counts = counts
        self.used = 0
        self.hits = 0
        self._waiting: deque[Future[None]] = deque()
        self._lock = Lock()  # whoever waits and whoever releases may have other loops

    def take(self) -> bool:
        """Take a place at once; returns whether there was one."""
        with self._lock:
            is_free = self._is_free()
            self.used += is_free
            self.hits += not is_free
            return is_free

    async def wait(self, seconds: float) -> bool:
        """Take a place, and wait for one for some seconds; whoever came first gets it first."""
        place: Future[None] = Future()
        with self._lock:
            if self._is_free():
                self.used += 1
                return True
            self._waiting.append(place)
        try:
            await asyncio.wait([asyncio.wrap_future(place)], timeout=seconds)
        except asyncio.CancelledError:
            if self._is_given(place):
                self.release()
            raise
        is_given = self._is_given(place)
        self.hits += not is_given
        return is_given

    def release(self) -> None:
        """Give a place back, to whoever waits for one."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set_result(None)
            else:
                self.used -= 1

    def _is_free(self) -> bool:
        return self.used < self.limit and not self._waiting

    def _is_given(self, place: "Future[None]") -> bool:
        """Tell whether somebody got their place, and let them wait no longer."""
        with self._lock:
            if not place.done():
                self._waiting.remove(place)
            return place.done()
