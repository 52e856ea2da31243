"""Tasks that end: several as one, and one however often it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar


T = TypeVar("T")


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
    tasks = [asyncio.create_task(one) for one in work]
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


async def to_end(work: Coroutine[object, object, T]) -> T:
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


def leading(failure: BaseException) -> BaseException:
    """Return the first exception of a group that is no group."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
