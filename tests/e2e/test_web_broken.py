"""Pages while something is broken, and at addresses that make no sense: a page says so, and what works."""

import re
import socket
import sqlite3
import time
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.archives import make_backup
from tests.fixtures.cli import wait_until
from tests.fixtures.people import with_users
from tests.fixtures.servers import Sql
from tests.fixtures.sooner import SEEN_SECONDS
from tests.fixtures.web import SAME_SITE, WebClient, words


NOWHERE = "mysql://root@127.0.0.1:1/"
WRONG = (
    "/runs?day=9999-12-31", "/runs?day=0001-01-01", "/restores?day=9999-12-31", "/runs?day=yesterday",
    "/runs?kind=nothing", "/runs?state=nothing", "/restores?state=nothing", "/backups?points=maybe",
    "/backups?page=0", "/runs?page=x",
)  # fmt: skip


@pytest.fixture(scope="module")
def web(web_api):
    """An admin at a browser without scripts."""
    return WebClient(web_api)


@pytest.fixture
def broken(own_api):
    """A service without its server, and an admin who is logged in."""
    api = with_users(own_api(NOWHERE)).start()
    return api, WebClient(api)


def is_page(answer):
    """Tell whether an answer is a page under the policy of pages."""
    policy = answer.headers["Content-Security-Policy"]
    return answer.headers["Content-Type"].startswith("text/html") and "script-src 'self'" in policy


@pytest.mark.parametrize("path", WRONG)
def test_a_filter_that_makes_no_sense_is_refused_as_a_page(web, path):
    """It must not show everything, as if that were what was asked for."""
    answer = web.get(path)

    assert answer.status_code == 422
    assert is_page(answer)
    assert "makes no sense" in answer.text


def test_text_of_an_address_is_shown_with_nothing_hidden(web):
    """A name that turns the direction of what follows is told by numbers."""
    answer = web.get(f"/backups/{quote('<b>' + chr(0x202E))}")

    assert answer.status_code == 404
    shown = answer.text.partition("<main")[2]
    assert chr(0x202E) not in shown
    assert "&lt;b&gt;" in shown


def test_a_page_that_is_not_there_leads_back(web, web_api):
    """Whoever is logged in gets the menu and the way to Overview; others the way to the login, and no name."""
    page = web.get("/nothing")
    stranger = web_api.client(None).get("/nothing", headers={"Accept": "text/html"})
    assert (page.status_code, stranger.status_code) == (404, 404)
    assert "Back to Overview" in page.text
    assert "Log out" in page.text
    assert ">Log in</a>" in stranger.text
    assert "Log out" not in stranger.text


def test_a_form_that_is_too_long_is_refused_as_a_page(web):
    """With the menu, and with how much it may hold."""
    answer = web.post("/backups", description="x" * 300_000)

    assert answer.status_code == 413
    assert is_page(answer)
    assert "<h1>Request too large</h1>" in answer.text, "in the words of the API"
    assert 'href="/runbook/too-large"' in answer.text
    assert "may have 262" in words(answer)
    assert "Log out" in answer.text
    assert "The server that is backed up" in answer.text


def test_a_form_with_too_many_fields_is_refused_as_a_page(web):
    """It is what was sent that is wrong, and no fault of the service."""
    answer = web.post("/schedules/edit", **{f"field{number}": "x" for number in range(12_000)})

    assert answer.status_code == 400
    assert is_page(answer)
    assert "Too many fields" in answer.text


def test_one_request_too_many_is_answered_as_a_page(own_api, server):
    """Whoever looks with a browser reads what to do, and can try again; programs get their document."""
    api = with_users(own_api(server.url)).start(
        TRUSTED_PROXIES="127.0.0.1", MAX_CLIENT_CONNECTIONS="1"
    )
    host, port = api.url.removeprefix("http://").split(":")
    waiting = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    asked = {"Accept": "text/html"}
    client = api.client(None)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(waiting)
        wait_until(
            lambda: client.get("/login?next=/runs", headers=asked).status_code == 429,
            "the only place is taken",
        )
        page = client.get("/login?next=/runs", headers=asked)
        document = client.get("/api/auth/me")

    assert (page.status_code, document.status_code) == (429, 429)
    assert is_page(page)
    assert "requests of this client go on already" in page.text
    assert 'href="/login?next=/runs">Try again' in page.text
    assert document.json()["code"] == "too-many-requests"


def test_after_too_many_attempts_the_login_says_how_long_to_wait(own_api, server):
    """In words, and for programs."""
    api = with_users(own_api(server.url)).start()
    body = {"name": "nobody", "password": "not this one"}
    with api.client(None) as client:
        wait_until(
            lambda: client.post("/login", data=body, headers=SAME_SITE).status_code == 429,
            "attempts are limited",
        )
        answer = client.post("/login", data=body, headers=SAME_SITE)

    seconds = answer.headers["Retry-After"]
    assert f"Too many failed attempts. Try again in {seconds} seconds." in words(answer)


def test_a_login_leads_to_no_address_that_no_browser_takes(web):
    """A header of many kilobytes would keep somebody out who has the right password."""
    answer = web.post("/theme", theme="auto", next="/" + "a" * 20_000)

    assert answer.headers["Location"] == "/"


def test_without_its_directory_a_page_says_what_works(broken):
    """With the menu that leads to those pages that need nothing of it."""
    api, web = broken
    api.backups.write_text("a file stands where the directory was")
    for path in ("/", "/backups", "/restore", "/schedules", "/retention"):
        answer = web.get(path)
        assert answer.status_code == 507, path
        assert is_page(answer)
        assert "What works" in answer.text
        assert 'href="/runs"' in answer.text
    for working in ("/runs", "/alerts", "/users", "/settings", "/server"):
        assert web.get(working).status_code == 200


def test_without_the_control_database_a_page_says_what_works(broken):
    """Nobody is known to be logged in then; the command line is named."""
    api, web = broken
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute("DROP TABLE sessions")
        control.execute("DROP TABLE runs")
    control.close()
    answer = web.get("/")

    assert answer.status_code == 503
    assert is_page(answer)
    assert "control-unavailable" in answer.text
    assert "backstay restore run" in answer.text
    assert "Control database does not work" in words(answer)


def test_what_cannot_be_written_down_is_refused_as_a_page(broken):
    """Like every other refusal, not as a document for programs."""
    api, web = broken
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute("DROP TABLE audit")
    control.close()
    answer = web.post("/logout")

    assert answer.status_code == 503
    assert is_page(answer)
    assert "control-unavailable" in answer.text


def test_what_was_typed_outlives_a_refusal_that_cannot_be_written_down(broken):
    """As where the disk is full of both."""
    api, web = broken
    token = web.token
    typed = {"is_new": "on", "name": "kept-typed", "when": "daily", "csrf": token}
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute("DROP TABLE audit")
    control.close()
    api.backups.write_text("a file stands where the directory was")
    refused = web.post("/schedules/edit", **typed)

    assert refused.status_code == 503
    assert "It may be taken later" in words(refused)
    assert "kept-typed" in words(refused)
    assert "Send it again" in refused.text


def test_overview_says_that_the_server_is_away_before_a_run_fails(own_api, own_server):
    """And that it is back; whoever looks again and again does not dial each time."""
    server = own_server()
    web = WebClient(with_users(own_api(server.url)).start())
    away = "No backup can be made now"
    assert away not in web.get("/").text
    server.kill()

    wait_until(lambda: away in web.get("/").text, "Overview tells that the server is away")
    page = web.get("/").text
    assert "Examine the server" in page
    assert "(!) Overview" in page
    server.start()
    wait_until(lambda: away not in web.get("/").text, "Overview tells that the server is back")
    before, began = _connections(server), time.monotonic()
    for _ in range(30):
        web.get("/")
    looks = 1 + (time.monotonic() - began) / SEEN_SECONDS
    assert (
        _connections(server) - before <= 4 + looks
    )  # and what the service asks by itself, and this test


def _connections(server):
    with Sql(server.url) as sql:
        return int(sql.run("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


def sent_again(web, page):
    """Send the form that an answer holds, as it is there."""
    fields = re.findall(
        r'type="hidden" name="(\w+)" value="([^"]*)"', page.text.partition('id="unsent"')[2]
    )
    return web.post(page.request.url.path, **{name: unescape(value) for name, value in fields})


def test_what_was_typed_outlives_the_login(web_api):
    """The answer shows it and sends it again, when somebody has logged in: to who may, and to nobody else's page."""
    web = WebClient(web_api)
    typed: dict[str, Any] = {
        "is_new": "on",
        "name": "kept-typed",
        "when": "daily",
        "databases": "a<b>",
        "csrf": "x",
    }
    assert web.token  # of a login that is over now
    web.client.cookies.clear()
    over = web.post("/schedules/edit", **typed)
    secret = web.post("/users", name="ann", password="of nobody else", csrf="x")
    elsewhere = web.post("/schedules/edit", headers={"Sec-Fetch-Site": "cross-site"}, **typed)
    web.log_in()
    stale = sent_again(web, over)
    saved = sent_again(web, stale)

    assert (over.status_code, stale.status_code, saved.status_code) == (401, 403, 303)
    assert "Nothing was done. Log in in another tab" in words(over)
    assert "kept-typed" in words(over)
    assert "a&lt;b&gt;" in over.text
    assert "kept-typed" not in elsewhere.text
    assert "of nobody else" not in secret.text
    assert "Send it again" not in secret.text
    assert "Name ann" in words(secret)
    assert ">a&lt;b&gt;</textarea>" in web.get("/schedules/edit?name=kept-typed").text
    web_api.client().delete("/api/admin/backup/schedule/kept-typed").raise_for_status()


def test_a_form_that_needs_the_server_says_before_it_is_sent_that_it_is_away(broken):
    """And not a run that fails of it; Overview says it beside what is worse."""
    api, web = broken
    api.backups.mkdir()
    _, manifest = make_backup(api.backups)
    assert "a backup fails" in words(web.get("/backups/new"))
    assert "a dry run as well as a restore fails" in words(
        web.get(f"/restore/{manifest.backup_id}")
    )
    with (api.backups / manifest.file).open("r+b") as file:
        file.truncate(10)
    overview = words(web.get("/"))

    assert "1 backup is damaged" in overview
    assert (
        "No backup can be made now either: 127.0.0.1:1: no answer (Connection refused)" in overview
    )


def test_a_refused_form_leads_back_to_where_it_stands(web, web_api):
    """With its address as it was; to no page of others, wherever a request says that it comes from."""

    def links(referer):
        sent = {**SAME_SITE, "Referer": referer}
        page = web.post("/backups/backup_0000000000000/delete", headers=sent, typed="wrong")
        assert page.status_code == 422
        return re.findall(r'href="([^"]*)">Back to the form', page.text)

    assert links(f"{web_api.url}/backups/x?page=2&text=<b>") == [
        "/backups/x?page=2&amp;text=%3Cb%3E"
    ]
    assert links("http://elsewhere.example/backups/x") == []
    assert links(f"{web_api.url}//elsewhere.example") == ["/"]
