"""Connections that wait, kept from being taken for dead: those that hold locks or snapshots among them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from app.concurrency import shielded
from app.engine.server.connection import Session


# Firewalls and proxies forget connections on which nothing moves, some after less than ten seconds.
_QUIET_SECONDS: Final = 4.0
_POLL_SECONDS: Final = 1.5


@asynccontextmanager
async def awake(*sessions: Session) -> AsyncIterator[None]:
    """
    Keep connections awake for the length of a block, whoever uses them or not.

    Raises:
        ConnectionLostError: One is gone; raised at the end of a block that raises nothing itself.
    """
    over = asyncio.Event()

    async def beat(session: Session) -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _POLL_SECONDS)
            if not over.is_set():
                await session.stay_awake(_QUIET_SECONDS)

    tasks = [asyncio.create_task(beat(session)) for session in sessions]
    try:
        yield
    finally:
        over.set()  # not cancelled: that would end the connection, and the locks with it
        if tasks:
            await shielded(asyncio.wait(tasks))
        failures = [task.exception() for task in tasks]  # asked for, so that nobody warns of them
    for failure in failures:
        if failure is not None:
            raise failure
