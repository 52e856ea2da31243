"""A backup waits for nobody for long, and the binary log goes on from its position (hazards 5 and 75)."""

import asyncio
import subprocess
import threading
import time
from contextlib import suppress

from app.domain.backups.manifest import Manifest
from tests.fixtures.backstay import Backstay, client_arguments
from tests.fixtures.chosen_server import BINLOG, CLIENT, IS_MYSQL
from tests.fixtures.cli import wait_until
from tests.fixtures.concurrent_writers import (
    CHUNK_BYTES,
    WRITER_ERRORS,
    create_accounts,
    is_same,
    transfer,
    writers,
)
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


def run_long(url: str) -> None:
    """Run a query that ends only when it is killed."""
    with Sql(url, "d") as client, suppress(*WRITER_ERRORS):
        client.run("SELECT SLEEP(600) FROM t")


def sleepers(sql: Sql) -> list[int]:
    """Ids of the connections that run `run_long`."""
    listing = "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
    return [row[0] for row in sql.run(listing)]


async def test_a_long_query_makes_us_give_up_the_lock_in_time(own_server, tmp_path):
    """A query that holds up our lock makes us give up in time, and nobody waits longer than that."""
    with own_server() as server, Sql(server.url) as sql, Sql(server.url) as holder:
        sql.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (id INT PRIMARY KEY, v INT)"])
        sql.run("INSERT INTO t VALUES (1, 1)")
        if not IS_MYSQL:
            holder.run("BACKUP STAGE START")  # leaves FLUSH TABLES WITH READ LOCK as the best rung
        sleeper = threading.Thread(target=run_long, args=(server.url,), daemon=True)
        sleeper.start()
        wait_until(lambda: bool(sleepers(sql)), "the long query runs")
        backstay = Backstay(server.url, tmp_path / "backups")
        waits = [0.0]

        def step(client: Sql) -> None:
            began = time.monotonic()
            client.run("UPDATE t SET v = v + 1")
            waits.append(time.monotonic() - began)

        with writers(server.url, "d", 1, step):
            manifest = await backstay.backup("d", threads=2)
        sql.run(f"KILL {sleepers(sql)[0]}")
        sleeper.join(20)
        await backstay.target.close()

    assert manifest.consistency.method in {"flush-lock", "lock-free", "table-locks"}
    assert max(waits) < 60  # not for the ten minutes of the query


def binary_log(url: str, manifest: Manifest) -> bytes:
    """Read everything that happened since a backup's point, as the client takes it."""
    position = manifest.position
    program = [BINLOG, "--read-from-remote-server", *client_arguments(url)]
    span = [f"--start-position={position.binlog_position}", "--to-last-log", position.binlog_file]
    return subprocess.run([*program, *span], capture_output=True, check=True, timeout=60).stdout


def replay(url: str, log: bytes) -> None:
    """Do it all again."""
    program = [CLIENT, "--no-defaults", *client_arguments(url)]
    subprocess.run(program, input=log, check=True, timeout=60)


async def test_the_binary_log_from_the_position_gives_the_live_tables(own_server, tmp_path):
    """The binary log, replayed from the recorded position over the copy, gives the live tables."""
    with own_server() as server, own_server("--skip-log-bin") as spare:
        with Sql(server.url) as sql:
            sql.script(["CREATE DATABASE bank", "USE bank"])
            create_accounts(sql)
            source = Backstay(server.url, tmp_path / "backups")

            def step(client: Sql) -> None:
                transfer(client)
                client.run("INSERT INTO a1 (v, note) VALUES (0, 'new')")

            with writers(server.url, "bank", 3, step) as done:
                manifest = await source.backup("bank", threads=4, chunk_bytes=CHUNK_BYTES)
                enough = sum(done) + 300
                wait_until(lambda: sum(done) > enough, "some more was written")
            position = manifest.position
            assert position.binlog_file
            assert position.gtid
            log = await asyncio.to_thread(binary_log, server.url, manifest)
            live = snapshot(server.url, "bank")
        target = Backstay(spare.url, tmp_path / "backups")
        await target.restore(manifest)
        assert not is_same(live, snapshot(spare.url, "bank"))
        await asyncio.to_thread(replay, spare.url, log)
        assert_same(live, snapshot(spare.url, "bank"))
        for backstay in (source, target):
            await backstay.target.close()
