"""The connections of a restore: those that load and read back, and the one that holds the locks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.domain.backups.manifest import Manifest
from app.engine.flavor import LOAD_SESSION
from app.engine.rows.chunks import reading_state
from app.engine.schema.databases import PATIENT_SECONDS
from app.engine.server.connection import Session
from app.engine.server.heartbeat import awake
from app.engine.server.server import Server


@asynccontextmanager
async def load_sessions(
    server: Server, manifest: Manifest, threads: int, *, logged: bool = True
) -> AsyncIterator[Sequence[Session]]:
    """Open connections that load a backup and read it back."""
    state = reading_state(LOAD_SESSION, manifest.options.chunk_bytes)
    state["lock_wait_timeout"] = str(PATIENT_SECONDS)
    if not logged:
        state["sql_log_bin"] = "0"
    sessions: list[Session] = []
    try:
        while len(sessions) < threads:
            sessions.append(await server.open(state, loads=True))
        async with awake(*sessions):
            yield sessions
    finally:
        for session in sessions:
            await session.close()
