"""The service in the middle of its work: stopped, told to wait, killed, or with a server that does not move."""

import signal
from contextlib import contextmanager

import pytest

from tests.corpora.shops import BIG, BIG_BYTES, BIG_ROWS
from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, RUNS, created, events
from tests.fixtures.cli import SECONDS, wait_until
from tests.fixtures.gate import gate
from tests.fixtures.servers import Sql


@pytest.fixture(scope="module")
def way(module_server):
    """The way to a server with a table large enough to be in the middle of."""
    with Sql(module_server.url) as sql:
        sql.script(BIG)
    with gate(module_server.url) as made:
        yield made


@contextmanager
def _held(api, way):
    """Begin a backup, and hold it for the block when it writes rows; gives its id."""
    way.close_after(read=BIG_BYTES // 4)
    run_id = _begun(api)
    with way.held():
        wait_until(lambda: any(api.backups.glob("*.partial")), "it writes what it has")
        yield run_id


def _begun(api):
    body = {"databases": ["big"], "codec": "none", "verify": False}
    return api.client().post(f"{BACKUP}/create", json=body).json()["run_id"]


def test_a_service_that_is_stopped_cancels_what_it_does(own_api, way):
    """SIGTERM: exit 0, streams of events end, nothing is left, and the history says `cancelled`."""
    api = own_api(way.url).start()
    with (
        _held(api, way) as run_id,
        api.client().stream("GET", f"{RUNS}/{run_id}/events") as response,
    ):
        stream = events(response)
        seen = [next(stream)]
        api.process.send_signal(signal.SIGTERM)
        seen.extend(stream)
    code = api.process.wait(SECONDS)
    left = list(api.backups.glob("*.partial"))
    run = api.start().client().get(f"{RUNS}/{run_id}").json()

    assert code == 0
    assert {event["event"] for event in seen} <= {"running", "cancelled"}
    assert left == []
    assert (run["state"], run["error"]["code"]) == ("cancelled", "cancelled")
    assert "Traceback" not in api.log
    assert api.stop(signal.SIGINT) == 0


def test_a_service_that_is_told_to_wait_ends_what_it_does(own_api, way):
    """With BACKSTAY_SHUTDOWN_SECONDS a running backup is finished first."""
    api = own_api(way.url).start(SHUTDOWN_SECONDS="60")
    with _held(api, way) as run_id:
        api.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not api.answers(), "it has begun to stop")
        assert api.process.poll() is None
    code = api.process.wait(SECONDS)
    client = api.start().client()
    run = client.get(f"{RUNS}/{run_id}").json()

    assert (code, run["state"]) == (0, "succeeded")
    assert client.get(f"{BACKUP}/info/{run['backup_id']}").json()["rows_count"] == BIG_ROWS


def test_a_service_that_was_killed_tells_how_its_run_ended(own_api, way):
    """After a restart the run has failed with run-interrupted, and its file is swept."""
    api = own_api(way.url).start()
    with _held(api, way) as run_id:
        api.kill()
    run = finished(api.start().client(), run_id)

    assert (run["state"], run["error"]["code"]) == ("failed", "run-interrupted")
    assert not list(api.backups.glob("*.partial"))
    assert created(api.client(), include_data=False)["state"] == "succeeded"


def test_a_server_that_does_not_move_ends_the_run(own_api, way):
    """It fails after BACKSTAY_TIMEOUT, in a statement or where it opens a connection; nothing is left."""
    api = own_api(way.url).start(TIMEOUT="1")
    # Whether it comes to the gate or a busy machine is silent before: it cannot pass.
    way.close_after(read=BIG_BYTES // 4)
    run = finished(api.client(), _begun(api))
    way.open()

    assert run["state"] == "failed"
    assert run["error"]["code"] in {"stalled", "connection-failed"}
    assert not list(api.backups.glob("*.partial"))
