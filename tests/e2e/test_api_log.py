"""The log of a service: lines of JSON that name the run, its schedule, the request and who asked."""

import json

import pytest

from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, WAIT, done
from tests.fixtures.cli import address, wait_until


NOWHERE = "mysql://root@127.0.0.1:1/"
SCHEDULE = "nightly"


def _lines(api):
    """Return what the log says; what is for whoever started the service is no JSON."""
    return [json.loads(line) for line in api.log.splitlines() if line.startswith("{")]


@pytest.fixture
def api(own_api, server, sql, database):
    """A service with one table to back up."""
    sql.run("CREATE TABLE t AS SELECT seq FROM seq_1_to_50")
    return own_api(address(server.url, database=database)).start()


def test_the_lines_of_a_run_name_it_its_schedule_and_who_asked(api):
    """From the first to the last, as JSON, since nobody looks at a terminal."""
    client = api.client()
    schedule = {"name": SCHEDULE, "frequency": "daily"}
    assert client.post(f"{BACKUP}/schedule", json=schedule).status_code == 200
    force = {"name": SCHEDULE, "force": True}
    run = done(client.post(f"{BACKUP}/run-scheduled", json=force, headers=WAIT))
    about = [
        line
        for line in _lines(api)
        if line.get("facts", {}).get("backup_id") == run["backup_id"]
        and line["logger"] == "app.services.backups.service"
        and "database backup" in line["event"].lower()
    ]

    assert [line["event"] for line in about] == [
        "Starting database backup",
        "Database backup completed successfully",
    ]
    for line in about:
        assert (line["run_id"], line["schedule"]) == (run["run_id"], SCHEDULE)
        assert line["user"] == run["asked_by"]
        assert line["request_id"].startswith("req_")


def test_a_request_is_named_in_its_answer_and_on_the_lines_of_what_it_began(api):
    """A run that fails after the answer went out is found by either of its ids."""
    client = api.client("operator")
    answer = client.post(f"{BACKUP}/create", json={"databases": ["is-not-there"]})
    run = finished(client, answer.json()["run_id"])

    def failures():
        lines = [line for line in _lines(api) if line.get("run_id") == run["run_id"]]
        return [line for line in lines if line["event"] == "Run failed"]

    wait_until(lambda: bool(failures()), "the failure is in the log")
    (line,) = failures()
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert line["user"] == run["asked_by"] == "some-operator"
    assert line["facts"]["code"] == run["error"]["code"]
    assert "schedule" not in line


def test_a_log_file_holds_the_lines(own_api):
    """With a file, stderr has none of them; one that cannot be opened ends the start."""
    api = own_api(NOWHERE)
    api.start(LOG_FILE=str(api.home / "backstay.log"), LOG_FORMAT="line")
    client = api.client()
    finished(client, client.post(f"{BACKUP}/create").json()["run_id"])
    api.stop()
    written = (api.home / "backstay.log").read_text()

    assert "WARNING: Run failed {" in written
    assert '"user":"some-admin"' in written
    assert "Run failed" not in api.log
    api.settings["LOG_FILE"] = str(api.home / "missing" / "backstay.log")
    refused = api.cli("serve", "--port", "0")
    assert (refused.returncode, "BACKSTAY_LOG_FILE" in refused.stderr) == (12, True)
