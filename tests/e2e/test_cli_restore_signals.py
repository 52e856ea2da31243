"""Command line: a restore in place that is stopped or killed leaves the live database as it was."""

import shutil
import signal

import pytest

from tests.corpora.shops import BIG, BIG_BYTES, BIG_ROWS
from tests.fixtures.accounts import databases
from tests.fixtures.cli import Cli, wait_until
from tests.fixtures.dry_runs import left_over
from tests.fixtures.gate import gate
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture(scope="module")
def backed_up(module_server, tmp_path_factory):
    """The home of a backup of a table large enough to be in the middle of, and its id."""
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
def held(module_server, backed_up, tmp_path):
    """A server whose table has few rows left; the program, and the backup."""
    home, backup_id = backed_up
    shutil.copytree(home / "backups", tmp_path / "backups")
    with Sql(module_server.url, "big") as sql, gate(module_server.url) as way:
        sql.run("DELETE FROM t WHERE id > 100")
        yield Cli(way.url, tmp_path), way, sql, backup_id
        # What a restore keeps for an undo.
        sql.script(f"DROP DATABASE `{name}`" for name in databases(sql) if name.startswith("big__"))


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
def test_a_stopped_restore_leaves_the_live_database(held, signals, options):
    """Exit 130; the live rows and objects are those of before, and no schema of ours is left."""
    cli, way, sql, backup_id = held
    before = snapshot(sql.url, "big")
    command = ("restore", "run", backup_id, "--no-recovery-point", *options)
    way.close_after(sent=BIG_BYTES // 4)
    with cli.start(*command) as process:
        with way.held():
            assert left_over(sql) != []
            for number in signals:
                process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert ('"code": "cancelled"' in out) is ("--json" in options)
    assert ("Cancelled: " in err) is ("--json" not in options)
    assert "Traceback" not in err
    assert left_over(sql) == []
    assert_same(before, snapshot(sql.url, "big"))
    assert cli.json("backup", "info", backup_id)["proven_at"] is None


@pytest.mark.long
@pytest.mark.parametrize(
    "number", series([signal.SIGHUP], [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
)
def test_a_stopped_undo_leaves_what_was_restored(held, number):
    """It waits for a table that somebody reads; then it has changed nothing, and can be asked for again."""
    cli, _, sql, backup_id = held
    before = snapshot(sql.url, "big")
    restored = cli.json("restore", "run", backup_id, "--no-recovery-point")["restore_id"]
    after = snapshot(sql.url, "big")
    with Sql(sql.url) as reader:
        reader.script(["BEGIN", "SELECT COUNT(*) FROM big.t"])
        with cli.start("restore", "undo", restored) as process:
            wait_until(lambda: _waits_for_table(sql), "the swap waits for the reader")
            process.send_signal(number)
            out, err = process.communicate(timeout=60)

    assert process.returncode == 130, out + err
    assert "Cancelled: " in err
    assert "Traceback" not in err
    assert_same(after, snapshot(sql.url, "big"))
    cli.json("restore", "undo", restored)
    assert_same(before, snapshot(sql.url, "big"))


def _waits_for_table(sql):
    return any("metadata lock" in str(row) for row in sql.run("SHOW FULL PROCESSLIST"))


def test_a_killed_restore_is_undone_by_the_doctor(held):
    """After SIGKILL the live database is as it was; doctor says what is left, and --repair removes it."""
    cli, way, sql, backup_id = held
    before = snapshot(sql.url, "big")
    way.close_after(sent=BIG_BYTES // 4)
    with cli.start("restore", "run", backup_id, "--no-recovery-point") as process, way.held():
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
    assert_same(before, snapshot(sql.url, "big"))
    restored = cli.json("restore", "run", backup_id)
    assert restored["rows_count"] == BIG_ROWS
