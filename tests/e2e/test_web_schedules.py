"""Schedules in the pages: made, changed, run and deleted by forms; and what they would do, before they are saved."""

import re
from html import unescape
from urllib.parse import urlencode

import pytest

from tests.fixtures.api import finished
from tests.fixtures.api_requests import BACKUP
from tests.fixtures.clocks import LEAP_DAYS, afternoon_zone
from tests.fixtures.web import WebClient, words


ZONE = afternoon_zone()
NEW = {"is_new": "on", "when": "daily", "timezone": ZONE, "enabled": "on", "keeping": "settings"}
HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}"


@pytest.fixture(scope="module")
def admin(web_api):
    """An admin, logged in."""
    return WebClient(web_api)


@pytest.fixture(scope="module")
def operator(web_api):
    """An operator, logged in."""
    return WebClient(web_api, "operator")


@pytest.fixture(autouse=True)
def no_schedules(web_api):
    """Nothing of other tests."""
    (web_api.backups / "schedule.json").unlink(missing_ok=True)


def schedules(api):
    """What there is, by name, as the API tells it."""
    found = api.client("viewer").get(f"{BACKUP}/schedule").json()["schedules"]
    return {schedule["name"]: schedule for schedule in found}


def save(web, **fields):
    """Send the form of a new schedule."""
    return web.post("/schedules/edit", **(NEW | fields))


@pytest.fixture
def stores(web_api, tmp_path):
    """Two stores that the service knows for the length of a test."""
    definitions = web_api.state / "stores.toml"
    tables = [f'[{name}]\nkind = "local"\npath = "{tmp_path}"\n' for name in ("offsite", "vault")]
    definitions.write_text("".join(tables))
    yield
    definitions.unlink()


def test_copies_in_stores_that_nobody_knows_are_refused(web_api, admin):
    """With what there is; the schedule is not made."""
    refused = save(admin, name="nowhere", when="daily", copies="nowhere", enabled="on")

    assert refused.status_code == 422
    assert "there is no store" in words(refused)
    assert "nowhere" not in schedules(web_api)


@pytest.mark.usefixtures("stores")
def test_a_schedule_is_made_shown_changed_and_deleted(web_api, admin):
    """Every field arrives; its name must be typed before it goes."""
    made = save(
        admin, name="shop", when="cron", cron=" 30  2 * * 1-5 ", timezone="Europe/Berlin",
        databases="shop\n  with space \n\n", tables="o*", exclude_tables="log", schema_only="on",
        copies="offsite\nvault", description="By <night>", compress="no", verify="yes", keeping="own", keep_count="3",
        keep_days="0.5", keep_max_bytes="1.5",
    )  # fmt: skip
    assert (made.status_code, made.headers["Location"]) == (303, "/schedules")
    shop = schedules(web_api)["shop"]
    assert (shop["cron"], shop["timezone"], shop["enabled"]) == (
        "30 2 * * 1-5",
        "Europe/Berlin",
        True,
    )
    assert shop["options"] == {
        "databases": ["shop", "with space"],
        "tables": ["o*"],
        "exclude_tables": ["log"],
        "include_data": False,
        "description": "By <night>",
        "compress": False,
        "level": None,
        "verify": True,
        "copies": ["offsite", "vault"],
        "store": "",
    }
    kept = {name: value for name, value in shop["retention"].items() if value}
    assert kept == {"count": 3, "days": 0.5, "max_bytes": 1_500_000_000}

    listed = words(admin.get("/schedules"))
    assert "At 02:30 on Monday through Friday Europe/Berlin" in listed
    assert "the 3 newest, all younger than 0.5 days; at most 1.5 GB" in listed
    form = admin.get("/schedules/edit?name=shop").text
    assert 'value="1.5"' in form
    assert ">shop\nwith space</textarea>" in form

    fields = NEW | {"name": "shop", "external": "on"}
    fields.pop("is_new"), fields.pop("enabled")
    assert admin.post("/schedules/edit", **fields).status_code == 303
    shop = schedules(web_api)["shop"]
    assert (shop["frequency"], shop["enabled"], shop["external"]) == ("daily", False, True)
    assert (shop["options"]["databases"], shop["retention"]) == ([], None)

    wrong = admin.post("/schedules/shop/delete", typed="Shop")
    assert (wrong.status_code, "nothing was deleted" in wrong.text) == (422, True)
    assert "shop" in schedules(web_api)
    assert admin.post("/schedules/shop/delete", typed=" shop ").status_code == 303
    assert schedules(web_api) == {}
    assert "Make the first one" in admin.get("/schedules").text


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"name": "Not so"}, "name", "1 to 32 of"),
        ({"name": ""}, "name", "1 to 32 of"),
        ({"when": "cron", "cron": ""}, "cron", "needs a frequency or a cron expression"),
        ({"when": "cron", "cron": "61 * * * *"}, "cron", "Five fields"),
        ({"when": "cron", "cron": HOSTILE}, "cron", "is no cron expression"),
        ({"timezone": HOSTILE}, "timezone", "Use an IANA name"),
        ({"when": "often"}, "when", "Choose how often"),
        ({"keeping": "own", "keep_weekly": HOSTILE}, "keep_weekly", "A whole number"),
        ({"databases": "x" * 70}, "databases", "at most 64"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_stays_typed(web_api, admin, fields, field, text):
    """422, nothing is saved, and no text that somebody typed is more than text."""
    answer = save(admin, **({"name": "shop"} | fields))

    assert answer.status_code == 422
    error = re.search(rf'id="{field}-error">(.*?)</p>', answer.text)
    assert error
    assert text in unescape(error[1])
    assert schedules(web_api) == {}
    assert "<img" not in answer.text
    for name, value in fields.items():
        if name not in {"when", "keeping"} and value:
            assert value in unescape(answer.text)


def test_a_name_that_is_taken_is_not_taken_over(web_api, admin):
    """A form for a new one never changes another."""
    save(admin, name="shop")
    answer = save(admin, name="shop", when="hourly")

    assert (answer.status_code, "There is one of this name" in answer.text) == (422, True)
    assert schedules(web_api)["shop"]["frequency"] == "daily"


def test_an_operator_says_when_but_not_that_less_is_kept(web_api, admin, operator):
    """403 with what was typed; what is kept stays as an admin has set it."""
    save(admin, name="shop", databases="a\nb", keeping="own", keep_count="3")
    fields = {"name": "shop", "timezone": ZONE, "enabled": "on"}
    page = operator.get("/schedules/edit?name=shop").text
    assert "keep_count" not in page
    assert "It keeps the 3 newest" in page
    assert "/delete" not in page

    more = operator.post(
        "/schedules/edit", when="hourly", databases="a\nb\nc", keep_count="1", keeping="own", **fields
    )  # fmt: skip
    assert more.status_code == 303
    shop = schedules(web_api)["shop"]
    assert (shop["frequency"], shop["retention"]["count"]) == ("hourly", 3)

    less = operator.post("/schedules/edit", when="hourly", databases="a", **fields)
    assert less.status_code == 403
    assert "The role admin is needed for a schedule that backs up less: databases." in less.text
    assert ">a</textarea>" in less.text
    assert schedules(web_api)["shop"] == shop


def test_a_schedule_is_switched_and_that_is_in_the_audit(web_api, operator):
    """Off and on again, with how it was before; the names say of which."""
    save(operator, name="shop")
    for wanted in ("off", "on"):
        assert operator.post("/schedules/shop/enabled", enabled=wanted).status_code == 303
        assert schedules(web_api)["shop"]["enabled"] is (wanted == "on")
    entries = web_api.client().get("/api/admin/audit", params={"limit": 3}).json()["entries"]

    on, off, made = entries
    assert {entry["action"] for entry in entries} == {"set_schedule"}
    assert (on["changes"], off["changes"]) == (
        {"enabled": [False, True]},
        {"enabled": [True, False]},
    )
    assert made["target"] == "POST /schedules/edit of shop"
    assert made["changes"]["name"] == [None, "shop"]


def test_a_schedule_runs_when_somebody_says_so(web_api, operator, sql, database):
    """The form leads to its run; sent twice it is one; then the list has its success."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    save(operator, name="shop", databases=database)
    key = "0123456789abcdef"
    first = operator.post("/schedules/shop/run", key=key)
    again = operator.post("/schedules/shop/run", key=key)

    assert first.status_code == 303
    assert again.headers["Location"] == first.headers["Location"]
    run = finished(web_api.client(), first.headers["Location"].rpartition("/")[2])
    assert (run["state"], run["origin"], run["asked_by"]) == ("succeeded", "web", "operator")
    assert f"/backups/{run['backup_id']}" in operator.get("/schedules").text
    assert operator.post("/schedules/nothing/run").status_code == 404


def test_a_failure_stands_in_the_list(web_api, operator):
    """With its code and the way to its runs; and the schedule is due still."""
    save(operator, name="shop", databases="there-is-no-such-database")
    answer = operator.post("/schedules/shop/run", key="1123456789abcdef")
    finished(web_api.client(), answer.headers["Location"].rpartition("/")[2])

    listed = words(operator.get("/schedules"))
    assert "last run failed failed runs database-not-found" in listed


def test_a_preview_shows_times_and_what_would_go_and_saves_nothing(web_api, admin, sql, database):
    """As a part for the page, and as the whole page for browsers without scripts."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    save(admin, name="previewed", databases=database)
    for number in range(3):
        answer = admin.post("/schedules/previewed/run", key=f"2123456789abcde{number}")
        finished(web_api.client(), answer.headers["Location"].rpartition("/")[2])
    fields = {
        "name": "previewed", "databases": database, "when": "cron", "cron": LEAP_DAYS,
        "timezone": "America/New_York", "enabled": "on", "keeping": "own", "keep_count": "2",
    }  # fmt: skip
    path = f"/schedules/preview?{urlencode(fields)}"
    before = schedules(web_api)

    part = admin.client.get(path, headers={"HX-Request": "true"})
    page = admin.get(path)

    assert "<html" not in part.text
    for shown in (words(part), words(page)):
        assert "At 02:00 on February 29" in shown
        assert "1 backup would go" in shown
        assert "2 would stay" in shown
        assert "older than the 2 newest" in shown
    assert part.text.count("02:00") >= 5
    assert schedules(web_api) == before
    assert f'value="{LEAP_DAYS}"' in page.text
    assert 'name="csrf"' not in path


def test_a_preview_of_what_makes_no_sense_says_so(admin):
    """The part is no error, for somebody is still typing; the whole page is one."""
    path = "/schedules/preview?name=x&when=cron&cron=1+2"
    part = admin.client.get(path, headers={"HX-Request": "true"})
    page = admin.get(path)

    unnamed = admin.client.get("/schedules/preview?when=daily", headers={"HX-Request": "true"})
    assert "At 02:00 every day" in words(unnamed)
    assert (part.status_code, page.status_code) == (200, 422)
    assert "is no cron expression" in words(part)
    assert "not complete yet" in words(part)


def test_a_viewer_sees_schedules_and_no_buttons(web_api, admin):
    """What the role may not do is not shown."""
    save(admin, name="shop")
    viewer = WebClient(web_api, "viewer")
    page = viewer.get("/schedules").text

    assert "shop" in page
    assert "Run now" not in page
    assert "/schedules/edit" not in page


def test_a_preview_of_a_login_that_is_over_says_so_in_its_place(web_api):
    """The form with what was typed stays; no page of a login is put into it."""
    web = WebClient(web_api, "operator")
    web.post("/logout")
    part = web.client.get("/schedules/preview?when=daily", headers={"HX-Request": "true"})

    assert part.status_code == 401
    assert "The login is over" in words(part)
    assert "<html" not in part.text
