"""Retention, alerts, the server and settings in the pages."""

import asyncio
import json
import re
from datetime import UTC, datetime

import pytest

from app.control.alerts import AlertRecords
from app.control.database import ControlDatabase
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.ids import BackupId
from app.domain.restores.journal import (
    Journal,
    RestoreId,
    RestoreKind,
    RestorePhase,
    SchemaSwap,
)
from app.engine.server.server import Server
from app.scheduling.clock import SystemClock
from app.storage.journals import Journals
from tests.fixtures.accounts import READER, account, login
from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP, WAIT, created, done
from tests.fixtures.cli import wait_until
from tests.fixtures.many_backups import make_many
from tests.fixtures.people import PASSWORD, with_users
from tests.fixtures.web import WebClient, words


_COUNTED = re.compile(r"(\d+) to (\d+) of (\d+) backups")
NOWHERE = "mysql://nobody@127.0.0.1:1/"


@pytest.fixture
def installed(own_api, server):
    """An installation on the shared server that keeps one backup."""
    return with_users(own_api(server.url)).start(MAX_BACKUPS="1")


def two_good_backups(api, database):
    """Make them so that none goes by itself, and return their ids, the older one first."""
    made = [created(api, databases=[database], verify=verify) for verify in (True, False)]
    ids = [run["backup_id"] for run in made]
    done(api.post(f"{BACKUP}/verify/{ids[1]}", headers=WAIT))
    return ids


def test_a_prune_wants_to_know_how_many_go(installed, sql, database):
    """A number that is not that one deletes nothing; the run says what went."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    admin, api = WebClient(installed), installed.client()
    made = two_good_backups(api, database)
    page = words(admin.get("/retention"))
    assert "1 backup would go" in page
    assert "older than the newest" in page
    assert "1 backup stays" in page

    for typed in ("", "2", "one"):
        refused = admin.post("/retention", typed=typed)
        assert (refused.status_code, "nothing was deleted" in refused.text) == (422, True)
    assert api.get(f"{BACKUP}/list").json()["total"] == 2
    sent = admin.post("/retention", typed="1", key="3123456789abcdef")

    run = finished(api, sent.headers["Location"].rpartition("/")[2])
    assert [backup["backup_id"] for backup in run["result"]["deleted"]] == [made[0]]
    again = admin.post("/retention", typed="1", key="3123456789abcdef")
    assert again.headers["Location"] == sent.headers["Location"], "sent twice, it is one"
    assert "Nothing would go" in words(admin.get("/retention"))


def test_a_store_has_its_own_retention_there(installed, sql, database, tmp_path):
    """What would go from it, under its rules; the directory keeps what its own rules keep."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    place = tmp_path / "elsewhere"
    place.mkdir()
    definition = f'[disk]\nkind = "local"\npath = "{place}"\n'
    (installed.state / "stores.toml").write_text(definition)
    admin, api = WebClient(installed), installed.client()
    made = []
    for _ in range(2):
        made.append(created(api, databases=[database])["backup_id"])
        done(api.post(f"{BACKUP}/copy/{made[-1]}", json={"to": "disk"}, headers=WAIT))
    (installed.state / "stores.toml").write_text(f"{definition}retention = {{ count = 1 }}\n")
    assert "Store disk" in words(admin.get("/retention"))
    page = words(admin.get("/retention?store=disk"))
    refused = admin.post("/retention", typed="2", store="disk")

    assert "1 backup would go" in page
    assert made[0] in page
    assert (refused.status_code, "nothing was deleted" in refused.text) == (422, True)
    sent = admin.post("/retention", typed="1", store="disk", key="6123456789abcdef")
    run = finished(api, sent.headers["Location"].rpartition("/")[2])
    assert [backup["backup_id"] for backup in run["result"]["deleted"]] == [made[0]]
    assert "Nothing would go" in words(admin.get("/retention?store=disk"))
    assert admin.get("/retention?store=nowhere").status_code == 404


def test_a_clock_that_cannot_be_right_is_told_and_must_be_accepted(installed, sql, database):
    """Nothing is deleted before somebody says that it is."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    admin, api = WebClient(installed), installed.client()
    two_good_backups(api, database)
    witness = installed.state / "clock" / "witness.json"
    known = json.loads(witness.read_text())
    witness.write_text(json.dumps({**known, "at": "2025-01-01T00:00:00Z"}))

    assert "Nothing is deleted" in words(admin.get("/retention"))
    refused = admin.post("/retention", typed="1")
    assert (refused.status_code, "Say that the clock is right" in refused.text) == (422, True)
    sent = admin.post("/retention", typed="1", accept_clock="on", key="4123456789abcdef")
    run = finished(api, sent.headers["Location"].rpartition("/")[2])
    assert (run["state"], len(run["result"]["deleted"])) == ("succeeded", 1)


async def test_alerts_are_listed_and_a_test_says_who_took_it(own_api, endpoint):
    """With the error of each target, and no secret of its address."""
    address = f"json://keeper:hunter2@127.0.0.1:{endpoint.port}/T0KEN"
    api = with_users(own_api(NOWHERE)).start(ALERT_URLS=address)
    admin = await asyncio.to_thread(WebClient, api)
    assert "nothing is wrong" in words(await asyncio.to_thread(admin.get, "/alerts"))

    sent = await asyncio.to_thread(admin.post, "/alerts/test")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/alerts#test")
    assert "json://127.0.0.1 arrived" in words(await asyncio.to_thread(admin.get, "/alerts"))
    endpoint.status = 500
    await asyncio.to_thread(admin.post, "/alerts/test")
    page = await asyncio.to_thread(admin.get, "/alerts")
    assert "json://127.0.0.1 http 500" in words(page)
    assert "hunter2" not in page.text
    assert "T0KEN" not in page.text

    run = await asyncio.to_thread(admin.post, "/backups", key="5123456789abcdef")
    await asyncio.to_thread(finished, api.client(), run.headers["Location"].rpartition("/")[2])

    def is_told():
        page = words(admin.get("/alerts"))
        return "(1) Alerts" in page and "The backup has failed" in page

    await asyncio.to_thread(wait_until, is_told, "the page tells of the failure")


async def test_an_alert_says_what_it_is_about(own_api):
    """Also where that is a backup that nobody has scheduled."""
    api = with_users(own_api(NOWHERE)).start()
    database = ControlDatabase(f"sqlite+aiosqlite:///{api.state / 'control.db'}", api.state)
    alert, now = Alert(AlertKind.UNUSUAL, "manual", "fewer rows than before"), SystemClock().now()
    await AlertRecords(database).raise_alert(alert, now, told_before=now, targets=())
    await database.close()
    admin = await asyncio.to_thread(WebClient, api)

    assert "unusual backup by hand" in words(await asyncio.to_thread(admin.get, "/alerts"))


def test_without_a_target_a_test_says_what_to_set(web_api):
    """And sends nothing."""
    answer = WebClient(web_api).post("/alerts/test")

    assert answer.status_code == 422
    assert "BACKSTAY_ALERT_URLS is not set" in answer.text


def test_what_is_wrong_with_the_server_comes_first_with_the_way_out(own_api, sql, server, database):
    """Rights that lack are statements to copy."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    with account(sql, *(f"{right} ON `{database}`.*" for right in READER[1:])) as name:
        api = with_users(own_api(login(server.url, name) + database)).start()
        page = WebClient(api).get("/server")

    assert page.status_code == 200
    assert "check failed" in words(page) or "checks failed" in words(page)
    rows = re.findall(r'data-label="State">(.*?)</td>', page.text, re.DOTALL)
    states = [re.sub(r"<[^>]+>", "", row).strip() for row in rows]
    assert states == sorted(states, key=("failed", "warning", "good").index)
    assert re.search(r'<pre id="remedy-\d+">[^<]*GRANT SELECT ON', page.text)


def test_a_server_that_is_away_is_a_page_not_an_error(own_api):
    """It says what does not answer; repair leaves what cannot be asked, and says so."""
    api = with_users(own_api(NOWHERE)).start()
    admin = WebClient(api)
    page = admin.get("/server")

    assert page.status_code == 200
    assert "connection failed" in words(page).lower()
    sent = admin.post("/server/repair")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/server?repaired=true")
    assert "Nothing was left to repair" in words(admin.get("/server?repaired=true"))


def interrupted(api, where):
    """Leave the journal of a restore behind that a crash has ended while it loaded."""
    number = "5" * 12
    swap = SchemaSwap("shop", f"shop__bk_new_{number}", f"shop__bk_old_{number}")
    began = datetime(2026, 1, 31, 12, tzinfo=UTC)
    Journals(api.state).save(
        Journal(
            RestoreId(f"restore_{number}"), RestoreKind.RESTORE, BackupId("backup_0000000000000"),
            where, began, RestorePhase.LOADING, (swap,),
        )
    )  # fmt: skip


def test_a_restore_that_was_interrupted_is_put_back(installed, server):
    """The page says that there is one, and then what became of it."""
    admin = WebClient(installed)
    interrupted(installed, Server(server.url).where)
    page = admin.get("/server")
    assert "A restore was interrupted" in words(page)
    assert "/server/repair" in page.text

    sent = admin.post("/server/repair")
    assert sent.status_code == 303
    page = admin.get(sent.headers["Location"])
    assert "0 restores finished, 1 put back" in words(page)
    assert "A restore was interrupted" not in words(page)


def test_a_repair_that_fails_says_why(own_api):
    """With the status of its error; the journal stays."""
    api = with_users(own_api(NOWHERE)).start()
    interrupted(api, Server(NOWHERE).where)
    answer = WebClient(api).post("/server/repair")

    assert answer.status_code == 502
    assert "1 restore could not be repaired" in words(answer)
    assert "restore of shop : " in words(answer)


def test_repair_is_for_admins_alone(web_api):
    """It changes databases."""
    assert WebClient(web_api, "operator").post("/server/repair").status_code == 403


def test_settings_are_shown_without_secrets(own_api):
    """What is set, and where; of a secret only that it is."""
    api = own_api("mysql://nobody:hunter2@127.0.0.1:1/").start(
        ADMIN_PASSWORD=PASSWORD, TIMEZONE="Europe/Berlin", METRICS_TOKEN="t0ken-of-metrics"
    )
    page = WebClient(api).get("/settings")

    assert "BACKSTAY_TIMEZONE Europe/Berlin UTC environment" in words(page)
    assert "BACKSTAY_METRICS_TOKEN set not set environment" in words(page)
    assert "BACKSTAY_CODEC gzip" in words(page)
    for secret in ("hunter2", "t0ken", PASSWORD, "another-application"):
        assert secret not in page.text


def test_all_that_goes_and_all_that_stays_is_shown_a_page_at_a_time(own_api, server):
    """Each list has pages of its own, and turning one leaves the other where it is."""
    api = own_api(server.url)
    api.backups.mkdir()
    make_many(api.backups, 120, until=SystemClock().now())
    web = WebClient(with_users(api).start(MAX_BACKUPS="55"))

    def counted(query=""):
        text = words(web.get(f"/retention{query}"))
        return [tuple(map(int, found)) for found in _COUNTED.findall(text)]

    (_, _, going), (_, _, staying) = counted()
    assert (going + staying, going > 50, staying > 50) == (120, True, True)
    assert counted("?going=2") == [(51, going, going), (1, 50, staying)]
    assert 'href="?staying=2&amp;going=1#going"' in web.get("/retention?going=2&staying=2").text
    assert counted("?going=2&staying=2") == [(51, going, going), (51, staying, staying)]
    assert web.get("/retention?going=0").status_code == 422
