"""The file of the control database taken away or damaged: it is told, all goes on, and is in the history later."""

import sqlite3
from contextlib import closing

from tests.e2e.test_cron import schedule_of, schedule_that_was_due
from tests.fixtures.api_requests import RUNS, created
from tests.fixtures.cli import wait_until


def readiness(client):
    """Return what is told of the control database."""
    return client.get("/readyz").json()["checks"]["control database"]


def test_a_control_database_that_was_moved_away_is_missed_and_taken_up_again(
    own_api, server, sql, database, tmp_path
):
    """Nothing is written to a file that nobody would find again; schedules are served, and told of later."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    api = own_api(server.url).start()
    client = api.client()
    backup_id = created(client, databases=[database])["backup_id"]
    file = api.state / "control.db"
    file.rename(tmp_path / "moved")

    wait_until(lambda: readiness(client) == "control-unavailable", "it is missed")
    answer = client.get(RUNS)
    assert answer.status_code == 503
    assert "removed or moved" in answer.json()["detail"]
    schedule_that_was_due(api.backups, database, minutes=120)
    wait_until(lambda: schedule_of(api.backups).get("last_backup_id"), "the schedule is served")
    (tmp_path / "moved").rename(file)

    wait_until(lambda: readiness(client) == "ok", "it is taken up again")
    made = {backup_id, schedule_of(api.backups)["last_backup_id"]}
    assert api.cli("doctor", "--repair").returncode == 0
    assert {run["backup_id"] for run in client.get(RUNS).json()["runs"]} == made
    assert api.cli("audit", "verify").returncode == 0


def test_a_damaged_control_database_is_in_no_restores_way(cli, sql, database):
    """The doctor names it; what was done meanwhile is in the history of the one in its place."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    file = cli.backups.parent / "state" / "control.db"
    file.write_bytes(bytes(range(256)) * 64)
    sql.run("DELETE FROM t")

    cli.json("restore", "run", backup_id, "--no-recovery-point")
    assert sql.run("SELECT COUNT(*) FROM t") == [(1,)]
    checks = {check["name"]: check for check in cli.json("doctor")["checks"]}
    assert checks["control database"]["state"] == "warn"
    assert "no database" in checks["control database"]["detail"]
    assert cli("user", "list").code == cli("serve", "--port", "0").code == 21

    file.unlink()
    cli.json("backup", "create", "--database", database)
    with closing(sqlite3.connect(file)) as history:
        told = history.execute("SELECT kind, state FROM runs ORDER BY created_at").fetchall()
    assert told == [("restore", "succeeded"), ("backup", "succeeded")]
