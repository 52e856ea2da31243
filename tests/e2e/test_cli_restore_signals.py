"""Command line: a restore in place that is stopped or killed leaves the live database as it was."""

import shutil
import signal

import pytest

from tests.corpora.shops import BIG
from tests.fixtures.accounts import databases
from tests.fixtures.cli import Cli, Frozen, wait_until
from tests.fixtures.dry_runs import left_over
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture(scope="module")
def backed_up(module_server, tmp_path_factory):
    """The home of a backup of a table large enough to be caught in the middle, and its id."""
    home = tmp_path_factory.mktemp("home")
    with Sql(module_server.url) as sql:
        sql.script([
            *BIG,
            "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id",
            "CREATE VIEW v AS SELECT COUNT(*) FROM t",
        ])
    cli = Cli(module_server.url, home)
    return home, cli.json("backup", "create", "--codec", "none", "--no-verify")["backup_id"]


@pytest.fixture
def busy(module_server, backed_up, tmp_path):
    """A server whose table has few rows left; the program, and the backup."""
    home, backup_id = backed_up
    shutil.copytree(home / "backups", tmp_path / "backups")
    with Sql(module_server.url, "big") as sql:
        sql.run("DELETE FROM t WHERE id > 100")
        yield Cli(module_server.url, tmp_path), module_server, sql, backup_id
        # What a restore keeps for an undo.
        sql.script(f"DROP DATABASE `{name}`" for name in databases(sql) if name.startswith("big__"))


def _is_loading(sql):
    return bool(
        sql.run(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE '%\\_\\_bk\\_new%'"
        )
    )


@pytest.mark.parametrize(
    ("signals", "options"),
    [
        ((signal.SIGINT,), ("--json",)),
        ((signal.SIGTERM,), ()),
        ((signal.SIGINT, signal.SIGINT), ()),
        ((signal.SIGINT,), ("--drill",)),
    ],
    ids=["ctrl-c", "sigterm", "ctrl-c twice", "drill"],
)
def test_a_stopped_restore_leaves_the_live_database(busy, signals, options):
    """Exit 130; the live rows and objects are those of before, and no schema of ours is left."""
    cli, server, sql, backup_id = busy
    before = snapshot(server.url, "big")
    command = ("restore", "run", backup_id, "--no-recovery-point", *options)
    with cli.start(*command) as process:
        wait_until(lambda: _is_loading(sql), "the load runs")
        with Frozen(server.pid):
            for number in signals:
                process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert ('"code": "cancelled"' in out) is ("--json" in options)
    assert ("Cancelled: " in err) is ("--json" not in options)
    assert "Traceback" not in err
    assert left_over(sql) == []
    assert_same(before, snapshot(server.url, "big"))
    assert cli.json("backup", "info", backup_id)["proven_at"] is None


@pytest.mark.long
@pytest.mark.parametrize(
    "number", series([signal.SIGHUP], [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
)
def test_a_stopped_undo_leaves_what_was_restored(busy, number):
    """It waits for a table that somebody reads; then it has changed nothing, and can be asked for again."""
    cli, server, sql, backup_id = busy
    before = snapshot(server.url, "big")
    restored = cli.json("restore", "run", backup_id, "--no-recovery-point")["restore_id"]
    after = snapshot(server.url, "big")
    with Sql(server.url) as reader:
        reader.script(["BEGIN", "SELECT COUNT(*) FROM big.t"])
        with cli.start("restore", "undo", restored) as process:
            wait_until(lambda: _waits_for_table(sql), "the swap waits for the reader")
            process.send_signal(number)
            out, err = process.communicate(timeout=60)

    assert process.returncode == 130, out + err
    assert "Cancelled: " in err
    assert "Traceback" not in err
    assert_same(after, snapshot(server.url, "big"))
    cli.json("restore", "undo", restored)
    assert_same(before, snapshot(server.url, "big"))


def _waits_for_table(sql):
    return any("metadata lock" in str(row) for row in sql.run("SHOW FULL PROCESSLIST"))


def test_a_killed_restore_is_undone_by_the_doctor(busy):
    """After SIGKILL the live database is as it was; doctor says what is left, and --repair removes it."""
    cli, server, sql, backup_id = busy
    before = snapshot(server.url, "big")
    with cli.start("restore", "run", backup_id, "--no-recovery-point") as process:
        wait_until(lambda: _is_loading(sql), "the load runs")
        with Frozen(server.pid):
            process.kill()
            process.wait()
    left = left_over(sql)
    found = {check["name"]: check for check in cli("doctor", "--json").document["checks"]}
    repaired = cli.json("doctor", "--repair")

    assert len(left) == 1
    assert found["restores"]["state"] != "ok"
    assert "doctor --repair" in found["restores"]["remedy"]
    assert [(repair["outcome"], repair["databases"]) for repair in repaired["repairs"]] == [
        ("undone", ["big"])
    ]
    assert left_over(sql) == []
    assert_same(before, snapshot(server.url, "big"))
    restored = cli.json("restore", "run", backup_id)
    assert restored["rows_count"] == 60_000
