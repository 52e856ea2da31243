"""Command line: stopped at any moment, it leaves nothing behind, and says so."""

import os
import re
import select
import signal

import pytest

from tests.corpora.shops import BIG, BIG_BYTES, BIG_ROWS
from tests.fixtures.cli import Cli, wait_until
from tests.fixtures.dry_runs import left_over
from tests.fixtures.gate import gate
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


# Of rows: a program that has them is in the middle of them.
SOME_BYTES = BIG_BYTES // 4


@pytest.fixture(scope="module")
def way(module_server):
    """The way to a server with a table large enough to be in the middle of."""
    with Sql(module_server.url) as sql:
        sql.script(BIG)
    with gate(module_server.url) as made:
        yield made


@pytest.fixture
def held(way, module_server, tmp_path):
    """The program for it, that way, and the server."""
    with Sql(module_server.url) as sql:
        yield Cli(way.url, tmp_path), way, sql
        sql.run("DROP DATABASE IF EXISTS target")


def _stopped(process, way, *signals):
    """Send signals to a program that is held, and let it go on."""
    with way.held():
        for number in signals:
            process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGINT, signal.SIGINT)],
    ids=["ctrl-c", "sigterm", "sighup", "ctrl-c twice"],
)
def test_a_cancelled_backup_leaves_nothing(held, signals):
    """Exit 130, no file, and no connection that still works for it."""
    cli, way, sql = held
    way.close_after(read=SOME_BYTES)
    with cli.start("backup", "create") as process:
        code, out, err = _stopped(process, way, *signals)

    assert (code, out) == (130, "")
    assert "Cancelled: nothing was left behind" in err
    assert "Traceback" not in err
    assert cli.files() == set()
    wait_until(lambda: _connections(sql) == 1, "the server has forgotten the run")
    assert cli.json("backup", "list")["backups"] == []


@pytest.mark.long
@pytest.mark.parametrize("number", series([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]))
def test_a_cancelled_restore_leaves_no_database(held, number):
    """Exit 130 with one document; the target is not there, the backup is whole."""
    cli, way, sql = held
    backup_id = cli.json("backup", "create", "--codec", "zstd")["backup_id"]
    way.close_after(sent=SOME_BYTES)
    with cli.start("restore", "run", backup_id, "--into", "target", "--json") as process:
        code, out, err = _stopped(process, way, number)

    assert (code, err) == (130, "")
    assert '"code": "cancelled"' in out
    assert sql.run("SHOW DATABASES LIKE 'target'") == []
    assert sql.run("SELECT COUNT(*) FROM big.t") == [(BIG_ROWS,)]
    assert cli.json("backup", "verify", backup_id)["rows_count"] == BIG_ROWS


def test_a_cancelled_restore_leaves_an_empty_database_empty(held):
    """A target that was there before is there afterwards, with nothing in it."""
    cli, way, sql = held
    backup_id = cli.json("backup", "create")["backup_id"]
    sql.run("CREATE DATABASE target CHARACTER SET latin1")
    way.close_after(sent=SOME_BYTES)
    with cli.start("restore", "run", backup_id, "--into", "target") as process:
        with way.held():
            made = left_over(sql)
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert made
    assert process.returncode == 130
    assert left_over(sql) == []
    assert sql.run("SHOW TABLES FROM target") == []


def test_a_killed_backup_is_swept_by_the_next(held):
    """After SIGKILL the half file is no backup, and the next backup removes it."""
    cli, way, _ = held
    way.close_after(read=SOME_BYTES)
    with cli.start("backup", "create") as process, way.held():
        wait_until(lambda: bool(cli.files()), "it writes what it has")
        process.kill()
        process.wait()
    left = cli.files()
    listed = cli.json("backup", "list")
    leftovers = [check for check in cli.json("doctor")["checks"] if check["name"] == "leftovers"]
    made = cli.json("backup", "create")

    assert [name.endswith(".partial") for name in left] == [True]
    assert (listed["backups"], listed["orphans"]) == ([], [])
    assert [leftover["state"] for leftover in leftovers] == ["warn"]
    assert cli.files() == {made["file"], made["file"] + ".manifest.json"}


def test_a_run_in_a_terminal_shows_a_bar_and_removes_it(held):
    """It is drawn on the terminal again and again; the answer alone goes to stdout."""
    cli, way, _ = held
    master, terminal = os.openpty()
    way.close_after(read=SOME_BYTES)
    try:
        with cli.start("backup", "create", stderr=terminal) as process:
            with way.held():
                _read_until(rb"(snapshot|inspect|dump)", master)
            out, _ = process.communicate(timeout=60)
    finally:
        os.close(terminal)
        os.close(master)

    assert process.returncode == 0
    assert out.startswith("Backup backup_")


def _read_until(pattern, terminal):
    read = b""
    while not re.search(pattern, read):
        assert select.select([terminal], [], [], 60)[0], read
        read += os.read(terminal, 1 << 16)


def _connections(sql):
    ((count,),) = sql.run("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'root'")
    return count
