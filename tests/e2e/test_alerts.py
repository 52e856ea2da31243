"""Alerts by command and over HTTP: a program, a service, and an endpoint that hears of them."""

import asyncio
import time

import pytest

from tests.fixtures.api_requests import BACKUP, WAIT, problem
from tests.fixtures.cli import address as at_server


ALERTS = "/api/admin/alerts"
SECRETS = ("keeper", "hunter2", "T1JJ3T3L2")


@pytest.fixture
def address(endpoint) -> str:
    """Where alerts go, with a password and a token."""
    return f"json://keeper:hunter2-is-secret@127.0.0.1:{endpoint.port}/T1JJ3T3L2"


async def test_a_test_says_who_has_got_it(cli, endpoint, address):
    """Exit 0 when all have; nothing that is printed has a secret in it, and the list remembers."""
    settings = {"ALERT_URLS": f"{address} disk={address}/disk", "STATE_DIR": str(cli.home / "s")}
    document = await asyncio.to_thread(cli.json, "alert", "test", **settings)
    shown = await asyncio.to_thread(cli, "alert", "test", **settings)
    endpoint.status = 500
    failed = await asyncio.to_thread(cli.json, "alert", "test", code=23, **settings)
    told = await asyncio.to_thread(cli, "--verbose", "alert", "test", **settings)
    listed = await asyncio.to_thread(cli.json, "alert", "list", "--limit", "2", **settings)
    table = await asyncio.to_thread(cli, "alert", "list", **settings)
    lasting = await asyncio.to_thread(cli, "alert", "list", "--open", **settings)

    names = ["json://127.0.0.1", "json://127.0.0.1 (2)"]
    assert [target["target"] for target in document["targets"]] == names
    assert [target["arrived"] for target in document["targets"]] == [True, True]
    assert [target["error"] for target in failed["targets"]] == ["http-500"] * 2
    assert (failed["error"]["code"], failed["error"]["retryable"]) == ("delivery", True)
    assert (shown.code, told.code, table.code) == (0, 23, 0)
    assert "Not delivered: 2 of 2 targets did not take the message" in told.err
    assert [alert["deliveries"][0]["error"] for alert in listed["alerts"]] == ["http-500"] * 2
    assert (listed["total"], "http-500" in table.out) == (4, True)
    assert lasting.out == "No alerts.\n"
    assert {request.path for request in endpoint.got} == {"/T1JJ3T3L2", "/T1JJ3T3L2/disk"}
    everything = [document, shown, failed, told, listed, table]
    assert [secret for secret in SECRETS if secret in str(everything)] == []


async def test_a_test_needs_no_control_database(cli, endpoint, address, tmp_path):
    """Then it is not remembered."""
    (tmp_path / "file").touch()
    settings = {"ALERT_URLS": address, "CONTROL_URL": f"sqlite:///{tmp_path}/file/control.db"}
    document = await asyncio.to_thread(cli.json, "alert", "test", **settings)

    assert [target["arrived"] for target in document["targets"]] == [True]
    assert len(endpoint.got) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "BACKSTAY_ALERT_URLS is not set"),
        ("syslog://hunter2", "BACKSTAY_ALERT_URLS: the scheme 'syslog' is not allowed"),
        ("slack://hunter2", "BACKSTAY_ALERT_URLS: address 1, a slack, is not understood"),
    ],
)
def test_addresses_that_make_no_sense_are_refused(cli, url, message):
    """By the variable and the scheme; without an address there is nothing to try."""
    result = cli("alert", "test", "--json", ALERT_URLS=url)

    assert (result.code, result.document["error"]["message"]) == (12, message)
    assert "hunter2" not in result.out + result.err


async def test_alerts_over_http_go_out_and_tell_no_secret(own_api, server, endpoint, address):
    """A test goes out and is in the list; nothing that the service answers or logs has a secret."""
    api = own_api(server.url)
    await asyncio.to_thread(api.start, ALERT_URLS=address)
    admin, viewer = api.client(), api.client("viewer")

    tested = await asyncio.to_thread(admin.post, f"{ALERTS}/test")
    endpoint.status = 403
    failed = await asyncio.to_thread(admin.post, f"{ALERTS}/test")
    listed = await asyncio.to_thread(viewer.get, ALERTS)
    lasting = await asyncio.to_thread(viewer.get, ALERTS, params={"open": "true", "kind": "test"})

    target = "json://127.0.0.1"
    assert tested.json() == {
        "success": True,
        "targets": [{"target": target, "arrived": True, "error": ""}],
    }
    assert (failed.status_code, failed.json()["success"]) == (200, False)
    assert [alert["kind"] for alert in listed.json()["alerts"]] == ["test", "test"]
    (newest,) = listed.json()["alerts"][0]["deliveries"]
    assert (newest["target"], newest["tone"], newest["error"]) == (target, "test", "http-403")
    assert lasting.json()["total"] == 0
    answers = "".join(answer.text for answer in (tested, failed, listed, lasting))
    assert [secret for secret in SECRETS if secret in answers + api.log] == []


async def test_a_scheduled_backup_that_fails_is_told(
    own_api, server, sql, database, endpoint, address
):
    """To people and to the dead-man service, also when it is well again; each once, with its run."""
    api = own_api(server.url)
    ping = f"http://127.0.0.1:{endpoint.port}/ping"
    await asyncio.to_thread(api.start, ALERT_URLS=address, PING_URLS=f"nightly={ping}")
    client = api.client()
    options = {"databases": [f"{database}_b"]}
    schedule = {"name": "nightly", "frequency": "daily", "options": options}
    assert client.post(f"{BACKUP}/schedule", json=schedule).is_success

    def run():
        body = {"name": "nightly", "force": True}
        return client.post(f"{BACKUP}/run-scheduled", json=body, headers=WAIT)

    failed = await asyncio.to_thread(run)
    await endpoint.until(3)
    sql.run(f"CREATE DATABASE {database}_b")
    made = await asyncio.to_thread(run)
    got = await endpoint.until(6)
    sql.run(f"DROP DATABASE {database}_b")

    assert (failed.status_code, made.status_code) == (404, 200)
    pings = [request.path for request in got if request.path.startswith("/ping")]
    assert pings == ["/ping/start", "/ping/fail", "/ping/start", "/ping"]
    alarm, recovery = (request.document for request in got if request.path == "/T1JJ3T3L2")
    assert alarm["title"].startswith("Backstay: failure - nightly (")
    assert failed.json()["run_id"] in alarm["message"]
    assert recovery["title"].startswith("Backstay: well again - failure - nightly (")
    assert api.stop() == 0
    assert len(endpoint.got) == 6
    assert [secret for secret in SECRETS if secret in api.log] == []


async def test_no_backup_waits_for_whoever_is_told(own_api, server, database, endpoint, address):
    """The endpoint takes connections and never answers; work and its end go on as ever."""
    endpoint.status = 0
    api = own_api(server.url)
    ping = f"http://127.0.0.1:{endpoint.port}/ping"
    await asyncio.to_thread(api.start, ALERT_URLS=address, PING_URLS=ping)
    client = api.client()
    schedule = {"frequency": "daily", "options": {"databases": [database]}}
    assert client.post(f"{BACKUP}/schedule", json=schedule).is_success

    def work() -> float:
        began = time.monotonic()
        wrong = {"databases": [f"{database}_nothing"]}
        assert client.post(f"{BACKUP}/create", json=wrong, headers=WAIT).status_code == 404
        assert client.post(f"{BACKUP}/run-scheduled", headers=WAIT).status_code == 200
        return time.monotonic() - began

    seconds = await asyncio.to_thread(work)
    got = await endpoint.until(2)

    # A message may take 20, and pings 21.
    assert seconds < 15
    assert {request.path for request in got} == {"/T1JJ3T3L2", "/ping/start"}


async def test_cron_tells_before_it_ends(cli, server, endpoint, address):
    """Its backup has failed, and there is no service that would tell."""
    cli.url = at_server(server.url, database="there_is_no_such_database")
    ping = f"http://127.0.0.1:{endpoint.port}/ping"
    settings = {"ALERT_URLS": address, "PING_URLS": ping, "STATE_DIR": str(cli.home / "s")}
    result = await asyncio.to_thread(cli, "cron", "--frequency", "daily", **settings)

    assert result.code == 10
    paths = [request.path for request in endpoint.got]
    assert sorted(paths) == ["/T1JJ3T3L2", "/ping/fail", "/ping/start"]
    (alarm,) = (request.document for request in endpoint.got if request.path == "/T1JJ3T3L2")
    assert alarm["title"].startswith("Backstay: failure - ")


def test_a_service_with_an_address_that_makes_no_sense_does_not_start(cli):
    """It says which variable and which scheme, and ends."""
    result = cli("serve", "--port", "0", ALERT_URLS="json://h syslog://hunter2")

    assert result.code == 12
    assert "BACKSTAY_ALERT_URLS: the scheme 'syslog' is not allowed" in result.err
    assert "hunter2" not in result.out + result.err


def test_without_addresses_a_test_is_refused(shared_api):
    """There is nobody to send it to."""
    answer = shared_api.client().post(f"{ALERTS}/test")

    assert "BACKSTAY_ALERT_URLS is not set" in problem(answer, 422, "invalid-request")["detail"]
