"""Pages of ten thousand backups: as quick, and as light, as those of ten."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from app.scheduling.clock import SystemClock
from tests.fixtures.many_backups import make_many
from tests.fixtures.people import with_users
from tests.fixtures.series import series
from tests.fixtures.web import WebClient


COUNT = series(2_000, 10_000)
SECONDS = 0.3
TRIES = series(7, 21)
# What the service does by itself meanwhile is counted too: in short the quickest shows what a page costs.
COUNTED = series(0, int(TRIES * 0.95) - 1)


@pytest.mark.long
def test_many_backups_are_listed_at_once(visitors, own_api, server):
    """The list and the overview take 300 ms of the processor once they were read, and have few nodes."""
    api = own_api(server.url)
    api.backups.mkdir()
    with ThreadPoolExecutor() as thread:  # the loop of the browser runs in this one
        thread.submit(make_many, api.backups, COUNT, until=SystemClock().now()).result()
    with_users(api).start()
    web = WebClient(api)

    for path in ("/", "/backups", f"/backups?page={COUNT // 50}"):
        took = []
        for _ in range(TRIES):
            began = api.cpu_seconds()
            assert web.get(path).status_code == 200
            took.append(api.cpu_seconds() - began)
        print(path, [round(seconds, 3) for seconds in took])  # noqa: T201 - figures for whoever looks
        assert sorted(took)[COUNTED] < SECONDS
    visitor = visitors(api)
    page = visitor.enter()
    for path in ("/", "/backups"):
        visitor.go(path)
        assert page.evaluate("document.querySelectorAll('*').length") <= 1500
    expect(page.get_by_text(f"of {COUNT:,} backups".replace(",", "\u202f"))).to_be_visible()
