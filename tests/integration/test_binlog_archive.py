"""The binary log of a real server, archived while it is written."""

import asyncio
import os
import threading
from dataclasses import replace

import pytest

from app.binlog.archive.reading import open_streams
from app.domain.restores.log_archive import ArchiverState
from app.errors import AlreadyRunningError
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.log_archive import (
    QUICK,
    RESET,
    archiving,
    caught_up,
    end_of_log,
    in_state,
    require_equal,
    until,
)
from tests.fixtures.proxy import Fault, proxy
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


COMPRESSED = (
    ("--binlog-transaction-compression=ON",)
    if IS_MYSQL
    else ("--log-bin-compress=1", "--log-bin-compress-min-len=16")
)


def fill(sql, rows=20):
    """Make a table and some transactions, one of them DDL and one XA."""
    sql.script([
        "CREATE DATABASE IF NOT EXISTS d",
        "USE d",
        "CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB)",
    ])
    for number in range(rows):
        sql.run(f"INSERT INTO t (b) VALUES (REPEAT('{number % 10}', 200))")
    sql.script([
        "BEGIN",
        "INSERT INTO t (b) VALUES ('x'), ('y')",
        "UPDATE t SET b = 'z' LIMIT 3",
        "COMMIT",
        "XA START 'q'",
        "INSERT INTO t (b) VALUES ('xa')",
        "XA END 'q'",
        "XA PREPARE 'q'",
        "XA COMMIT 'q'",
    ])


def inserted(transactions):
    """Count the rows that were inserted."""
    return sum(
        change.inserted or 0 for transaction in transactions for change in transaction.tables
    )


async def test_what_is_archived_is_the_servers_own_files(own_server, tmp_path):
    """Through rotations, seals by size and age, and reconnections; the tail up to its last transaction."""
    server = own_server()
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            for _ in range(3):
                fill(sql)
                sql.run("FLUSH BINARY LOGS")
            sql.run("INSERT INTO t (b) VALUES (REPEAT('w', 200000))")
            await caught_up(archiver, sql)
            await in_state(archiver, ArchiverState.LIVE)
        async with archiving(server.url, tmp_path) as archiver:
            fill(sql)
            await caught_up(archiver, sql)
        stream = require_equal(tmp_path, server)
        found = list(stream.transactions())

    assert len(stream.files) == 4
    assert inserted(found) == 4 * 23 + 1
    assert not stream.breaks


@pytest.mark.parametrize(
    "options", [COMPRESSED, ("--binlog-checksum=NONE",)], ids=["compressed", "no-checksums"]
)
async def test_other_kinds_of_logs_are_archived_too(own_server, tmp_path, options):
    """Compressed events and transactions, and logs without checksums."""
    server = own_server(*options)
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            fill(sql)
            sql.run("SET GLOBAL binlog_checksum = " + ("CRC32" if "NONE" in options[0] else "NONE"))
            fill(sql)
            await caught_up(archiver, sql)
        async with archiving(server.url, tmp_path) as archiver:
            sql.run("INSERT INTO t (b) VALUES ('more')")
            await caught_up(archiver, sql)
            assert archiver.status.broken_because == ""

        assert len(require_equal(tmp_path, server).files) == 2


async def test_a_transaction_that_is_larger_than_a_segment_stays_whole(own_server, tmp_path):
    """It is sealed where it ends, also when its events are larger than a packet of the protocol."""
    server = own_server(
        "--max-allowed-packet=64M",
        "--innodb-log-file-size=256M"[: 0 if IS_MYSQL else None] or "--back-log=80",
    )
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path) as archiver:
            fill(sql, 2)
            sql.run("INSERT INTO t (b) VALUES (REPEAT('w', 18000000))")
            fill(sql, 2)
            await caught_up(archiver, sql)
        stream = require_equal(tmp_path, server)

    assert max(found.end - found.start for found in stream.transactions()) > 18_000_000


async def test_a_server_that_dies_or_stops_is_read_on_from_where_it_was(own_server, tmp_path):
    """Its next file begins with what its last one ended with."""
    server = own_server("--sync-binlog=1")
    async with archiving(server.url if server.is_running() else "", tmp_path) as archiver:
        for end in (server.kill, server.stop, server.kill):
            with Sql(server.url) as sql:
                fill(sql)
                await caught_up(archiver, sql)
            end()
            server.start()
        with Sql(server.url) as sql:
            fill(sql)
            await caught_up(archiver, sql)
            assert archiver.status.broken_because == ""
    assert len(require_equal(tmp_path, server).files) == 4


async def test_a_log_that_is_read_while_others_write_is_whole(own_server, tmp_path):
    """With rotations in between."""
    server = own_server()
    stop = threading.Event()

    def write(number):
        with Sql(server.url, "d") as sql:
            while not stop.is_set():
                sql.run(f"INSERT INTO t (b) VALUES (REPEAT('{number}', 3000))")

    with Sql(server.url) as sql:
        fill(sql)
        writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(4):
                async with archiving(server.url, tmp_path) as archiver:
                    await until(lambda: archiver.status.current_as_of_ms > 0, "never current")
                    sql.run("FLUSH BINARY LOGS")
                    await asyncio.sleep(0.4)
        finally:
            stop.set()
            for writer in writers:
                await asyncio.to_thread(writer.join)
        async with archiving(server.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            assert archiver.status.broken_because == ""
    require_equal(tmp_path, server)


@pytest.mark.long
@pytest.mark.parametrize("portion", series([0.5], [0.1, 0.5, 0.9]))
async def test_a_server_that_falls_silent_before_its_log_begins_is_given_up(
    own_server, tmp_path, portion
):
    """Wherever that is: at the login, while it is looked at, or when it is asked for its log."""
    server = own_server()
    with proxy(server.url, Fault.STALL, 1 << 30) as way:
        async with archiving(way.url, tmp_path) as archiver:
            await in_state(archiver, ArchiverState.LIVE)
            needed = way.passed
    quick = replace(QUICK, answer_seconds=1.0)
    with proxy(server.url, Fault.STALL, int(needed * portion)) as way:
        async with archiving(way.url, tmp_path, pace=quick) as archiver:
            await in_state(archiver, ArchiverState.STALLED)
            assert archiver.status.code == "stalled"
            way.limit = 1 << 30
            await in_state(archiver, ArchiverState.LIVE)


async def test_a_setting_that_no_log_holds_ends_the_stream_when_it_changes(own_server, tmp_path):
    """What names no engine becomes another table in a replay; the next stream knows the new one."""
    server, breaks = own_server(), list[str]()
    engine = "MyISAM" if IS_MYSQL else "Aria"
    with Sql(server.url) as sql:
        for _ in range(2):
            async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
                fill(sql, 2)
                await caught_up(archiver, sql)
        assert breaks == []
        sql.run(f"SET GLOBAL default_storage_engine = {engine}")
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await until(lambda: bool(breaks), f"no break: {archiver.status}")
            fill(sql, 2)
            await caught_up(archiver, sql)
    assert len(breaks) == 1
    assert engine in breaks[0]
    *_, newest = open_streams(tmp_path)
    assert newest.settings["default_storage_engine"] == engine


async def test_only_one_archiver_has_a_directory(own_server, tmp_path):
    """The other one is refused at once."""
    server = own_server()
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            with pytest.raises(AlreadyRunningError):
                async with archiving(server.url, tmp_path) as second:
                    await until(
                        lambda: second.status.state is not ArchiverState.OFF, "not refused", 1
                    )


async def test_an_encrypted_log_arrives_as_plain_text(own_server, tmp_path):
    """With all positions as they are, and one event in the place of the one that the server leaves out."""
    key = tmp_path / "keys"
    key.write_text("1;770A8A65DA156D24EE2A093277530142\n")
    server = own_server(
        "--plugin-load-add=file_key_management",
        f"--file-key-management-filename={key}",
        "--encrypt-binlog=1",
    )
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            fill(sql)
            sql.run("FLUSH BINARY LOGS")
            fill(sql)
            await caught_up(archiver, sql)
            assert any("not encrypted" in finding.message for finding in archiver.status.findings)
        async with archiving(server.url, tmp_path) as archiver:
            fill(sql)
            await caught_up(archiver, sql)
            assert archiver.status.broken_because == ""
            end = end_of_log(sql)
    (stream,) = open_streams(tmp_path)

    assert stream.verify() == sum(file.size for file in stream.files)
    assert stream.window
    assert stream.window[1] == end
    assert inserted(stream.transactions()) == 3 * 23


test_an_encrypted_log_arrives_as_plain_text = pytest.mark.differs(
    "mysql", reason="it needs a keyring"
)(test_an_encrypted_log_arrives_as_plain_text)


async def broken(archiver, sql, backups, breaks, count=1):
    """Wait for a break, and for the stream that follows it."""
    await until(lambda: len(breaks) == count, f"no break: {archiver.status}")
    await caught_up(archiver, sql)
    streams = open_streams(backups)
    assert len(streams) == count + 1
    assert [bool(stream.document.ended_at) for stream in streams] == [True] * count + [False]
    return streams


@pytest.mark.parametrize("gtids", ["--back-log=80", *(["--gtid-mode=OFF"] if IS_MYSQL else [])])
async def test_a_reset_while_connected_ends_the_stream(own_server, tmp_path, gtids):
    """Also that of MySQL in its first file, which tells a reader nothing."""
    server = own_server(gtids)
    breaks: list[str] = []
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            fill(sql)
            await caught_up(archiver, sql)
            sql.run(RESET)
            fill(sql, 40)
            sql.run("FLUSH BINARY LOGS")
            fill(sql)
            before, after = await broken(archiver, sql, tmp_path, breaks)

    assert before.document.ended_because == breaks[0]
    assert before.window
    require_equal(tmp_path, server)
    assert after.document.began_at > before.document.began_at


async def test_a_reset_while_away_ends_the_stream(own_server, tmp_path):
    """The same file name, with other bytes in it."""
    server = own_server()
    breaks: list[str] = []
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            fill(sql)
            await caught_up(archiver, sql)
        sql.run(RESET)
        fill(sql, 60)
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await broken(archiver, sql, tmp_path, breaks)


async def purge(sql):
    """Purge all but the newest file; one that is being read is spared until its reader is known to be gone."""

    def is_purged() -> bool:
        sql.run(f"PURGE BINARY LOGS TO '{end_of_log(sql)[0]}'")
        return len(sql.run("SHOW BINARY LOGS")) == 1

    await until(is_purged, "a file is spared")


async def test_a_purge_of_what_is_needed_ends_the_stream(own_server, tmp_path):
    """Also the other way round: what the server no longer has is not missed when it is archived."""
    server = own_server()
    breaks: list[str] = []
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await caught_up(archiver, sql)
            fill(sql)
            sql.run("FLUSH BINARY LOGS")
            fill(sql)
            await caught_up(archiver, sql)
        await purge(sql)
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            fill(sql)
            await caught_up(archiver, sql)
        assert breaks == []
        sql.run("FLUSH BINARY LOGS")
        sql.run("FLUSH BINARY LOGS")
        await purge(sql)
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await broken(archiver, sql, tmp_path, breaks)


async def test_a_server_that_lost_the_end_of_its_log_ends_the_stream(own_server, tmp_path):
    """As one does after a power cut with sync_binlog = 0."""
    server = own_server()
    breaks: list[str] = []
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            fill(sql)
            file, kept = end_of_log(sql)
            fill(sql, 3)
            await caught_up(archiver, sql)
    server.kill()
    with (server.data / file).open("r+b") as log:
        log.truncate(kept)
    server.start()
    with Sql(server.url) as sql:
        fill(sql)
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await broken(archiver, sql, tmp_path, breaks)


async def test_another_server_with_the_same_file_names_ends_the_stream(own_server, tmp_path):
    """Whatever its address says."""
    first, second = own_server(), own_server()
    breaks: list[str] = []
    for server, rows in ((first, 10), (second, 30)):
        with Sql(server.url) as sql:
            fill(sql, rows)
            async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
                if server is first:
                    await caught_up(archiver, sql)
                else:
                    await broken(archiver, sql, tmp_path, breaks)


@pytest.mark.parametrize("kept", [0, 3, 4, 100])
async def test_an_archiver_that_died_when_it_had_just_begun_a_file_goes_on(
    own_server, tmp_path, kept
):
    """Of the file there is nothing yet, or a part of its head; the last transaction is in the one before."""
    server = own_server()
    with Sql(server.url) as sql:
        async with archiving(server.url, tmp_path) as archiver:
            await caught_up(archiver, sql)
            fill(sql, 3)
            sql.run("FLUSH BINARY LOGS")
            await caught_up(archiver, sql)
        (tail,) = (tmp_path / "binlog").glob("*/0000000002_000000000000.tail")
        head = tail.with_suffix(".head")
        os.truncate(tail, kept)
        head.write_bytes(head.read_bytes().partition(b"\n")[0] + b"\n")
        async with archiving(server.url, tmp_path) as archiver:
            fill(sql, 3)
            await caught_up(archiver, sql)
            assert archiver.status.broken_because == ""
        assert len(require_equal(tmp_path, server).files) == 2
