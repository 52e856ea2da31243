"""Of many tables those are found of which somebody knows a part of the name."""

from playwright.sync_api import expect


WAIT = {"Prefer": "wait=60"}


def test_a_table_is_found_by_a_part_of_its_name(visitors, web_api, sql, database):
    """In the contents of a backup, in the choice of a restore and in that of a schedule; Enter sends nothing."""
    sql.script(f"CREATE TABLE `t{number:02}` (i INT)" for number in range(60))
    sql.script(["CREATE TABLE orders (i INT)", "CREATE TABLE `<b>orders` (i INT)"])
    with web_api.client() as admin:
        body = {"databases": [database]}
        made = admin.post("/api/admin/backup/create", json=body, headers=WAIT).json()
    visitor = visitors(web_api)
    page = visitor.enter()

    visitor.go(f"/restore/{made['backup_id']}")
    page.get_by_label("Find a table").fill("ORDERS")
    expect(page.locator("#tables label:visible")).to_have_count(2)
    page.get_by_label("Find a table").press("Enter")
    expect(page.get_by_label("These tables; all others stay as they are")).to_be_checked()
    assert page.url.endswith(f"/restore/{made['backup_id']}")

    visitor.go(f"/backups/{made['backup_id']}")
    contents = page.locator("#contents")
    expect(contents.get_by_text("1 to 50 of 62 tables and objects")).to_be_visible()
    contents.get_by_label("Name").fill("<B>")
    contents.get_by_role("button", name="Show").click()
    expect(contents.locator("tbody tr")).to_have_count(1)
    contents.get_by_label("Name").fill("nothing")
    contents.get_by_label("Name").press("Enter")
    contents.get_by_role("link", name="Show all").click()
    contents.get_by_role("link", name="Further").click()
    expect(contents.locator("tbody tr")).to_have_count(12)

    visitor.go("/schedules/edit")
    page.get_by_text("Single tables, and how").click()
    page.get_by_label("Find a table").fill("t07")
    page.get_by_label(f"Only {database}.t07").check()
    expect(page.locator("#preview")).to_contain_text("1 table of")


def test_long_names_are_broken_and_our_own_words_are_not(visitors, web_api, sql):
    """Beside the longest names a link stays on its line; where they are ticked all of them is seen."""
    name = "a_rather_long_name_of_a_database".ljust(64, "x")
    sql.script([f"CREATE DATABASE {name}", f"CREATE TABLE {name}.{name} (i INT)"])
    with web_api.client() as admin:
        body = {"databases": [name]}
        made = admin.post("/api/admin/backup/create", json=body, headers=WAIT).json()
    visitor = visitors(web_api)
    page = visitor.log_in()
    lines = "link => link.getClientRects().length"
    cut = "[...document.querySelectorAll('.choices')].filter(box => box.scrollWidth > box.clientWidth).length"

    visitor.go(f"/?database={name}")
    assert page.get_by_role("link", name=f"Restore {name}").evaluate(lines) == 1
    for path in ("/schedules/edit", "/backups/new", f"/restore/{made['backup_id']}"):
        visitor.go(path)
        expect(page.get_by_text(name).first).to_be_attached()
        assert page.evaluate(cut) == 0
    sql.run(f"DROP DATABASE {name}")
