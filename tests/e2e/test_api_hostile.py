"""What hostile or careless clients send: refused or harmless, and never a failure of the service."""

import random
import socket
from contextlib import suppress
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.fixtures.api import finished
from tests.fixtures.operations import OPERATIONS
from tests.fixtures.raw_requests import problem_of
from tests.fixtures.series import series, some
from tests.fixtures.servers import Sql


NAMES = {
    "up": "..",
    "up and away": "../../../../etc/passwd",
    "up, encoded twice": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "up by backslashes": "..\\..\\windows\\win.ini",
    "up beside a good name": "backup_0000000000000/../../state/jwt.secret",
    "a path": "/etc/passwd",
    "a manifest": "backup_0000000000000.json",
    "a NUL": "backup_0000000000000\0",
    "a NUL and more": "backup_0000000000000\0.json",
    "a line break": "backup_0000000000000\n",
    "a header": "x\r\nSet-Cookie: a=b",
    "control characters": "\x01\x08\x1b[31m\x7f",
    "a space": " ",
    "letters of elsewhere": "резервная_копия",
    "full width": "backup_\uff10000000000000",
    "an emoji": "💾" * 8,
    "right to left": "\u202ebackup",
    "a separator of lines": "\u2028",
    "no character": "\ufffe\uffff",
    "a glob": "*",
    "an id and a glob": "backup_*",
    "quotes": "'\"`",
    "SQL": "' OR '1'='1",
    "more SQL": "x'; DROP TABLE runs; -- ",
    "a template": "{{7*7}}${7*7}%s%n",
    "markup": "<script>alert(1)</script>",
    "a command": "$(id)`id`;id|id",
    "capitals": "BACKUP_0000000000000",
    "microseconds beyond a second": "backup_00000000fffff",
    "a number": "-1",
    "long": "a" * 10_000,
    "long and wide": "é" * 1500,
}
WITH_NAMES = [name for name, operation in OPERATIONS.items() if operation.parameters]
# Bodies that are understood, so that it is the name which is refused.
BODIES = {"change_user": b"{}"}


@pytest.mark.parametrize("name", WITH_NAMES)
def test_strange_names_name_nothing(send, name):
    """Whatever stands in the place of an id, it is not found; nothing of it comes back raw."""
    operation = OPERATIONS[name]
    for value in NAMES.values():
        target = operation.at(quote(value, safe="", errors="surrogatepass"))
        status, headers, text = send(operation.method, target, BODIES.get(name))
        assert status in {404, 422}, (target[:200], text)
        assert problem_of(text, status)
        assert len(text) < 2000
        assert "\x1b" not in text
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize("name", WITH_NAMES)
def test_paths_that_climb_lead_nowhere(send, name):
    """Dots and slashes in a target, plain or encoded in part, reach no other route or file."""
    operation = OPERATIONS[name]
    for value in ("../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "..;/etc", "%c0%ae%c0%ae/x", "%ff%fe", "%", "%zz", "//x"):  # fmt: skip
        status, _, text = send(operation.method, operation.at(value), BODIES.get(name))
        assert status in {404, 422}, (value, text)
        assert problem_of(text, status)


def test_no_answer_sends_elsewhere(send):
    """A slash at the end is another address, not a redirect to whatever host the client named."""
    for target in ("/api/admin/users/", "/api/admin/backup/list/", "/healthz/", "//evil.example/"):
        status, headers, _ = send("GET", target, Host="evil.example")
        assert (status, headers.get("Location")) == (404, None)


def test_targets_that_are_none_are_refused(shared_api):
    """The server itself answers what is not HTTP, and goes on."""
    address = urlsplit(shared_api.url)
    for line in (b"GET /\xff\xfe HTTP/1.1", b"GET /a\0b HTTP/1.1", b"GET  HTTP/1.1", b"\x16\x03\x01", b"GET /" + b"a" * 200_000 + b" HTTP/1.1", b"PRI * HTTP/2.0", b"BREW /healthz HTTP/1.1", b"OPTIONS * HTTP/1.1"):  # fmt: skip
        answer = b""
        with (
            socket.create_connection((address.hostname, address.port), timeout=60) as connection,
            suppress(ConnectionError),  # it may hang up at any moment
        ):
            connection.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = connection.recv(1000)
        assert answer == b"" or 400 <= int(answer.split()[1]) < 500, (line[:40], answer)
    assert httpx.get(f"{shared_api.url}/healthz").status_code == 200


HEADERS = ["", ",", ";", "wait", "wait=", "wait=-1", "wait=x", "wait=1e9", "wait=0", 'wait="0"', "wait=00", "WAIT = 0", "respond-async, wait=0", "wait=0;wait=9", "x=\xb2\xb3", "\xff" * 150, "=" * 190]  # fmt: skip


def ask_with(admins, name, value, path="/api/admin/backup/verify/backup_0000000000000"):
    """Send one header as bytes."""
    method = "GET" if path.endswith("/events") else "POST"
    return admins.request(method, path, headers={name.encode(): value.encode("latin-1")})


def test_preferences_that_make_no_sense_are_none(admins):
    """`Prefer` is a wish: what is not understood is passed over, as RFC 7240 says."""
    for value in HEADERS:
        assert ask_with(admins, "Prefer", value).status_code == 404, value
    assert ask_with(admins, "Prefer", "x" * 5000).status_code == 422


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "é", "a,b", "a/b", "'", "x" * 129, "{}", "a%00"])  # fmt: skip
def test_keys_of_other_characters_are_refused(admins, value):
    """An idempotency key that could mean something to a database or a log is 422."""
    found = ask_with(admins, "Idempotency-Key", value)

    assert (found.status_code, found.json()["code"]) == (422, "invalid-request")


def test_events_begin_wherever_somebody_claims_to_be(admins, database):
    """A `Last-Event-ID` that is none is as good as none; one of the future waits for it."""
    begun = admins.post("/api/admin/backup/create", json={"databases": [database]}).json()
    last = finished(admins, begun["run_id"])["revision"]
    path = f"/api/admin/runs/{begun['run_id']}/events"

    for value in ("", "x", "-1", "1.5", "\xb2", "0x10", "9" * 5, "9" * 40, str(last - 1)):
        found = ask_with(admins, "Last-Event-ID", value, path)
        assert found.status_code == 200, value
        assert (f"id: {last}\n" in found.text) == (not value.startswith("99")), value
    assert ask_with(admins, "Last-Event-ID", "9" * 41, path).status_code == 422


QUERIES = ["limit=0", "limit=-1", "limit=501", "limit=x", "limit=1e2", "offset=-1", "offset=99999999999", "sort=", "sort=id;DROP TABLE runs", "sort=-created_at--", "nothing=1", "limit=%00", "limit=1&limit=2&x=[]"]  # fmt: skip


@pytest.mark.parametrize("name", ["list_backups", "list_runs", "list_audit"])
def test_pages_that_are_none_are_refused(admins, name):
    """Lists have limits, sort by their own columns, and know no other parameters."""
    for query in QUERIES:
        found = admins.get(f"{OPERATIONS[name].path}?{query}")
        assert found.status_code == 422, query
        problem_of(found.text, 422)


INJECTIONS = ["x`; DROP DATABASE {0}; -- ", "{0}`.`t`; DROP TABLE {0}.t; -- ", "' OR '1'='1", "\\'; DROP TABLE t; #", "{0}/*!50000 ; DROP TABLE t */", "%", "x\0y", "*; DROP TABLE t"]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("text", some(INJECTIONS, 4))
def test_sql_in_names_is_a_name(admins, sql, database, text):
    """Names of databases and tables are quoted or compared, wherever they come from."""
    sql.script(["CREATE TABLE t AS SELECT 1 AS a", "CREATE TABLE u AS SELECT 2 AS a"])
    query = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2"
    before = sql.run(query)
    text = text.format(database)
    lists = ("list?database={0}", "list?text={0}")
    filters = ("runs?asked_by={0}", "runs?backup_id={0}", "audit?actor={0}", "audit?action={0}")

    answers = [
        admins.post("/api/admin/backup/create", json=body, headers={"Prefer": "wait=30"})
        for body in (
            {"databases": [text[:64]]},
            {"databases": [database], "tables": [text]},
            {"databases": [database], "exclude_tables": [text], "description": text},
        )
    ]
    answers += [
        admins.get(
            f"/api/admin/{'backup/' if path in lists else ''}{path.format(quote(text[:64]))}"
        )
        for path in (*lists, *filters)
    ]

    assert {answer.status_code for answer in answers} <= {200, 400, 404, 422}, [
        answer.text for answer in answers
    ]
    assert {page["total"] for page in (answer.json() for answer in answers[5:])} == {0}
    assert sql.run(query) == before
    assert sql.run("SELECT a FROM t") == [(1,)]


@pytest.mark.parametrize("suffix", ["`", "``; DROP DATABASE x; -- ", "a\nb", "'\"\\", "a.b", "ä💾"[:1], "../x", "%41", "-- "])  # fmt: skip
def test_databases_of_any_name_go_there_and_back(admins, server, database, suffix):
    """Names that servers allow are backed up and restored, under others like them as well."""
    name = f"{database}{suffix}".rstrip()
    quoted, into = f"`{name.replace('`', '``')}`", f"{name}_2"
    with Sql(server.url) as sql:
        try:
            sql.script([f"CREATE DATABASE {quoted}", f"CREATE TABLE {quoted}.t AS SELECT 7 AS a"])
            wait = {"Prefer": "wait=60"}
            made = admins.post(
                "/api/admin/backup/create", json={"databases": [name]}, headers=wait
            ).json()
            restored = admins.post(
                f"/api/admin/backup/restore/{made['backup_id']}",
                json={"into": into, "create_backup": False},
                headers=wait,
            )
            listed = admins.get("/api/admin/backup/list", params={"database": name}).json()
            assert restored.status_code == 200, restored.text
            assert [backup["databases"] for backup in listed["backups"]] == [[name]]
            assert sql.run(f"SELECT a FROM `{into.replace('`', '``')}`.t") == [(7,)]
        finally:
            for created in (name, into):
                sql.run(f"DROP DATABASE IF EXISTS `{created.replace('`', '``')}`")


ODD_HEADERS = (
    "Authorization", "Prefer", "Idempotency-Key", "Range", "If-Range", "If-None-Match", "Last-Event-ID",
    "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Request-Id", "Content-Type", "Accept",
    "Accept-Encoding", "Content-Encoding", "Origin", "Cookie", "X-HTTP-Method-Override", "Upgrade",
)  # fmt: skip
PIECES = (
    "wait=", "bytes=", "Bearer ", "Basic ", "9" * 30, "-1", ",", ";", "=", '"', "*", "%00", "127.0.0.1",
    "application/json", "gzip", "W/", "http://", "\xff\xfe", "\t", "é", "..", "{}", "null", "x" * 500,
)  # fmt: skip


@pytest.mark.long
def test_headers_of_anything_fail_nothing(send):
    """Pieces of what belongs there and bytes that do not, by a seed: an answer, and never a 5xx."""
    chosen = random.Random(14)  # noqa: S311 - no secret
    targets = (
        ("GET", "/api/admin/backup/list"),
        ("GET", "/api/admin/runs?limit=1"),
        ("GET", "/api/admin/backup/download/backup_0000000000000"),
        ("HEAD", "/healthz"),
        ("POST", "/api/admin/backup/verify/backup_0000000000000"),
        ("POST", "/api/auth/refresh"),
    )
    for _ in range(series(150, 10_000)):
        method, target = chosen.choice(targets)
        headers = {
            chosen.choice(ODD_HEADERS): "".join(
                chosen.choices(PIECES, k=chosen.randrange(6))
            ).strip()
            for _ in range(chosen.randrange(1, 4))
        }
        status, _, text = send(method, target, b"{}" if method == "POST" else None, **headers)
        assert status < 500, (method, target, headers, text)
