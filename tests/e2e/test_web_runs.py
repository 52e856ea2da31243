"""Pages of runs that did not succeed: what they offer to whom."""

import asyncio
import re
from html import unescape
from itertools import product
from typing import Any

import pytest

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.documents.derived import BackupStored
from app.domain.runs.run import Failure, RunKind, RunState
from tests.fixtures.api import finished
from tests.fixtures.records import NOON, run
from tests.fixtures.servers import Sql
from tests.fixtures.web import WebClient, words


NAME = "tried_again"
_ACTION = re.compile(r'action="(/runs/[^"]+/again)"')
_KEY = re.compile(r'name="key" value="([^"]+)"')


@pytest.fixture
def missing(web_api, server):
    """A backup that failed since its database was not there; it is there when the block begins."""
    web = WebClient(web_api, "operator")
    begun = web.post("/backups", databases=NAME, description="by hand")
    run_id = begun.headers["Location"].rpartition("/")[2]
    with web_api.client() as client:
        assert finished(client, run_id)["state"] == "failed"
    with Sql(server.url) as sql:
        sql.script([f"CREATE DATABASE {NAME}", f"CREATE TABLE {NAME}.t (id INT PRIMARY KEY)"])
        yield run_id
        sql.run(f"DROP DATABASE {NAME}")


def test_a_backup_that_failed_is_tried_again(web_api, missing):
    """With what it was asked for; the button pressed twice is one run."""
    web = WebClient(web_api, "operator")
    page = web.get(f"/runs/{missing}").text
    (action,), (key,) = _ACTION.findall(page), _KEY.findall(page)
    ways = [web.post(action, key=unescape(key)).headers["Location"] for _ in range(2)]

    assert ways[0] == ways[1]
    with web_api.client() as client:
        run = finished(client, ways[0].rpartition("/")[2])
        first = client.get(f"/api/admin/runs/{missing}").json()
    assert (run["state"], run["kind"], run["origin"]) == ("succeeded", "backup", "web")
    assert run["request"] == first["request"]
    assert run["request"]["databases"] == [NAME]
    assert _ACTION.findall(web.get(ways[0]).text) == []


def back_up(client):
    """Make a backup of the database; returns its id."""
    begun = client.post("/api/admin/backup/create", json={"databases": [NAME]}).json()
    return finished(client, begun["run_id"])["backup_id"]


def test_a_backup_that_is_deleted_by_a_double_click_was_deleted_once(web_api, missing):
    """Both lead to the run; the same form without its key finds nothing any more."""
    web = WebClient(web_api)
    with web_api.client() as client:
        made = back_up(client)
        ways = []
        for _ in range(2):
            sent = web.post(f"/backups/{made}/delete", typed=made[-5:], key="clicked-twice")
            ways.append(sent.headers["Location"])
            finished(client, ways[-1].rpartition("/")[2])

    assert ways[0] == ways[1]
    assert web.post(f"/backups/{made}/delete", typed=made[-5:]).status_code == 404


def test_the_backup_of_a_restore_is_found_by_its_database_and_day(web_api, missing):
    """Which is told to the next step as well."""
    web = WebClient(web_api)
    with web_api.client() as client:
        made = back_up(client)

    found = web.get(f"/restore?database={NAME}").text
    assert set(re.findall(r'href="/restore/(\w+)\?database=(\w+)"', found)) >= {(made, NAME)}
    assert "/restore/" not in web.get(f"/restore?database={NAME}&day=2020-01-01").text
    assert "/restore/" not in web.get("/restore?database=none").text


def test_who_may_not_back_up_is_offered_nothing(web_api, missing):
    """A viewer sees why it failed."""
    page = WebClient(web_api, "viewer").get(f"/runs/{missing}").text

    assert NAME in page
    assert _ACTION.findall(page) == []


def test_a_drill_that_failed_is_chosen_again_with_what_was_chosen(web_api, missing):
    """What a restore does is shown before it is done: it begins with its choices, not with a button."""
    web = WebClient(web_api)
    with web_api.client() as client:
        body = {"databases": [NAME]}
        begun = client.post("/api/admin/backup/create", json=body).json()
        made = finished(client, begun["run_id"])["result"]
        file = web_api.backups / made["file"]
        whole = file.read_bytes()
        file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        begun_by_form = web.post(
            f"/restore/{made['backup_id']}/rehearse",
            scope="tables",
            patterns=f"{NAME}.t",
            where="drill",
        )
        run_id = begun_by_form.headers["Location"].rpartition("/")[2]
        assert finished(client, run_id)["state"] == "failed"
    page = web.get(f"/runs/{run_id}").text
    with web_api.client() as client:
        client.post(f"/api/admin/backup/verify/{made['backup_id']}", headers={"Prefer": "wait=60"})
        listed = words(web.get("/runs?kind=verification"))
    assert re.search(r"Verification the backup of \d{4}", listed), "of which backup"
    above = (
        web.get("/backups?database=none").text.partition("not whole")[2].partition("</section>")[0]
    )
    assert f'href="/backups/{made["backup_id"]}"' in above, "however long the list is"
    damaged = web.get(f"/restore/{made['backup_id']}").text
    assert re.search(r'value="tables"[^>]* checked', damaged), "single tables may be whole"

    (link,) = re.findall(r'href="(/restore/[^"]+\?again=[^"]+)"', page)
    file.write_bytes(whole)
    with web_api.client() as client:
        client.post(f"/api/admin/backup/verify/{made['backup_id']}", headers={"Prefer": "wait=60"})
    choices = web.get(unescape(link)).text
    assert re.search(r'value="drill"[^>]* checked', choices)
    assert f"{NAME}.t" in choices
    assert web.post(f"/runs/{run_id}/again").status_code == 422


def kept(web_api, *runs):
    """Put runs into the history."""

    async def write() -> None:
        address = f"sqlite+aiosqlite:///{web_api.state / 'control.db'}"
        database = ControlDatabase(address, web_api.state)
        for made in runs:
            await RunRecords(database).add(made)
        await database.close()

    asyncio.run(write())


def test_every_run_has_a_page_whatever_was_asked_for(web_api):
    """Also that of a synthetic backup, which goes to no point that anybody has named."""
    asked = {"to": "end", "databases": [], "dry_run": False, "schedule": "nightly"}
    failure = Failure("connection-failed", "Database connection failed", "x", "", retryable=True)
    ways: list[dict[str, Any]] = [
        {"state": RunState.QUEUED, "request": asked},
        {"state": RunState.FAILED, "request": {}, "error": failure, "finished_at": NOON},
    ]
    made = [
        run(1000 + number, kind=kind, **way)
        for number, (kind, way) in enumerate(product(RunKind, ways))
    ]
    kept(web_api, *made)
    web = WebClient(web_api, "operator")
    pages = {(each.kind, each.state): web.get(f"/runs/{each.run_id}") for each in made}

    assert {page.status_code for page in pages.values()} == {200}
    assert "Recovery up to now" in words(pages[RunKind.RECOVERY, RunState.QUEUED])


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
def test_a_dry_run_that_did_not_succeed_says_why_and_is_chosen_again(web_api, missing, state):
    """On its own page, which is loaded again when it ends: a server that went away, or somebody who stopped it."""
    with web_api.client() as client:
        made = back_up(client)
    over = run(
        1100 + list(RunState).index(state),
        kind=RunKind.DRY_RUN,
        state=state,
        finished_at=NOON,
        backup_id=made,
        error=Failure(
            "connection-lost", "Connection lost", "it went away", "Look.", retryable=True
        ),
    )
    kept(web_api, over)
    page = WebClient(web_api, "operator").get(f"/restore/{made}/dry-run/{over.run_id}")

    assert page.status_code == 200
    assert "it went away" in page.text
    assert f'href="/restore/{made}?again={over.run_id}">Try again</a>' in page.text


@pytest.mark.parametrize("kind", [RunKind.BACKUP, RunKind.RECOVERY_POINT, RunKind.RECOVERY])
def test_a_backup_that_nobody_here_can_read_is_told_as_far_as_it_is_known(kind, web_api):
    """Its run was killed when it was done; what it holds is encrypted for others."""
    number = 900 + list(RunKind).index(kind)
    stored = BackupStored(
        success=True, backup_id="backup_65ba1f2f3d4e5", file="b.age", size=7, checksum="c"
    )
    made = run(
        number,
        kind=kind,
        state=RunState.SUCCEEDED,
        finished_at=NOON,
        backup_id=stored.backup_id,
        result=stored.model_dump(mode="json"),
    )
    kept(web_api, made)
    answer = WebClient(web_api).get(f"/runs/{made.run_id}")

    assert answer.status_code == 200
    assert "encrypted for others" in answer.text
