"""Disks that are full, or take no writes: what can still work works, what is wrong is told, and all comes back by itself."""

import json

import pytest

from app.errors import StorageFullError
from tests.e2e.test_cron import schedule_of, schedule_that_was_due
from tests.fixtures import forked_program
from tests.fixtures.api import Api, finished
from tests.fixtures.api_requests import BACKUP, RUNS, created
from tests.fixtures.cli import wait_until
from tests.fixtures.full_disks import mounted
from tests.fixtures.point_in_time import PointsInTime
from tests.fixtures.servers import Sql


@pytest.fixture
def table(sql, database):
    """A database with one table of two rows."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    return database


@pytest.fixture
def installation(server, tmp_path):
    """Make an installation whose directories lie where one likes; closed in the end."""
    made = []

    def make(*, state=None, backups=None):
        home = tmp_path / "home"
        home.mkdir()
        api = Api(server.url, home)
        api.state, api.backups = state or api.state, backups or api.backups
        api.settings |= {"STATE_DIR": str(api.state), "BACKUP_DIR": str(api.backups)}
        made.append(api)
        return api

    yield make
    for api in made:
        api.close()


def restored(api, backup_id, *arguments, **environment):
    """Restore by command line, with one JSON document."""
    done = forked_program.call(
        ("restore", "run", backup_id, "--no-recovery-point", "--json", *arguments),
        api.home,
        {**api.environment, **environment},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def not_ready(client):
    """Return what is not ready, by what is wrong with it."""
    answer = client.get("/readyz")
    wrong = {name: code for name, code in answer.json()["checks"].items() if code != "ok"}
    assert answer.status_code == (503 if wrong else 200)
    return wrong


def test_with_the_state_disk_full_restores_and_backups_go_on(installation, sql, table, tmp_path):
    """By command line and by schedule; lists and cancelling work; then it is as if nothing had been."""
    with mounted(tmp_path / "disk", megabytes=8) as disk:
        api = installation(state=disk.path / "state").start()
        client = api.client()
        backup_id = created(client, databases=[table])["backup_id"]
        with Sql(api.settings["DATABASE_URL"]) as locker:
            locker.run(f"LOCK TABLES {table}.t WRITE")
            run = client.post(f"{BACKUP}/create", json={"databases": [table]}).json()
            wait_until(
                lambda: client.get(f"{RUNS}/{run['run_id']}").json()["state"] == "running",
                "it runs",
            )
            disk.fill()
            assert not_ready(client) == {"state directory": "storage-full"}
            assert client.get(f"{BACKUP}/list").json()["total"] == 1
            assert client.post(f"{RUNS}/{run['run_id']}/cancel").status_code == 202
            assert finished(client, run["run_id"])["state"] == "cancelled"
            locker.run("UNLOCK TABLES")
        sql.run("DELETE FROM t")
        result = restored(api, backup_id, TMPDIR=str(disk.path))
        assert sql.run("SELECT COUNT(*) FROM t") == [(2,)]
        undone = api.cli("restore", "undo", result["restore_id"])
        assert undone.returncode == 0, undone.stderr
        assert sql.run("SELECT COUNT(*) FROM t") == [(0,)]
        schedule_that_was_due(api.backups, table, minutes=120)
        wait_until(lambda: schedule_of(api.backups).get("last_backup_id"), "the schedule is served")
        disk.free()

        wait_until(lambda: not_ready(client) == {}, "it is ready again")
        wait_until(
            lambda: (
                {run["state"] for run in client.get(RUNS).json()["runs"]}
                == {"succeeded", "cancelled"}
            ),
            "the history is complete",
        )
        assert api.cli("doctor", "--repair").returncode == 0
        assert created(client, databases=[table])["success"]


def test_with_the_backup_disk_full_restores_and_deletions_work(installation, sql, table, tmp_path):
    """A backup says that there is no room and leaves nothing; what is deleted makes room for the next."""
    with mounted(tmp_path / "disk", megabytes=8) as disk:
        api = installation(backups=disk.path / "backups").start()
        client = api.client()
        first, second = (created(client, databases=[table])["backup_id"] for _ in range(2))
        disk.fill()

        assert not_ready(client) == {"backup directory": "storage-full"}
        refused = api.cli("backup", "create", "--database", table, "--json")
        assert json.loads(refused.stdout)["error"]["code"] == "storage-full"
        sql.run("DELETE FROM t")
        restored(api, second)
        assert sql.run("SELECT COUNT(*) FROM t") == [(2,)]
        assert api.cli("backup", "delete", first).returncode == 0
        assert client.get(f"{BACKUP}/list").json()["total"] == 1
        disk.free()

        wait_until(lambda: not_ready(client) == {}, "it is ready again")
        assert created(client, databases=[table])["success"]


def test_with_the_only_disk_full_the_command_line_restores(installation, sql, table, tmp_path):
    """State, backups and temporary files on one disk; the service is down."""
    with mounted(tmp_path / "disk", megabytes=8) as disk:
        api = installation(state=disk.path / "state", backups=disk.path / "backups").start()
        backup_id = created(api.client(), databases=[table])["backup_id"]
        api.stop()
        disk.fill()
        sql.run("DELETE FROM t")

        restored(api, backup_id, TMPDIR=str(disk.path))

        assert sql.run("SELECT COUNT(*) FROM t") == [(2,)]
        assert api.cli("backup", "list", "--json").returncode == 0
        assert api.cli("backup", "delete", backup_id).returncode == 0


def test_with_the_backup_disk_read_only_restores_work(installation, sql, table, tmp_path):
    """A backup and a deletion say why they are refused, and leave what is there; then all is made again."""
    with mounted(tmp_path / "disk", megabytes=8) as disk:
        api = installation(backups=disk.path / "backups").start()
        client = api.client()
        backup_id = created(client, databases=[table])["backup_id"]
        disk.refuse_writes()

        wait_until(
            lambda: not_ready(client) == {"backup directory": "storage-denied"}, "it is told"
        )
        run = client.post(f"{BACKUP}/create", json={"databases": [table]}).json()
        assert finished(client, run["run_id"])["error"]["code"] == "storage-denied"
        deleted = api.cli("backup", "delete", backup_id)
        assert (deleted.returncode, "mounted read-only" in deleted.stderr) == (21, True)
        sql.run("DELETE FROM t")
        run = client.post(f"{BACKUP}/restore/{backup_id}", json={"create_backup": False}).json()
        assert finished(client, run["run_id"])["state"] == "succeeded"
        assert sql.run("SELECT COUNT(*) FROM t") == [(2,)]
        disk.refuse_writes(refuses=False)

        assert created(client, databases=[table])["success"]
        assert client.get(f"{BACKUP}/list").json()["total"] == 2


def test_with_the_state_disk_read_only_the_doctor_says_so(installation, sql, table, tmp_path):
    """Without journals no restore begins, and without locks nothing else; another state directory is a way out."""
    with mounted(tmp_path / "disk", megabytes=8) as disk:
        api = installation(state=disk.path / "state")
        assert api.cli("backup", "create", "--database", table).returncode == 0
        disk.refuse_writes()

        done = api.cli("doctor", "--json")
        wrong = [check for check in json.loads(done.stdout)["checks"] if check["state"] == "fail"]
        assert (done.returncode, [check["name"] for check in wrong]) == (21, ["state directory"])
        assert "mounted read-only" in wrong[0]["remedy"]
        sql.run("DELETE FROM t")
        assert api.cli("restore", "run", "latest", "--no-recovery-point").returncode == 21
        assert sql.run("SELECT COUNT(*) FROM t") == [(0,)]
        restored(api, "latest", BACKSTAY_STATE_DIR=str(tmp_path / "elsewhere"))
        assert sql.run("SELECT COUNT(*) FROM t") == [(2,)]


def test_a_copy_that_would_fill_a_store_is_not_begun(installation, table, tmp_path):
    """Nothing is written where others need the room; the same copy is made when there is enough."""
    with mounted(tmp_path / "small") as disk:
        api = installation()
        api.state.mkdir(mode=0o700)
        definition = f'[small]\nkind = "local"\npath = {json.dumps(str(disk.path))}\n'
        (api.state / "stores.toml").write_text(definition)
        assert api.cli("backup", "create", "--database", table).returncode == 0
        disk.fill()
        refused = api.cli("backup", "copy", "latest", "--to", "small")
        assert refused.returncode == 21
        assert " are free there, and the copy needs " in refused.stderr
        assert [path.name for path in disk.path.glob("backup_*")] == []
        disk.free()
        assert api.cli("backup", "copy", "latest", "--to", "small").returncode == 0
        assert len([*disk.path.glob("backup_*.sql.gz")]) == 1


async def test_a_scratch_server_without_room_is_told_as_that(own_server, server_template, tmp_path):
    """A short statement may make more than any log; nothing of it stays, and the log is not blamed."""
    points = PointsInTime(own_server(), tmp_path, server_template)
    points.sql.script([
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, b VARCHAR(2000))",
        f"INSERT INTO shop.t (b) VALUES {','.join(['(REPEAT(1, 2000))'] * 500)}",
    ])
    await points.backup()
    points.sql.script([
        "SET SESSION binlog_format = 'STATEMENT'",
        *["INSERT INTO shop.t (b) SELECT b FROM shop.t ORDER BY id"] * 8,
    ])
    points.state.mkdir()

    with mounted(points.state / "scratch", megabytes=190) as disk:
        with pytest.raises(StorageFullError, match="had no room left behind"):
            await points.recover(points.position())
        assert [*disk.path.iterdir()] == []
    assert len(points.catalogue.entries()) == 1
    await points.close()
