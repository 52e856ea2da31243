"""Two archivers of one directory, though a lock keeps them apart: whoever removes the lock lets the second one in."""

from dataclasses import replace

import pytest

from app.binlog.archive.layout import FOLDER, LOCK
from app.domain.restores.log_archive import ArchiverState
from app.errors import AlreadyRunningError
from tests.fixtures.log_archive import QUICK, archiving, caught_up, require_equal, until
from tests.fixtures.servers import Sql


# Nothing is sealed by its age, so neither writes but what it is sent.
PACE = replace(QUICK, segment_seconds=3600.0)


async def take_turns(server, backups, sql):
    """Let a second archiver in beside the first one, and wait until that has ended."""
    async with archiving(server.url, backups, pace=PACE) as first:
        await caught_up(first, sql)
        (backups / FOLDER / LOCK).unlink()
        async with archiving(server.url, backups, pace=PACE) as second:
            await caught_up(second, sql)
            sql.run("INSERT INTO d.t VALUES (1)")
            await caught_up(second, sql)
            await until(lambda: first.status.state is ArchiverState.OFF, "the first goes on")


async def test_an_archiver_whose_lock_was_removed_gives_way_to_the_next_one(own_server, tmp_path):
    """It notices before it writes again, so that two never write one tail."""
    server = own_server()
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (a INT)"])
        with pytest.raises(AlreadyRunningError):
            await take_turns(server, tmp_path, sql)

    assert require_equal(tmp_path, server).document.ended_at == ""
