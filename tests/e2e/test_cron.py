"""Scheduled backups that nobody asks for: by the service, by cron, and by both at once."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP
from tests.fixtures.cli import Frozen, wait_until


@pytest.fixture
def table(sql, database):
    """A database with one table of a row."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    return database


def schedule_that_was_due(path, database, *, minutes):
    """Write a schedule whose due time of today nobody has considered yet."""
    due = datetime.now(UTC) - timedelta(minutes=minutes)  # noqa: TID251 - as above
    before = (due - timedelta(hours=1)).isoformat()
    schedule = {
        "name": "default",
        "frequency": None,
        "cron": f"{due.minute} {due.hour} * * *",
        "updated_at": before,
        "considered_at": before,
        "last_success_at": before,
        "options": {"databases": [database]},
    }
    path.mkdir(mode=0o700, exist_ok=True)
    (path / "schedule.json").write_text(json.dumps({"version": 1, "schedules": [schedule]}))


def schedule_of(path):
    """Read the only schedule."""
    (schedule,) = json.loads((path / "schedule.json").read_text())["schedules"]
    return schedule


def test_cron_backs_up_when_due_and_is_silent_otherwise(cli, table):
    """Once a day however often it is called; --force always; no output for a mail."""
    first = cli("cron", "--frequency=daily")
    assert (first.code, first.out, first.err) == (0, "", "")
    schedule = schedule_of(cli.backups)
    assert schedule["external"]
    made = schedule["last_backup_id"]
    assert made

    again = cli("cron", "--frequency=daily")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert cli.json("cron", "--frequency=daily")["due"] is False
    assert schedule_of(cli.backups)["last_backup_id"] == made
    forced = cli.json("cron", "--force")
    assert forced["due"] is True
    assert forced["backup_id"] != made


def test_cron_that_fails_says_so(cli):
    """On stderr and by its exit code, so that cron sends a mail; it is due again at the next call."""
    wrong = "mysql://nobody:wrong@127.0.0.1:1/"
    failed = cli("cron", "--frequency=hourly", DATABASE_URL=wrong)

    assert (failed.code, failed.out) == (20, "")
    assert "Database connection failed" in failed.err
    assert "wrong" not in failed.err
    assert schedule_of(cli.backups)["last_error"] == "connection-failed"


def test_the_service_makes_up_for_what_was_missed_once(own_api, server, table):
    """A due time of two hours ago: one backup, counted as missed, and none when it starts again."""
    api = own_api(server.url)
    schedule_that_was_due(api.backups, table, minutes=120)
    client = api.start().client("operator")
    wait_until(lambda: schedule_of(api.backups).get("last_backup_id"), "it is made up")
    wait_until(lambda: not client.get(f"{BACKUP}/status").json()["running"], "it is over")
    api.kill()
    client = api.start().client("operator")

    (shown,) = client.get(f"{BACKUP}/schedule").json()["schedules"]
    assert shown["missed"] == 1
    runs = client.get("/api/admin/runs").json()
    assert [(run["asked_by"], run["origin"], run["state"]) for run in runs["runs"]] == [
        ("schedule:default", "schedule", "succeeded")
    ]
    assert runs["runs"][0]["request"]["schedule"] == "default"


def test_without_catching_up_it_only_counts(own_api, server, table):
    """`BACKSTAY_CATCH_UP=false`: what was missed is told, not made."""
    api = own_api(server.url)
    api.settings["CATCH_UP"] = "false"
    schedule_that_was_due(api.backups, table, minutes=120)
    client = api.start().client("operator")
    wait_until(lambda: schedule_of(api.backups).get("missed") == 1, "it is counted")

    assert client.get("/api/admin/runs").json()["runs"] == []


def test_cron_and_services_at_the_same_due_minute_make_one_backup(own_api, cli, server, table):
    """Two services on one directory, each with a state of its own, and four calls of cron."""
    apis = [own_api(server.url) for _ in range(2)]
    shared = {name: apis[0].settings[name] for name in ("BACKUP_DIR", "STATE_DIR")}
    apis[1].settings["BACKUP_DIR"] = shared["BACKUP_DIR"]
    directory = apis[0].backups
    schedule_that_was_due(directory, table, minutes=1)

    with ThreadPoolExecutor() as pool:
        services = [pool.submit(api.start) for api in apis]
        calls = [pool.submit(cli, "cron", **shared) for _ in range(4)]
        answers = [(call.result().code, call.result().out, call.result().err) for call in calls]
        clients = [service.result().client("operator") for service in services]
    wait_until(lambda: schedule_of(directory).get("last_backup_id"), "a backup is made")

    assert answers == [(0, "", "")] * 4
    for client in clients:
        assert client.get(f"{BACKUP}/status").json()["backups_count"] == 1
        assert client.get(f"{BACKUP}/status").json()["running"] == []
    assert len(list(directory.glob("*.sql.gz"))) == 1


def test_cron_waits_for_a_backup_that_is_in_its_way(own_api, cli, server, table):
    """Of something else: it is not a reason to have no backup until tomorrow."""
    api = own_api(server.url)
    client = api.start().client("operator")
    shared = {name: api.settings[name] for name in ("BACKUP_DIR", "STATE_DIR")}
    options = {"cron": "0 0 1 1 *", "options": {"databases": [table]}}
    assert client.post(f"{BACKUP}/schedule", json=options).status_code == 200
    with Frozen(server.pid), ThreadPoolExecutor() as pool:
        other = client.post(f"{BACKUP}/create", json={"databases": [table], "description": "other"})
        call = pool.submit(cli, "cron", **shared)
        with pytest.raises(TimeoutError):
            call.result(timeout=4)
        os.kill(server.pid, signal.SIGCONT)
        answer = call.result()
    assert finished(client, other.json()["run_id"])["state"] == "succeeded"

    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert client.get(f"{BACKUP}/status").json()["backups_count"] == 2
    assert schedule_of(api.backups)["last_backup_id"]
