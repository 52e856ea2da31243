"""Command line: stopped at any moment, it leaves nothing behind, and says so."""

import os
import re
import select
import signal
import time

import pytest

from tests.corpora.shops import BIG
from tests.fixtures.cli import Cli, Frozen, wait_until
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


@pytest.fixture(scope="module")
def big(module_server):
    """A server with a table large enough to be caught in the middle."""
    with Sql(module_server.url) as sql:
        sql.script(BIG)
    return module_server


@pytest.fixture
def busy(big, tmp_path):
    """That server, and the program for it."""
    with Sql(big.url) as sql:
        yield Cli(big.url, tmp_path), big, sql
        sql.run("DROP DATABASE IF EXISTS target")


def _stop(process, server, *signals):
    """Send signals while the server cannot answer, then let it: the work was surely not done."""
    with Frozen(server.pid):
        for number in signals:
            process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def _is_writing(cli):
    return any(name.endswith(".sql.gz.partial") for name in cli.files())


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGINT, signal.SIGINT)],
    ids=["ctrl-c", "sigterm", "sighup", "ctrl-c twice"],
)
def test_a_cancelled_backup_leaves_nothing(busy, signals):
    """Exit 130, no file, and no connection that still works for it."""
    cli, server, sql = busy
    with cli.start("backup", "create") as process:
        wait_until(lambda: _is_writing(cli), "the dump runs")
        code, out, err = _stop(process, server, *signals)

    assert (code, out) == (130, "")
    assert "Cancelled: nothing was left behind" in err
    assert "Traceback" not in err
    assert cli.files() == set()
    wait_until(lambda: _connections(sql) == 1, "the server has forgotten the run")
    assert cli.json("backup", "list")["backups"] == []


@pytest.mark.long
@pytest.mark.parametrize("number", series([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]))
def test_a_cancelled_restore_leaves_no_database(busy, number):
    """Exit 130 with one document; the target is not there, the backup is whole."""
    cli, server, sql = busy
    backup_id = cli.json("backup", "create", "--codec", "zstd")["backup_id"]
    with cli.start("restore", "run", backup_id, "--into", "target", "--json") as process:
        wait_until(lambda: bool(sql.run("SHOW DATABASES LIKE 'target'")), "the load runs")
        code, out, err = _stop(process, server, number)

    assert (code, err) == (130, "")
    assert '"code": "cancelled"' in out
    assert sql.run("SHOW DATABASES LIKE 'target'") == []
    assert sql.run("SELECT COUNT(*) FROM big.t") == [(60_000,)]
    assert cli.json("backup", "verify", backup_id)["rows_count"] == 60_000


def test_a_cancelled_restore_leaves_an_empty_database_empty(busy):
    """A target that was there before is there afterwards, with nothing in it."""
    cli, server, sql = busy
    backup_id = cli.json("backup", "create")["backup_id"]
    sql.run("CREATE DATABASE target CHARACTER SET latin1")
    with cli.start("restore", "run", backup_id, "--into", "target") as process:
        wait_until(lambda: bool(sql.run("SHOW TABLES FROM target")), "the load runs")
        code, _, _ = _stop(process, server, signal.SIGINT)

    assert code == 130
    assert sql.run("SHOW TABLES FROM target") == []


def test_a_killed_backup_is_swept_by_the_next(busy):
    """After SIGKILL the half file is no backup, and the next backup removes it."""
    cli, server, _ = busy
    with cli.start("backup", "create") as process:
        wait_until(lambda: _is_writing(cli), "the dump runs")
        with Frozen(server.pid):
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


def test_a_run_in_a_terminal_shows_a_bar_and_removes_it(busy):
    """It is drawn on the terminal again and again; the answer alone goes to stdout."""
    cli, server, _ = busy
    master, terminal = os.openpty()
    try:
        with cli.start("backup", "create", stderr=terminal) as process:
            wait_until(lambda: _is_writing(cli), "the dump runs")
            with Frozen(server.pid):
                drawn = _read_for(master, seconds=1)
            out, _ = process.communicate(timeout=60)
    finally:
        os.close(terminal)
        os.close(master)

    assert process.returncode == 0
    assert re.search(rb"(snapshot|inspect|dump)", drawn)
    assert out.startswith("Backup backup_")


def _read_for(terminal, seconds):
    read, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            read += os.read(terminal, 1 << 16)
    return read


def _connections(sql):
    ((count,),) = sql.run("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'root'")
    return count
