"""Users and the own account in the pages."""

import re
from itertools import count
from typing import Any

import httpx
import pytest

from tests.fixtures.people import PASSWORD, browser_login, with_users
from tests.fixtures.web import SAME_SITE, WebClient, words


OTHER = "another horse entirely"
NUMBERS = count(1)


@pytest.fixture(scope="module")
def admin(web_api):
    """An admin, logged in."""
    return WebClient(web_api)


@pytest.fixture
def name(web_api):
    """A user of this test, an operator."""
    made = f"user{next(NUMBERS)}"
    with_users(web_api, **{made: "operator"})
    return made


def log_in(api, name, password):
    """Try to log in, and return the status."""
    body = {"name": name, "password": password}
    return api.client(None).post("/login", data=body, headers=SAME_SITE).status_code


def user(api, name):
    """A user as the API tells it."""
    return api.client().get(f"/api/admin/users/{name}").json()["user"]


def test_a_user_is_made_and_can_log_in(web_api, admin):
    """The audit names them, and not their password."""
    answer = admin.post("/users", name="Made.Here", password=PASSWORD, role="viewer")
    entry = web_api.client().get("/api/admin/audit").json()["entries"][0]

    assert (answer.status_code, answer.headers["Location"]) == (303, "/users")
    assert "made.here" in admin.get("/users").text
    assert log_in(web_api, "made.here", PASSWORD) == 303
    assert entry["action"] == "create_user"
    assert entry["changes"] == {
        "name": [None, "made.here"],
        "role": [None, "viewer"],
        "disabled": [None, False],
    }
    assert PASSWORD not in str(entry)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "<b>x"}, "name"),
        ({"name": "admin"}, "name"),
        ({"name": ""}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 2000}, "password"),
        ({"role": "king"}, "role"),
    ],
)
def test_what_is_wrong_with_a_new_user_is_told_at_its_field(web_api, admin, fields, field):
    """422; the name stays typed, the password does not."""
    sent = {"name": "wanted", "password": PASSWORD, "role": "operator"} | fields
    answer = admin.post("/users", **sent)

    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert "<b>x" not in answer.text
    assert PASSWORD not in answer.text
    if field != "name":
        assert 'value="wanted"' in answer.text
        assert web_api.client().get("/api/admin/users/wanted").status_code == 404


def test_a_role_is_changed_and_counts_at_once(web_api, admin, name):
    """Whoever is logged in already is asked to do so again."""
    web = WebClient(web_api, name)
    assert admin.post(f"/users/{name}/role", role="viewer").status_code == 303

    assert user(web_api, name)["role"] == "viewer"
    assert web.get("/schedules/edit").status_code == 303
    assert WebClient(web_api, name).get("/schedules/edit").status_code == 403
    assert admin.post(f"/users/{name}/role", role="king").status_code == 422
    assert admin.post("/users/nobody/role", role="viewer").status_code == 404


def test_a_new_password_ends_the_logins_of_a_user(web_api, admin, name):
    """The old one is good no more."""
    web = WebClient(web_api, name)
    assert admin.post(f"/users/{name}/password", password="short").status_code == 422
    assert web.get("/").status_code == 200
    assert admin.post(f"/users/{name}/password", password=OTHER).status_code == 303

    assert web.get("/").status_code == 303
    assert log_in(web_api, name, PASSWORD) == 401
    assert log_in(web_api, name, OTHER) == 303


def test_a_user_is_disabled_and_let_in_again(web_api, admin, name):
    """Not oneself, by mistake."""
    assert admin.post(f"/users/{name}/disabled", disabled="on").status_code == 303
    assert log_in(web_api, name, PASSWORD) == 401
    assert "disabled" in admin.get(f"/users/{name}").text
    assert admin.post(f"/users/{name}/disabled", disabled="off").status_code == 303
    assert log_in(web_api, name, PASSWORD) == 303

    for myself in ("admin", "Admin"):
        refused = admin.post(f"/users/{myself}/disabled", disabled="on")
        assert (refused.status_code, "lock yourself out" in refused.text) == (409, True)
    assert user(web_api, "admin")["disabled_at"] is None


def test_the_last_admin_stays_one(own_api):
    """409 at the field, and nothing is changed."""
    api = with_users(own_api("mysql://nobody@127.0.0.1:1/"), admin="admin").start()
    refused = WebClient(api).post("/users/admin/role", role="viewer")

    assert (refused.status_code, "is the last admin" in refused.text) == (409, True)
    assert user(api, "admin")["role"] == "admin"


def test_the_own_password_is_changed_by_who_knows_the_old_one(web_api, name):
    """All other logins end, this browser goes on with a new cookie."""
    web, elsewhere = WebClient(web_api, name), WebClient(web_api, name)
    before = httpx.Cookies(web.client.cookies)
    tries: list[tuple[dict[str, Any], str]] = [
        ({"old": "wrong password", "new": OTHER, "again": OTHER}, "old"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "new"),
        ({"old": PASSWORD, "new": OTHER, "again": OTHER + "x"}, "again"),
    ]
    for fields, field in tries:
        answer = web.post("/account/password", **fields)
        assert (answer.status_code, f'id="{field}-error"' in answer.text) == (422, True)
        assert PASSWORD not in answer.text
    assert elsewhere.get("/").status_code == 200

    answer = web.post("/account/password", old=PASSWORD, new=OTHER, again=OTHER)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?changed=true")
    assert "Your password was changed" in web.get("/account?changed=true").text
    assert dict(web.client.cookies) != dict(before)
    assert elsewhere.get("/").status_code == 303
    assert web_api.client(None, cookies=before).get("/").status_code == 303
    assert log_in(web_api, name, OTHER) == 303
    entries = web_api.client().get("/api/admin/audit", params={"actor": name}).json()["entries"]
    changed = next(entry for entry in entries if entry["result"] == "ok" and entry["changes"])
    assert (changed["action"], changed["changes"]) == (
        "change_password",
        {"password": [None, "new"]},
    )


def test_own_logins_are_listed_and_ended(web_api, name, admin):
    """By when and of what kind; nobody ends somebody else's."""
    web, elsewhere = WebClient(web_api, name), WebClient(web_api, name)
    body = {"username": name, "password": PASSWORD}
    token = web_api.client(None).post("/api/auth/token", data=body).json()["refresh_token"]
    page = web.get("/account").text

    assert page.count("</svg>this one</span>") == 1
    ids = re.findall(r'name="login" value="([0-9a-f]{32})"', page)
    assert set(ids) >= {token.partition(".")[0]}
    assert len(ids) == 2
    assert "API" in page.partition("Logins")[2]

    assert admin.post("/account/logins/end", login=ids[0]).status_code == 303
    assert elsewhere.get("/").status_code == 200
    for session_id in ids:
        assert web.post("/account/logins/end", login=session_id).status_code == 303
    assert elsewhere.get("/").status_code == 303
    refresh = web_api.client(None).post("/api/auth/refresh", json={"refresh_token": token})
    assert refresh.status_code == 401
    assert web.get("/").status_code == 200


def test_of_many_logins_the_newest_are_listed(web_api, name):
    """A program that logs in by password each minute has thousands; that of the browser stays among them."""
    web = WebClient(web_api, name)
    for _ in range(55):
        browser_login(web_api, name)
    page = web.get("/account")

    assert page.text.count("</svg>this one</span>") == 1
    assert len(re.findall(r'name="login" value="([0-9a-f]{32})"', page.text)) == 49
    assert "And 6 older logins: a new password ends all of them." in words(page)


def test_to_end_a_login_that_is_none_fills_no_audit(web_api, name):
    """Whoever may only look can ask for it as often as they like; what ends one is an entry each time."""
    web = WebClient(web_api, name)
    for _ in range(3):
        assert web.post("/account/logins/end", login="0" * 32).status_code == 303
    with web_api.client() as admin:
        entries = admin.get("/api/admin/audit", params={"actor": name}).json()["entries"]

    assert [entry["action"] for entry in entries].count("change_password") == 1
