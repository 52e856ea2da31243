"""A table is damaged at night, and somebody brings it back who has never seen these pages."""

import re

import pytest
from playwright.sync_api import expect

from tests.fixtures.people import PASSWORD


@pytest.fixture
def shop(server, sql, database, web_api):
    """A database with a backup, of which a table was emptied since."""
    sql.script([
        "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40))",
        "CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(8,2))",
        "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace')",
        "INSERT INTO orders VALUES (1, 10.00), (2, 20.00), (3, 30.00)",
    ])
    admin = web_api.client()
    made = admin.post(
        "/api/admin/backup/create",
        json={"databases": [database]},
        headers={"Prefer": "wait=60"},
    ).json()
    sql.run("DELETE FROM orders")
    sql.run("INSERT INTO customers VALUES (3, 'new since the backup')")
    return made["backup_id"]


def count(sql, table):
    """Count the rows of a table."""
    return int(sql.run(f"SELECT COUNT(*) FROM {table}")[0][0])


def press(page, *keys):
    """Press keys one after the other."""
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, name):
    """Press Tab until what has this name has the focus; nothing else may swallow it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const e = document.activeElement;"
            " return (e.labels?.[0]?.innerText || e.getAttribute('aria-label') || e.innerText || '').trim(); })()"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"Tab never came to {name!r}")


def log_in_by_keyboard(page):
    """Log in without a mouse; the first field has the focus, as soon as the page was drawn."""
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("admin")
    press(page, "Tab")
    page.keyboard.type(PASSWORD)
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def look_at_orders(page):
    """Choose the one table, and look at what a restore of it would do."""
    tab_to(page, "Everything in the backup")
    press(page, "ArrowDown")
    tab_to(page, "orders")
    press(page, "Space")
    tab_to(page, "Dry run")
    press(page, "Enter")
    expect(page.get_by_role("row", name="orders")).to_contain_text("is replaced")
    expect(page.get_by_role("row", name="customers")).to_contain_text("stays")


def undo_by_keyboard(page):
    """Take the restore back from the page that shows its proof."""
    tab_to(page, "Undo")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Undo a restore")).to_be_visible()
    tab_to(page, "Undo it")
    press(page, "Enter")
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible()


def test_a_damaged_table_comes_back_by_keyboard_alone(visitors, web_api, shop, sql, database):
    """Log in, choose the table, look at the dry run, confirm, and see the proof; then undo."""
    visitor = visitors(web_api)
    page = visitor.go("/login")
    log_in_by_keyboard(page)
    visitor.go(f"/restore/{shop}")
    look_at_orders(page)

    expect(page.get_by_role("button", name="Continue")).to_be_focused()
    press(page, "Enter")
    expect(page.locator("#sentence")).to_contain_text("1 table replaced; back to")
    expect(page.get_by_label(re.compile("^Type"))).to_be_focused()
    page.keyboard.type(database)
    press(page, "Enter")
    expect(page.get_by_text("read back and equal")).to_be_visible()
    assert (count(sql, "orders"), count(sql, "customers")) == (3, 3)

    undo_by_keyboard(page)
    assert count(sql, "orders") == 0


def test_a_damaged_table_comes_back_without_scripts(visitors, web_api, shop, sql, database):
    """The same with JavaScript off: forms and pages that are loaded again are enough."""
    visitor = visitors(web_api, java_script_enabled=False)
    page = visitor.log_in()
    visitor.go(f"/restore/{shop}")
    page.get_by_label("These tables; all others stay as they are").check()
    page.get_by_role("checkbox", name=re.compile("^orders")).check()
    page.get_by_role("button", name="Dry run", exact=True).click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label(re.compile("^Type")).fill(database)
    page.get_by_role("button", name="Restore").click()

    expect(page.get_by_text("read back and equal")).to_be_visible()
    assert count(sql, "orders") == 3


@pytest.mark.parametrize("typed", ["", "Shop", "the whole server"])
def test_a_wrong_name_begins_nothing(visitors, web_api, shop, sql, typed):
    """The page comes again with the reason at the field; what is live stays as it is."""
    visitor = visitors(web_api)
    page = visitor.enter()
    visitor.go(f"/restore/{shop}")
    page.get_by_role("button", name="Skip the dry run").click()
    page.get_by_label(re.compile("^Type")).fill(typed)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Restore").click()

    assert answer.value.status == 422
    expect(page.locator("#typed-error")).to_be_visible()
    assert count(sql, "orders") == 0


def test_to_name_a_table_or_a_database_means_it(visitors, web_api, shop):
    """Whoever types into a field has chosen what it belongs to, and everything is not meant any more."""
    visitor = visitors(web_api)
    page = visitor.enter()
    visitor.go(f"/restore/{shop}")
    expect(page.get_by_label("Everything in the backup")).to_be_checked()
    page.get_by_label("Or names with wildcards").fill("ord*")
    expect(page.get_by_label("These tables; all others stay as they are")).to_be_checked()
    page.get_by_label("Name of the database").fill("beside")
    expect(page.get_by_label("Under another name; nothing is overwritten")).to_be_checked()


def test_a_way_back_from_a_dry_run_keeps_what_was_chosen(visitors, web_api, shop):
    """Ticks, names with wildcards and options: one of them is changed, and not all made again."""
    visitor = visitors(web_api)
    page = visitor.enter()
    visitor.go(f"/restore/{shop}")
    page.get_by_role("checkbox", name=re.compile("^orders")).check()
    page.get_by_label("Or names with wildcards").fill("cust*")
    page.get_by_text("How", exact=True).click()
    page.get_by_label("No recovery point before it").check()
    page.get_by_role("button", name="Dry run", exact=True).click()
    page.get_by_role("link", name="Change it").click()

    expect(page.get_by_label("These tables; all others stay as they are")).to_be_checked()
    expect(page.get_by_role("checkbox", name=re.compile("^orders"))).to_be_checked()
    expect(page.get_by_role("checkbox", name=re.compile("^customers"))).not_to_be_checked()
    expect(page.get_by_label("Or names with wildcards")).to_have_value("cust*")
    assert page.get_by_label("No recovery point before it").is_checked()
