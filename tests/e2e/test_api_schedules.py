"""Schedules and the state of everything, over HTTP."""

import json
from datetime import datetime, timedelta

import pytest

from tests.fixtures.api import Api
from tests.fixtures.calls import BACKUP, WAIT, created, done, problem


@pytest.fixture(scope="module")
def installation(server, tmp_path_factory):
    """A service that nobody else uses."""
    api = Api(server.url, tmp_path_factory.mktemp("schedules"))
    try:
        yield api.start()
    finally:
        api.close()


@pytest.fixture
def api(installation):
    """That service, without any schedule."""
    (installation.backups / "schedule.json").unlink(missing_ok=True)
    return installation


@pytest.fixture
def client(api):
    """An operator of it."""
    return api.client("operator")


@pytest.fixture
def table(sql, database):
    """A database with one table of a row."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    return database


def _schedules(client):
    answer = client.get(f"{BACKUP}/schedule").json()
    assert answer["success"] is True
    return {one["name"]: one for one in answer["schedules"]}


def _run(client, **body):
    return client.post(f"{BACKUP}/run-scheduled", json=body, headers=WAIT)


def _age(api, **ago):
    """Let the last success of all schedules be longer ago."""
    path = api.backups / "schedule.json"
    file = json.loads(path.read_text())
    for one in file["schedules"]:
        at = datetime.fromisoformat(one["last_success_at"]) - timedelta(**ago)
        one["last_success_at"] = at.isoformat()
    path.write_text(json.dumps(file))


def test_a_schedule_is_set_shown_run_and_due_again(api, client, table):
    """Due at once, then not before its time, then when that has passed, or when it is forced."""
    assert _schedules(client) == {}
    assert client.get(f"{BACKUP}/status").json()["next_due_at"] is None

    options = {"databases": [table], "compress": False, "description": "By night"}
    set_ = client.post(f"{BACKUP}/schedule", json={"frequency": "daily", "options": options})
    schedule = set_.json()["schedule"]
    assert (set_.status_code, set_.json()["success"]) == (200, True)
    assert (schedule["name"], schedule["enabled"], schedule["frequency"]) == (
        "default",
        True,
        "daily",
    )
    assert schedule["options"] == {
        "databases": [table],
        "tables": [],
        "exclude_tables": [],
        "include_data": True,
        "description": "By night",
        "compress": False,
        "verify": None,
    }
    assert (schedule["last_run_at"], schedule["last_backup_id"]) == (None, None)

    run = done(client.post(f"{BACKUP}/run-scheduled", headers=WAIT))
    assert (run["kind"], run["result"]["databases"], run["result"]["codec"]) == (
        "backup",
        [table],
        "none",
    )
    info = client.get(f"{BACKUP}/info/{run['backup_id']}").json()
    assert info["description"] == "By night"
    after = _schedules(client)["default"]
    assert after["last_backup_id"] == run["backup_id"]
    due = datetime.fromisoformat(after["next_due_at"])
    assert due - datetime.fromisoformat(after["last_success_at"]) == timedelta(days=1)
    assert client.get(f"{BACKUP}/status").json()["next_due_at"] == after["next_due_at"]

    early = _run(client)
    assert (early.status_code, early.json()) == (
        200,
        {"success": True, "due": False, "next_due_at": after["next_due_at"]},
    )
    assert "Location" not in early.headers
    assert done(_run(client, force=True))["backup_id"] != run["backup_id"]
    _age(api, hours=23)
    assert _run(client).json()["due"] is False
    _age(api, hours=1)
    done(_run(client))


def test_another_frequency_may_be_due_when_the_schedule_is_not(api, client, table):
    """`frequency` takes the place of the schedule's for this once."""
    options = {"databases": [table]}
    client.post(f"{BACKUP}/schedule", json={"frequency": "weekly", "options": options})
    done(_run(client))
    _age(api, hours=2)

    assert _run(client).json()["due"] is False
    assert _run(client, frequency="daily").json()["due"] is False
    run = done(_run(client, frequency="hourly"))
    assert run["result"]["databases"] == [table]
    assert _schedules(client)["default"]["frequency"] == "weekly"


def test_where_there_is_no_schedule_a_frequency_makes_one(client, table):
    """As the customer's cron line does; without one nothing is ever due."""
    assert _run(client).json() == {"success": True, "due": False, "next_due_at": None}

    run = done(_run(client, frequency="hourly"))

    assert table in run["result"]["databases"]
    info = client.get(f"{BACKUP}/info/{run['backup_id']}").json()
    assert info["description"] == "Scheduled backup (hourly)"
    assert _schedules(client)["default"]["last_backup_id"] == run["backup_id"]
    assert _run(client, frequency="hourly").json()["due"] is False


def test_schedules_have_names_and_can_be_switched_off(client, table):
    """One that is off is never due; changing a schedule keeps what it has done."""
    options = {"databases": [table]}
    for name, enabled in (("night", True), ("noon", False)):
        body = {"frequency": "hourly", "name": name, "enabled": enabled, "options": options}
        assert client.post(f"{BACKUP}/schedule", json=body).status_code == 200
    run = done(_run(client, name="night"))

    assert _run(client, name="noon").json() == {
        "success": True,
        "due": False,
        "next_due_at": None,
    }
    client.post(f"{BACKUP}/schedule", json={"frequency": "weekly", "name": "night"})
    found = _schedules(client)
    assert set(found) == {"night", "noon"}
    assert found["night"]["last_backup_id"] == run["backup_id"]
    assert (found["noon"]["enabled"], found["noon"]["next_due_at"]) == (False, None)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("schedule", {}, "body.frequency"),
        ("schedule", {"frequency": "yearly"}, "body.frequency"),
        ("schedule", {"frequency": "daily", "name": "../x"}, "body.name"),
        ("schedule", {"frequency": "daily", "name": "a\n"}, "body.name"),
        ("schedule", {"frequency": "daily", "options": {"codec": "zstd"}}, "body.options.codec"),
        ("run-scheduled", {"frequency": "monthly"}, "body.frequency"),
        ("run-scheduled", {"force": "maybe"}, "body.force"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(admin, path, body, field):
    """422 that names the field."""
    found = problem(admin.post(f"{BACKUP}/{path}", json=body), 422, "invalid-request")

    assert [one["field"] for one in found["errors"]] == [field]


def test_a_damaged_schedule_is_told_and_kept(api, client):
    """500 integrity for whoever reads or changes it; backups by hand go on."""
    client.post(f"{BACKUP}/schedule", json={"frequency": "daily"})
    path = api.backups / "schedule.json"
    path.write_text("{")

    problem(client.get(f"{BACKUP}/schedule"), 500, "integrity")
    problem(client.post(f"{BACKUP}/schedule", json={"frequency": "daily"}), 500, "integrity")
    problem(_run(client), 500, "integrity")
    assert path.read_text() == "{"
    created(client, include_data=False)


def test_the_status_tells_how_the_backups_are_doing(own_api, server, table):
    """Nothing of nothing first; then the newest backup, what all of them take, and what failed."""
    client = own_api(server.url).start().client("operator")
    before = client.get(f"{BACKUP}/status").json()
    assert (before["success"], before["last_backup"], before["backups_count"]) == (True, None, 0)
    assert (before["size"], before["running"], before["last_failures"]) == (0, [], [])

    runs = [created(client, databases=[table]) for _ in range(2)]
    point = done(client.post(f"{BACKUP}/recovery-point", json={"databases": [table]}, headers=WAIT))
    failed = [
        problem(
            client.post(f"{BACKUP}/create", json={"databases": [name]}, headers=WAIT),
            404,
            "database-not-found",
        )["run_id"]
        for name in ("not_there", "nor_this")
    ]

    status = client.get(f"{BACKUP}/status").json()
    made = [*runs, point]
    assert status["last_backup"]["backup_id"] == runs[-1]["backup_id"]
    assert status["backups_count"] == 3
    assert status["size"] == sum(run["result"]["size"] for run in made)
    assert status["raw_size"] == sum(run["result"]["raw_size"] for run in made)
    assert 0 < status["disk_free"] <= status["disk_total"]
    assert (status["running"], status["damaged"]) == ([], 0)
    assert [one["run_id"] for one in status["last_failures"]] == failed[::-1]
    assert status["last_failures"][0]["error"]["code"] == "database-not-found"
