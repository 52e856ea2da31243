"""Archivers and servers killed while the binary log is written: what is archived stays the server's own bytes."""

import random
import signal
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pymysql
import pytest

from app.age.x25519 import Identity
from app.binlog.archive.reading import open_streams
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.cli import Cli, wait_until
from tests.fixtures.log_archive import end_of_log, require_equal
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


# With a seed of its own each run of the tests kills at the same moments, as far as machines are alike.
MOMENTS = random.Random(18)  # noqa: S311 - for moments, not for secrets
KILLS = series(3, 30)
# After which of these the server dies too.
SERVER_KILLS = series({1}, {9, 19})
# What is written meanwhile must not depend on how slow the machine is: all of it is compared at the end.
PAUSE_SECONDS = 0.004
SECONDS = 60
SOMEBODY = Identity.new()


def settings(number) -> dict[str, Any]:
    """Return those of the archiver of a number: two of three encrypt."""
    recipient = str(SOMEBODY.recipient)
    return {"STATE_DIR": "state", **({"ENCRYPT_TO": recipient} if number % 3 != 1 else {})}


@contextmanager
def load(server):
    """Write into a server, through its restarts, with rotations."""
    stop = threading.Event()

    def write():
        while not stop.is_set():
            with suppress(pymysql.err.Error, OSError), Sql(server.url, "d") as sql:
                for number in range(10_000):
                    if stop.is_set():
                        return
                    sql.run(f"INSERT INTO t (b) VALUES (REPEAT('x', {number % 50 * 100}))")
                    if number % 100 == 99:
                        sql.run("FLUSH BINARY LOGS")
                    time.sleep(PAUSE_SECONDS)
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def archived_end(cli):
    """Return where the archive ends, while somebody writes it."""
    streams = open_streams(cli.backups, log_keys_of(cli.home / "state"))
    return streams[-1].window[1] if streams and streams[-1].window else None


def bytes_in(cli):
    """Count the bytes of the tail."""
    count = 0
    for path in cli.backups.glob("binlog/*/*.tail"):
        with suppress(FileNotFoundError):  # it was sealed meanwhile
            count += path.stat().st_size
    return count


def has_changed(cli, before):
    """Tell whether something was written."""
    time.sleep(0.05)
    return bytes_in(cli) != before


def is_at(cli, sql):
    """Tell whether all of the log is archived."""
    time.sleep(0.3)
    return archived_end(cli) == end_of_log(sql)


@pytest.mark.long
def test_an_archiver_that_is_killed_under_load_loses_and_doubles_nothing(own_server, tmp_path):
    """Its successor goes on in the middle of the log, encrypted or not; the server dies meanwhile, too."""
    server = own_server("--sync-binlog=1")
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (b LONGTEXT)"])
    cli = Cli(server.url, tmp_path)
    with load(server):
        for number in range(KILLS):
            before = bytes_in(cli)
            with cli.start("binlog", "run", **settings(number)) as archiver:
                wait_until(partial(has_changed, cli, before), "something is archived")
                if number in SERVER_KILLS:
                    server.kill()
                    server.start()
                    cli.url = server.url
                time.sleep(MOMENTS.uniform(0, 0.4))
                archiver.send_signal(signal.SIGKILL)
                archiver.communicate(timeout=SECONDS)
    with cli.start("binlog", "run", **settings(0)) as archiver, Sql(server.url) as sql:
        wait_until(partial(is_at, cli, sql), "all of it is archived")
        archiver.terminate()
        archiver.communicate(timeout=SECONDS)
    streams = cli.json("binlog", "status", STATE_DIR="state")["streams"]
    assert [known["ended_because"] for known in streams] == [""]
    (stream,) = streams

    assert archiver.returncode == 0
    assert stream["ended_because"] == ""
    assert stream["files"] > 3
    keys = log_keys_of(cli.home / "state", reader=SOMEBODY)
    found = require_equal(cli.backups, server, keys).transactions()
    assert sum(change.inserted or 0 for transaction in found for change in transaction.tables) > 100
