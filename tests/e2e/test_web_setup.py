"""The first run of the service: from nobody who can log in to a first admin, over HTTP."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fixtures.api import Api
from tests.fixtures.people import PASSWORD
from tests.fixtures.web import SAME_SITE


_LINK = re.compile(r"(http://\S+)/setup#(\S+)")
HTML = {"Accept": "text/html"}


def tokens(api):
    """Return the tokens that were printed, oldest first."""
    return [token for _, token in _LINK.findall(api.log)]


def form(token, **changes):
    return {"token": token, "name": "alice", "password": PASSWORD, "again": PASSWORD, **changes}


def send(api, data, headers=SAME_SITE):
    client = api.client(None, follow_redirects=False)
    return client, client.post("/setup", data=data, headers=headers)


@pytest.fixture
def new_api(own_api, server):
    """A service without any user."""
    return own_api(server.url).start()


@pytest.fixture(scope="module")
def shared_new_api(server, tmp_path_factory):
    """A service without any user, for tests that make none."""
    api = Api(server.url, tmp_path_factory.mktemp("setup")).start()
    yield api
    api.close()


def test_every_way_in_leads_to_the_first_admin(shared_new_api):
    """There is nobody who could log in."""
    client = shared_new_api.client(None, follow_redirects=True)
    for path in ("/", "/login", "/backups"):
        answer = client.get(path, headers=HTML)
        assert (answer.status_code, answer.url.path) == (200, "/setup")
        assert "At least 12 characters" in answer.text


def test_the_link_is_printed_and_holds_256_bits(shared_new_api):
    """Beside the address; what follows the # is never sent, so no log can have it."""
    (base, token), *_ = _LINK.findall(shared_new_api.log)

    assert base == shared_new_api.url
    assert len(token) == 43


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": "too short"}, "Password: 12 to 1024 characters"),
        ({"again": "another password"}, "This is not the same password"),
        ({"name": "no name!"}, "User name: 1 to 64"),
        ({"name": ""}, "User name: 1 to 64"),
    ],
)
def test_what_makes_no_admin_is_told_at_its_field(shared_new_api, changes, told):
    """What was typed stays, but for passwords; the token stays good."""
    token = tokens(shared_new_api)[-1]
    _, answer = send(shared_new_api, form(token, **changes))

    assert answer.status_code == 422
    assert told in answer.text
    assert token in answer.text
    assert PASSWORD not in answer.text
    assert tokens(shared_new_api)[-1] == token


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://elsewhere.example"}]
)
def test_a_form_from_elsewhere_makes_nobody(shared_new_api, headers):
    """Even one that knows the token."""
    _, answer = send(shared_new_api, form(tokens(shared_new_api)[-1]), headers)
    assert answer.status_code == 403


def test_the_first_admin_is_made_and_logged_in(new_api):
    """Once: afterwards the page is not there, and the audit tells what was done."""
    client, answer = send(new_api, form(tokens(new_api)[0]))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert client.get("/", headers=HTML).status_code == 200

    again = form(tokens(new_api)[0], name="mallory")
    assert send(new_api, again)[1].status_code == 404
    assert client.get("/setup").status_code == 404
    assert new_api.client(None).get("/login", headers=HTML).status_code == 200

    with new_api.client() as admin:
        users = admin.get("/api/admin/users").json()["users"]
        entries = admin.get("/api/admin/audit").json()["entries"]
    assert [(user["name"], user["role"]) for user in users] == [("alice", "admin")]
    made = [entry for entry in entries if (entry["action"], entry["status"]) == ("set_up", 303)]
    assert [(entry["actor"], entry["role"]) for entry in made] == [("alice", "admin")]
    assert made[0]["changes"]
    new_api.stop()
    new_api.start()
    assert len(tokens(new_api)) == 1


def test_the_whole_link_is_as_good_as_its_token(new_api):
    """People paste what they see, with white space around it."""
    link = f" {new_api.url}/setup#{tokens(new_api)[0]}\n"
    assert send(new_api, form(link))[1].status_code == 303


def test_five_wrong_tokens_end_a_token(new_api):
    """Another is printed; whoever guesses has to wait, as with passwords."""
    old = tokens(new_api)[0]
    answers = [send(new_api, form("x" * 43))[1] for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert "not the token" in answers[0].text

    assert len(tokens(new_api)) == 2
    limited = send(new_api, form(old))[1]
    assert limited.status_code == 429
    assert "Try again in" in limited.text
    new_api.stop()
    new_api.start()
    assert send(new_api, form(old))[1].status_code == 401
    assert send(new_api, form(tokens(new_api)[-1]))[1].status_code == 303


def test_two_tabs_make_one_admin(new_api):
    """Of forms that are sent at the same moment one wins; the others hear that it is done."""
    token = tokens(new_api)[0]
    with ThreadPoolExecutor(4) as threads:
        sent = threads.map(
            lambda number: send(new_api, form(token, name=f"admin{number}"))[1], range(4)
        )
        statuses = sorted(answer.status_code for answer in sent)

    assert statuses == [303, 404, 404, 404]
    with new_api.client() as admin:
        assert len(admin.get("/api/admin/users").json()["users"]) == 1


def test_a_user_made_elsewhere_ends_it_too(new_api):
    """The page is gone as soon as there is anybody, and its token with it."""
    with new_api.client() as admin:
        body = {"name": "bob", "password": PASSWORD, "role": "admin"}
        admin.post("/api/admin/users", json=body).raise_for_status()

    assert send(new_api, form(tokens(new_api)[0]))[1].status_code == 404
    assert new_api.client(None).get("/login", headers=HTML).status_code == 200


def test_with_a_password_in_the_settings_there_is_no_link(own_api, server):
    """The admin is there before anybody can ask, and the audit says who made them."""
    api = own_api(server.url).start(ADMIN_PASSWORD=PASSWORD)
    entries = api.client().get("/api/admin/audit", params={"sort": "number"}).json()["entries"]
    api.stop()
    api.start()
    again = api.client().get("/api/admin/audit", params={"action": "create_user"}).json()

    assert tokens(api) == []
    assert api.client(None).get("/setup").status_code == 404
    made, started = entries
    assert (made["actor"], made["action"], made["target"]) == ("service", "create_user", "admin")
    assert made["changes"]["role"] == [None, "admin"]
    assert started["action"] == "start_service"
    assert again["total"] == 1
