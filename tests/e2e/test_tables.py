"""What the server holds, by command, over HTTP and in the form of a schedule: the same as a backup takes."""

import re
from html import unescape
from typing import Any

import pytest

from tests.fixtures.api_requests import BACKUP, created, problem
from tests.fixtures.clocks import afternoon_zone
from tests.fixtures.people import with_users
from tests.fixtures.web import WebClient, words


HOSTILE = "<img src=x onerror=alert(1)>"
NEW: dict[str, Any] = {
    "is_new": "on",
    "when": "daily",
    "timezone": afternoon_zone(),
    "enabled": "on",
    "keeping": "settings",
}


@pytest.fixture
def tables(sql, database):
    """A database with four tables, one of them of a name that must stay text."""
    names = ("orders", "order_items", "log*", HOSTILE)
    sql.script(f"CREATE TABLE `{name}` (i INT PRIMARY KEY)" for name in names)
    sql.run("INSERT INTO orders VALUES (1), (2)")
    return database


def chosen(document):
    return {table["table"] for table in document["tables"] if table["chosen"]}


def test_what_is_listed_is_what_a_backup_takes(web_api, tables):
    """Command and request say the same, and the backup of the same request holds it."""
    operator = web_api.client("operator")
    asked = {"databases": [tables], "tables": ["order*", "*.log[*]"], "exclude_tables": ["*_items"]}
    query = {"database": tables, "table": asked["tables"], "exclude_table": asked["exclude_tables"]}
    found = operator.get(f"{BACKUP}/tables", params=query).json()
    made = created(operator, **asked)
    held = operator.get(f"{BACKUP}/info/{made['backup_id']}").json()["contents"][0]["tables"]
    printed = web_api.cli(
        "backup", "tables", "--database", tables, "--table", "order*", "--table", "*.log[*]",
        "--exclude-table", "*_items",
    )  # fmt: skip

    assert chosen(found) == {table["name"] for table in held} == {"orders", "log*"}
    assert (found["total"], found["chosen_count"], found["would_fail"]) == (4, 2, False)
    assert [pattern["tables_count"] for pattern in found["patterns"]] == [2, 1, 1]
    assert "A backup takes 2 tables of 4" in printed.stdout
    assert "*_items leaves out 1 table." in printed.stdout


def test_what_is_not_there_is_told_before_a_backup_fails(web_api, tables):
    """A database and a pattern; the command says so as well."""
    query = {"database": [tables, "gone"], "table": "nothing_*", "limit": 1}
    found = web_api.client("operator").get(f"{BACKUP}/tables", params=query).json()
    printed = web_api.cli("backup", "tables", "--database", "gone")

    assert (found["missing"], found["would_fail"], len(found["tables"])) == (["gone"], True, 1)
    assert "There is no database gone." in printed.stdout
    problem(web_api.client("viewer").get(f"{BACKUP}/tables"), 403, "not-authorized")


def test_tables_are_ticked_and_stay_ticked(web_api, tables):
    """Names become patterns of nothing else, beside those that are typed; a hostile one is text."""
    web = WebClient(web_api, "operator")
    fields = NEW | {
        "name": "ticked", "database": tables, "only": [f"{tables}.orders", f"{tables}.log*"],
        "tables": "order_*", "without": f"{tables}.{HOSTILE}",
    }  # fmt: skip
    assert web.post("/schedules/edit", **fields).status_code == 303
    (schedule,) = [
        known
        for known in web_api.client().get(f"{BACKUP}/schedule").json()["schedules"]
        if known["name"] == "ticked"
    ]
    page = web.get("/schedules/edit?name=ticked")
    (web_api.backups / "schedule.json").unlink()

    assert schedule["options"]["databases"] == [tables]
    assert schedule["options"]["tables"] == ["order_*", f"{tables}.orders", f"{tables}.log[*]"]
    assert schedule["options"]["exclude_tables"] == [f"{tables}.{HOSTILE}"]
    ticks = re.findall(r'name="(\w+)" value="([^"]*)" checked', page.text)
    assert {(name, unescape(value)) for name, value in ticks} >= {
        ("database", tables), ("only", f"{tables}.orders"), ("only", f"{tables}.log*"),
        ("without", f"{tables}.{HOSTILE}"),
    }  # fmt: skip
    assert ">order_*</textarea>" in page.text
    assert "3 tables of 4" in words(page)
    assert HOSTILE not in page.text


def test_without_a_server_names_are_typed(own_api):
    """The page says why there is nothing to tick, and takes a schedule all the same."""
    api = own_api("mysql://nobody@127.0.0.1:9/")
    with_users(api).start()
    web = WebClient(api, "operator")
    page = web.get("/schedules/edit")

    assert page.status_code == 200
    assert "nothing to choose from" in words(page)
    assert web.post("/schedules/edit", **NEW, name="typed", tables="a*").status_code == 303
    assert api.cli("backup", "tables").returncode != 0
