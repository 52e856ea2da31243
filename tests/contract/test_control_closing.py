"""Connections to the control database that nobody has any more: none is left for the garbage collector."""

import asyncio
import gc
import threading
import warnings

import pytest
from sqlalchemy import text

from app.control.database import ControlDatabase
from tests.fixtures.cancelling import CancelledAt


@pytest.mark.parametrize("closes_early", [False, True], ids=["at work", "being opened"])
async def test_a_connection_that_was_at_work_at_the_close_is_closed_when_it_is_done(
    closes_early, control, control_address, tmp_path
):
    """It would go back to where nobody closes it, and be found by the garbage collector."""
    has_begun, may_end = asyncio.Event(), asyncio.Event()
    database = ControlDatabase(control_address, tmp_path / "state")

    async def work(database: ControlDatabase) -> None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))
            has_begun.set()
            await may_end.wait()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        task = asyncio.create_task(work(database))
        await (asyncio.sleep(0) if closes_early else has_begun.wait())
        await asyncio.gather(database.close(), database.rows(text("SELECT 1")))
        await database.close()
        may_end.set()
        await task
        await database.close()
        del task, database
        for _ in range(3):
            gc.collect()
            await asyncio.sleep(0.01)

    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("is_late", [False, True], ids=["waiting", "answered"])
async def test_who_is_cancelled_at_any_moment_leaves_no_connection(
    is_late, control, control_address, tmp_path
):
    """While the first connection is opened too, whether or not what is waited for has come."""
    begun = []

    async def ask(database: ControlDatabase) -> None:
        async with database.reading() as connection:
            begun.append(await connection.execute(text("SELECT 1")))

    for at in range(1, 500):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            database = ControlDatabase(control_address, tmp_path / "state")
            work = CancelledAt(ask(database), at, is_late=is_late)
            task = asyncio.create_task(work.run())
            await asyncio.wait([task])
            was_cancelled = task.cancelled()
            await database.close()
            del task, database
            gc.collect()
            await asyncio.sleep(0)
        assert [str(warning.message) for warning in caught] == [], at
        if work.waits < at:
            break
        assert was_cancelled
    assert begun
    assert at > 10


@pytest.mark.parametrize("is_late", [False, True], ids=["waiting", "answered"])
def test_who_is_cancelled_at_any_moment_leaves_no_thread_that_answers_a_loop_that_is_gone(
    is_late, tmp_path, monkeypatch
):
    """A command that was interrupted while it opened its control database ended with a traceback."""
    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    file = tmp_path / "state" / "control.db"

    async def ask(database: ControlDatabase) -> None:
        async with database.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def ask_and_be_cancelled(at: int) -> int:
        database = ControlDatabase(f"sqlite:///{file}", file.parent)
        work = CancelledAt(ask(database), at, is_late=is_late)
        try:
            await asyncio.wait([asyncio.create_task(work.run())])
        finally:
            await database.close()
        return work.waits

    async def prepare() -> None:
        database = ControlDatabase(f"sqlite:///{file}", file.parent)
        await database.prepare()
        await database.close()

    asyncio.run(prepare())
    before = set(threading.enumerate())
    for at in range(1, 500):
        waits = asyncio.run(ask_and_be_cancelled(at))
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        assert raised == [], at
        if waits < at:
            break
    assert at > 10
