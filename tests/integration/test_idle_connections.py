"""Connections that wait while others work: no firewall, proxy or server takes them for dead."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from app.engine.dump.ladder import open_snapshot
from app.engine.schema.tables import TableRef
from app.engine.server import heartbeat
from app.engine.server.connection import Session
from app.errors import ConnectionLostError
from app.services.restores.connections import load_sessions
from app.services.restores.swap import Swaps
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.clocks import SystemClock


# The server stands for whoever ends connections on which nothing moves; we are silent for less.
IDLE_SECONDS = 4
QUIET_SECONDS, POLL_SECONDS = 1.0, 0.5


async def let_it_end(*sessions: Session) -> None:
    """Have the server end connections that are idle."""
    for session in sessions:
        await session.query(f"SET SESSION wait_timeout = {IDLE_SECONDS}")


async def test_a_connection_that_holds_something_stays_awake(backstay, sql, database, monkeypatch):
    """That of the locks of a restore, those of a snapshot and its table locks, and those that load."""
    monkeypatch.setattr(heartbeat, "_QUIET_SECONDS", QUIET_SECONDS)
    monkeypatch.setattr(heartbeat, "_POLL_SECONDS", POLL_SECONDS)
    sql.run("CREATE TABLE t (i INT) ENGINE=MyISAM")
    tables = [TableRef(database, "t", "MyISAM")]
    manifest = await backstay.backup(database)
    server = backstay.target
    swaps = Swaps(server, backstay.journals, SystemClock())
    async with AsyncExitStack() as stack:
        lonely = await stack.enter_async_context(server.session())
        held = await stack.enter_async_context(swaps.locked([database]))
        snapshot = await stack.enter_async_context(
            open_snapshot(server, tables, threads=2, chunk_bytes=1 << 20)
        )
        loading = await stack.enter_async_context(load_sessions(server, manifest, 2))
        awake = [held, *snapshot.sessions, *snapshot.holders, *loading]
        patience = {await session.scalar("SELECT @@wait_timeout") for session in awake}
        await let_it_end(lonely, *awake)

        await asyncio.sleep(IDLE_SECONDS + 1)

        assert patience == {"300"}  # a network that loses one has its locks let go of
        assert len(awake) == (7 if IS_MYSQL else 6)  # one holds its lock of the instance
        assert {await session.scalar("SELECT 'there'") for session in awake} == {"there"}
        assert await held.scalar("SELECT IS_USED_LOCK('x') IS NULL") == "1"
        with pytest.raises(ConnectionLostError):
            await lonely.query("SELECT 1")
