"""What a server changes past its binary log, as far as the server can be asked, is in no stream."""

import asyncio
from dataclasses import replace
from urllib.parse import quote

import pytest

from app.binlog.archive.reading import open_streams
from app.domain.restores.log_archive import ArchiverState
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.log_archive import QUICK, archiving, caught_up, end_of_log, in_state, until
from tests.fixtures.servers import Sql


WATCHFUL = replace(QUICK, look_seconds=0.2)
OF_NO_REPLICA = "--log-replica-updates=OFF" if IS_MYSQL else "--log-slave-updates=OFF"
RIGHT = "CLIENT" if IS_MYSQL else "BINLOG MONITOR"
BECOME_A_REPLICA = (
    [
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_USER = 'nobody'",
        "START REPLICA SQL_THREAD",
    ]
    if IS_MYSQL
    else [
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_USER = 'nobody'",
        "START SLAVE SQL_THREAD",
    ]
)


def change(sql):
    """Log a little."""
    sql.script(["CREATE DATABASE IF NOT EXISTS d", "CREATE TABLE IF NOT EXISTS d.t (a INT)"])
    sql.run("INSERT INTO d.t VALUES (1)")


def start_with(server, *options):
    """Start a server again, with other options."""
    server.stop()
    server.options = options
    server.start()


@pytest.mark.parametrize("option", ["--skip-log-bin", "--binlog-ignore-db=d"])
async def test_a_log_that_must_not_be_archived_for_a_while_ends_the_stream(
    own_server, tmp_path, option
):
    """It goes on byte for byte, and lacks what was changed meanwhile; a full backup is asked for when it may be."""
    server, breaks = own_server(), list[str]()
    options = server.options
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            change(sql)
            await caught_up(archiver, sql)
    start_with(server, *options, option)
    async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
        await in_state(archiver, ArchiverState.REFUSED)
        with Sql(server.url) as sql:
            change(sql)
    assert breaks == []
    start_with(server, *options)
    with Sql(server.url) as sql:
        for _ in range(2):
            async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
                change(sql)
                await caught_up(archiver, sql)
    before, after = open_streams(tmp_path)

    assert breaks == [before.document.ended_because]
    assert before.breaks == ()  # all of it is what was there
    assert after.document.ended_at == ""


async def test_a_server_that_becomes_a_replica_and_does_not_log_what_it_gets_ends_the_stream(
    own_server, tmp_path
):
    """While it is read, and with the rights that are asked for: what came since the last look counts for nothing."""
    server = own_server(OF_NO_REPLICA)
    with Sql(server.url) as sql:
        sql.run("CREATE USER 'reader'@'%' IDENTIFIED BY 'secret'")
        sql.run(
            f"GRANT REPLICATION SLAVE, {'REPLICATION ' * IS_MYSQL}{RIGHT} ON *.* TO 'reader'@'%'"
        )
        url = f"mysql://reader:{quote('secret')}@{server.url.partition('@')[2]}"
        async with archiving(url, tmp_path, pace=WATCHFUL) as archiver:
            change(sql)
            await caught_up(archiver, sql)
            looked = end_of_log(sql)
            await asyncio.sleep(5 * WATCHFUL.look_seconds)
            sql.script(BECOME_A_REPLICA)
            change(sql)
            await in_state(archiver, ArchiverState.REFUSED)
            await until(lambda: bool(archiver.status.broken_because), "the stream goes on")
    (stream,) = open_streams(tmp_path)

    assert "replica" in stream.document.ended_because
    (found,) = stream.breaks
    assert (stream.files[-1].name, found.position) == looked
    assert found.position < stream.files[-1].end


@pytest.mark.differs("mariadb", reason="its GTIDs have no tags")
async def test_gtids_with_tags_end_the_stream_and_no_other_one_begins(own_server, tmp_path):
    """Each would end at the same transaction, and ask for a full backup."""
    server, breaks = own_server(), list[str]()
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            change(sql)
            await caught_up(archiver, sql)
            sql.script(["SET gtid_next = 'AUTOMATIC:tag'", "INSERT INTO d.t VALUES (2)"])
            await in_state(archiver, ArchiverState.REFUSED)
            await asyncio.sleep(5 * QUICK.longest_retry_seconds)
            assert archiver.status.state is ArchiverState.REFUSED
    (stream,) = open_streams(tmp_path)

    assert breaks == []
    assert "tag" in stream.document.ended_because


async def test_a_log_that_cannot_be_read_on_does_not_ask_for_one_backup_after_the_other(
    own_server, tmp_path
):
    """Each stream ends where its file is damaged; the one that is behind that gets a base."""
    server, breaks = own_server(), list[str]()
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            change(sql)
            await caught_up(archiver, sql)
        file, end = end_of_log(sql)
        with (server.data / file).open("r+b") as log:
            log.seek(end - 1)  # of the checksum of its last event
            (last,) = log.read(1)
            log.seek(end - 1)
            log.write(bytes([last ^ 1]))
        await asyncio.sleep(
            2 * QUICK.silence_seconds
        )  # nothing in it is so new that a stream is live
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await until(lambda: len(open_streams(tmp_path)) > 4, "no streams")
            assert len(breaks) == 1
            sql.run("FLUSH BINARY LOGS")
            await until(lambda: len(breaks) == 2, "no base for the last one")
            await caught_up(archiver, sql)
