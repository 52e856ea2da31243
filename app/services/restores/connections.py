"""The connections of a restore: those that load and read back, and the one that holds the locks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from app.concurrency import shielded
from app.domain.backups.manifest import Manifest
from app.engine.flavor import LOAD_SESSION
from app.engine.rows.chunks import max_reply_bytes
from app.engine.server.connection import Server, Session


# Firewalls and proxies forget connections on which nothing moves.
_HEARTBEAT_SECONDS: Final = 30.0


@asynccontextmanager
async def load_sessions(
    server: Server, manifest: Manifest, threads: int, *, logged: bool = True
) -> AsyncIterator[Sequence[Session]]:
    """Open connections that load a backup and read it back."""
    reply = max_reply_bytes(manifest.options.chunk_bytes)
    state = {**LOAD_SESSION, "group_concat_max_len": str(reply)}
    if not logged:
        state["sql_log_bin"] = "0"
    sessions: list[Session] = []
    try:
        while len(sessions) < threads:
            sessions.append(await server.open(state, loads=True))
        yield sessions
    finally:
        for session in sessions:
            await session.close()


@asynccontextmanager
async def awake(session: Session) -> AsyncIterator[None]:
    """Keep a connection from being forgotten while a block does not use it."""
    over = asyncio.Event()

    async def beat() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _HEARTBEAT_SECONDS)
            await session.scalar("SELECT 1")

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        over.set()  # not cancelled: that would end the connection, and the locks with it
        await shielded(asyncio.wait([task]))
        failure = task.exception()  # asked for in any case, so that nobody warns of it
    if failure is not None:
        raise failure
