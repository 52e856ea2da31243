"""The service itself: health, headers, TLS, its end, and what it never tells."""

import asyncio
import json
import re
import socket
import sqlite3
import ssl

import httpx
import pytest

from app.api.middleware import HeadAsGet
from tests.fixtures.api import SECRET, Api
from tests.fixtures.api_requests import (
    BACKUP,
    NO_BACKUP,
    NO_RUN,
    RUNS,
    WAIT,
    created,
    problem,
)
from tests.fixtures.certificates import make_certificates


NOWHERE = "mysql://root@127.0.0.1:1/"
_CONTROL = "control-unavailable"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


# -- health ----------------------------------------------------------------------------------------


def test_a_service_is_alive_and_ready(shared_api):
    """Both without a token; ready names its checks."""
    client = shared_api.client(None)

    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "checks": {
            "control database": "ok",
            "backup directory": "ok",
            "state directory": "ok",
            "server": "ok",
        },
    }


def test_a_service_without_its_server_is_alive_but_not_ready(own_api):
    """503 names the check and its error; the directory is found out in the same way."""
    api = own_api(NOWHERE)
    api.settings["BACKUP_DIR"] = str(api.home / "file" / "backups")
    (api.home / "file").write_text("no directory")
    client = api.start().client(None)

    ready = client.get("/readyz")

    assert client.get("/healthz").status_code == 200
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    checks = ready.json()["checks"]
    assert (checks["control database"], checks["server"]) == ("ok", "connection-failed")
    assert checks["backup directory"].startswith("storage")
    made = api.client().post(f"{BACKUP}/create", headers=WAIT)
    problem(made, 502, "connection-failed")


def test_a_service_without_its_directory_answers_507(own_api, server):
    """A backup that cannot be written is a problem of storage, and its run says so."""
    api = own_api(server.url)
    api.settings["BACKUP_DIR"] = str(api.home / "file" / "backups")
    (api.home / "file").write_text("no directory")
    client = api.start().client()

    answer = client.post(f"{BACKUP}/create", json={"include_data": False}, headers=WAIT)

    assert answer.status_code == 507
    assert answer.json()["code"].startswith("storage")
    assert str(api.home) not in answer.text


def test_a_service_without_its_history_answers_503(own_api):
    """Nothing is confirmed that cannot be written down, and ready names the control database."""
    api = own_api(NOWHERE).start()
    client = api.client()
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute("DROP TABLE audit")
        control.execute("DROP TABLE runs")
    control.close()

    problem(client.get(RUNS), 503, _CONTROL)
    problem(client.post(f"{BACKUP}/schedule", json={"frequency": "daily"}), 503, _CONTROL)
    problem(client.post(f"{BACKUP}/create"), 503, _CONTROL)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["control database"]) == (503, _CONTROL)


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/docs", 200),
        ("GET", "/openapi.json", 200),
        ("GET", f"{BACKUP}/list", 200),
        ("GET", "/nowhere", 404),
        ("GET", f"{RUNS}/{NO_RUN}", 404),
        ("PUT", f"{BACKUP}/list", 405),
        ("GET", f"{BACKUP}/list?x=1", 422),
        ("GET", f"{BACKUP}/status", 401),
        ("POST", f"{BACKUP}/create", 413),
    ],
)
def test_every_kind_of_answer_has_the_headers(shared_api, method, path, status):
    """Browsers are told to trust nothing, whatever the answer is; nothing names the server program."""
    client = shared_api.client(None if status == 401 else "admin")
    content = b"x" * 300_000 if status == 413 else None

    answer = client.request(method, path, content=content)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src" in answer.headers["Content-Security-Policy"]
    assert "Server" not in answer.headers
    assert "Strict-Transport-Security" not in answer.headers
    if status >= 400:
        problem(answer, status, answer.json()["code"])
    if status == 405:
        assert answer.headers["Allow"]


def test_tls_is_spoken_with_the_files_that_are_given(own_api):
    """Over HTTPS browsers are told to stay there; without TLS nobody is answered."""
    api = own_api(NOWHERE)
    files = make_certificates(api.home / "tls", "127.0.0.1")
    api.start("--tls-cert", str(files.certificate), "--tls-key", str(files.key))

    trusted = ssl.create_default_context(cafile=files.ca)
    answer = httpx.get(f"{api.url}/healthz", verify=trusted)

    assert api.url.startswith("https://")
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{api.url}/healthz".replace("https", "http"))


# -- refusals to start -----------------------------------------------------------------------------


def _refused(api, *arguments):
    result = api.cli("serve", "--json", *arguments)
    assert "Traceback" not in result.stderr
    return result.returncode, json.loads(result.stdout)["error"]


def test_a_port_that_is_taken_is_told(own_api):
    """Exit 12 with the port in the message."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, error = _refused(own_api(NOWHERE), "--port", port)

    assert (code, error["code"]) == (12, "invalid-request")
    assert f"port {port}: address already in use" in error["message"]
    assert "--port" in error["hint"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADS", "many"),
        ("CONTROL_URL", "oracle://hidden-word@x/y"),
        ("ADMIN_PASSWORD", "hidden"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(own_api, name, value):
    """Exit 12 with the name of the variable, and without its value."""
    api = own_api(NOWHERE)
    api.settings[name] = value

    code, error = _refused(api, "--port", "0")

    assert code == 12
    assert f"BACKSTAY_{name}" in error["message"] + error["hint"], error
    assert "hidden" not in json.dumps(error)


def test_a_certificate_that_is_none_is_told(own_api):
    """Exit 12, and nothing listens."""
    api = own_api(NOWHERE)
    (api.home / "no.pem").write_text("no certificate")

    assert _refused(api, "--port", "0", "--tls-cert", "no.pem")[0] == 12


# -- what it never tells ---------------------------------------------------------------------------


def test_no_answer_and_no_log_tells_a_secret_or_a_path(own_api, server, sql, database):
    """A tour of all routes, good and bad: nowhere a password, a secret, a token, or a directory."""
    sql.script(["CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES ('private words')"])
    sql.run("CREATE USER tourist IDENTIFIED BY 'pw-of-the-server'")
    sql.run("GRANT ALL ON *.* TO tourist")
    api = own_api(server.url.replace("//root", "//tourist:pw-of-the-server"))
    try:
        told, tokens = _tour(api.start(ADMIN_PASSWORD="pw-of-the-admin"), database)
        sql.run("DROP USER tourist")
    finally:
        sql.run("DROP USER IF EXISTS tourist")
    told.append(api.log)

    hidden = ["pw-of-", SECRET, "private words", "private_word", str(api.home), "argon2", *tokens]
    text = "\n".join(told)
    assert [secret for secret in hidden if secret in text.replace("\\/", "/")] == []
    assert not re.search(r"/(tmp|run|var|home|root|usr)/", text)
    assert "Traceback" not in text


def _tour(api: Api, database: str) -> tuple[list[str], list[str]]:
    """Ask for everything; returns what was answered, tokens apart, and the tokens."""
    told: list[str] = []

    def note(response: httpx.Response) -> None:
        response.read()
        assert response.status_code != 500 or response.json()["code"] != "internal", response.text
        if response.url.path not in {"/api/auth/token", "/api/auth/refresh"}:
            told.append(f"{response.headers}\n")
            if "/download/" not in response.url.path:
                told.append(response.text)

    client = api.client(event_hooks={"response": [note]})
    form = {"username": "admin", "password": "pw-of-the-admin"}
    grant = client.post("/api/auth/token", data=form).json()
    client.post("/api/auth/token", data={**form, "password": "pw-of-private_word"})
    run = created(client, databases=[database])
    for path in ("list", "schedule", "status", "nowhere"):
        client.get(f"{BACKUP}/{path}")
    for backup_id in (run["backup_id"], NO_BACKUP):
        _look_around(client, backup_id)
    client.post(f"{BACKUP}/schedule", json={"frequency": "daily"})
    client.post(f"{BACKUP}/run-scheduled", headers=WAIT)
    client.post(f"{BACKUP}/create", json={"databases": ["not_there"]}, headers=WAIT)
    body = {"name": "zoe", "password": "pw-of-zoe-here", "role": "viewer"}
    for _ in range(2):
        client.post("/api/admin/users", json=body)
    client.patch("/api/admin/users/zoe", json={"password": "pw-of-x"})
    for path in ("users", "audit", "runs", f"runs/{run['run_id']}", f"runs/{run['run_id']}/events"):
        client.get(f"/api/admin/{path}")
    client.post(f"{RUNS}/{run['run_id']}/cancel")
    _damage(api, client, run)
    return told, [grant["access_token"], grant["refresh_token"]]


def _look_around(client: httpx.Client, backup_id: str) -> None:
    """Ask for all that can be done with a backup."""
    for path in ("info", "recovery-options", "download"):
        client.get(f"{BACKUP}/{path}/{backup_id}")
    for path in ("verify", "test-restore", "restore", "undo"):
        client.post(f"{BACKUP}/{path}/{backup_id}", headers=WAIT)


def _damage(api: Api, client: httpx.Client, run: dict[str, dict[str, str]]) -> None:
    """Let files be broken in all ways, and look at them."""
    file = api.backups / run["result"]["file"]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    for path in ("verify", "restore", "test-restore"):
        client.post(f"{BACKUP}/{path}/{run['backup_id']}", headers=WAIT)
    client.get(f"{BACKUP}/download/{run['backup_id']}")
    file.with_name(f"{file.name}.manifest.json").write_text("{")
    (api.backups / "schedule.json").write_text("{")
    for path in ("list", "status", "schedule", f"info/{run['backup_id']}"):
        client.get(f"{BACKUP}/{path}")
    (api.backups / "schedule.json").unlink()
    file.unlink()
    client.get(f"{BACKUP}/list")
    client.delete(f"{BACKUP}/delete/{run['backup_id']}")


# -- who looks around ------------------------------------------------------------------------------


def test_the_address_alone_leads_to_the_pages(shared_api):
    """A browser is led to the login, to no host."""
    client = shared_api.client(None)
    home = client.get("/")
    page = client.get("/", follow_redirects=True)

    assert (home.status_code, home.headers["Location"]) == (303, "/login")
    assert page.status_code == 200
    assert page.url.path in {"/login", "/setup"}  # the second as long as there is no user
    sent = page.headers["Content-Length"]  # compressed
    assert client.head(page.url.path).headers["Content-Length"] == sent


async def test_an_answer_without_an_end_ends_for_who_asks_for_its_head():
    """Its first piece is the last: nobody waits for it, and what makes it is told to stop."""
    sent, stopped = [], []

    async def endless(scope, receive, send):
        assert scope["method"] == "GET"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0)
        finally:
            stopped.append(True)

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "HEAD"}
    await HeadAsGet(endless)(scope, receive, send)

    assert scope["method"] == "HEAD"
    assert stopped == [True]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[1]["body"], sent[1]["more_body"]) == (b"", False)
