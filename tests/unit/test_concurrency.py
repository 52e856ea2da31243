"""What several tasks do as one, and one that is cancelled."""

import asyncio

import pytest

from app.concurrency import shielded, together


async def fail(seconds: float, words: str) -> None:
    """Raise after a while."""
    await asyncio.sleep(seconds)
    raise ValueError(words)


async def test_the_first_failure_is_raised():
    """Of several failures the first is raised, itself, after all others have ended."""
    with pytest.raises(ValueError, match=r"^early$"):
        await together(fail(0.02, "late"), fail(0.0, "early"), asyncio.sleep(60))


async def test_a_failure_while_winding_up_does_not_hide_a_cancellation():
    """A cancelled task looks cancelled, even when its parts fail because of that."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("half written") from None

    task = asyncio.create_task(together(stubborn(), stubborn()))
    await asyncio.sleep(0.01)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_must_end_ends():
    """Cancelled twice, the work is done before the cancellation goes on."""
    done = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append(True)

    task = asyncio.create_task(shielded(work()))
    for _ in range(2):
        await asyncio.sleep(0.01)
        task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert done
    assert await shielded(asyncio.sleep(0, "value")) == "value"


async def test_nothing_to_do():
    """No work is done at once."""
    await together()
