"""Schedules and the state of everything, over HTTP."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.api import Api
from tests.fixtures.api_requests import BACKUP, WAIT, created, done, problem


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
    return {schedule["name"]: schedule for schedule in answer["schedules"]}


def _run(client, **body):
    return client.post(f"{BACKUP}/run-scheduled", json=body, headers=WAIT)


def _age(api, **ago):
    """Let the last success of all schedules be longer ago."""
    path = api.backups / "schedule.json"
    file = json.loads(path.read_text())
    file.pop("seal", None)  # as whoever changes it by hand
    for schedule in file["schedules"]:
        began = datetime.fromisoformat(schedule["last_run_at"]) - timedelta(**ago)
        at = datetime.fromisoformat(schedule["last_success_at"]) - timedelta(**ago)
        schedule["last_run_at"] = began.isoformat()
        schedule["last_success_at"] = schedule["updated_at"] = at.isoformat()
    path.write_text(json.dumps(file))


def _daily():
    """Say when a schedule is due that is not due while the test runs, and its next time."""
    due = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=12)  # noqa: TID251
    return {"cron": f"{due.minute} {due.hour} * * *", "timezone": "UTC"}, due


def test_a_schedule_is_set_shown_run_and_due_again(api, client, table):
    """Due at once, then not before its time, then when that has passed, or when it is forced."""
    assert _schedules(client) == {}
    assert client.get(f"{BACKUP}/status").json()["next_due_at"] is None

    options = {"databases": [table], "compress": False, "description": "By night"}
    daily, due = _daily()
    set_ = client.post(f"{BACKUP}/schedule", json={**daily, "options": options})
    schedule = set_.json()["schedule"]
    assert (set_.status_code, set_.json()["success"]) == (200, True)
    assert (schedule["name"], schedule["enabled"], schedule["frequency"], schedule["cron"]) == (
        "default",
        True,
        None,
        daily["cron"],
    )
    assert schedule["options"] == {
        "databases": [table],
        "tables": [],
        "exclude_tables": [],
        "include_data": True,
        "description": "By night",
        "compress": False,
        "level": None,
        "verify": None,
        "copies": [],
        "store": "",
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
    assert datetime.fromisoformat(after["next_due_at"]) == due
    assert client.get(f"{BACKUP}/status").json()["next_due_at"] == after["next_due_at"]

    early = _run(client)
    assert (early.status_code, early.json()) == (
        200,
        {"success": True, "due": False, "next_due_at": after["next_due_at"]},
    )
    assert "Location" not in early.headers
    assert done(_run(client, force=True))["backup_id"] != run["backup_id"]
    _age(api, hours=11)
    assert _run(client).json()["due"] is False
    _age(api, hours=2)
    done(_run(client))


def test_a_scheduled_backup_that_is_asked_for_twice_is_one_run(client, table):
    """The second answer tells of it, and not that nothing is due: it was, and was done."""
    daily, _ = _daily()
    client.post(f"{BACKUP}/schedule", json={**daily, "options": {"databases": [table]}})
    headers = {**WAIT, "Idempotency-Key": "tonight"}
    first, second = (
        done(client.post(f"{BACKUP}/run-scheduled", headers=headers)) for _ in range(2)
    )

    assert first == second
    assert _run(client).json()["due"] is False


def test_another_frequency_may_be_due_when_the_schedule_is_not(api, client, table):
    """`frequency` takes the place of the schedule's for this once."""
    daily, _ = _daily()
    options = {"databases": [table]}
    client.post(f"{BACKUP}/schedule", json={**daily, "options": options})
    done(_run(client))
    _age(api, hours=2)

    assert _run(client).json()["due"] is False
    run = done(_run(client, frequency="hourly"))
    assert run["result"]["databases"] == [table]
    assert _schedules(client)["default"]["cron"] == daily["cron"]


def test_a_schedule_keeps_its_own_and_is_deleted(api):
    """Its retention is shown as it was set; without a schedule of that name it is 404."""
    client = api.client("admin")
    body = {
        "name": "shop",
        "cron": "30 2  * * 1-5",
        "timezone": "Europe/Berlin",
        "retention": {"daily": 7, "monthly": 12},
    }
    made = client.post(f"{BACKUP}/schedule", json=body).json()["schedule"]
    assert (made["expression"], made["timezone"]) == ("30 2 * * 1-5", "Europe/Berlin")
    assert (made["retention"]["daily"], made["retention"]["count"]) == (7, 0)

    gone = client.delete(f"{BACKUP}/schedule/shop")
    assert (gone.status_code, gone.json()) == (200, {"success": True, "name": "shop"})
    assert _schedules(client) == {}
    problem(client.delete(f"{BACKUP}/schedule/shop"), 404, "schedule-not-found")


def test_an_operator_changes_when_and_not_what_is_kept(api, client):
    """Neither by retention nor by less in it, nor by deleting it: 403 and all is as it was."""
    known = {"frequency": "daily", "options": {"databases": ["shop"]}, "retention": {"count": 6}}
    before = api.client("admin").post(f"{BACKUP}/schedule", json=known).json()["schedule"]

    for change in (
        {"retention": {"count": 1}},
        {"retention": None},
        {"options": {"databases": ["shop"], "include_data": False}},
    ):
        answer = client.post(f"{BACKUP}/schedule", json={"cron": "1 1 * * *", **change})
        assert "admin" in problem(answer, 403, "not-authorized")["detail"]
    problem(client.delete(f"{BACKUP}/schedule/default"), 403, "not-authorized")
    problem(client.post(f"{BACKUP}/schedule", json={**known, "name": "new"}), 403, "not-authorized")
    assert _schedules(client) == {"default": before}

    changed = client.post(f"{BACKUP}/schedule", json={"cron": "1 1 * * *", "enabled": False}).json()
    for key in ("options", "retention"):
        assert changed["schedule"][key] == before[key]
    assert (changed["schedule"]["cron"], changed["schedule"]["enabled"]) == ("1 1 * * *", False)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"frequency": "daily", "cron": "0 2 * * *"},
        {"cron": "0 2 * *"},
        {"cron": "99 2 * * *"},
        {"frequency": "daily", "timezone": "Mars/Phobos"},
    ],
)
def test_a_schedule_without_due_times_is_refused(client, body):
    """422 invalid-schedule, and nothing is kept."""
    problem(client.post(f"{BACKUP}/schedule", json=body), 422, "invalid-schedule")

    assert _schedules(client) == {}


def test_where_there_is_no_schedule_a_frequency_makes_one(client, table):
    """As a cron line that names only a frequency does; without any nothing is ever due."""
    assert _run(client).json() == {"success": True, "due": False, "next_due_at": None}

    run = done(_run(client, frequency="daily"))

    assert table in run["result"]["databases"]
    info = client.get(f"{BACKUP}/info/{run['backup_id']}").json()
    assert info["description"] == "Scheduled backup (daily)"
    made = _schedules(client)["default"]
    assert (made["last_backup_id"], made["external"]) == (run["backup_id"], True)


def test_schedules_have_names_and_can_be_switched_off(client, table):
    """One that is off is never due; changing a schedule keeps what it has done."""
    options = {"databases": [table]}
    for name, enabled in (("night", True), ("noon", False)):
        body = {**_daily()[0], "name": name, "enabled": enabled, "options": options}
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

    assert [error["field"] for error in found["errors"]] == [field]


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
    assert [failure["run_id"] for failure in status["last_failures"]] == failed[::-1]
    assert status["last_failures"][0]["error"]["code"] == "database-not-found"
