"""The audit in the pages: found, taken along as a table, and proven."""

import csv
import io
import sqlite3
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.fixtures.people import PASSWORD, with_users
from tests.fixtures.web import SAME_SITE, WebClient


NOWHERE = "mysql://nobody@127.0.0.1:1/"
# What a spreadsheet would reckon, and what not.
TARGETS = ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1", "\uff1d1", "plain", "<b>bold</b>"]


@pytest.fixture
def api(own_api):
    """An installation whose audit only this test writes."""
    return with_users(own_api(NOWHERE), admin="admin").start()


@pytest.fixture
def admin(api):
    """An admin, who has logged in with their password."""
    web = WebClient(api)
    web.log_in()
    return web


def table(answer):
    """The rows of a CSV."""
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_entries_are_found_by_who_what_and_when(api, admin):
    """The same filters for the page and the table; a day that is none is told at its field."""
    admin.post("/users", name="ann", password=PASSWORD, role="viewer")
    admin.post("/users/ann/role", role="operator")
    WebClient(api, "ann").get("/users")

    page = admin.get("/audit?actor=admin&action=change_user").text.partition("</datalist>")[2]
    assert "change user" in page
    assert "create user" not in page
    assert "viewer" in page.partition("1 change")[2]
    rows = table(admin.get("/audit.csv?actor=admin&action=change_user"))
    assert [row["target"] for row in rows] == ["POST /users/ann/role"]
    assert table(admin.get("/audit.csv?result=not-authorized"))[0]["actor"] == "ann"
    zone = ZoneInfo(api.settings["TIMEZONE"])
    assert f"From ({zone.key})" in page
    instants = [datetime.fromisoformat(row["at"]) for row in table(admin.get("/audit.csv"))]
    days = sorted(f"{at.astimezone(zone):%Y-%m-%d}" for at in instants)  # or two, at midnight
    assert len(table(admin.get(f"/audit.csv?since={days[0]}&until={days[-1]}"))) >= 5
    assert table(admin.get("/audit.csv?until=2020-01-01")) == []
    assert "No entry is like that" in admin.get("/audit?since=9998-01-01").text

    for day in ("yesterday", "2026-02-30", "9999-12-31", "<b>"):
        wrong = admin.get(f"/audit?since={day}")
        assert (wrong.status_code, 'id="since-error"' in wrong.text) == (422, True)
        assert admin.get(f"/audit.csv?until={day}").status_code == 422


def test_whose_password_was_guessed_is_told(api, admin):
    """As of logins over the API: each user by their name, and what is no name never as it was typed."""
    body = {"password": "not this one"}
    for name in ("Admin", "my secret password"):
        refused = api.client(None).post("/login", data={**body, "name": name}, headers=SAME_SITE)
        assert refused.status_code == 401

    rows = table(admin.get("/audit.csv?action=log_in"))
    assert [(row["status"], row["target"]) for row in rows[:2]] == [
        ("303", "POST /login as admin"),
        ("401", "POST /login as admin"),
    ]
    assert rows[2]["target"].startswith("POST /login as unknown ")
    assert "my secret password" not in str(rows)


def test_a_table_is_whole_and_no_text_in_it_is_a_formula(api, admin):
    """Oldest first, in several pieces; what a spreadsheet would reckon begins with a quote."""
    for number in range(len(TARGETS)):
        done = api.cli("audit", "accept", "--reason", f"text {number}")
        assert done.returncode == 0
    database = sqlite3.connect(api.state / "control.db")
    with database:
        for number, text in enumerate(TARGETS):
            values = (text, f"text {number}")
            database.execute("UPDATE audit SET target = ? WHERE target = ?", values)
        columns = [row[1] for row in database.execute("PRAGMA table_info(audit)")]
        others = ", ".join(name for name in columns if name not in {"number", "target"})
        top = database.execute("SELECT MAX(number) FROM audit").fetchone()[0]
        for number in range(1, 1100):
            database.execute(
                f"INSERT INTO audit (number, target, {others}) SELECT ?, 'many', {others}"
                " FROM audit WHERE number = 1",
                (top + number,),
            )
    database.close()

    rows = table(admin.get("/audit.csv"))

    numbers = [int(row["number"]) for row in rows]
    assert numbers == list(range(1, top + 1100))
    shown = {row["target"] for row in rows}
    assert {f"'{text}" for text in TARGETS[:7]} <= shown
    assert {"plain", "<b>bold</b>"} <= shown
    page = admin.get("/audit?action=accept_audit").text
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


def test_the_chain_is_proven_and_what_was_changed_is_found(api, admin):
    """The page says from where to where, and 500 that it is not as it was written."""
    whole = admin.get("/audit/proof")
    assert (whole.status_code, "The audit is whole" in whole.text) == (200, True)
    database = sqlite3.connect(api.state / "control.db")
    with database:
        database.execute("UPDATE audit SET actor = 'somebody' WHERE number = 2")
    database.close()
    broken = admin.get("/audit/proof")

    assert broken.status_code == 500
    assert "The audit is not as it was written" in broken.text
    assert "audit-broken" in broken.text


def test_pages_of_the_audit_lead_on_with_their_filters(api, admin):
    """Fifty lines a page; what was asked in vain is one of them, however often."""
    admin.post("/users", name="ann", password=PASSWORD, role="viewer")
    for _ in range(55):
        assert admin.post("/theme", theme="dark").status_code == 303  # it concerns nobody else
        assert admin.post("/runs/run_0000000000000000/cancel").status_code == 404
        assert admin.post("/users/ann/role", role="operator").status_code == 303
    page = admin.get("/audit?action=change_user").text

    assert "1 to 50 of 55 entries" in page
    assert "?action=change_user&amp;page=2" in page
    assert "51 to 55 of 55 entries" in admin.get("/audit?action=change_user&page=2").text
    assert "1 to" not in admin.get("/audit?action=who_am_i").text
    assert len(table(admin.get("/audit.csv?action=cancel_run"))) == 1
    assert api.client(None).get("/audit", headers=SAME_SITE).status_code == 303
