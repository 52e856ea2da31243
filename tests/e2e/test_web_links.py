"""No page leads anybody to a page that they may not see, or that is not there."""

import re
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest

from tests.fixtures.api import ROLES
from tests.fixtures.web import WebClient


# What others have deleted meanwhile is still told of by what was done with it.
_OF_THEIR_OWN = re.compile(r"/(?:backups|runs|restore|undo)/[^/?]+")
_LINK = re.compile(r'<a\b[^>]*?\bhref="([^"#]*)')
MOST = 150


def kind_of(path):
    """A path without the names in it: of a hundred backups one page is looked at."""
    url = urlsplit(path)
    named = re.sub(r"/(backups|runs|restore|users|runbook|undo|dry-run)/[^/]+", r"/\1/*", url.path)
    return named, tuple(sorted(re.findall(r"(?:^|&)(\w+)=", url.query)))


@pytest.mark.parametrize("role", ROLES)
def test_links_lead_where_whoever_sees_them_may_go(web_api, role, database):
    """From Overview on, one page of each kind; each is there, and none is refused."""
    web_api.client().post(
        "/api/admin/backup/create", json={"databases": [database]}, headers={"Prefer": "wait=60"}
    ).raise_for_status()
    web = WebClient(web_api, role)
    waiting, seen, wrong = [("/", "")], {kind_of("/")}, []
    while waiting and len(seen) <= MOST:
        path, found_on = waiting.pop(0)
        answer = web.get(path)
        is_gone = answer.status_code == 404 and _OF_THEIR_OWN.search(path)
        if answer.status_code != 200 and not is_gone:
            wrong.append((path, found_on, answer.status_code))
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            continue
        for link in _LINK.findall(answer.text):
            target = urljoin(path, unescape(link))
            if target.startswith("/") and kind_of(target) not in seen:
                seen.add(kind_of(target))
                waiting.append((target, path))

    assert wrong == []
    assert len(seen) > 15
