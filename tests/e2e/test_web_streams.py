"""News of a run as a browser gets them: three streams a login, and looks that end where there is no place."""

import sqlite3
import time
from contextlib import ExitStack, closing, contextmanager

import pytest

from app.web.streams import LOGIN_OVER, MOST_STREAMS
from tests.fixtures.web import WebClient


STREAM, LOOK = "retry: 500\n", "retry: 2000\n"


def begun(opened, web, run_id):
    """Open a stream until the block ends; returns what comes in pieces."""
    answer = opened.enter_context(web.client.stream("GET", f"/runs/{run_id}/stream"))
    pieces = answer.iter_text()
    opened.callback(pieces.close)  # who drops it closes the stream
    return pieces


def test_a_fourth_page_looks_every_two_seconds(web_api, waiting):
    """It gets what there is, and is told when to ask again; another login has places of its own."""
    web, other = WebClient(web_api), WebClient(web_api, "viewer")
    with ExitStack() as opened:
        for _ in range(MOST_STREAMS):
            assert next(begun(opened, web, waiting)).startswith(STREAM)
        fourth = begun(opened, web, waiting)
        looked = next(fourth)
        assert looked.startswith(LOOK)
        looked += "".join(fourth)
        assert waiting in looked
        assert "event: done" not in looked
        assert next(begun(opened, other, waiting)).startswith(STREAM)

    deadline = time.monotonic() + 60
    while True:
        with ExitStack() as opened:
            if next(begun(opened, web, waiting)).startswith(STREAM):
                break
        assert time.monotonic() < deadline, "the places of closed pages are free"
        time.sleep(0.2)


def test_a_page_whose_login_is_over_is_told_so_when_it_asks_again(web_api, waiting):
    """One that only looks now and then, or was cut off, leads to a new login as the others do."""
    web = WebClient(web_api, "viewer")
    path, headers = f"/runs/{waiting}/stream", {"Accept": "text/html, text/event-stream"}
    web.post("/logout")
    told = web.client.get(path, headers={**headers, "HX-Request": "true"})

    assert (told.status_code, told.text) == (200, LOGIN_OVER)
    assert told.headers["Content-Type"].startswith("text/event-stream")
    assert web.client.get(path).status_code == 303


@contextmanager
def hidden(history):
    """Hide the table of runs for the length of a block."""
    with closing(sqlite3.connect(history)) as database:
        database.execute("ALTER TABLE runs RENAME TO hidden")
        try:
            yield
        finally:
            database.execute("ALTER TABLE hidden RENAME TO runs")


@pytest.mark.parametrize("path", ["/runs/{}/stream", "/api/admin/runs/{}/events"])
def test_a_stream_whose_history_fails_ends_so_that_it_is_asked_for_again(web_api, waiting, path):
    """That of a page used to go on without news, and never told how the run ended."""
    client = web_api.client() if path.startswith("/api") else WebClient(web_api).client
    with client.stream("GET", path.format(waiting)) as answer:
        pieces = answer.iter_text()
        assert waiting in next(pieces)
        with hidden(web_api.state / "control.db"):
            rest = "".join(pieces)
    assert "event: done" not in rest
    with client.stream("GET", path.format(waiting)) as answer:
        assert waiting in next(answer.iter_text())
