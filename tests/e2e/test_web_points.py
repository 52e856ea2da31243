"""Pages of points in time without scripts: what can be reached, what happened, and the way to a recovery."""

import html
import re
import time
from datetime import UTC, datetime

import pytest

from tests.fixtures.api import Api, finished
from tests.fixtures.people import with_users
from tests.fixtures.point_in_time import archive_log
from tests.fixtures.servers import Sql
from tests.fixtures.web import WebClient


@pytest.fixture(scope="module")
def archived(server, tmp_path_factory):
    """A service with a backup, and an archive in which a table goes."""
    api = Api(server.url, tmp_path_factory.mktemp("points"))
    with Sql(server.url) as sql:
        sql.script([
            "FLUSH BINARY LOGS",
            "CREATE DATABASE points",
            "USE points",
            "CREATE TABLE t (i INT PRIMARY KEY)",
        ])
        first = str(sql.run("SHOW BINARY LOGS")[-1][0])
        try:
            with_users(api).start()
            body = {"databases": ["points"]}
            made = (
                api
                .client()
                .post("/api/admin/backup/create", json=body, headers={"Prefer": "wait=60"})
                .json()
            )
            time.sleep(1.1)  # what the log says of a time has whole seconds
            sql.script([
                "INSERT INTO t VALUES (1), (2)",
                "DROP TABLE t",
                "CREATE DATABASE points__bk_new_0123456789ab",
            ])
            archive_log(sql, api.backups, first=first)
            yield api, made["backup_id"]
        finally:
            api.close()
            sql.run("DROP DATABASE IF EXISTS points")
            sql.run("DROP DATABASE IF EXISTS points__bk_new_0123456789ab")


def buttons(page):
    """What the buttons of the points on a page send, from the newest on."""
    return [
        html.unescape(found) for found in re.findall(r'name="point" value="([^"]*)"', page.text)
    ]


def near(web, **query):
    """Look at the newest transactions."""
    return web.client.get("/point-in-time/recover", params=query, headers={"Accept": "text/html"})


def test_the_window_shows_bases_and_the_end(archived):
    """Also that nobody archives, and what to do about it; the Overview says how much could be lost."""
    api, backup_id = archived
    web = WebClient(api, "viewer")
    page = web.get("/point-in-time")

    assert page.status_code == 200
    assert "The binary log is not archived" in page.text
    assert "BACKSTAY_BINLOG=true" in page.text
    assert "1 backup to start from" in page.text
    assert f"/backups/{backup_id}" in page.text
    assert 'class="reached"' in page.text
    assert "everything after the end of the archived binary log" in web.get("/").text
    assert web.post("/point-in-time/drill").status_code == 403


def test_a_viewer_sees_what_happened_and_no_buttons(archived):
    """The conditions narrow it."""
    web = WebClient(archived[0], "viewer")
    page = near(web)

    assert "DROP TABLE" in page.text
    assert "points</bdi>.<bdi" in page.text
    assert page.text.count("part of a restore") == 1
    assert buttons(page) == []
    assert "the role operator is needed" in page.text
    narrowed = near(web, match="no such statement", within="10m")
    assert "Nothing like that happened within 10 minutes" in narrowed.text


def test_just_before_this_is_a_dry_run_and_then_a_recovery(archived):
    """The page of the dry run names the base and both neighbours, by what they did."""
    api, backup_id = archived
    web = WebClient(api, "operator")
    page = near(web, match="DROP")
    (_, point) = buttons(page)
    answer = web.post("/point-in-time/rehearse", point=point, scope="all")
    path = answer.headers["Location"]
    run = finished(api.client(), path.rpartition("/")[2])
    shown = web.get(path)

    assert (run["state"], run["origin"], run["result"]["transactions"]) == ("succeeded", "web", 1)
    assert backup_id in shown.text
    assert shown.text.count("drop</span>") == 1, "each is told once"
    assert "INSERT INTO t" in shown.text or "points</bdi>.<bdi" in shown.text
    fields = dict(re.findall(r'type="hidden" name="(point|scope)" value="([^"]*)"', shown.text))
    assert fields == {"point": point, "scope": "all"}
    assert web.get(f"/runs/{run['run_id']}").status_code == 200


def test_the_newest_moment_is_the_end_of_the_log(archived):
    """Whatever clocks say: nothing was committed after it."""
    web = WebClient(archived[0], "operator")
    newest, *_ = buttons(near(web))

    assert newest.startswith("position ")


def test_a_moment_that_cannot_be_reached_says_from_when_to_when(archived):
    """There is no button to go back to it."""
    web = WebClient(archived[0], "operator")
    page = near(web, at="2001-01-01T00:00:00")

    assert "cannot be reached" in page.text
    assert buttons(page) == []


@pytest.mark.parametrize("query", [{"at": "tomorrow"}, {"zone": "Nowhere/Else"}, {"within": "1y"}])
def test_an_address_that_makes_no_sense_is_refused(archived, query):
    """And not taken for one without it."""
    assert near(WebClient(archived[0], "viewer"), **query).status_code == 422


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"point": "position x:1"},
        {"point": "position x:1", "scope": "databases"},
        {"scope": "all", "point": "never"},
    ],
)
def test_a_form_that_does_not_say_what_is_wanted_begins_nothing(archived, fields):
    """422, and what to do."""
    web = WebClient(archived[0], "operator")
    for path in ("/point-in-time/rehearse", "/point-in-time/recover"):
        answer = web.post(path, **fields)
        assert answer.status_code == 422
        assert "invalid-request" in answer.text


def test_a_recovery_that_fails_says_why_and_leads_back(archived):
    """The time is before every backup."""
    api, _ = archived
    web = WebClient(api, "operator")
    point = f"time {datetime(2001, 1, 1, tzinfo=UTC).isoformat()}"
    answer = web.post("/point-in-time/rehearse", point=point, scope="all")
    path = answer.headers["Location"]
    run = finished(api.client(), path.rpartition("/")[2])
    page = web.get(path)

    assert run["error"]["code"] == "point-not-covered"
    assert "Another moment" in page.text
    assert ">Recover<" not in page.text


def test_a_run_of_another_kind_is_no_dry_run(archived):
    """404, as for one that is not there."""
    api, backup_id = archived
    web = WebClient(api, "operator")
    verified = web.post(f"/backups/{backup_id}/verify")
    run_id = verified.headers["Location"].rpartition("/")[2]

    assert web.get(f"/point-in-time/dry-run/{run_id}").status_code == 404
