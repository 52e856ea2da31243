"""What hostile or careless clients send: refused or harmless, and never a failure of the service."""

import http.client
import json
import random
import socket
from contextlib import suppress
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.fixtures.api import finished
from tests.fixtures.operations import OPERATIONS
from tests.fixtures.series import series
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
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def admins(shared_api):
    """A client of all tests here, which keeps its connection."""
    return shared_api.client()


@pytest.fixture(scope="module")
def send(shared_api, admins):
    """Sends a request whose target is not tidied up on its way, over one connection."""
    address = urlsplit(shared_api.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    token = {"Authorization": admins.headers["Authorization"]}

    def answer_to(method, target, body, headers):
        connection.request(method, target, body, {**token, **JSON, **headers})
        return connection.getresponse()

    def ask(method, target, body=None, **headers):
        try:
            answer = answer_to(method, target, body, headers)
        except http.client.RemoteDisconnected:
            # It may close after any answer; a request that no connection has an answer to fails.
            connection.close()
            answer = answer_to(method, target, body, headers)
        return answer.status, answer.headers, answer.read().decode()

    yield ask
    connection.close()


def problem_of(text, status):
    """Check that an answer is a problem and tells nothing of the machine; returns its code."""
    problem = json.loads(text)
    assert problem["status"] == status
    told = text.lower()
    for secret in ("traceback", "/tmp", "sqlite", "sqlalchemy", "select ", "site-packages", ".py"):  # noqa: S108 - it is looked for
        assert secret not in told
    return problem["code"]


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
            socket.create_connection((address.hostname, address.port), timeout=10) as connection,
            suppress(ConnectionError),  # it may hang up at any moment
        ):
            connection.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = connection.recv(1000)
        assert answer == b"" or 400 <= int(answer.split()[1]) < 500, (line[:40], answer)
    assert httpx.get(f"{shared_api.url}/healthz").status_code == 200


WITH_BODIES = [name for name, operation in OPERATIONS.items() if operation.body]
NOT_OBJECTS = [
    b"[]", b"[{}]", b"1", b"-0.0", b"1e999", b"true", b'"text"', b"NaN", b"Infinity", b'"\\ud800"',
]  # fmt: skip
NOT_JSON = [
    b"{", b"}", b"{]", b"'", b"\0", b"\xff\xfe", b"{'a': 1}", b"{} {}", b"nul",
    b'{"a": 1,}', b"a=b", b"<xml/>", b"[" * 50_000, b'{"a":' * 40_000,
    b"[" * 20_000 + b"]" * 20_000, b"1" * 10_000,
]  # fmt: skip
STRANGE_OBJECTS = [
    b'{"no such field": 1}', b'{"": 1}', b'{"__proto__": {"a": 1}}', b'{"\\ud800": "\\udfff"}',
    b'{"\\u0000": 1}', b'{"a\\u001b[31m": NaN}', b'{"' + b"k" * 50_000 + b'": 1}',
    b"{" + b",".join(b'"%d":%d' % (i, i) for i in range(5000)) + b"}",
]  # fmt: skip


def target_of(name):
    """Return the path of an operation, with something in it that is not there."""
    operation = OPERATIONS[name]
    return operation.at("nobody" if "name" in operation.parameters else "backup_0000000000000")


@pytest.mark.parametrize("name", WITH_BODIES)
def test_bodies_that_make_no_sense_are_refused(send, name):
    """Whatever is not the object that the document describes is 422, with its fields named."""
    operation = OPERATIONS[name]
    for body in (*NOT_OBJECTS, *NOT_JSON, *STRANGE_OBJECTS):
        status, _, text = send(operation.method, target_of(name), body)
        assert status == 422, (body[:80], text[:500])
        assert problem_of(text, status) == "invalid-request"
        assert len(json.loads(text)["errors"]) <= 20
        assert len(text) < 10_000


# Of each kind of value one, for any field.
VALUES: list[object] = [
    None, True, 0, -1, 1 << 70, 1.5, float("nan"), float("inf"), "", "x" * 2000, "\0", "\ud800",
    [], [None], [[]], ["\ud800"], ["a\0b"], [""], ["x" * 300], ["x"] * 2000, {}, {"a": {"b": []}},
]  # fmt: skip
FIELDS = {
    "create_backup": ["description", "compress", "verify", "include_data", "databases", "tables", "exclude_tables", "codec", "accounts"],
    "restore_backup": ["verify_before", "databases", "tables", "into", "schema_only", "skip_binlog"],
    "set_schedule": ["frequency", "name", "enabled", "options"],
    "run_scheduled": ["frequency", "name", "force"],
    "create_user": ["name", "password", "role"],
    "verify_backup": ["level"],
    "refresh": ["refresh_token"],
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_wrong_types_are_refused(send, name):
    """Each value is refused or taken as what it is; none is a failure of the service."""
    operation = OPERATIONS[name]
    # So that fields which are good begin nothing.
    extra = {} if name == "create_user" else {"there is no such field": 1}
    for value in VALUES:
        body = {**dict.fromkeys(FIELDS[name], value), **extra}
        status, _, text = send(operation.method, target_of(name), json.dumps(body))
        assert status == 422, (value, text[:500])
        assert problem_of(text, status) == "invalid-request"
        assert not isinstance(value, str) or len(value) < 300 or value not in text


def test_the_last_of_equal_keys_counts(admins, sql, database):
    """As everywhere in Python; what is written down is what was done."""
    body = f'{{"databases": ["mysql"], "databases": ["{database}"]}}'

    begun = admins.post("/api/admin/backup/create", content=body, headers=JSON).json()

    assert finished(admins, begun["run_id"])["request"]["databases"] == [database]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "x", "", "application/" + "x" * 5000])  # fmt: skip
def test_other_kinds_of_bodies_are_refused(send, kind):
    """Only JSON is read, so that no form of a browser can do anything."""
    status, _, text = send("POST", "/api/admin/users", b'{"name": "x"}', **{"Content-Type": kind})

    assert (status, problem_of(text, status)) == (422, "invalid-request")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"username": "a", "password": "b"}'),
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"nothing of that"),
        ("multipart/form-data; boundary=" + "x" * 3000, b"--"),
        ("application/x-www-form-urlencoded", b"username=a"),
        ("application/x-www-form-urlencoded", b"username=%ff%00&grant_type=other&password=x"),
        ("application/x-www-form-urlencoded", b"&".join(b"f%d=1" % i for i in range(5000))),
        ("application/x-www-form-urlencoded", b"%" * 1000),
        ("text/plain", b""),
    ],
)  # fmt: skip
def test_logins_that_are_no_forms_are_refused(send, kind, body):
    """The one form that is read is read with care."""
    status, _, text = send("POST", "/api/auth/token", body, **{"Content-Type": kind})

    assert (status, problem_of(text, status)) == (422, "invalid-request")


@pytest.mark.parametrize("username", ["\0", "a\0b", "\ud800", "x" * 200_000, "' OR 1=1 -- ", "admin\n", "ﬀ", "İ", "🙂"])  # fmt: skip
def test_logins_of_strange_names_are_refused(shared_api, username):
    """They are logins of nobody, and end in the audit as text that can be read."""
    form = f"username={quote(username, errors='surrogatepass')}&password=x"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    found = shared_api.client(None).post("/api/auth/token", content=form, headers=headers)

    # Too many of them are 429, as the document says.
    assert found.status_code in {401, 429}
    problem_of(found.text, found.status_code)
    # Refusals of one kind are one entry an hour, which need not be the newest.
    wanted = {"action": "log_in", "limit": 100}
    logins = shared_api.client().get("/api/admin/audit", params=wanted).json()["entries"]
    assert logins
    assert all(entry["actor"].isprintable() for entry in logins)


@pytest.mark.parametrize("name", [*WITH_BODIES, "log_in"])
def test_a_megabyte_is_too_large(admins, name):
    """With its length told or in pieces, the answer is 413, and the connection stays of use."""
    operation = OPERATIONS[name]
    kind = "application/x-www-form-urlencoded" if name == "log_in" else "application/json"
    megabyte = b'{"description": "' + b"x" * (1 << 20) + b'"}'
    for content in (megabyte, (megabyte[at : at + 10_000] for at in range(0, 1 << 20, 10_000))):
        found = admins.request(
            operation.method, target_of(name), content=content, headers={"Content-Type": kind}
        )
        assert (found.status_code, problem_of(found.text, 413)) == (413, "too-large")
        assert admins.get("/healthz").status_code == 200


def test_lengths_that_lie_are_refused(shared_api, admins):
    """Neither a length below zero, nor two of them, nor one beside chunks reaches the program."""
    address = urlsplit(shared_api.url)
    token = f"Authorization: {admins.headers['Authorization']}"
    for lie in (
        "Content-Length: -1",
        "Content-Length: x",
        "Content-Length: 99999999999999999999",
        "Content-Length: 2\r\nContent-Length: 3",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: gzip, x",
    ):
        head = f"POST /api/admin/users HTTP/1.1\r\nHost: x\r\n{token}\r\nConnection: close\r\n{lie}"
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(head.encode() + b"\r\n\r\nzzzzz")
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1000)
        assert answer == b"" or 400 <= int(answer.split()[1]) < 500, (lie, answer)


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


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_names_is_a_name(admins, sql, database, text):
    """Names of databases and tables are quoted or compared, wherever they come from."""
    sql.script(["CREATE TABLE t AS SELECT 1 AS a", "CREATE TABLE u AS SELECT 2 AS a"])
    before = sql.run("SELECT table_schema, table_name FROM information_schema.tables")
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
    assert sql.run("SELECT table_schema, table_name FROM information_schema.tables") == before
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
