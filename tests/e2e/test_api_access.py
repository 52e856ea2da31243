"""Logins, users and the audit over HTTP and by command line."""

import json
import shutil
import sqlite3
import subprocess

import pytest

from tests.fixtures.api import Api, claims_of, encoded
from tests.fixtures.api_requests import BACKUP, NO_BACKUP, RUNS, WAIT, problem
from tests.fixtures.cli import PROGRAM, SECONDS


NOWHERE = "mysql://root@127.0.0.1:1/"
USERS = "/api/admin/users"
AUDIT = "/api/admin/audit"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A service with no database server, whose first admin was made by a setting."""
    api = Api(NOWHERE, tmp_path_factory.mktemp("access"))
    try:
        yield api.start(ADMIN_PASSWORD=PASSWORD)
    finally:
        api.close()


@pytest.fixture
def fresh(own_api):
    """Such a service of a test's own."""
    return own_api(NOWHERE).start(ADMIN_PASSWORD=PASSWORD)


@pytest.fixture
def client(api):
    """Somebody without a token."""
    return api.client(None)


def _log_in(client, name="admin", password=PASSWORD):
    return client.post("/api/auth/token", data={"username": name, "password": password})


def _bearer(token):
    return {"Authorization": f"Bearer {token}"}


def _me(client, token):
    return client.get("/api/auth/me", headers=_bearer(token))


# -- logins ----------------------------------------------------------------------------------------


def test_a_login_lasts_by_refreshing(client):
    """A password gives tokens, a refresh token the next ones; each access token says who it is."""
    first = _log_in(client, "ADMIN")
    again = client.post("/api/auth/refresh", json={"refresh_token": first.json()["refresh_token"]})

    for answer in (first, again):
        grant = answer.json()
        assert answer.status_code == 200
        assert set(grant) == {"access_token", "token_type", "expires_in", "refresh_token", "role"}
        assert (grant["token_type"], grant["expires_in"], grant["role"]) == ("bearer", 900, "admin")
        assert _me(client, grant["access_token"]).json() == {"name": "admin", "role": "admin"}
    assert first.json()["refresh_token"] != again.json()["refresh_token"]


def test_a_refresh_token_that_comes_again_ends_the_login(client):
    """Somebody has a copy: the old one, the new one and all access tokens are refused."""
    first = _log_in(client).json()
    other = _log_in(client).json()
    second = client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]}).json()

    for token in (first, second):
        found = client.post("/api/auth/refresh", json={"refresh_token": token["refresh_token"]})
        problem(found, 401, "not-authenticated")
    for token in (first, second):
        problem(_me(client, token["access_token"]), 401, "not-authenticated")
    assert _me(client, other["access_token"]).status_code == 200


def test_a_logout_ends_one_login(client):
    """By access token, or by the refresh token in the body; other logins go on."""
    first, second, third = (_log_in(client).json() for _ in range(3))
    by_access = client.post("/api/auth/logout", headers=_bearer(first["access_token"]))
    body = {"refresh_token": second["refresh_token"]}
    by_refresh = client.post("/api/auth/logout", json=body, headers=_bearer(third["access_token"]))

    assert (by_access.status_code, by_refresh.status_code) == (204, 204)
    assert by_access.content == b""
    codes = [_me(client, token["access_token"]).status_code for token in (first, second, third)]
    assert codes == [401, 401, 200]
    problem(client.post("/api/auth/refresh", json=body), 401, "not-authenticated")


def test_wrong_passwords_are_refused_and_then_not_even_looked_at(own_api):
    """401 alike for users who are there and who are not; after five 429 says how long to wait, there."""
    api = own_api(NOWHERE).start(ADMIN_PASSWORD=PASSWORD, TRUSTED_PROXIES="127.0.0.1")
    client = api.client(None)
    answers = [_log_in(client, "admin", f"wrong {number}") for number in range(5)]
    unknown = _log_in(client, "nobody", "wrong")
    sixth = _log_in(client)

    for answer in (*answers, unknown):
        found = problem(answer, 401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert found["detail"] == "wrong user name or password"
    found = problem(sixth, 429, "too-many-attempts")
    assert 0 < int(sixth.headers["Retry-After"]) <= 60
    assert found["retryable"] is True
    client.headers["X-Forwarded-For"] = "198.51.100.7"
    assert _log_in(client).status_code == 200


def test_a_login_needs_its_form(client):
    """422 without user name or password, and no word of what was sent."""
    found = client.post("/api/auth/token", data={"username": "admin", "pass_word": PASSWORD})

    assert problem(found, 422, "invalid-request")["errors"][0]["field"] == "body.password"
    assert PASSWORD not in found.text
    problem(client.post("/api/auth/token", json={"username": "admin"}), 422, "invalid-request")


def test_whoever_has_no_token_is_refused(client):
    """401 for none and for nonsense, on the routes of all roles."""
    for path in (f"{BACKUP}/list", RUNS, USERS, AUDIT, "/api/auth/me"):
        for headers in ({}, _bearer("nonsense"), {"Authorization": "Basic YTpi"}):
            answer = client.get(path, headers=headers)
            problem(answer, 401, "not-authenticated")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_role_that_is_not_enough_is_refused(api):
    """403 for a viewer who wants to back up, and for an operator who wants to restore."""
    viewer, operator = api.client("viewer"), api.client("operator")

    assert viewer.get(f"{BACKUP}/list").status_code == 200
    problem(viewer.post(f"{BACKUP}/create"), 403, "not-authorized")
    problem(operator.post(f"{BACKUP}/restore/{NO_BACKUP}"), 403, "not-authorized")
    problem(operator.get(USERS), 403, "not-authorized")
    problem(operator.get(AUDIT), 403, "not-authorized")


# -- users -----------------------------------------------------------------------------------------


def test_users_are_made_listed_shown_and_changed(api, client):
    """A new user logs in with the role they were given, whatever the case of the name."""
    admin = api.client()
    body = {"name": "Alice", "password": "a long password", "role": "viewer"}

    made = admin.post(USERS, json=body)
    listed = admin.get(USERS).json()["users"]
    shown = admin.get(f"{USERS}/ALICE").json()

    assert made.status_code == 201
    assert made.json() == shown
    assert (shown["user"]["name"], shown["user"]["role"]) == ("alice", "viewer")
    assert shown["user"]["disabled_at"] is None
    assert {"admin", "alice"} <= {user["name"] for user in listed}
    assert [user["name"] for user in listed] == sorted(user["name"] for user in listed)
    assert set(listed[0]) == {"name", "role", "created_at", "disabled_at"}
    assert _log_in(client, "alice", "a long password").json()["role"] == "viewer"
    problem(admin.post(USERS, json=body), 409, "user-exists")
    problem(admin.get(f"{USERS}/bob"), 404, "user-not-found")
    problem(admin.patch(f"{USERS}/bob", json={"role": "viewer"}), 404, "user-not-found")


@pytest.mark.parametrize(
    "change",
    [{"name": ".x"}, {"name": ""}, {"name": "a b"}, {"password": "short"}, {"role": "root"}],
)
def test_a_user_that_makes_no_sense_is_refused(admin, change):
    """422 that names the field, and never the password."""
    body = {"name": "carol", "password": "a long password", "role": "viewer", **change}

    answer = admin.post(USERS, json=body)

    found = problem(answer, 422, "invalid-request")
    assert [error["field"] for error in found["errors"]] == [f"body.{next(iter(change))}"]
    assert body["password"] not in answer.text


def test_what_changes_about_a_user_holds_at_once(api, client):
    """Another role from the next request on; a new password or being disabled ends all logins."""
    admin = api.client()
    body = {"name": "dave", "password": "a long password", "role": "viewer"}
    admin.post(USERS, json=body)
    token = _log_in(client, "dave", body["password"]).json()

    admin.patch(f"{USERS}/dave", json={"role": "admin"})
    assert _me(client, token["access_token"]).json()["role"] == "admin"
    assert client.get(USERS, headers=_bearer(token["access_token"])).status_code == 200
    admin.patch(f"{USERS}/dave", json={"role": "viewer"})
    problem(client.get(USERS, headers=_bearer(token["access_token"])), 403, "not-authorized")

    admin.patch(f"{USERS}/dave", json={"password": "another password"})
    problem(_me(client, token["access_token"]), 401, "not-authenticated")
    problem(_log_in(client, "dave", body["password"]), 401, "not-authenticated")
    token = _log_in(client, "dave", "another password").json()

    disabled = admin.patch(f"{USERS}/dave", json={"disabled": True}).json()["user"]
    assert disabled["disabled_at"] is not None
    problem(_me(client, token["access_token"]), 401, "not-authenticated")
    refresh = {"refresh_token": token["refresh_token"]}
    problem(client.post("/api/auth/refresh", json=refresh), 401, "not-authenticated")
    problem(_log_in(client, "dave", "another password"), 401, "not-authenticated")
    foreign = _bearer(encoded(claims_of("admin", sub="dave")))
    problem(client.get("/api/auth/me", headers=foreign), 401, "not-authenticated")

    enabled = admin.patch(f"{USERS}/dave", json={"disabled": False}).json()["user"]
    assert enabled["disabled_at"] is None
    assert _log_in(client, "dave", "another password").status_code == 200


def test_the_last_admin_stays(fresh):
    """409 for whatever would leave nobody who may do everything; with another one it is allowed."""
    admin = fresh.client()

    problem(admin.patch(f"{USERS}/admin", json={"role": "viewer"}), 409, "conflict")
    problem(admin.patch(f"{USERS}/admin", json={"disabled": True}), 409, "conflict")
    admin.post(USERS, json={"name": "eve", "password": "a long password", "role": "admin"})
    assert admin.patch(f"{USERS}/admin", json={"role": "viewer"}).status_code == 200
    problem(admin.patch(f"{USERS}/eve", json={"disabled": True}), 409, "conflict")


def test_a_user_of_the_command_line_logs_in(api, client):
    """`backstay user create` while the service runs; disabled there, the access ends here."""
    made = subprocess.run(
        [PROGRAM, "user", "create", "frank", "--role", "operator", "--password-stdin"],
        input="a long password\n",
        capture_output=True,
        text=True,
        cwd=api.home,
        env=api.environment,
        timeout=SECONDS,
        check=True,
    )
    token = _log_in(client, "frank", "a long password").json()

    assert "User frank created as operator." in made.stdout
    assert _me(client, token["access_token"]).json() == {"name": "frank", "role": "operator"}
    assert api.cli("user", "disable", "frank").returncode == 0
    problem(_me(client, token["access_token"]), 401, "not-authenticated")


# -- the audit -------------------------------------------------------------------------------------


def _entries(api, **query):
    answer = api.client().get(AUDIT, params={"limit": 500, "sort": "number", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def test_the_audit_tells_who_changed_or_was_refused_what(fresh):
    """Who, with which role, from where, what, how it ended, and the run; reading is not in it."""
    admin, client = fresh.client(), fresh.client(None)
    _log_in(client)
    _log_in(client, "mallory", "guessed password")
    admin.get(f"{BACKUP}/list")
    problem(fresh.client("viewer").delete(f"{BACKUP}/delete/{NO_BACKUP}"), 403, "not-authorized")
    client.get(f"{BACKUP}/list")
    admin.delete(f"{BACKUP}/delete/{NO_BACKUP}")
    failed = admin.post(f"{BACKUP}/create", headers=WAIT)
    run_id = problem(failed, 502, "connection-failed")["run_id"]

    found = [
        (
            entry["actor"],
            entry["role"],
            entry["action"],
            entry["status"],
            entry["result"],
            entry["run_id"],
        )
        for entry in _entries(fresh)
    ]
    assert found == [
        ("service", "", "start_service", 0, "ok", None),
        ("admin", "admin", "log_in", 200, "ok", None),
        ("", "", "log_in", 401, "not-authenticated", None),
        ("some-viewer", "viewer", "delete_backup", 403, "not-authorized", None),
        ("", "", "list_backups", 401, "not-authenticated", None),
        ("some-admin", "admin", "delete_backup", 404, "backup-not-found", None),
        ("some-admin", "admin", "create_backup", 502, "connection-failed", run_id),
    ]
    refused = _entries(fresh)[2]
    assert refused["target"].startswith("POST /api/auth/token as unknown ")
    assert "mallory" not in json.dumps(_entries(fresh))
    assert _entries(fresh)[3]["target"] == f"DELETE {BACKUP}/delete/{{backup_id}}"
    last = _entries(fresh)[-1]
    assert (last["address"], last["target"]) == ("127.0.0.1", f"POST {BACKUP}/create")
    assert json.loads(fresh.cli("audit", "verify", "--json").stdout)["entries"] == len(found)


def test_the_audit_pages_sorts_and_filters(fresh):
    """Newest first unless sorted otherwise; by who, what, how it ended, and when."""
    admin, client = fresh.client(), fresh.client(None)
    for name in ("gina", "hugo"):
        body = {"name": name, "password": "a long password", "role": "viewer"}
        admin.post(USERS, json=body)
    _log_in(client, "gina", "a long password")
    _log_in(client, "hugo", "a wrong password")

    page = admin.get(AUDIT, params={"limit": 2, "offset": 1}).json()
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    assert [entry["number"] for entry in page["entries"]] == [4, 3]
    assert [entry["number"] for entry in _entries(fresh, actor="gina")] == [4]
    assert [entry["number"] for entry in _entries(fresh, action="create_user")] == [2, 3]
    assert [entry["number"] for entry in _entries(fresh, result="not-authenticated")] == [5]
    assert _entries(fresh)[4]["target"] == "POST /api/auth/token as hugo"
    fourth = _entries(fresh)[3]["at"]
    assert [entry["number"] for entry in _entries(fresh, since=fourth)] == [4, 5]
    until = fourth.removesuffix("Z")
    assert [entry["number"] for entry in _entries(fresh, until=until)] == [1, 2, 3]
    for query in ({"sort": "actor"}, {"since": "soon"}, {"until": "0001-01-01T00:00+14:00"}):
        problem(admin.get(AUDIT, params=query), 422, "invalid-request")


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A service that was stopped after it had made two users and refused three logins."""
    api = Api(NOWHERE, tmp_path_factory.mktemp("audited"))
    try:
        admin = api.start().client()
        for name in ("gina", "hugo"):
            body = {"name": name, "password": PASSWORD, "role": "viewer"}
            assert admin.post(USERS, json=body).status_code == 201
        for number in range(3):
            _log_in(api.client(None), f"user{number}", "wrong")
        api.stop()
    finally:
        api.close()
    return api


def test_an_audit_that_nobody_touched_is_whole(audited):
    """`backstay audit verify` counts its lines; the refused logins are two, with a count."""
    result = audited.cli("audit", "verify")
    newest = json.loads(audited.cli("audit", "verify", "--json").stdout)

    head = f"5:{newest['digest']}"
    assert (result.returncode, result.stdout) == (
        0,
        f"The audit is whole: 5 lines, 1 to 5.\nHead: {head}\n",
    )
    assert audited.cli("audit", "verify", "--head", head).returncode == 0
    assert audited.cli("audit", "verify", "--head", f"6:{newest['digest']}").returncode == 22
    assert audited.cli("audit", "verify", "--head", "x").returncode == 12
    with sqlite3.connect(audited.state / "control.db") as control:
        found = control.execute("SELECT count FROM audit WHERE status = 401 ORDER BY number")
        assert [row[0] for row in found] == [1, 2]
    control.close()


def test_old_and_new_values_are_in_the_audit(fresh):
    """Of schedules, retention, users and pins; by request and by command, and never a password."""
    admin = fresh.client()
    body = {"frequency": "daily", "retention": {"count": 6}}
    admin.post(f"{BACKUP}/schedule", json=body)
    admin.post(f"{BACKUP}/schedule", json={**body, "retention": {"count": 1}})
    admin.post(USERS, json={"name": "gina", "password": PASSWORD, "role": "viewer"})
    admin.patch(f"{USERS}/gina", json={"role": "operator", "password": "another password"})
    assert fresh.cli("schedule", "disable").returncode == 0
    assert fresh.cli("user", "disable", "gina").returncode == 0
    admin.delete(f"{BACKUP}/schedule/default")

    entries = _entries(fresh)
    found = {entry["action"]: entry["changes"] for entry in entries}
    assert found["start_service"]["count"] == [None, 30]
    old, new = found["set_schedule"].pop("retention")
    assert ((old["count"], new["count"]), found["set_schedule"]) == ((6, 1), {})
    assert found["create_user"] == {"disabled": [None, False], "role": [None, "viewer"]}
    assert found["change_user"] == {"password": [None, "new"], "role": ["viewer", "operator"]}
    assert found["disable_schedule"] == {"enabled": [True, False]}
    assert found["disable_user"] == {"disabled": [False, True]}
    assert found["delete_schedule"]["frequency"] == ["daily", None]
    assert PASSWORD not in json.dumps(entries)
    proof = admin.get(f"{AUDIT}/verify").json()
    assert (proof["success"], proof["entries"], proof["last"]) == (True, 8, 8)
    assert admin.get(f"{AUDIT}/verify").json()["unkeyed"] == 0


def test_a_lost_key_is_accepted_and_the_proof_begins_anew(own_api, audited):
    """`backstay audit accept` says since when, and the audit who did it."""
    api = own_api(NOWHERE)
    shutil.copytree(audited.state, api.state)
    (api.state / "audit.key").unlink()
    broken = api.cli("audit", "verify")
    accepted = api.cli("audit", "accept", "--reason", "the disk was lost")
    whole = api.cli("audit", "verify")

    assert (broken.returncode, accepted.returncode, whole.returncode) == (22, 0, 0)
    assert "its key" in broken.stderr
    assert accepted.stdout == "Entries up to 5 are not proven any more.\n"
    assert whole.stdout.startswith("Entries up to 5 are not proven: accepted on ")
    assert "1 line, 6 to 6" in whole.stdout


@pytest.mark.parametrize(
    ("forgery", "message"),
    [
        ("UPDATE audit SET actor = 'somebody else' WHERE number = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE number = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE number >= 3", "everything after entry 2 is missing, up to 5"),
    ],
)
def test_an_audit_that_was_changed_by_hand_is_broken(own_api, audited, forgery, message):
    """`backstay audit verify` fails with exit code 22 and says where."""
    api = own_api(NOWHERE)
    shutil.copytree(audited.state, api.state)
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute(forgery)
    control.close()

    result = api.cli("audit", "verify", "--json")

    error = json.loads(result.stdout)["error"]
    assert (result.returncode, error["code"], error["message"]) == (22, "audit-broken", message)
