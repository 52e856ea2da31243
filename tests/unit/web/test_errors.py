"""Errors of pages, where nothing runs that could answer otherwise."""

from types import SimpleNamespace

from fastapi import Request

from app.config import Settings
from app.main import create_app
from app.web.errors import error_page


def test_the_page_of_a_bug_says_whose_fault_it_is_and_nothing_of_what_the_bug_says():
    """By its class and the request; what it says may hold anything."""
    app = create_app(Settings())
    app.state.service = SimpleNamespace(program=SimpleNamespace(settings=Settings()))
    request = Request({
        "type": "http",
        "method": "GET",
        "path": "/runs",
        "query_string": b"",
        "headers": [(b"host", b"here")],
        "app": app,
        "state": {"request_id": "req_1"},
    })
    page = error_page(request, RuntimeError("the password is hunter2"))
    text = bytes(page.body).decode()

    assert page.status_code == 500
    assert "This is a fault of Backstay: RuntimeError" in text
    assert "Please report this" in text
    assert "req_1" in text
    assert "hunter2" not in text
