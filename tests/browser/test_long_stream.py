"""A page of a run that is open for hours: neither the browser nor the service takes more and more memory."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fixtures.series import series


# The service looks five times a second; the long series is as much news as an hour brings.
NEWS = series(50, 3_600 * 5)
FIRST = 20
SECONDS = 0.2
# Of a heap of 3 MB, and of a process of 150; a leak of one element or event each would be more in the long series.
HEAP_BYTES = 1_000_000
SERVICE_KB = 8_000


def told(file, run_id, number):
    """Note news of a run, as the process would that does it: another table, other numbers."""
    progress = {
        "phase": "dump",
        "table": f"shop.orders_{number % 7}",
        "tables_done": number % 50,
        "tables_total": 50,
        "rows_done": number,
        "rows_total": NEWS,
        "bytes_done": number * 1_000,
        "bytes_total": NEWS * 1_000,
        "bytes_per_second": 5_000.0,
        "seconds_left": None,
        "elapsed": number * SECONDS,
        "journal": [{"elapsed": 0.1, "text": "connect"}, {"elapsed": 0.2, "text": "dump"}],
    }
    with closing(sqlite3.connect(file, timeout=30)) as database, database:
        database.execute(
            "UPDATE runs SET revision = revision + 1, progress = ? WHERE run_id = ?",
            (json.dumps(progress), run_id),
        )


def weighed(gauge, pid):
    """Elements, listeners and bytes of the page, and kB of the service."""
    gauge.send("HeapProfiler.collectGarbage")
    gauge.send("HeapProfiler.collectGarbage")
    found = {
        known["name"]: known["value"] for known in gauge.send("Performance.getMetrics")["metrics"]
    }
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return found["Nodes"], found["JSEventListeners"], found["JSHeapUsedSize"], int(kilobytes)


@pytest.mark.long
@pytest.mark.waits
@pytest.mark.timeout(series(300, 3 * 3_600))
def test_an_hour_of_news_takes_no_more_memory(visitors, web_api, waiting):
    """Elements and listeners stay as many as they were, whatever was swapped in."""
    visitor = visitors(web_api)
    page = visitor.enter()
    gauge = page.context.new_cdp_session(page)
    gauge.send("Performance.enable")
    visitor.go(f"/runs/{waiting}")
    file = web_api.state / "control.db"
    weights: list[tuple[float, float, float, int]] = []
    for last in (FIRST, NEWS):
        for number in range(len(weights) * FIRST + 1, last + 1):
            told(file, waiting, number)
            page.wait_for_timeout(SECONDS * 1_000)
        # Before anything is looked for in the page, which has listeners of its own.
        weights.append(weighed(gauge, web_api.process.pid))
    before, after = weights
    print("nodes, listeners, bytes, kB of the service:", before, after)  # noqa: T201 - figures for whoever looks

    expect(page.locator("#run")).to_contain_text(f"shop.orders_{NEWS % 7}")
    assert after[0] <= before[0] + 100
    assert after[1] <= before[1] + 5
    assert after[2] <= before[2] + HEAP_BYTES
    assert after[3] <= before[3] + SERVICE_KB
