"""Blocking work in threads, always waited for to its end, so that no thread outlives its files."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from threading import Event
from typing import TypeVar


T = TypeVar("T")


async def run_to_end(
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
        await _over(future)
        raise


async def _over(future: "asyncio.Future[T]") -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue  # asked again; the thread still runs
    if not future.cancelled():
        future.exception()  # seen, so that asyncio does not report it
