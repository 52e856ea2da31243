"""A service that is stopped while it drills leaves no schema behind, now or after its next start."""

import time

import pytest

from tests.fixtures.accounts import databases
from tests.fixtures.api_requests import BACKUP, created
from tests.fixtures.cli import wait_until
from tests.fixtures.proxy import Fault, proxy
from tests.fixtures.series import series


# One attempt to end its query, and one to put it in order; a connection is waited for ten seconds, here five.
MOST_SECONDS = 40
# Drills begin one after another: so long takes each that half of them are at work at once.
COUNT, ROWS = series((4, 20_000), (12, 200_000))


@pytest.fixture
def filled(sql, database):
    """A database that takes a moment to load."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(250), KEY (s))",
        f"INSERT INTO t SELECT seq, CONCAT(SHA2(seq, 512), MD5(seq)) FROM seq_1_to_{ROWS}",
        "CREATE TABLE u SELECT * FROM t",
    ])
    return database


def scratch(sql):
    """Schemas that restores made for themselves."""
    return [name for name in databases(sql) if "__bk_new_" in name]


@pytest.mark.long
def test_drills_that_are_stopped_leave_nothing(own_api, server, sql, filled):
    """Each cleans up before the process ends; what it could not, the next start drops and says so."""
    api = own_api(server.url).start(MAX_DRILLS=str(COUNT), MAX_SERVER_CONNECTIONS="200")
    client = api.client()
    backup_id = created(client, databases=[filled])["backup_id"]
    for _ in range(COUNT):
        answer = client.post(f"{BACKUP}/test-restore/{backup_id}", json={"drill": True})
        assert answer.status_code == 202, answer.text
    wait_until(lambda: len(scratch(sql)) >= COUNT // 2, "they are at work")

    assert api.stop() == 0
    left = scratch(sql)
    if left:
        client = api.start().client()
        wait_until(lambda: not scratch(sql), "the next start drops them")
        assert api.log.count("Interrupted restore was repaired") >= len(left)
    runs = api.start().client().get("/api/admin/runs", params={"kind": "drill"}).json()["runs"]
    assert {run["state"] for run in runs} <= {"cancelled", "succeeded"}
    assert not list((api.state / "recoveries").glob("restore_*.json"))


@pytest.mark.waits
def test_a_service_stops_although_its_server_is_silent(own_api, server, sql, filled):
    """The way to it is silent while a drill cleans up: no step waits for ever, and the next start drops the rest."""
    with proxy(server.url, Fault.STALL, 1 << 40) as way:
        api = own_api(way.url).start(TIMEOUT="5")
        client = api.client()
        backup_id = created(client, databases=[filled])["backup_id"]
        client.post(f"{BACKUP}/test-restore/{backup_id}", json={"drill": True})
        wait_until(lambda: bool(scratch(sql)), "it is at work")
        way.limit = 0
        began = time.monotonic()

        assert api.stop() == 0
        assert time.monotonic() - began < MOST_SECONDS
        left = scratch(sql)
        way.limit = 1 << 40
        client = api.start().client()
        wait_until(lambda: not scratch(sql), "the next start drops them")
        (run,) = client.get("/api/admin/runs", params={"kind": "drill"}).json()["runs"]
    assert left
    assert run["state"] == "cancelled"
