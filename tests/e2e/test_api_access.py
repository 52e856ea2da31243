"""Logins and users over HTTP and by command line."""

import subprocess

import pytest

from tests.fixtures.api import Api, claims_of, encoded
from tests.fixtures.api_requests import BACKUP, NO_BACKUP, RUNS, problem
from tests.fixtures.cli import PROGRAM, SECONDS
from tests.fixtures.people import PASSWORD, with_users


NOWHERE = "mysql://root@127.0.0.1:1/"
USERS = "/api/admin/users"
AUDIT = "/api/admin/audit"


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
    """Such a service of a test's own, whose admin is there already."""
    return with_users(own_api(NOWHERE), admin="admin").start()


@pytest.fixture
def client(api):
    """Somebody without a token."""
    return api.client(None)


def log_in(client, name="admin", password=PASSWORD):
    """Ask for a token by a password."""
    return client.post("/api/auth/token", data={"username": name, "password": password})


def _bearer(token):
    return {"Authorization": f"Bearer {token}"}


def _me(client, token):
    return client.get("/api/auth/me", headers=_bearer(token))


# -- logins ----------------------------------------------------------------------------------------


def test_a_login_lasts_by_refreshing(client):
    """A password gives tokens, a refresh token the next ones; each access token says who it is."""
    first = log_in(client, "ADMIN")
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
    first = log_in(client).json()
    other = log_in(client).json()
    second = client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]}).json()

    for token in (first, second):
        found = client.post("/api/auth/refresh", json={"refresh_token": token["refresh_token"]})
        problem(found, 401, "not-authenticated")
    for token in (first, second):
        problem(_me(client, token["access_token"]), 401, "not-authenticated")
    assert _me(client, other["access_token"]).status_code == 200


def test_a_logout_ends_one_login(client):
    """By access token, or by the refresh token in the body; other logins go on."""
    first, second, third = (log_in(client).json() for _ in range(3))
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
    answers = [log_in(client, "admin", f"wrong {number}") for number in range(5)]
    unknown = log_in(client, "nobody", "wrong")
    sixth = log_in(client)

    for answer in (*answers, unknown):
        found = problem(answer, 401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert found["detail"] == "wrong user name or password"
    found = problem(sixth, 429, "too-many-attempts")
    assert 0 < int(sixth.headers["Retry-After"]) <= 60
    assert found["retryable"] is True
    client.headers["X-Forwarded-For"] = "198.51.100.7"
    assert log_in(client).status_code == 200


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
    assert log_in(client, "alice", "a long password").json()["role"] == "viewer"
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
    token = log_in(client, "dave", body["password"]).json()

    admin.patch(f"{USERS}/dave", json={"role": "admin"})
    assert _me(client, token["access_token"]).json()["role"] == "admin"
    assert client.get(USERS, headers=_bearer(token["access_token"])).status_code == 200
    admin.patch(f"{USERS}/dave", json={"role": "viewer"})
    problem(client.get(USERS, headers=_bearer(token["access_token"])), 403, "not-authorized")

    admin.patch(f"{USERS}/dave", json={"password": "another password"})
    problem(_me(client, token["access_token"]), 401, "not-authenticated")
    problem(log_in(client, "dave", body["password"]), 401, "not-authenticated")
    token = log_in(client, "dave", "another password").json()

    disabled = admin.patch(f"{USERS}/dave", json={"disabled": True}).json()["user"]
    assert disabled["disabled_at"] is not None
    problem(_me(client, token["access_token"]), 401, "not-authenticated")
    refresh = {"refresh_token": token["refresh_token"]}
    problem(client.post("/api/auth/refresh", json=refresh), 401, "not-authenticated")
    problem(log_in(client, "dave", "another password"), 401, "not-authenticated")
    foreign = _bearer(encoded(claims_of("admin", sub="dave")))
    problem(client.get("/api/auth/me", headers=foreign), 401, "not-authenticated")

    enabled = admin.patch(f"{USERS}/dave", json={"disabled": False}).json()["user"]
    assert enabled["disabled_at"] is None
    assert log_in(client, "dave", "another password").status_code == 200


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
    token = log_in(client, "frank", "a long password").json()

    assert "User frank created as operator." in made.stdout
    assert _me(client, token["access_token"]).json() == {"name": "frank", "role": "operator"}
    assert api.cli("user", "disable", "frank").returncode == 0
    problem(_me(client, token["access_token"]), 401, "not-authenticated")
