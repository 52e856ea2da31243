"""The service in the middle of its work: stopped, told to wait, killed, or with a server that does not move."""

import signal
import threading
import time

import pytest

from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, RUNS, caught, created, events
from tests.fixtures.cli import SECONDS, Frozen
from tests.fixtures.servers import OwnServers, Sql


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory, server_template):
    """A server that may be stopped, with a table large enough to be caught at."""
    servers = OwnServers(tmp_path_factory.mktemp("stoppable"), server_template)
    server = servers()
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE big",
            "USE big",
            "CREATE TABLE t (id INT PRIMARY KEY, noise TEXT)",
            "INSERT INTO t SELECT seq, REPEAT(SHA2(seq, 512), 2) FROM seq_1_to_60000",
        ])
    yield server
    servers.close()


def _begin(api):
    """Begin a backup, and wait until it writes rows."""
    client = api.client()
    body = {"databases": ["big"], "codec": "none", "verify": False}

    def begin():
        run_id: str = client.post(f"{BACKUP}/create", json=body).json()["run_id"]
        return run_id

    return caught(client, begin, lambda: any(api.backups.glob("*.partial")))


def test_a_service_that_is_stopped_cancels_what_it_does(own_api, stoppable):
    """SIGTERM: exit 0, streams of events end, nothing is left, and the history says `cancelled`."""
    api = own_api(stoppable.url).start()
    run_id = _begin(api)
    seen: list[dict[str, str]] = []

    def follow():
        with api.client().stream("GET", f"{RUNS}/{run_id}/events") as response:
            seen.extend(events(response))

    with Frozen(stoppable.pid):
        follower = threading.Thread(target=follow)
        follower.start()
        time.sleep(0.7)
        assert api.process is not None
        api.process.send_signal(signal.SIGTERM)
        follower.join(SECONDS)
    code = api.process.wait(SECONDS)
    left = list(api.backups.glob("*.partial"))
    run = api.start().client().get(f"{RUNS}/{run_id}").json()

    assert code == 0
    assert seen
    assert left == []
    assert (run["state"], run["error"]["code"]) == ("cancelled", "cancelled")
    assert "Traceback" not in api.log
    assert api.stop(signal.SIGINT) == 0


def test_a_service_that_is_told_to_wait_ends_what_it_does(own_api, stoppable):
    """With BACKSTAY_SHUTDOWN_SECONDS a running backup is finished first."""
    api = own_api(stoppable.url).start(SHUTDOWN_SECONDS="30")
    run_id = _begin(api)
    with Frozen(stoppable.pid):
        assert api.process is not None
        api.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert api.process.poll() is None
    code = api.process.wait(SECONDS)
    client = api.start().client()
    run = client.get(f"{RUNS}/{run_id}").json()

    assert (code, run["state"]) == (0, "succeeded")
    assert client.get(f"{BACKUP}/info/{run['backup_id']}").json()["rows_count"] == 60_000


def test_a_service_that_was_killed_tells_how_its_run_ended(own_api, stoppable):
    """After a restart the run has failed with run-interrupted, and its file is swept."""
    api = own_api(stoppable.url).start()
    run_id = _begin(api)
    with Frozen(stoppable.pid):
        api.kill()
    run = finished(api.start().client(), run_id)

    assert (run["state"], run["error"]["code"]) == ("failed", "run-interrupted")
    assert not list(api.backups.glob("*.partial"))
    assert created(api.client(), include_data=False)["state"] == "succeeded"


def test_a_server_that_does_not_move_ends_the_run(own_api, stoppable):
    """It fails after BACKSTAY_TIMEOUT, in a statement or where it opens a connection; nothing is left."""
    api = own_api(stoppable.url).start(TIMEOUT="1")
    run_id = _begin(api)
    with Frozen(stoppable.pid):
        run = finished(api.client(), run_id)

    assert run["state"] == "failed"
    assert run["error"]["code"] in {"stalled", "connection-failed"}
    assert not list(api.backups.glob("*.partial"))
