"""A service without the address of a server: what works, and how an admin connects one, over HTTP."""

import json
import re
import stat

import pytest
from sqlalchemy import make_url

from tests.fixtures.api import ROLES, Api, finished
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.cli import wait_until
from tests.fixtures.people import with_users
from tests.fixtures.servers import Sql
from tests.fixtures.web import WebClient


# MySQL would want a password that it does not know in the clear, which is not sent.
WRONG = "needs the password itself" if IS_MYSQL else "wrong user name or password"
SECRET = "p@ss/w:rd ?#%"
GRANTED = (
    "SELECT, SHOW VIEW, TRIGGER, EVENT, RELOAD, PROCESS, LOCK TABLES, EXECUTE, CREATE, DROP,"
    " INSERT, ALTER, INDEX, REFERENCES, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE"
)
PAGES = (
    "/", "/backups", "/restores", "/runs", "/schedules", "/alerts", "/server",
    "/server/connect", "/retention", "/users", "/audit", "/settings",
)  # fmt: skip


def without_address(api: Api) -> Api:
    """Start a service that knows no server, with an admin."""
    api.settings.pop("DATABASE_URL", None)
    return with_users(api).start()


@pytest.fixture
def lone_api(own_api) -> Api:
    """A service that knows no server."""
    return without_address(own_api(""))


@pytest.fixture
def account(server):
    """An account of the server with a password that is hard to write into an address."""
    with Sql(server.url) as sql:
        sql.run(f"CREATE USER 'first run'@'%' IDENTIFIED BY '{SECRET}'")
        sql.run(f"GRANT {GRANTED} ON *.* TO 'first run'@'%'")
        yield {"user": "first run", "password": SECRET, "ssl_mode": "PREFERRED", **place(server)}
        sql.run("DROP USER 'first run'@'%'")


def place(server):
    url = make_url(server.url)
    return {"host": url.host or "127.0.0.1", "port": str(url.port)}


def test_without_a_server_pages_and_api_say_what_is_missing(lone_api):
    """Every page is shown; what needs a server is refused with one code, and readiness names it."""
    web = WebClient(lone_api)
    for path in PAGES:
        assert web.get(path).status_code == 200, path
    checks = web.get("/server").text
    assert "No server is connected yet" in checks
    assert "Connect a server" in checks
    assert "no server is connected yet" in checks
    assert "BACKSTAY_DATABASE_URL is not set" not in checks

    ready = web.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["server"]) == (503, "no-server")
    with lone_api.client() as admin:
        answer = admin.post("/api/admin/backup/create", json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "no-server")
        assert admin.get("/api/admin/backup/list").json()["backups"] == []
        assert admin.get("/api/admin/backup/status").status_code == 200
    page = web.post("/backups")
    assert page.status_code == 409
    assert 'href="/server/connect"' in page.text


@pytest.mark.parametrize("role", ROLES)
def test_no_page_offers_a_backup_before_there_is_a_server(lone_api, role):
    """An admin is led to the page that connects one, everybody else to an admin; the form is refused like what it sends."""
    web = WebClient(lone_api, role)
    for path in ("/", "/backups", "/restore", "/point-in-time"):
        page = web.get(path)
        assert page.status_code == 200, path
        assert 'action="/backups"' not in page.text, path
        assert "/backups/new" not in page.text, path
    if role == "viewer":
        return
    for refused in (web.get("/backups/new"), web.post("/backups")):
        assert refused.status_code == 409
        assert "no-server" in refused.text
        assert ('href="/server/connect"' in refused.text) == (role == "admin")
        assert ("An admin connects one" in refused.text) == (role != "admin")
    assert ('href="/server/connect"' in web.get("/backups").text) == (role == "admin")


def test_pages_of_nothing_offer_no_filter_and_tell_of_nothing_else(lone_api):
    """Where there is no backup and no archive of the log there is nothing to look for, and no key that is missing."""
    web = WebClient(lone_api)
    assert 'role="search"' not in web.get("/backups").text
    assert 'role="search"' in web.get("/backups?text=lost").text
    points = web.get("/point-in-time").text
    assert "No moment yet:" in points
    assert "needs its key" not in points


def test_commands_that_need_a_server_are_refused_as_before(lone_api):
    """By the variable that is missing; the doctor examines everything else."""
    made = lone_api.cli("backup", "create")
    assert made.returncode == 12
    assert "BACKSTAY_DATABASE_URL is not set" in made.stderr
    doctor = lone_api.cli("doctor")
    assert doctor.returncode == 12
    assert "or connect a server in the pages" in doctor.stdout


def test_a_server_is_connected_and_used_at_once_and_ever_after(lone_api, account):
    """Without a restart, by commands too, and after the next start; the password is never shown."""
    web = WebClient(lone_api)
    answer = web.post("/server/connect", **account)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/server"), answer.text

    kept = lone_api.state / "servers.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert list(json.loads(kept.read_text())["servers"]) == ["default"]
    with lone_api.client() as admin:
        run = admin.post("/api/admin/backup/create", json={"databases": ["mysql_no"]}).json()
        assert finished(admin, run["run_id"])["error"]["code"] == "database-not-found"
        entries = admin.get("/api/admin/audit").json()["entries"]
        wait_until(lambda: admin.get("/readyz").status_code == 200, "it is ready")
    connected = next(entry for entry in entries if entry["action"] == "connect_server")
    assert connected["changes"]["server_user"] == [None, "first run"]
    shown = lone_api.cli("doctor").stdout
    assert "from servers.json in the state directory" in shown
    assert re.search(r"ok +connection", shown)

    lone_api.stop()
    lone_api.start()
    web = WebClient(lone_api)
    assert web.client.get("/readyz").status_code == 200
    form = web.get("/server/connect").text
    assert "Change the address" in form
    assert 'value="first run"' in form
    for text in (form, json.dumps(entries), shown, lone_api.log, web.get("/settings").text):
        assert SECRET not in text
        assert "p%40ss" not in text


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"password": "not-it"}, 422, WRONG),
        ({"port": "1"}, 422, "no answer (connection refused)"),
        ({"host": "", "socket": "/nowhere/mysqld.sock"}, 422, "no such file"),
        ({"host": ""}, 422, "Either a host, or a socket"),
        ({"port": "70000"}, 422, "A number from 1 to 65535"),
        ({"port": "9" * 5000}, 422, "A number from 1 to 65535"),
        ({"host": "no such host"}, 422, "host"),
        ({"user": ""}, 422, "Whose account is it?"),
        ({"ssl_mode": "SOMETIMES"}, 422, "One of these."),
        ({"ssl_ca": "/nowhere/ca.pem"}, 422, "TLS file ssl_ca: no such file"),
    ],
)
def test_a_server_that_lets_nobody_in_changes_nothing(lone_api, account, changes, status, told):
    """What is wrong is told in our own words, and what was typed stays, but for the password."""
    web = WebClient(lone_api)
    answer = web.post("/server/connect", **{**account, **changes})

    assert answer.status_code == status, answer.text
    assert told.lower() in answer.text.lower()
    assert "BACKSTAY_DATABASE_URL" not in answer.text
    assert (changes.get("password") or SECRET) not in answer.text
    assert changes.get("user", "first run") in answer.text
    assert not (lone_api.state / "servers.json").exists()
    assert web.client.get("/readyz").json()["checks"]["server"] == "no-server"


def test_the_setting_wins(own_api, account, server):
    """An address that is set outside is neither shown nor changed by the pages."""
    api = without_address(own_api(""))
    assert WebClient(api).post("/server/connect", **account).status_code == 303
    api.stop()
    api.start(DATABASE_URL=server.url)
    web = WebClient(api)

    assert "set outside of the pages" in web.get("/server/connect").text
    assert web.post("/server/connect", **account).status_code == 409
    assert "from BACKSTAY_DATABASE_URL" in api.cli("doctor").stdout


def test_only_an_admin_connects_a_server(lone_api, account):
    """The form dials any address that it is given."""
    web = WebClient(lone_api, "operator")

    assert web.get("/server/connect").status_code == 403
    assert web.post("/server/connect", **account).status_code == 403
    assert "Connect a server" not in web.get("/server").text


def test_a_file_that_others_may_read_is_refused(lone_api, account):
    """It holds a password; so is one that cannot be understood."""
    WebClient(lone_api).post("/server/connect", **account)
    lone_api.stop()
    kept = lone_api.state / "servers.json"
    kept.chmod(0o644)
    assert "others than its owner may read" in lone_api.cli("backup", "create").stderr
    kept.chmod(0o600)
    kept.write_text('{"version": 2, "servers": {}}')
    assert "cannot be understood" in lone_api.cli("backup", "create").stderr


def test_an_address_is_changed_only_between_runs(lone_api, account, server):
    """A restore must not find another server in the middle."""
    web = WebClient(lone_api)
    assert web.post("/server/connect", **account).status_code == 303
    with Sql(server.url) as sql, lone_api.client() as admin:
        sql.script(["CREATE DATABASE held", "CREATE TABLE held.t (i INT) ENGINE=MyISAM"])
        sql.run("LOCK TABLES held.t WRITE")
        run = admin.post("/api/admin/backup/create", json={"databases": ["held"]}).json()
        refused = web.post("/server/connect", **account)
        sql.run("UNLOCK TABLES")
        finished(admin, run["run_id"])
        changed = web.post("/server/connect", **{**account, "database": "held"})
        sql.run("DROP DATABASE held")

    assert refused.status_code == 409
    assert "Wait until they are over." in refused.text
    assert changed.status_code == 303
