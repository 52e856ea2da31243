"""Several tasks as one: the first failure cancels the rest and is what the caller sees."""

import asyncio
from collections.abc import Coroutine


async def together(*work: Coroutine[object, object, None]) -> None:
    """
    Run all, or fail with the first failure after every other task has ended.

    Raises:
        BaseException: What the first failing task raised, itself and not in a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        first = leading(failures)
        raise first from first.__cause__


def leading(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception of a group that is no group."""
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
