"""Runs over HTTP while they work: followed by events, and cancelled in whichever process they are."""

import re
import signal
import subprocess
import time
import uuid
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

import pytest

from tests.corpora.shops import BIG as BIG_TABLE, BIG_BYTES, BIG_ROWS
from tests.fixtures.api import Api, claims_of, encoded, finished
from tests.fixtures.api_requests import (
    BACKUP,
    RUNS,
    WAIT,
    created,
    done,
    events,
    problem,
    until,
)
from tests.fixtures.cli import PROGRAM, SECONDS, Started, wait_until
from tests.fixtures.gate import gate
from tests.fixtures.servers import Sql


BIG = {"databases": ["big"], "codec": "none", "verify": False}
# Of rows: a run that has them is in the middle of them.
SOME_BYTES = BIG_BYTES // 4


@pytest.fixture(scope="module")
def busy(tmp_path_factory, module_server):
    """A service for a server with a table large enough to be in the middle of, and its way there."""
    with Sql(module_server.url) as sql:
        sql.script([
            *BIG_TABLE,
            "ANALYZE TABLE t",  # without it the server's estimates come later
        ])
    with gate(module_server.url) as way:
        api = Api(way.url, tmp_path_factory.mktemp("busy"))
        try:
            yield api.start(), way
        finally:
            api.close()


@contextmanager
def _held(busy, client, path="create", body=BIG, **headers):
    """Begin a run, and hold it for the block when it reads or loads; gives its id."""
    _, way = busy
    way.close_after(**{"read" if path == "create" else "sent": SOME_BYTES})
    begun = client.post(f"{BACKUP}/{path}", json=body, headers=headers)
    assert begun.status_code == 202, begun.text
    with way.held():
        yield begun.json()["run_id"]


def _progress(client, run_id):
    return client.get(f"{RUNS}/{run_id}").json()["progress"]


def _nothing_is_left(api, way):
    assert not list(api.backups.glob("*.partial"))
    with Sql(way.url) as sql:
        names = {row[0] for row in sql.run("SHOW DATABASES")}
        assert names == {"big", "mysql", "sys", "information_schema", "performance_schema"}
        assert sql.run("SELECT COUNT(*) FROM big.t") == [(BIG_ROWS,)]


# -- events ----------------------------------------------------------------------------------------


def test_events_come_with_growing_ids(busy):
    """Even when nothing moves; each holds the run, and the last one is its end."""
    client = busy[0].client()
    with ExitStack() as stack:
        with _held(busy, client) as run_id:
            response = stack.enter_context(client.stream("GET", f"{RUNS}/{run_id}/events"))
            stream = events(response)
            slow = [*islice(stream, 5)]
        rest = list(stream)

    assert response.headers["Content-Type"].startswith("text/event-stream")
    every = [*slow, *rest]
    ids = [int(event["id"]) for event in every]
    assert ids == sorted(set(ids))
    assert {event["event"] for event in every[:-1]} <= {"queued", "running"}
    assert every[-1]["event"] == "succeeded"
    run = client.get(f"{RUNS}/{run_id}").json()
    assert rest[-1]["id"] == str(run["revision"])
    assert f'"run_id":"{run_id}"' in rest[-1]["data"]


def test_events_end_with_the_login_and_not_with_the_token(busy):
    """Who is disabled is told nothing more after a few events, although the run goes on."""
    api = busy[0]
    with ExitStack() as stack:
        admin = stack.enter_context(api.client())
        body = {"name": "watcher", "password": "a long enough password", "role": "viewer"}
        admin.post("/api/admin/users", json=body).raise_for_status()
        watcher = stack.enter_context(api.client(None))
        with _held(busy, admin) as run_id:
            stream = _events_of_short_token(stack, watcher, run_id)
            while next(stream)["event"] == "running" and watcher.get(RUNS).status_code == 200:
                pass
            assert next(stream)["event"] == "running"
            admin.patch("/api/admin/users/watcher", json={"disabled": True}).raise_for_status()
            known = admin.get(f"{RUNS}/{run_id}").json()["revision"]
            rest = list(stream)
        finished(admin, run_id)

    assert {event["event"] for event in rest} <= {"running"}
    # The login is looked at each second, and a revision takes half of one at least.
    assert all(int(event["id"]) <= known + 4 for event in rest)


def _events_of_short_token(stack, watcher, run_id):
    """Follow a run with a token that is over in some seconds, and not before the events begin."""
    while True:
        # Clocks may differ by ten seconds: it is good for three more.
        soon = encoded(claims_of("viewer", sub="watcher", exp=int(time.time()) - 7))
        watcher.headers["Authorization"] = f"Bearer {soon}"
        response = stack.enter_context(watcher.stream("GET", f"{RUNS}/{run_id}/events"))
        if response.status_code == 200:
            return events(response)


def test_events_go_on_where_they_ended(busy):
    """With Last-Event-ID only newer ones come; of a run that is over the end, or nothing."""
    api, _ = busy
    client = api.client()
    run = created(client, databases=["big"], include_data=False)
    url = f"{RUNS}/{run['run_id']}/events"

    def ids(last):
        with client.stream("GET", url, headers={"Last-Event-ID": last} if last else {}) as response:
            return [int(event["id"]) for event in events(response)]

    revision = run["revision"]
    assert ids("") == ids("0") == ids(str(revision - 1)) == ids("nonsense") == [revision]
    assert ids(str(revision)) == ids(str(revision + 5)) == []


def test_progress_counts_up_to_its_totals(busy):
    """While a run works its counters are between nothing and their totals, which are estimates."""
    client = busy[0].client()
    with _held(busy, client) as run_id:
        until(client, run_id, "dump")
        # What was counted is written down a moment later.
        wait_until(lambda: _progress(client, run_id)["bytes_done"] > 0, "something is counted")
        progress = _progress(client, run_id)
        status = client.get(f"{BACKUP}/status").json()
    run = finished(client, run_id)

    assert (progress["phase"], progress["tables_total"]) == ("dump", 1)
    assert 0 <= progress["rows_done"] <= BIG_ROWS
    assert 0 < progress["bytes_done"] <= progress["bytes_total"]
    assert progress["rows_done"] <= progress["rows_total"]
    assert progress["elapsed"] >= 0
    assert [run["run_id"] for run in status["running"]] == [run_id]
    assert run["progress"]["rows_done"] == BIG_ROWS


# -- cancelling ------------------------------------------------------------------------------------


def test_a_backup_is_cancelled_while_it_reads(busy):
    """It ends as cancelled, leaves nothing, and whoever waits gets 409; a second time it is over."""
    api, way = busy
    client = api.client()
    with _held(busy, client) as run_id:
        asked = client.post(f"{RUNS}/{run_id}/cancel")
        again = client.post(f"{RUNS}/{run_id}/cancel")
    run = finished(client, run_id)

    assert (asked.status_code, asked.json()["cancel_requested"]) == (202, True)
    if again.status_code != 202:  # it was over already
        problem(again, 409, "not-cancellable")
    assert (run["state"], run["success"], run["error"]["code"]) == ("cancelled", False, "cancelled")
    assert run["result"] is None
    _nothing_is_left(api, way)
    problem(client.post(f"{RUNS}/{run_id}/cancel"), 409, "not-cancellable")
    created(client, databases=["big"], include_data=False)  # the lock is let go


def test_whoever_waits_for_a_cancelled_run_is_told(busy):
    """409 with the code `cancelled`, by the key that began it."""
    client = busy[0].client()
    key = {"Idempotency-Key": uuid.uuid4().hex}
    with _held(busy, client, **key) as run_id:
        client.post(f"{RUNS}/{run_id}/cancel")
    finished(client, run_id)

    found = client.post(f"{BACKUP}/create", json=BIG, headers={**key, **WAIT})

    assert problem(found, 409, "cancelled")["run_id"] == run_id


def test_a_restore_is_cancelled_while_it_loads(busy):
    """The live tables are those of before, and no schema of ours is left; an operator may not."""
    api, way = busy
    client = api.client()
    backup_id = created(client, **BIG)["backup_id"]
    body = {"create_backup": False, "verify_before": False}
    with _held(busy, client, f"restore/{backup_id}", body) as run_id:
        refused = api.client("operator").post(f"{RUNS}/{run_id}/cancel")
        client.post(f"{RUNS}/{run_id}/cancel")
    run = finished(client, run_id)

    problem(refused, 403, "not-authorized")
    assert (run["kind"], run["state"], run["error"]["code"]) == (
        "restore",
        "cancelled",
        "cancelled",
    )
    _nothing_is_left(api, way)


def test_a_drill_is_cancelled_by_an_operator(busy):
    """What anybody may begin who operates, they may end as well."""
    api, way = busy
    client = api.client("operator")
    backup_id = created(client, **BIG)["backup_id"]
    with _held(busy, client, f"test-restore/{backup_id}", {"drill": True}) as run_id:
        client.post(f"{RUNS}/{run_id}/cancel")

    assert finished(client, run_id)["state"] == "cancelled"
    _nothing_is_left(api, way)


# -- the command line ------------------------------------------------------------------------------


def _command(api, *arguments):
    return Started(
        [PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=api.home,
        env=api.environment,
    )


def _working(client):
    """Return the run of a command when it reads rows."""
    found: list[dict[str, Any]] = []

    def reads():
        status = client.get(f"{BACKUP}/status").json()
        found[:] = [
            run
            for run in status["running"]
            if run["origin"] == "cli" and run["progress"] and run["progress"]["phase"] == "dump"
        ]
        return bool(found)

    wait_until(reads, "the API shows the run of the command")
    return found[0]


def test_a_command_is_shown_and_cancelled_by_the_api(busy):
    """The API shows its run with progress; cancelled there, the command exits with 130."""
    api, way = busy
    client = api.client()
    way.close_after(read=SOME_BYTES)
    with _command(api, "backup", "create", "--codec", "none") as process:
        with way.held():
            run = _working(client)
            refused = client.post(f"{BACKUP}/create", json=BIG)
            cancelled = client.post(f"{RUNS}/{run['run_id']}/cancel")
            known = cancelled.json()["revision"]
            url = f"{RUNS}/{run['run_id']}"
            wait_until(lambda: client.get(url).json()["revision"] > known, "it has looked")
        out, err = process.communicate(timeout=SECONDS)

    assert re.fullmatch(r"os:\S+", run["asked_by"])
    assert run["progress"]["tables_total"] == 1
    assert problem(refused, 409, "already-running")["run_id"] == run["run_id"]
    assert cancelled.status_code == 202
    assert (process.returncode, out) == (130, "")
    assert "Cancelled: nothing was left behind" in err
    ended = client.get(f"{RUNS}/{run['run_id']}").json()
    assert (ended["state"], ended["error"]["code"]) == ("cancelled", "cancelled")
    _nothing_is_left(api, way)


def test_a_command_finds_the_run_of_the_api_in_its_way(busy):
    """The lock is one for both: exit 11, and the run of the API is named."""
    api, _ = busy
    client = api.client()
    with _held(busy, client) as run_id:
        result = api.cli("backup", "create", "--json")
    finished(client, run_id)

    assert result.returncode == 11
    assert '"code": "already-running"' in result.stdout
    assert run_id in result.stdout


def test_the_run_of_a_killed_command_is_not_alive_for_ever(busy):
    """After a restart of the service it has failed with run-interrupted, and its file is gone."""
    api, way = busy
    client = api.client()
    way.close_after(read=SOME_BYTES)
    with _command(api, "backup", "create", "--codec", "none") as process, way.held():
        run = _working(client)
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
    api.stop()
    client = api.start().client()

    ended = finished(client, run["run_id"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", "run-interrupted")
    _nothing_is_left(api, way)
    done(client.post(f"{BACKUP}/create", json={**BIG, "include_data": False}, headers=WAIT))
