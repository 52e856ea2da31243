"""What helps at night: which installation this is, and what an error means."""

import pytest

from app.web.runbook import read_runbook
from tests.fixtures.people import with_users
from tests.fixtures.web import WebClient


NOWHERE = "mysql://root@127.0.0.1:1/"


@pytest.fixture(scope="module")
def web(web_api):
    """Somebody who may look only."""
    return WebClient(web_api, "viewer")


def test_a_code_leads_to_what_to_do(web):
    """From the page of an error to its section, and from there to all others."""
    missing = web.get("/backups/backup_0000000000000")
    assert 'href="/runbook/backup-not-found"' in missing.text
    section = web.get("/runbook/backup-not-found")
    assert "backstay catalog rebuild" in section.text
    listed = web.get("/runbook")

    assert all(f'href="/runbook/{code}"' in listed.text for code in read_runbook())


def test_a_code_of_which_nothing_is_said_is_no_link(web):
    """And its address leads to a page that says so."""
    assert "/runbook/not-found" in web.get("/runbook/nothing").text
    assert web.get("/runbook/nothing").status_code == 404


def test_a_page_after_a_form_says_so(web):
    """Whoever opens its address, such as from the history of a browser, is told what it is."""
    opened = web.get("/restore/backup_0000000000000/confirm")

    assert opened.status_code == 405
    assert "comes after a form" in opened.text


def test_the_installation_is_named_on_every_page(own_api):
    """Before the login as well, in the title and above the page, as text."""
    api = with_users(own_api(NOWHERE)).start(INSTALLATION_NAME="<b>production")
    web = WebClient(api)
    pages = [web.get(path).text for path in ("/runs", "/account", "/nothing")]
    login = api.client(None).get("/login").text

    for text in (*pages, login):
        assert " - &lt;b&gt;production - Backstay</title>" in text
        assert ">&lt;b&gt;production</bdi>" in text
        assert "<b>production" not in text
