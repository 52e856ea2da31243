"""Connections that wait, kept from being taken for dead: those that hold locks or snapshots among them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from app.concurrency import shielded
from app.engine.server.connection import Session
from app.errors import AppError


# Firewalls and proxies forget connections on which nothing moves, some after less than ten seconds.
_QUIET_SECONDS: Final = 4.0
_POLL_SECONDS: Final = 1.5
# A server that was not told of a connection's end keeps its locks until it has missed it for so long.
_LOST_SECONDS: Final = 300
# Of a server that has not answered for so long when a block fails, no more is expected.
_LAST_SECONDS: Final = 5.0


@asynccontextmanager
async def awake(*sessions: Session) -> AsyncIterator[None]:
    """
    Keep connections awake for the length of a block, whoever uses them or not.

    The server hears of each every few seconds, so it ends one of which it hears nothing for minutes.

    Raises:
        AppError: One is gone, or does not answer; raised after a block that raises nothing itself.
    """
    for session in sessions:
        await session.query(f"SET SESSION wait_timeout = {_LOST_SECONDS}")
    over = asyncio.Event()
    tasks = [asyncio.create_task(_beat(session, over)) for session in sessions]
    try:
        yield
    except BaseException:
        over.set()
        await shielded(_ended(tasks, seconds=_LAST_SECONDS))
        raise
    over.set()  # not cancelled: that would end the connection, and the locks with it
    for failure in await shielded(_ended(tasks)):
        raise failure


async def _ended(
    tasks: Sequence["asyncio.Task[None]"], *, seconds: float | None = None
) -> Sequence[BaseException]:
    """Wait until nothing is said any more, and return what failed; asked for, so that nobody warns of it."""
    if tasks:
        await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    failures = [task.exception() for task in tasks if not task.cancelled()]
    return [failure for failure in failures if failure is not None]


async def _beat(session: Session, over: asyncio.Event) -> None:
    """Say something after each time of silence, until a block is over."""
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _POLL_SECONDS)
        if over.is_set() or session.idle_seconds < _QUIET_SECONDS:
            continue
        try:
            await session.query("SELECT 1")
        except AppError:
            if session.idle_seconds:  # it was not closed meanwhile
                raise
