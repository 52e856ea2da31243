"""Pages of an installation after a year: as light as those of a fresh one."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from app.domain.year import DAYS
from app.scheduling.clock import SystemClock
from tests.fixtures.control import furnish
from tests.fixtures.people import with_users
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.fixtures.year_of_backups import DATABASES, make_history, make_year


HOURS, AUDITED = series((48, 150), (365 * 24, 2_000))
NODES = 1_500
PAGE_BYTES = 30_000
# Of processors, for the answer and in the browser: the clock tells what else the machine does.
SECONDS = 0.5
PATHS = (
    "/", "/backups", "/backups/BACKUP", "/backups/new", "/runs", "/restores", "/restore", "/restore/BACKUP",
    "/point-in-time", "/point-in-time/recover", "/schedules", "/schedules/edit", "/schedules/edit?name=nightly-11",
    "/retention", "/alerts", "/server", "/stores", "/users", "/account", "/audit", "/audit/proof", "/settings",
)  # fmt: skip


@pytest.fixture
def year(own_api, server, database):
    """A service after a year, and its newest backup; the server has more tables than anybody ticks at once."""
    api = own_api(server.url)
    api.backups.mkdir()
    furnish(api.state)
    until = SystemClock().now()

    def fill():
        made = make_year(api.backups, until=until, hours=HOURS)
        asyncio.run(make_history(api.state, made, until=until, audited=AUDITED))
        return made

    with ThreadPoolExecutor() as thread:  # the loop of the browser runs in this one
        made = thread.submit(fill).result()
    with Sql(server.url) as sql:
        sql.script(f"CREATE TABLE `{database}`.`t{number}` (i INT)" for number in range(100))
    with_users(api).start()
    with api.client() as admin:
        for number in range(12):
            options = {"databases": DATABASES[:number]}
            body = {"name": f"nightly-{number}", "frequency": "daily", "options": options}
            admin.post("/api/admin/backup/schedule", json=body).raise_for_status()
    return api, made[-1]


@pytest.mark.long
def test_pages_of_a_year_are_light(visitors, year):
    """At most 1,500 nodes and 30 kB each, and half a second of processors until it can be used."""
    api, backup = year
    visitor = visitors(api)
    page = visitor.log_in()
    gauge = page.context.new_cdp_session(page)
    gauge.send("Performance.enable", {"timeDomain": "threadTicks"})
    found = {}
    for path in PATHS:
        served = api.cpu_seconds()
        visitor.go(path.replace("BACKUP", backup))
        served = api.cpu_seconds() - served
        found[path] = {"server": served, **page.evaluate(WEIGHT), **spent(gauge)}
    for path, figures in found.items():  # for whoever looks
        print(f"{path:32}", *(f"{name} {value:.3f}" for name, value in figures.items()))  # noqa: T201

    assert [path for path, known in found.items() if known["nodes"] > NODES] == []
    assert [path for path, known in found.items() if known["bytes"] > PAGE_BYTES] == []
    slow = [path for path, known in found.items() if known["server"] + known["Task"] > SECONDS]
    assert slow == []


def test_of_many_databases_each_is_found_on_overview(visitors, own_api, server):
    """A part of them at a time, and by a part of the name; its row leads to its restore."""
    api = own_api(server.url)
    api.backups.mkdir()
    with ThreadPoolExecutor() as thread:  # as above
        thread.submit(make_year, api.backups, until=SystemClock().now(), hours=0).result()
    visitor = visitors(with_users(api).start())
    visitor.enter()
    page = visitor.go("/")
    rows = page.locator("#databases tbody tr")
    expect(rows).to_have_count(30)
    assert page.evaluate("document.querySelectorAll('*').length") <= NODES
    page.locator("#databases").get_by_role("link", name="Further").click()
    expect(rows).to_have_count(len(DATABASES) - 30)
    expect(page.locator("#databases .pages")).to_contain_text("31 to 60 of 60 databases")
    page.get_by_label("Find a database").fill("MER_07")
    page.get_by_label("Find a database").press("Enter")
    expect(rows).to_have_count(1)
    expect(rows.get_by_role("link", name="Restore customer_07")).to_be_visible()
    page.get_by_label("Find a database").fill("nothing")
    page.get_by_label("Find a database").press("Enter")
    page.locator("#databases").get_by_role("link", name="Show all").click()
    expect(rows).to_have_count(30)


def test_each_day_is_reached_without_scripts(visitors, web_api):
    """By the Tab key; and who does not want to goes past them all."""
    visitor = visitors(web_api, java_script_enabled=False)
    visitor.enter()
    page = visitor.go("/")
    page.get_by_role("link", name="Skip the days").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs\?kind=backup&day=\d{4}-\d\d-\d\d$"))
    visitor.go("/")
    page.get_by_role("link", name="Skip the days").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#after-days$"))


# Of the page and all that it has loaded, as it came; and how long that took by the clock.
WEIGHT = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const parts = [page, ...performance.getEntriesByType("resource")];
  return {
    nodes: document.querySelectorAll("*").length,
    bytes: parts.reduce((sum, part) => sum + part.transferSize, 0),
    interactive: page.domInteractive / 1000,
    loaded: page.loadEventEnd / 1000,
  };
}"""


def spent(gauge):
    """Seconds of a processor that the page has taken in the browser."""
    metrics = {
        known["name"]: known["value"] for known in gauge.send("Performance.getMetrics")["metrics"]
    }
    return {
        name: metrics[f"{name}Duration"] for name in ("Task", "Script", "Layout", "RecalcStyle")
    }


def test_days_are_walked_by_keyboard(visitors, web_api):
    """The map is one stop; arrows lead from day to day and from week to week, and Enter to the runs of a day."""
    visitor = visitors(web_api)
    visitor.enter()
    page = visitor.go("/")
    days = page.locator("[data-days] a")
    days.last.focus()
    for key, back in (
        ("ArrowUp", 1),
        ("ArrowLeft", 8),
        ("ArrowDown", 7),
        ("ArrowRight", 0),
        ("Home", DAYS - 1),
    ):
        page.keyboard.press(key)
        expect(days.nth(DAYS - 1 - back)).to_be_focused()
    expect(page.locator("[data-days] a[tabindex='0']")).to_have_count(1)
    page.keyboard.press("ArrowLeft")  # nothing is before it
    expect(days.first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs\?kind=backup&day=\d{4}-\d\d-\d\d$"))
