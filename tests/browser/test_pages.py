"""Every page, as different people see it: bright or dark, wide or narrow, with hostile names in it."""

import re
from datetime import UTC, datetime
from itertools import product

import pytest
from playwright.sync_api import expect

from app.binlog.archive.layout import file_number
from app.domain.restores.log_archive import LogBreak
from tests.fixtures.barriers import SMALL, barriers, is_scrolled_sideways
from tests.fixtures.point_in_time import STATUS, archive_log
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


SCHEMES = ("light", "dark")
WIDTHS = (1280, 375)
# In short each scheme and each width once, each at half of the pages.
LOOKS = series([("light", 1280), ("dark", 375)], list(product(SCHEMES, WIDTHS)))
SHARES = series(len(LOOKS), 1)
# In databases, tables, descriptions and errors: nothing of it may be anything but text.
HOSTILE = (
    '<img src=x onerror="alert(1)">',
    "');alert(1)//",
    "{{7*7}}${7*7}",
    '<b hx-get="/backups" hx-trigger="load">',
    "a\u202eb",
    "\U0001f642" * 10,
)


LARGE = """(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(":root { font-size: 200% }");
  document.adoptedStyleSheets.push(sheet);
  return [...document.querySelectorAll("main *")]
    .filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll, .year-scroll"))
    .map((e) => e.outerHTML.slice(0, 90));
})()"""


@pytest.fixture(scope="module")
def paths(web_api, server):
    """Paths of every kind of page, with something on it: a database of hostile names, backed up and restored."""
    name = "ho`st<i>le"
    with Sql(server.url) as sql:
        sql.script([
            "FLUSH BINARY LOGS",
            "CREATE DATABASE `ho``st<i>le` CHARACTER SET utf8mb4",
            *(f"CREATE TABLE `ho``st<i>le`.`t{number}{text}` (i INT PRIMARY KEY)"
              for number, text in enumerate(HOSTILE[:4])),
        ])  # fmt: skip
        with web_api.client() as admin:
            wait = {"Prefer": "wait=60"}
            body = {"databases": [name], "description": " ".join(HOSTILE)}
            made = admin.post("/api/admin/backup/create", json=body, headers=wait).json()
            backup = made["backup_id"]
            base = "/api/admin/backup"
            dry = admin.post(f"{base}/test-restore/{backup}", json={}, headers=wait).json()
            back = admin.post(f"{base}/restore/{backup}", json={}, headers=wait).json()
            options = {"databases": [name], "tables": list(HOSTILE), "description": HOSTILE[0]}
            schedule = {"name": "hostile", "frequency": "daily", "options": options}
            admin.post(f"{base}/schedule", json=schedule).raise_for_status()
            scheduled = {"name": "hostile", "force": True}
            admin.post(f"{base}/run-scheduled", json=scheduled, headers=wait)
            failed = admin.post(
                f"{base}/create", json={"databases": [HOSTILE[0]]}, headers=wait
            ).json()
            sql.run(f"DROP TABLE `ho``st<i>le`.`t0{HOSTILE[0]}`")
            # A base from before that restore would lack the tables that came with it.
            admin.post(
                f"{base}/create", json={"databases": [name]}, headers=wait
            ).raise_for_status()
            planned = recovery_planned(web_api, admin, sql)
        yield {
            "login": "/login",
            "overview": "/",
            "backups": "/backups",
            "no-backups": "/backups?text=nothing-is-called-that",
            "backup": f"/backups/{backup}",
            "new": "/backups/new",
            "runs": "/runs",
            "failed": f"/runs/{failed['run_id']}",
            "restore": f"/runs/{back['run_id']}",
            "dry-run": f"/restore/{backup}/dry-run/{dry['run_id']}",
            "restores": "/restores",
            "which": "/restore",
            "what": f"/restore/{backup}",
            "undo": f"/undo/{back['restore_id']}",
            "nothing": "/nothing",
            "schedules": "/schedules",
            "schedule": "/schedules/edit?name=hostile",
            "new-schedule": "/schedules/edit",
            "wrong-schedule": "/schedules/preview?when=cron&cron=<b>&timezone=<b>&keeping=own&keep_count=x",
            "retention": "/retention",
            "alerts": "/alerts",
            "server": "/server",
            "users": "/users",
            "user": "/users/viewer",
            "new-user": "/new-user",
            "account": "/account",
            "audit": "/audit",
            "no-audit": "/audit?actor=nobody-is-called-that&since=<b>",
            "proof": "/audit/proof",
            "settings": "/settings",
            "stores": "/stores",
            "points": "/point-in-time",
            "moments": "/point-in-time/recover",
            "no-moments": "/point-in-time/recover?at=2001-01-01T00:00&within=1h&match=<b>",
            "recovery": f"/point-in-time/dry-run/{planned}",
        }
        # What is kept of it for an undo goes as well.
        made = [found for (found,) in sql.run("SHOW DATABASES") if found.startswith(name)]
        sql.script(f"DROP DATABASE `{found.replace('`', '``')}`" for found in made)


def recovery_planned(api, admin, sql):
    """Archive the newest file of the log, to which something was done that it lacks; returns a dry run."""
    file, position, *_ = sql.run(STATUS)[0]
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - of a break, which a server's clock tells
    unlogged = LogBreak(at, file_number(file) or 0, position, " ".join(HOSTILE))
    archive_log(sql, api.backups, first=file, breaks=[unlogged])
    asked = {"to_position": f"{file}:{position}", "dry_run": True}
    wait = {"Prefer": "wait=60"}
    made = admin.post("/api/admin/recoveries", json=asked, headers=wait).raise_for_status()
    return made.json()["run_id"]


PAGES = (
    "login", "overview", "backups", "no-backups", "backup", "new", "runs", "failed", "restore", "dry-run",
    "restores", "which", "what", "undo", "nothing", "schedules", "schedule", "new-schedule", "wrong-schedule",
    "retention", "alerts", "server", "users", "user", "new-user", "account", "audit", "no-audit", "proof",
    "settings", "stores", "points", "moments", "no-moments", "recovery",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_keep_nobody_out(visitors, web_api, paths, scheme, width):
    """No barrier that axe finds, no way sideways, not at 320 pixels either; hostile text is text."""
    visitor = visitors(web_api, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = visitor.enter()
    found = {}
    for name in PAGES[LOOKS.index((scheme, width)) % SHARES :: SHARES]:
        visitor.go(paths[name])
        if wrong := barriers(page):
            found[name] = wrong
        assert not is_scrolled_sideways(page), name
        assert page.evaluate(SMALL) == [], name
        page.set_viewport_size({"width": 320, "height": 900})
        assert not is_scrolled_sideways(page), f"{name} at 320"
        page.set_viewport_size({"width": width, "height": 900})

    assert found == {}


def test_text_of_twice_the_size_fits(visitors, web_api, paths):
    """Whoever needs large letters scrolls down, never sideways."""
    visitor = visitors(web_api)
    page = visitor.enter()
    wide = {}
    for name in PAGES:
        visitor.go(paths[name])
        found = page.evaluate(LARGE)
        if is_scrolled_sideways(page):
            wide[name] = found

    assert wide == {}


def test_hostile_names_are_text(visitors, web_api, paths):
    """They are shown as they are; what has no glyph is shown by its number."""
    visitor = visitors(web_api)
    page = visitor.enter()
    for name in ("backups", "backup", "which", "what", "dry-run", "moments"):
        visitor.go(paths[name])
        text = page.locator("main").inner_text()
        assert "ho`st<i>le" in text
        assert page.locator("main img, main b[hx-get]").count() == 0
    visitor.go(paths["backup"])
    text = page.locator("main").inner_text()
    visitor.go(paths["points"])
    told = page.locator("main").inner_text()
    for hostile in HOSTILE:
        assert hostile.replace("\u202e", "\\u202e") in text
        assert hostile.replace("\u202e", "\\u202e") in told


def test_a_date_in_a_heading_stays_on_a_line(visitors, web_api, paths):
    """On a phone the words before it give way."""
    page = visitors(web_api, viewport={"width": 375, "height": 900}).enter()
    lines = "e => Math.round(e.offsetHeight / parseFloat(getComputedStyle(e).lineHeight))"
    for name in ("backup", "what", "dry-run"):
        page.goto(web_api.url + paths[name])
        assert page.locator("h1 time").evaluate(lines) == 1, name


def test_words_of_a_row_stand_on_one_line(visitors, web_api, paths):
    """A state in its coloured ground as well; and no line below a link hides a part of an identifier."""
    page = visitors(web_api).enter()
    page.goto(web_api.url + paths["runs"])
    bottom = """e => {
      const range = document.createRange();
      range.selectNodeContents([...e.childNodes].findLast((node) => node.nodeType === Node.TEXT_NODE));
      return range.getBoundingClientRect().bottom;
    }"""
    row = page.locator("tbody tr").first
    bottoms = [row.locator(part).first.evaluate(bottom) for part in ("td > time", ".state")]
    assert abs(bottoms[0] - bottoms[1]) < 1.5
    page.goto(web_api.url + paths["restore"])
    assert (
        page.locator(".facts a time").first.evaluate("e => getComputedStyle(e).display") == "inline"
    )
    page.goto(web_api.url + paths["failed"])
    lower = "e => parseFloat(getComputedStyle(e).textUnderlineOffset) / parseFloat(getComputedStyle(e).fontSize)"
    assert page.locator("a:has(> code)").first.evaluate(lower) > 0.25


def test_tables_fit_into_a_wide_window(visitors, web_api, paths):
    """With their last button, however long ago something was, in its longest words."""
    page = visitors(web_api).enter()
    wide = """() => {
      for (const time of document.querySelectorAll("td a time")) time.textContent = "23 min 59 s ago";
      return [...document.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth).length;
    }"""
    for name in ("schedules", "backups", "stores", "users", "overview"):
        page.goto(web_api.url + paths[name])
        assert page.evaluate(wide) == 0, name


def test_boxes_of_a_form_are_in_line(visitors, web_api):
    """Those of names as those of our own words."""
    page = visitors(web_api).enter()
    page.goto(f"{web_api.url}/backups/new")
    left = "boxes => boxes.map((box) => box.getBoundingClientRect().left)"

    assert len(set(page.locator("main input[type=checkbox]").evaluate_all(left))) == 1


@pytest.mark.parametrize(
    ("name", "field"),
    [("backups", "Text"), ("runs", "Asked for by"), ("audit", "Who"), ("moments", "Database")],
)
def test_after_a_search_the_tab_key_goes_on_at_what_was_found(
    visitors, web_api, paths, name, field
):
    """And not at the beginning of the page, before the whole menu."""
    page = visitors(web_api).enter()
    page.goto(web_api.url + paths[name])
    page.get_by_label(field, exact=True).press("Enter")
    page.wait_for_url("**#found")
    page.keyboard.press("Tab")

    after = "e => Boolean(document.getElementById('found').compareDocumentPosition(e) & 4)"
    assert page.locator("main :focus").evaluate(after)


def test_what_is_meant_is_told_in_words(visitors, web_api, paths):
    """The backup that is suggested, what an alert is about, and errors in the order of their names."""
    page = visitors(web_api).enter()
    page.goto(web_api.url + paths["which"])
    suggested = page.get_by_role("row").filter(has=page.locator(".btn-primary"))
    expect(page.get_by_text("newest good one")).to_have_count(1)
    expect(suggested).to_contain_text("newest good one")
    page.goto(web_api.url + paths["alerts"])
    expect(page.locator("main")).to_contain_text("failure of a backup by hand")
    page.goto(f"{web_api.url}/runbook")
    codes = page.locator("main li").all_inner_texts()
    assert codes == sorted(codes)


def test_a_page_is_light(visitors, web_api, paths):
    """At most 160 kB at the first visit, 30 kB at the next, and few nodes."""
    visitor = visitors(web_api)
    sizes = []
    visitor.page.on(
        "response", lambda answer: sizes.append(answer.request.sizes()["responseBodySize"])
    )
    page = visitor.log_in()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    first = sum(sizes)
    sizes.clear()
    visitor.go("/backups")

    assert first <= 160_000
    assert sum(sizes) <= 30_000
    assert page.evaluate("document.querySelectorAll('*').length") <= 1500


def test_the_menu_opens_and_closes_on_a_phone(visitors, web_api):
    """By a tap, and by Escape, with the focus where it was."""
    visitor = visitors(web_api, viewport={"width": 375, "height": 700})
    visitor.enter()
    page = visitor.go("/")
    menu = page.locator("details.drawer > summary")
    menu.click()
    expect(page.get_by_role("link", name="Backups").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("details.drawer nav")).not_to_be_visible()
    expect(menu).to_be_focused()
    menu.click()
    page.get_by_role("link", name="Runs").first.click()
    expect(page).to_have_url(re.compile("/runs$"))


def test_a_theme_stays(visitors, web_api):
    """What somebody has chosen is there at the first paint, whatever their system wants."""
    visitor = visitors(web_api, color_scheme="light")
    visitor.enter()
    page = visitor.go("/")
    page.locator("details.account > summary").click()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_load_state()

    assert page.locator("html").get_attribute("data-bs-theme") == "dark"
    visitor.go("/runs")
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"


def test_a_time_tells_utc_while_it_has_the_focus(visitors, web_api, paths):
    """Whether it is shown in the browser's zone or as how long ago it was; in a link the link says it."""
    visitor = visitors(web_api, timezone_id="Pacific/Auckland")
    page = visitor.enter()
    visitor.go(paths["backups"])
    link = page.locator("tbody td a:has(time)").first
    time = page.locator("tbody .why time").first
    told = "e => getComputedStyle(e, '::after').content"
    for element in (link, time):
        assert element.evaluate(told) == "none"
        page.keyboard.press("Tab")  # a focus by keyboard, which the next one stays
        element.focus()
        utc = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC")
        assert utc.search(element.evaluate(told))
        expect(element).to_have_attribute("title", utc)
    assert "Pacific/Auckland" in link.get_attribute("title")
    assert not is_scrolled_sideways(page)
