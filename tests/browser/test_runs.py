"""Runs as they are watched: progress that never goes back, streams that end, and who is shut out."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.fixtures.api import Api
from tests.fixtures.cli import wait_until
from tests.fixtures.gate import gate
from tests.fixtures.people import with_users
from tests.fixtures.restored_shop import drop
from tests.fixtures.servers import Sql
from tests.fixtures.web import WebClient


WAIT = {"Prefer": "wait=60"}
# What a page notes of its progress at each change.
NOTE = """() => {
  window.seen = [];
  const note = () => {
    const bar = document.querySelector("progress");
    const step = [...document.querySelectorAll(".phases li")].findIndex((e) => e.classList.contains("active"));
    if (bar && step >= 0) window.seen.push([step, bar.position]);
  };
  new MutationObserver(note).observe(document.getElementById("live"), {
    subtree: true, childList: true, attributes: true,
  });
  note();
}"""


# Of 300,000 rows: a run that has sent them is in the middle of its load.
SOME_BYTES = 1 << 20


@pytest.fixture(scope="module")
def way(server):
    """The way of the service to its server, which holds a run for as long as a page is looked at."""
    with gate(server.url) as made:
        yield made


@pytest.fixture(scope="module")
def web_api(way, tmp_path_factory):
    """A service that goes this way."""
    api = with_users(Api(way.url, tmp_path_factory.mktemp("runs")))
    try:
        yield api.start()
    finally:
        api.close()


@pytest.fixture(scope="module")
def large(server):
    """A database that takes some seconds to back up and to restore, which leaves it as it is."""
    name = "seen_running"
    with Sql(server.url) as sql:
        sql.script([
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
            f"USE {name}",
            "CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(200))",
            "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 6) FROM seq_1_to_300000",
        ])
        yield name
        drop(sql, name)


@pytest.fixture
def rows(large, sql):
    """A function that counts what is in it."""
    return lambda: sql.run(f"SELECT COUNT(*) FROM {large}.t")


@pytest.fixture(scope="module")
def backed_up(web_api, large):
    """Its backup."""
    with web_api.client() as admin:
        body = {"databases": [large]}
        return admin.post("/api/admin/backup/create", json=body, headers=WAIT).json()["backup_id"]


def start(web_api, path, **body):
    """Start a run, and return its id at once."""
    with web_api.client() as admin:
        answer = admin.post(f"/api/admin/backup/{path}", json=body)
        answer.raise_for_status()
        return str(answer.json()["run_id"])


def stopping(web_api, run_id):
    """Wait until a run is to be stopped, whatever it does meanwhile."""
    with web_api.client() as admin:
        path = f"/api/admin/runs/{run_id}"
        wait_until(lambda: admin.get(path).json()["cancel_requested"], "it is to be stopped")


def test_progress_never_goes_back_and_ends(visitors, web_api, way, backed_up, large):
    """Step by step, never over 100 %; the end is told, and after it nothing is asked any more."""
    visitor = visitors(web_api)
    page = visitor.enter()
    way.close_after(sent=SOME_BYTES)
    run_id = start(web_api, f"restore/{backed_up}")
    counted = page.locator(".sidebar .count[data-running]")

    def is_counted():
        visitor.go(f"/runs/{run_id}")
        return counted.count() > 0

    with way.held():
        wait_until(is_counted, "the menu counts it")
        page.evaluate(NOTE)
    page.get_by_text("What happened").click()
    expect(page.get_by_text("read back and equal")).to_be_visible(timeout=60_000)
    ended = f"Restore of {large}: succeeded"
    expect(page).to_have_title(re.compile(f"^{ended} - "))
    expect(page.locator("#announcer")).to_have_text(ended)
    expect(counted).to_have_count(0)
    seen = page.evaluate("window.seen")

    assert page.locator("#journal").get_attribute("open") is not None, "it stays as it was opened"
    assert "swap" in page.locator("#journal-lines").inner_text()
    assert len(seen) > 2
    steps = [step for step, _ in seen]
    assert steps == sorted(steps)
    assert all(position <= 1 for _, position in seen)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3000)
    assert asked == []


def test_many_tabs_are_all_live(visitors, web_api, backed_up):
    """A browser has six connections to a host; the seventh tab must not wait for the others."""
    visitor = visitors(web_api)
    visitor.enter()
    run_id = start(web_api, f"test-restore/{backed_up}", drill=True)
    tabs = [visitor.page, *(visitor.open() for _ in range(6))]
    for tab in tabs:
        tab.goto(f"{web_api.url}/runs/{run_id}", wait_until="commit")
    for tab in tabs:
        tab.bring_to_front()
        expect(tab.get_by_text("succeeded", exact=True)).to_be_visible(timeout=60_000)


def test_a_page_follows_however_late_its_scripts_come(visitors, web_api, backed_up):
    """The extension that reads streams must be there before htmx looks for what it is to do."""
    visitor = visitors(web_api)
    page = visitor.enter()

    def answer_late(route):
        time.sleep(0.7)
        route.continue_()

    page.route("**/hx-sse*", answer_late)
    run_id = start(web_api, f"test-restore/{backed_up}", drill=True)
    visitor.go(f"/runs/{run_id}")
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=60_000)


def test_a_stream_that_was_refused_is_asked_for_again(visitors, web_api, backed_up):
    """By a service that is busy or not there at first; what it answered is not shown as news."""
    visitor = visitors(web_api)
    page = visitor.enter()
    answers = iter([
        lambda route: route.fulfill(status=503, body="busy"),
        lambda route: route.abort(),
    ])

    def answer(route):
        next(answers, lambda last: last.continue_())(route)

    page.route("**/stream", answer)
    run_id = start(web_api, f"test-restore/{backed_up}", drill=True)
    visitor.go(f"/runs/{run_id}")
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=60_000)
    assert next(answers, None) is None
    refused = ["503", "Failed to fetch"]
    assert len(visitor.complaints) == len(refused)
    assert all(word in text for word, text in zip(refused, visitor.complaints, strict=True))
    visitor.complaints.clear()


def test_who_is_disabled_sees_no_more(web_api, waiting):
    """Their stream ends, while the run is at work for as long as this test."""
    with_users(web_api, watcher="viewer")
    web = WebClient(web_api, "watcher")
    with web_api.client() as admin, web.client.stream("GET", f"/runs/{waiting}/stream") as answer:
        pieces = answer.iter_text()
        assert "data:" in next(pieces)
        admin.patch("/api/admin/users/watcher", json={"disabled": True})
        rest = "".join(pieces)
    assert rest.endswith("event: done\ndata: login\n\n")


def test_a_double_click_is_one_run(visitors, web_api, large):
    """The form holds a key: sent twice, it is one."""
    visitor = visitors(web_api)
    page = visitor.enter()
    visitor.go("/backups/new")
    page.get_by_label(large, exact=True).check()
    before = web_api.client().get("/api/admin/runs", params={"kind": "backup"}).json()["total"]
    page.get_by_role("button", name="Back up").dblclick()
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=60_000)
    after = web_api.client().get("/api/admin/runs", params={"kind": "backup"}).json()["total"]

    assert after == before + 1


def test_a_run_is_stopped_and_says_what_became_of_it(visitors, web_api, way, backed_up, rows):
    """By a button; the live table is as it was."""
    visitor = visitors(web_api)
    page = visitor.enter()
    way.close_after(sent=SOME_BYTES)
    run_id = start(web_api, f"restore/{backed_up}")
    with way.held():
        visitor.go(f"/runs/{run_id}")
        page.get_by_role("button", name="Stop it").click()
        stopping(web_api, run_id)
    expect(page.locator("h2").get_by_text("cancelled")).to_be_visible(timeout=30_000)

    assert rows() == [(300_000,)]
    expect(page.get_by_text(re.compile("nothing was left behind"))).to_be_visible()


def test_back_and_reload_land_on_the_truth(visitors, web_api, backed_up):
    """A page of the past that is shown again sends nothing a second time."""
    visitor = visitors(web_api)
    page = visitor.enter()
    visitor.go(f"/backups/{backed_up}")
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=60_000)
    count = web_api.client().get("/api/admin/runs").json()["total"]
    page.reload()
    page.go_back()
    page.go_forward()

    expect(page.get_by_text("succeeded", exact=True)).to_be_visible()
    assert web_api.client().get("/api/admin/runs").json()["total"] == count


def test_a_service_that_starts_again_shows_what_became_of_a_restore(
    visitors, own_api, way, backed_up, web_api, rows
):
    """Killed in its midst: the page asks the next one by itself and says so, and the live table is whole."""
    api = own_api(way.url)
    api.settings.update(BACKUP_DIR=str(web_api.backups))
    with_users(api).start()
    visitor = visitors(api)
    page = visitor.enter()
    way.close_after(sent=SOME_BYTES)
    run_id = start(api, f"restore/{backed_up}")
    visitor.go(f"/runs/{run_id}")
    with way.held():
        active = page.locator(".phases li.active")
        expect(active).to_contain_text("Load the rows", timeout=60_000)
        api.kill()
    port = api.url.rpartition(":")[2]
    api.start("--port", port)
    expect(page.locator("h2").get_by_text("failed")).to_be_visible(timeout=60_000)
    page.reload()
    expect(page.locator("h2").get_by_text("failed")).to_be_visible(timeout=60_000)
    assert rows() == [(300_000,)]
    # That its stream broke off is what happened.
    visitor.complaints[:] = [text for text in visitor.complaints if "network error" not in text]


def test_a_run_is_stopped_from_the_list(visitors, web_api, way, backed_up):
    """By who may, and by nobody else; the page of the run says how it ended."""
    way.close_after(sent=SOME_BYTES)
    run_id = start(web_api, f"restore/{backed_up}")
    operator, admin = visitors(web_api), visitors(web_api)
    with way.held():
        operator.enter("operator")
        expect(operator.go("/runs").get_by_role("button", name="Stop")).to_have_count(0)
        page = admin.enter()
        admin.go("/runs")
        page.get_by_role("button", name=f"Stop the Restore {run_id[-6:]}").click()
        stopping(web_api, run_id)
    expect(page).to_have_url(re.compile(f"/runs/{run_id}$"))
    expect(page.get_by_text("cancelled").first).to_be_visible()
    expect(admin.go("/runs").get_by_role("button", name="Stop")).to_have_count(0)
