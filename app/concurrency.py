"""Tasks and threads that are waited for: several as one, one however often it is cancelled, and in turn."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextvars import copy_context
from threading import Event
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
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        task.exception()  # looked at, so that nobody warns of it
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


async def _wait_until_over(future: "asyncio.Future[T]") -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue  # asked again; the thread still runs
    if not future.cancelled():
        future.exception()  # seen, so that asyncio does not report it


class Bound:
    """
    So many of a thing at once; what is beyond that waits, or is refused and counted.

    For one event loop, not for threads.

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
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place at once; returns whether there was one."""
        if self.used >= self.limit or self._waiting:
            self.hits += 1
            return False
        self.used += 1
        return True

    async def wait(self, seconds: float) -> bool:
        """Take a place, and wait for one for some seconds; whoever came first gets it first."""
        if self.used < self.limit and not self._waiting:
            self.used += 1
            return True
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await asyncio.wait([place], timeout=seconds)
        except asyncio.CancelledError:
            if place.done():
                self.release()
            raise
        finally:
            if not place.done():
                self._waiting.remove(place)
        self.hits += not place.done()
        return place.done()

    def release(self) -> None:
        """Give a place back, to whoever waits for one."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self.used -= 1
