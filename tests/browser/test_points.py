"""A table is dropped by mistake, and somebody brings it back as it was a moment before."""

import re
import time

from playwright.sync_api import expect

from tests.fixtures.barriers import barriers, is_scrolled_sideways
from tests.fixtures.people import with_users
from tests.fixtures.point_in_time import STATUS
from tests.fixtures.servers import Sql


def archived_to_the_end(api, sql):
    """Wait until the service has archived what the server has logged."""
    file, position, *_ = sql.run(STATUS)[0]
    end = {"file": file, "position": position}
    deadline = time.monotonic() + 60
    with api.client() as admin:
        while (status := admin.get("/api/admin/binlog/status").json())["archived_end"] != end:
            assert time.monotonic() < deadline, status
            time.sleep(0.1)


def looked_at(page):
    """Nothing keeps anybody out of the page, and it fits."""
    found = barriers(page)
    return [] if not found and not is_scrolled_sideways(page) else [page.url, found]


def wait_for_at_most(visitor):
    """Look at the Overview until the archive is past the end of the backup: some seconds, by the heartbeat."""
    deadline = time.monotonic() + 60
    while "At most" not in visitor.go("/").locator("#loss").inner_text():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def recover_before_the_drop(visitor):
    """Find the statement in the list, and go back to just before it; the page leads on to the restore."""
    page = visitor.page
    page.get_by_role("link", name="Find a moment and recover").click()
    dropped = page.get_by_role("row").filter(has_text="DROP TABLE")
    dropped.get_by_role("button", name="Just before this").click()
    expect(page.get_by_role("button", name="Recover")).to_be_focused()
    expect(page.locator("main")).to_contain_text("DROP TABLE")
    page.get_by_role("button", name="Recover").click()
    expect(page.get_by_text("recovered", exact=True)).to_be_visible(timeout=60_000)
    assert looked_at(page) == []


def restore_orders(page):
    """Bring the one table back, from the page of the recovery on."""
    page.get_by_role("link", name="Restore", exact=True).last.click()
    page.get_by_label("These tables; all others stay as they are").check()
    page.get_by_role("checkbox", name=re.compile("^orders")).check()
    page.get_by_role("button", name="Dry run", exact=True).click()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#sentence")).to_contain_text(": 1 table made; back to the point")
    expect(page.locator("#sentence")).to_contain_text("Recovered to just before transaction")
    page.get_by_label(re.compile("^Type")).fill("shop")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("read back and equal")).to_be_visible(timeout=60_000)


def test_a_dropped_table_comes_back_as_it_was_just_before(visitors, own_server, own_api):
    """With what was committed after the last backup; tables beside it stay as they are."""
    source = own_server()
    api = with_users(own_api(source.url)).start(BINLOG="true")
    with Sql(source.url) as sql:
        sql.script([
            "CREATE DATABASE shop",
            "USE shop",
            "CREATE TABLE orders (id INT PRIMARY KEY)",
            "CREATE TABLE visits (id INT PRIMARY KEY)",
            "INSERT INTO orders VALUES (1)",
        ])
        archived_to_the_end(api, sql)
        api.client().post(
            "/api/admin/backup/create", json={}, headers={"Prefer": "wait=60"}
        ).raise_for_status()
        sql.script([
            "INSERT INTO orders VALUES (2), (3)",
            "DROP TABLE orders",
            "INSERT INTO visits VALUES (1)",
        ])
        archived_to_the_end(api, sql)
        visitor = visitors(api)
        page = visitor.enter()
        wait_for_at_most(visitor)
        visitor.go("/point-in-time")
        expect(page.get_by_text("The binary log is archived as it is written")).to_be_visible()

        recover_before_the_drop(visitor)
        restore_orders(page)

        assert sql.run("SELECT id FROM orders ORDER BY id") == [(1,), (2,), (3,)]
        assert sql.run("SELECT id FROM visits") == [(1,)]
        page.get_by_role("link", name="Undo").click()
        page.get_by_role("button", name="Undo it").click()
        expect(page.locator("dt:has-text('Tables brought back') + dd")).to_have_text("none")
