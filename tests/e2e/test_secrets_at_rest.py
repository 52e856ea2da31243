"""What an installation leaves on its disk: files of its owner alone, and no secret in any of them."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.api import SECRET, Api, finished
from tests.fixtures.people import PASSWORD, with_users
from tests.fixtures.servers import Server, Sql
from tests.fixtures.web import WebClient


BACKUP = "/api/admin/backup"
# Of the database user; long and of no other text.
DATABASE_PASSWORD = "kestrel-7731-of-the-database"
PING = "https://ping.example/token-of-the-ping-address"
METRICS = "token-of-the-metrics-4711"


@pytest.fixture
def installation(own_api, server: Server, sql: Sql, database: str) -> Iterator[Api]:
    """An installation with a secret of each kind, before anything is done with it."""
    sql.run(f"CREATE USER 'rest'@'%' IDENTIFIED BY '{DATABASE_PASSWORD}'")
    sql.run("GRANT ALL ON *.* TO 'rest'@'%'")
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    url = server.url.split("@")[-1]
    api = with_users(own_api(f"mysql://rest:{DATABASE_PASSWORD}@{url}"))
    api.start(PING_URLS=PING, METRICS_TOKEN=METRICS)
    yield api
    sql.run("DROP USER 'rest'@'%'")


def written(api: Api) -> list[Path]:
    """Return every file that it has made."""
    places = (api.state, api.backups)
    return [path for place in places for path in place.rglob("*") if path.is_file()]


def test_what_is_written_is_the_owners_and_holds_no_secret(installation, database):
    """Neither passwords, nor tokens, nor cookies, in no file and no line of the log."""
    client = installation.client(None)
    login = {"username": "admin", "password": PASSWORD}
    tokens = client.post("/api/auth/token", data=login).json()
    refreshed = client.post("/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    client.post("/api/auth/token", data={"username": PASSWORD, "password": "hunter2-hunter2"})
    admin = installation.client()
    body = {"databases": [database], "description": "of all"}
    run = finished(admin, admin.post(f"{BACKUP}/create", json=body).json()["run_id"])
    assert run["state"] == "succeeded", run
    restored = admin.post(f"{BACKUP}/restore/{run['backup_id']}", json={"create_backup": False})
    assert finished(admin, restored.json()["run_id"])["state"] == "succeeded"
    web = WebClient(installation)
    web.log_in()
    web.get("/")

    secrets = {
        PASSWORD, "hunter2-hunter2", DATABASE_PASSWORD, PING, METRICS, SECRET,
        *(tokens[name] for name in ("access_token", "refresh_token")),
        refreshed.json()["refresh_token"],
        *web.client.cookies.values(),
        admin.headers["Authorization"].removeprefix("Bearer "),
    }  # fmt: skip
    files = written(installation)
    assert {"control.db", "audit.key"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        assert [secret for secret in secrets if secret.encode() in data] == [], path
    assert [secret for secret in secrets if secret in installation.log] == []
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in files}
    assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}
    folders = [
        path
        for place in (installation.state, installation.backups)
        for path in (place, *place.rglob("*"))
    ]
    assert [path for path in folders if path.is_dir() and path.stat().st_mode & 0o077] == []
