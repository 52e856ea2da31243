"""A task that is cancelled while it connects ends, at whatever step of the connecting that is."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from app.control.database import ControlDatabase
from app.engine.server.server import Server as Target
from tests.fixtures.accounts import others
from tests.fixtures.cli import wait_until
from tests.fixtures.servers import Sql


# Connecting takes fewer.
STEPS = range(80)


async def cancelled_at(
    steps: int, begin: Callable[[], AbstractAsyncContextManager[object]]
) -> None:
    """Cancel what connects after so many steps of the loop; it must not go on to its block."""

    async def connect() -> None:
        async with begin():
            await asyncio.sleep(600)

    task = asyncio.create_task(connect())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=60)
    assert task.cancelled(), f"it went on, although it was cancelled after {steps} steps"


async def test_a_session_that_is_cancelled_while_it_connects_ends(own_server):
    """None of its tasks goes on to use the connection, and none stays on the server."""
    with own_server() as server, Sql(server.url) as sql:
        target = Target(server.url)
        for steps in STEPS:
            await cancelled_at(steps, target.session)
        async with target.session() as session:
            assert await session.scalar("SELECT 1") == "1"
        await target.close()
        wait_until(lambda: others(sql) == [], "the server has no connection of ours")


async def test_a_task_that_is_cancelled_again_closes_all_its_sessions(own_server):
    """Whenever that is while it closes them: none is left to the garbage collector, and none on the server."""
    with own_server() as server, Sql(server.url) as sql:
        target = Target(server.url)
        for steps in range(20):
            opened = asyncio.Event()

            async def hold(opened=opened):
                sessions = [await target.open() for _ in range(3)]
                opened.set()
                try:
                    await asyncio.sleep(600)
                finally:
                    for session in sessions:
                        await session.close()

            task = asyncio.create_task(hold())
            await opened.wait()
            task.cancel()
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=60)
            assert task.cancelled()
        gc.collect()  # which ends the test where a connection was given up
        wait_until(lambda: others(sql) == [], "the server has no connection of ours")
        await target.close()


async def test_a_control_transaction_that_is_cancelled_while_it_connects_ends(
    server, database, tmp_path
):
    """The same for the control database on a server; the next one works."""
    address = f"{server.url.rstrip('/')}/{database}"
    for steps in STEPS:
        control = ControlDatabase(address, tmp_path)
        await cancelled_at(steps, control.reading)
        await control.close()
    control = ControlDatabase(address, tmp_path)
    await control.ping()
    await control.close()
