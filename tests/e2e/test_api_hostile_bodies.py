"""Bodies and logins that hostile or careless clients send: refused, and never a failure of the service."""

import json
import socket
from urllib.parse import quote, urlsplit

import pytest

from tests.fixtures.api import finished
from tests.fixtures.operations import OPERATIONS
from tests.fixtures.raw_requests import JSON, problem_of


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
    "create_backup": ["description", "compress", "verify", "include_data", "databases", "tables", "exclude_tables", "codec", "level", "accounts"],
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
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(head.encode() + b"\r\n\r\nzzzzz")
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1000)
        assert answer == b"" or 400 <= int(answer.split()[1]) < 500, (lie, answer)


def test_what_follows_a_request_of_two_lengths_is_no_request(shared_api):
    """Another one could be hidden there from whatever stands in front of the service: the connection ends."""
    address = urlsplit(shared_api.url)
    lengths = ["Transfer-Encoding: chunked", "Content-Length: 5"]
    for both in (lengths, lengths[::-1]):
        head = "\r\n".join(["POST /api/auth/refresh HTTP/1.1", "Host: x", *both])
        hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(f"{head}\r\n\r\n0\r\n\r\n{hidden}".encode())
            answer = b"".join(iter(lambda: connection.recv(1000), b""))

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
