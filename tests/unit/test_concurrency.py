"""What several tasks do as one, and one that is cancelled."""

import asyncio
import time
from contextlib import suppress
from contextvars import ContextVar
from threading import Event, current_thread

import pytest

from app.concurrency import Bound, heed_cancellation, on_own_loop, share, shielded, together


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


async def test_workers_share_items():
    """Each item once, in order; whoever is free takes the next one."""
    done: list[tuple[str, int]] = []

    async def work(worker: str, item: int) -> None:
        await asyncio.sleep(0.05 if worker == "slow" else 0)
        done.append((worker, item))

    await share(range(6), ("slow", "fast"), work)

    assert sorted(item for _, item in done) == list(range(6))
    assert done[-1] == ("slow", 0), "the other one did not wait for it"


async def test_the_failure_of_a_worker_ends_the_sharing():
    """The others are cancelled, and what is left is not begun."""
    begun: list[int] = []

    async def work(worker: str, item: int) -> None:
        begun.append(item)
        await fail(0.0, worker) if item else await asyncio.sleep(60)

    with pytest.raises(ValueError, match=r"^second$"):
        await share(range(9), ("first", "second"), work)

    assert begun == [0, 1]


async def test_shielded_work_ends_before_its_cancellation():
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


def test_nothing_to_do_is_done_at_once():
    """Without work nobody waits, not even for a turn of the loop."""
    work = together()

    with pytest.raises(StopIteration):
        work.send(None)


# -- a loop of its own ----------------------------------------------------------------------------


async def test_work_on_its_own_loop_holds_up_nobody():
    """The loop here goes on while a step there blocks, for as long as it likes."""
    seen = Event()

    async def block() -> bool:
        return seen.wait(60)

    async def look() -> None:
        await asyncio.sleep(0)
        seen.set()

    found, _ = await asyncio.gather(on_own_loop(block()), look())

    assert found


async def test_work_on_its_own_loop_is_as_if_it_was_here():
    """What it returns and raises, and what the lines of its log are named by."""
    name = ContextVar("name", default="")
    name.set("run")

    async def tell() -> tuple[str, bool]:
        return name.get(), current_thread() is here

    here = current_thread()
    assert await on_own_loop(tell()) == ("run", False)
    with pytest.raises(ValueError, match=r"^words$"):
        await on_own_loop(fail(0.0, "words"))


async def test_work_on_its_own_loop_ends_before_its_cancellation():
    """It is cancelled there, winds up with all that it has begun, and only then is that seen here."""
    begun, ended = Event(), []

    async def part(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.append(name)

    async def work() -> None:
        left = asyncio.create_task(part("left behind"))
        await asyncio.sleep(0)
        begun.set()
        await part("work")
        await left

    task = asyncio.create_task(on_own_loop(work()))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended == ["work", "left behind"]


async def test_work_that_was_done_when_it_was_cancelled_does_not_hide_that():
    """What comes after it must not begin: a restore would go on with its swap."""
    begun, goes_on = Event(), Event()

    async def work() -> bool:
        begun.set()
        return goes_on.wait(60)

    task = asyncio.create_task(on_own_loop(work()))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    await asyncio.sleep(0)
    goes_on.set()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_is_cancelled_at_once_is_begun_nowhere_else():
    """Before its thread has taken the first step; nothing is left of it."""
    steps = []

    async def work() -> None:
        steps.append("begun")
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("ended")

    task = asyncio.create_task(on_own_loop(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert steps in ([], ["begun", "ended"])


async def test_a_place_is_given_from_one_loop_to_another():
    """Whoever waits is woken at once, though nothing else happens on their loop."""
    bound = Bound("n", 1)
    assert bound.take()

    async def give() -> None:
        time.sleep(0.05)  # noqa: ASYNC251 - on a loop of its own
        bound.release()

    given, _ = await asyncio.gather(bound.wait(60), on_own_loop(give()))

    assert given
    assert bound.used == 1


# -- places ---------------------------------------------------------------------------------------


async def test_what_is_beyond_is_refused_and_counted():
    """Until somebody gives a place back."""
    bound = Bound("n", 2)

    assert [bound.take() for _ in range(4)] == [True, True, False, False]
    assert (bound.used, bound.hits) == (2, 2)
    bound.release()
    assert bound.take()


async def test_whoever_came_first_gets_the_place():
    """And nobody who does not wait gets it before them."""
    bound, order = Bound("n", 1), []
    assert bound.take()

    async def want(name):
        assert await bound.wait(5)
        order.append(name)
        bound.release()

    tasks = [asyncio.create_task(want(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert not bound.take()
    bound.release()
    await asyncio.gather(*tasks)

    assert order == ["a", "b", "c"]
    assert bound.used == 0


async def test_waiting_has_an_end():
    """Then the place is somebody else's."""
    bound = Bound("n", 1)
    assert await bound.wait(1)

    assert not await bound.wait(0.01)
    assert bound.hits == 1
    bound.release()
    assert await bound.wait(0.01)


@pytest.mark.parametrize("was_given", [False, True])
async def test_whoever_is_cancelled_keeps_no_place(was_given):
    """Also in the moment in which they get one."""
    bound = Bound("n", 1)
    bound.take()
    task = asyncio.create_task(bound.wait(5))
    await asyncio.sleep(0)
    if was_given:
        bound.release()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    if not was_given:
        bound.release()

    assert bound.used == 0
    assert await bound.wait(0.01)


async def test_a_cancellation_that_was_lost_while_a_task_wound_up_is_heeded():
    """An error of what is closed on the way takes its place; whoever catches that must not go on."""
    turns = 0

    async def work():
        nonlocal turns
        while True:
            turns += 1
            with suppress(OSError):
                try:
                    await asyncio.sleep(60)
                finally:
                    raise OSError
            heed_cancellation()

    heed_cancellation()
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)

    assert turns == 1
