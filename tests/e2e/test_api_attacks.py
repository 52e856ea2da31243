"""
What somebody at the door tries who knows HTTP well: other protocols, other hosts, two requests at once.

Each attempt is of a kind that others have been open to; here it comes to nothing.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.fixtures.api import Api, finished
from tests.fixtures.raw_requests import JSON, problem_of
from tests.fixtures.web import SAME_SITE, WebClient


EVIL = "evil.example"
BACKUP = "/api/admin/backup"
HTML = {"Accept": "text/html"}
# Each names the host that a link or a redirect might be made of.
HOSTS = (
    {"Host": EVIL},
    {"X-Forwarded-Host": EVIL},
    {"Forwarded": f"host={EVIL};proto=https"},
    {"X-Original-URL": f"//{EVIL}/"},
    {"X-Rewrite-URL": "/api/admin/users"},
    {"X-Forwarded-Prefix": f"//{EVIL}"},
    {"X-HTTP-Method-Override": "DELETE"},
)
UPGRADES = (
    {"Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="},
    {"Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"},
    {"Upgrade": "TLS/1.3"},
)  # fmt: skip


@pytest.fixture(scope="module")
def web(web_api: Api) -> WebClient:
    """An admin in a browser."""
    return WebClient(web_api)


@pytest.mark.parametrize("headers", UPGRADES, ids=lambda headers: headers["Upgrade"])
@pytest.mark.parametrize("path", ["/", "/api/admin/runs", "/login"])
def test_no_connection_becomes_another_protocol(send, path, headers):
    """The request is answered as one of HTTP, or refused; nothing is listened to behind it."""
    status, _, _ = send("GET", path, Connection="Upgrade", **headers)
    assert 200 <= status < 500


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PURGE", "get"])
def test_methods_that_nobody_has_asked_for_do_nothing(send, method):
    """Nothing of the request comes back, least of all its token."""
    status, headers, text = send(method, "/api/admin/users", Cookie="secret=1")
    assert status in {400, 404, 405, 501}
    assert "Bearer" not in text + str(headers)
    assert "secret=1" not in text


@pytest.mark.parametrize("headers", HOSTS, ids=lambda headers: next(iter(headers)))
@pytest.mark.parametrize("path", ["/", "/login", "/backups", "/nothing", "/docs", "/api/auth/me"])
def test_no_answer_believes_another_host(web, path, headers):
    """Neither a link nor a redirect nor a cookie names what a request has made up."""
    answer = web.client.get(path, headers=HTML | headers)
    assert EVIL not in answer.text + str(answer.headers)
    assert answer.status_code in {200, 303, 401, 404}


def test_a_target_with_a_host_is_that_path_here(send):
    """As a proxy is asked; another host in it changes nothing."""
    status, headers, text = send("GET", f"http://{EVIL}/login")
    assert status in {200, 303, 400, 404}
    assert EVIL not in text + str(headers)


@pytest.mark.parametrize("path", [
    "/", "/login", "/account", "/runs", "/audit", "/users", "/nothing", "/api/auth/me",
    "/api/admin/users", "/api/admin/nothing", "/healthz", "/metrics", "/openapi.json",
])  # fmt: skip
def test_nothing_that_may_be_private_is_kept_by_a_cache(web, admins, path):
    """Also what is refused, and what is not there."""
    for client in (web.client, admins):
        answer = client.get(path, headers=HTML)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/admin/users", "/api/auth/token", "/login", "/"])
def test_no_other_site_is_told_that_it_may_read(admins, path):
    """A browser asks first, and is told nothing."""
    asked = {"Origin": f"https://{EVIL}", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "GET", "POST"):
        answer = admins.request(method, path, headers=asked)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("text", [
    b"1" * 5000, b"-" + b"9" * 100_000, b"1e99999", b"[" * 100_000, b'{"a":' * 50_000, b"NaN",
    b'{"description": "\\ud800"}', b'{"databases": ["\\udfff"]}', b'{"threads": 1' + b"0" * 5000 + b"}",
], ids=range(9))  # fmt: skip
def test_numbers_and_depths_without_an_end_are_refused(admins, text):
    """Before anything is made of them."""
    answer = admins.post(f"{BACKUP}/create", content=text, headers=JSON)
    assert answer.status_code in {400, 422}
    problem_of(answer.text, answer.status_code)


def test_a_hundred_thousand_ranges_are_no_more_than_the_file(admins, backup):
    """Overlapping ones are sent once, or refused."""
    path = f"{BACKUP}/download/{backup}"
    size = len(admins.get(path).content)
    for ranges in ("0-," * 2000, ",".join(f"{at}-" for at in range(2000)), "0-0," * 2000):
        answer = admins.get(path, headers={"Range": f"bytes={ranges.strip(',')}"})
        assert answer.status_code in {200, 206, 400, 416, 431}
        assert len(answer.content) <= size + 1000


@pytest.mark.parametrize(
    "known", ['W/"{}"', "{}", '"{}", "x"', "Sat, 31 Jan 2099 12:00:00 GMT", "*"]
)
def test_a_download_goes_on_only_by_the_very_tag(admins, backup, known):
    """Else what was fetched before may be of another file: all of it comes."""
    path = f"{BACKUP}/download/{backup}"
    whole = admins.get(path)
    tag = known.format(whole.headers["ETag"].strip('"'))
    answer = admins.get(path, headers={"Range": "bytes=5-", "If-Range": tag})
    assert (answer.status_code, answer.content) == (200, whole.content)


@pytest.mark.parametrize(
    "pattern", ["a*" * 60 + "b", "*" * 5000, "[!" * 2000, "[" + "a-z" * 2000 + "]*" * 40]
)
def test_patterns_take_no_time_without_an_end(admins, sql, database, pattern):
    """However a table is called that they nearly match."""
    sql.run(f"CREATE TABLE `{'a' * 64}` (id INT PRIMARY KEY)")
    body = {"databases": [database], "exclude_tables": [pattern]}
    answer = admins.post(f"{BACKUP}/create", json=body)
    if answer.status_code != 422:
        assert finished(admins, answer.json()["run_id"])["state"] in {"succeeded", "failed"}


@pytest.mark.parametrize("zone", [
    "../../../../etc/passwd", "/etc/localtime", "Europe/../Europe/Berlin", "x" * 5000, "a/" * 1000, "\x00", "", ".",
    "Europe", "zone.tab", "Europe/Berlin\n", "\u202e",
], ids=range(12))  # fmt: skip
def test_zones_are_names_and_no_paths(admins, zone):
    """Whatever file they would lead to."""
    body = {"name": "attacked", "cron": "0 2 * * *", "timezone": zone, "enabled": False}
    answer = admins.post(f"{BACKUP}/schedule", json=body)
    assert answer.status_code in {400, 422} or (zone == "" and answer.status_code == 200)


@pytest.mark.parametrize("cron", [
    "0 0 31 2 *", "1-99999999999 * * * *", "*/0 * * * *", "* * * * 5#99999999",
    ",".join(["0"] * 20_000) + " * * * *", "* * * *", "@reboot", "0 2 * * * ; id", "\u0660 2 * * *",
], ids=range(9))  # fmt: skip
def test_times_without_sense_or_end_are_refused(admins, cron):
    """Before a day is looked for that never comes."""
    body = {"name": "attacked", "cron": cron, "enabled": False}
    answer = admins.post(f"{BACKUP}/schedule", json=body)
    assert answer.status_code in {400, 422}, answer.text
    problem_of(answer.text, answer.status_code)


def at_once(count: int, work: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send so many requests at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


@pytest.fixture(scope="module")
def backup(shared_api: Api) -> str:
    """Id of a small backup."""
    client = shared_api.client()
    run = client.post(f"{BACKUP}/create", json={"databases": ["mysql"]})
    run = run if run.status_code == 202 else client.post(f"{BACKUP}/create", json={})
    return str(finished(client, run.json()["run_id"])["backup_id"])


def test_one_key_at_once_is_one_run(admins, database):
    """However many requests bring it before the first has its answer."""
    body = {"databases": [database]}
    headers = {"Idempotency-Key": "all-at-once"}
    answers = at_once(8, lambda _: admins.post(f"{BACKUP}/create", json=body, headers=headers))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    finished(admins, answers[0].json()["run_id"])


@pytest.fixture
def shop(admins, sql, database) -> str:
    """Id of a backup of a database with one table, changed since."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    run = admins.post(f"{BACKUP}/create", json={"databases": [database]}).json()
    backup_id = str(finished(admins, run["run_id"])["backup_id"])
    sql.run("INSERT INTO t VALUES (2)")
    return backup_id


def ends(client: httpx.Client, answers: list[httpx.Response]) -> list[dict[str, Any]]:
    """Wait for what was begun; the rest was refused since something is in the way."""
    begun = [answer.json()["run_id"] for answer in answers if answer.status_code == 202]
    refused = {answer.status_code for answer in answers if answer.status_code != 202}
    assert refused <= {404, 409, 410}
    return [finished(client, run_id) for run_id in begun]


def test_restores_undos_and_deletions_at_once_are_one_after_the_other(admins, sql, shop):
    """Each is done whole, or refused: rows are those of one of both states, and the way back is taken once."""

    def restore(_: int) -> httpx.Response:
        path = f"{BACKUP}/restore/{shop}"
        answer: httpx.Response = admins.post(path, json={"create_backup": False})
        return answer

    runs = ends(admins, at_once(6, restore))
    done = [run for run in runs if run["state"] == "succeeded"]
    assert done
    assert sql.run("SELECT COUNT(*) FROM t") == [(1,)]
    newest = max(done, key=lambda run: run["finished_at"])["restore_id"]

    runs = ends(admins, at_once(6, lambda _: admins.post(f"{BACKUP}/undo/{newest}")))
    assert [run["state"] for run in runs].count("succeeded") == 1
    rows = sql.run("SELECT COUNT(*) FROM t")

    def restore_or_delete(number: int) -> httpx.Response:
        return admins.delete(f"{BACKUP}/delete/{shop}") if number % 2 else restore(number)

    answers = at_once(6, restore_or_delete)
    deletions = [answer.status_code for answer in answers[1::2]]
    assert {*deletions} <= {200, 404, 409, 410}
    assert deletions.count(200) <= 1
    restored = [run for run in ends(admins, answers[::2]) if run["state"] == "succeeded"]
    assert sql.run("SELECT COUNT(*) FROM t") == ([(1,)] if restored else rows)


def test_a_cookie_that_was_planted_beside_ours_opens_nothing_more(web):
    """Two of one name, as a site of the same domain can set: one good login, or none."""
    ((name, value),) = web.client.cookies.items()
    for cookies in (f"{name}=x.y; {name}={value}", f"{name}={value}; {name}=x.y"):
        bare = httpx.Client(base_url=web.client.base_url, follow_redirects=False)
        answer = bare.get("/account", headers=HTML | {"Cookie": cookies})
        assert answer.status_code in {200, 303}
        bare.close()


def test_a_token_of_a_form_counts_in_the_body_alone(web):
    """In the address it would be in logs; twice it is none."""
    for query, data in (
        (f"?csrf={web.token}", {}),
        ("", {"csrf": ["", web.token]}),
        ("", {"CSRF": web.token}),
    ):
        answer = web.client.post(f"/backups/new{query}", data=data, headers=SAME_SITE)
        assert answer.status_code in {400, 403, 404, 405}, answer.text


@pytest.mark.parametrize(
    "site", ["none", "same-site", "cross-site", "SAME-ORIGIN", "same-origin, cross-site", ""]
)
def test_a_login_from_elsewhere_is_refused(web_api, site):
    """So that nobody is logged in as somebody else without knowing; also by what only looks like ours."""
    client = web_api.client(None, follow_redirects=False)
    body = {"name": "viewer", "password": "wrong"}
    answer = client.post("/login", data=body, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403
    answer = client.post("/login", data=body, headers={"Origin": "null"})
    assert answer.status_code == 403


@pytest.mark.parametrize("claimed", [
    "unknown", "<script>", "999.1.2.3", "127.0.0.1:99999", "[::1", "::ffff:127.0.0.1%eth0", ", ,", "a" * 5000, "\xff",
])  # fmt: skip
def test_who_asks_is_never_what_a_client_says(web_api, admins, claimed):
    """Without a proxy that is trusted; and nothing fails by it."""
    client = web_api.client(None)
    headers = {"X-Forwarded-For": claimed.encode("latin-1"), "X-Real-IP": b"192.0.2.1"}
    answer = client.post(
        "/api/auth/token", data={"username": "viewer", "password": "wrong"}, headers=headers
    )
    assert answer.status_code in {401, 429}
    entries = admins.get("/api/admin/audit", params={"limit": 5}).json()
    assert claimed[:20] not in json.dumps(entries)


def test_what_is_asked_for_is_on_one_line_of_the_log(web_api, admins):
    """Ends of lines and what terminals obey are no part of the text, wherever they come from."""
    forged = "%0a%0d[2026-01-01 00:00:00] ERROR: forged%1b[2J%e2%80%a8forged"
    admins.get(f"/api/admin/runs/{forged}")
    admins.post(f"/api/admin/backup/verify/{forged}")
    admins.post(
        "/api/auth/token", data={"username": "x\n[2026] ERROR: forged\x1b", "password": "y"}
    )
    admins.get("/healthz", headers={"User-Agent": "x\x1b[2J", "Referer": "y\x1b"})
    assert "\x1b" not in web_api.log
    assert "\u2028" not in web_api.log
    begin = "[2026-01-01 00:00:00] ERROR"
    assert not [line for line in web_api.log.splitlines() if line.startswith(begin)]
