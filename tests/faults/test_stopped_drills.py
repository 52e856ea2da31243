"""A service that is stopped while it drills leaves no schema behind, now or after its next start."""

import signal

import pytest

from tests.fixtures.accounts import databases
from tests.fixtures.api_requests import BACKUP, created
from tests.fixtures.cli import SECONDS, wait_until
from tests.fixtures.gate import gate
from tests.fixtures.series import series


COUNT = series(4, 12)
# Of rows, less than a drill loads: whoever begins is held before it is over.
SOME_BYTES = 1 << 20


@pytest.fixture
def filled(sql, database):
    """A database of 4 MB."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(250), KEY (s))",
        "INSERT INTO t SELECT seq, CONCAT(SHA2(seq, 512), MD5(seq)) FROM seq_1_to_12000",
        "CREATE TABLE u SELECT * FROM t",
    ])
    return database


def scratch(sql):
    """Schemas that restores made for themselves."""
    return [name for name in databases(sql) if "__bk_new_" in name]


@pytest.mark.long
def test_drills_that_are_stopped_leave_nothing(own_api, server, sql, filled):
    """Each cleans up before the process ends; what it could not, the next start drops and says so."""
    with gate(server.url) as way:
        api = own_api(way.url).start(MAX_DRILLS=str(COUNT), MAX_SERVER_CONNECTIONS="200")
        client = api.client()
        backup_id = created(client, databases=[filled])["backup_id"]
        way.close_after(sent=SOME_BYTES)
        for _ in range(COUNT):
            answer = client.post(f"{BACKUP}/test-restore/{backup_id}", json={"drill": True})
            assert answer.status_code == 202, answer.text
        with way.held():
            assert scratch(sql)
            api.process.send_signal(signal.SIGTERM)

        assert api.process.wait(SECONDS) == 0
        left = scratch(sql)
        if left:
            client = api.start().client()
            wait_until(lambda: not scratch(sql), "the next start drops them")
            assert api.log.count("Interrupted restore was repaired") >= len(left)
        runs = api.start().client().get("/api/admin/runs", params={"kind": "drill"}).json()["runs"]
        assert {run["state"] for run in runs} == {"cancelled"}
        assert not list((api.state / "recoveries").glob("restore_*.json"))


@pytest.mark.waits
def test_a_service_stops_although_its_server_is_silent(own_api, server, sql, filled):
    """The way to it is silent while a drill cleans up: no step waits for ever, and the next start drops the rest."""
    with gate(server.url) as way:
        api = own_api(way.url).start(TIMEOUT="5")
        client = api.client()
        backup_id = created(client, databases=[filled])["backup_id"]
        way.close_after(sent=SOME_BYTES)
        client.post(f"{BACKUP}/test-restore/{backup_id}", json={"drill": True})
        with way.held():
            assert api.stop() == 0
        left = scratch(sql)
        client = api.start().client()
        wait_until(lambda: not scratch(sql), "the next start drops them")
        (run,) = client.get("/api/admin/runs", params={"kind": "drill"}).json()["runs"]
    assert left
    assert run["state"] == "cancelled"
