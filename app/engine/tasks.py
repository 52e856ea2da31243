"""Several tasks as one: the first failure cancels the rest and is what the caller sees."""

import asyncio
from collections.abc import Coroutine


async def together(*work: Coroutine[object, object, None]) -> None:
    """
    Run all, or fail with the first failure after every other task has ended.

    Not a TaskGroup: when this task is cancelled and a part fails while it winds up, a group raises the
    failure, and the run would look failed, not cancelled.

    Raises:
        CancelledError: This task was cancelled, whatever its parts said to that.
        BaseException: What the first failing task raised, itself and not in a group.
    """
    if not work:
        return
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled() and (failure := task.exception()) is not None:
            first = leading(failure)
            raise first from first.__cause__


def leading(failure: BaseException) -> BaseException:
    """Return the first exception of a group that is no group."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
