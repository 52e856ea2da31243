"""The service under siege: it lets in so many, waits for nobody, and backs up meanwhile."""

import socket
import time
from contextlib import ExitStack, suppress

import httpx
import pytest

from tests.e2e.test_cron import schedule_of, schedule_that_was_due
from tests.fixtures.api_requests import BACKUP, RUNS, created
from tests.fixtures.cli import SECONDS, wait_until
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


DEFAULTS = {"MAX_CONNECTIONS": "200", "MAX_CLIENT_CONNECTIONS": "50"}
SMALL = {
    "MAX_CONNECTIONS": "24",
    "MAX_CLIENT_CONNECTIONS": "16",
    "HEADER_SECONDS": "2",
    "BODY_SECONDS": "2",
    "ANSWER_SECONDS": "3",
    "MAX_DOWNLOADS": "2",
}


class Besieger:
    """Somebody who opens connections and sends what they like."""

    def __init__(self, url):
        parsed = httpx.URL(url)
        self._address = (parsed.host, parsed.port)
        self._stack = ExitStack()

    def send(self, data=b"", count=1):
        """Connect so often, send this, and keep the connections."""
        return [self._connect(data) for _ in range(count)]

    def _connect(self, data):
        connection = self._stack.enter_context(
            socket.create_connection(self._address, timeout=SECONDS)
        )
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        if data:
            connection.sendall(data)
        return connection

    def close(self):
        """Go away."""
        self._stack.close()


@pytest.fixture
def besieged(own_api, server):
    """A service with small limits, and a besieger."""
    api = own_api(server.url).start(**SMALL)
    besieger = Besieger(api.url)
    yield api, besieger
    besieger.close()


def answer(connection):
    """Read what comes until it is closed."""
    data = b""
    try:
        while part := connection.recv(1 << 16):
            data += part
    except ConnectionResetError:
        pass
    return data


def head(method, path, token, *more):
    """Make the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {token}", *more, "", ""]
    return "\r\n".join(lines).encode()


def numbers(client, what="hits_total"):
    """Read the limits: by setting, how often each was reached, or how much of it is in use."""
    found = {}
    for line in client.get("/metrics").text.splitlines():
        name, _, rest = line.partition("{setting=")
        if name == f"backstay_limit_{what}":
            setting, value = rest.split("} ")
            found[setting.strip('"')] = float(value)
    return found


def test_nobody_keeps_the_service_waiting(besieged, sql, database):
    """Silence, half a head, a head in drops, half a body: ended in time; who works is not."""
    api, besieger = besieged
    client = api.client()
    token = client.headers["Authorization"]
    began = time.monotonic()
    (silent,) = besieger.send()
    (half,) = besieger.send(b"GET /healthz HTTP/1.1\r\nHos")
    body = head("POST", f"{BACKUP}/create", token, "Content-Length: 1000")
    (unfinished,) = besieger.send(body + b'{"description": ')
    sql.run("CREATE TABLE t (id INT)")
    with Sql(api.settings["DATABASE_URL"]) as locker, api.client() as other:
        locker.run(f"LOCK TABLES {database}.t WRITE")
        run = client.post(f"{BACKUP}/create", json={"databases": [database]}).json()
        with other.stream("GET", f"{RUNS}/{run['run_id']}/events") as events:
            with suppress(BrokenPipeError, ConnectionResetError):  # they were ended meanwhile
                for drop in b"t: x\r\nX-Slow: and so o":
                    half.sendall(bytes([drop]))
                    time.sleep(0.1)
            heard = [answer(connection)[:12] for connection in (silent, half, unfinished)]
            took = time.monotonic() - began
            assert client.get(f"{RUNS}/{run['run_id']}").json()["state"] == "running"
            locker.run("UNLOCK TABLES")
            seen = events.read()

    assert heard[:2] == [b"HTTP/1.1 408"] * 2
    assert b"200" not in heard[2]
    assert took >= 2
    assert b"succeeded" in seen
    hits = numbers(client)
    assert (hits["header_seconds"], hits["body_seconds"]) == (2, 1)


def test_a_request_that_comes_ahead_of_an_answer_is_waited_for_no_longer(besieged):
    """Half a body, or half a head, in the same packet as the request before it: the connection is closed."""
    api, besieger = besieged
    ahead = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    token = api.client().headers["Authorization"]
    body = head("POST", f"{BACKUP}/create", token, "Content-Length: 1000") + b"{"
    connections = [besieger.send(ahead + rest)[0] for rest in (body, b"GET /healthz HT")]
    heard = [answer(connection) for connection in connections]

    assert [text.count(b" 200 OK") for text in heard] == [1, 1]


@pytest.mark.parametrize("path", ["/login", "/api/auth/token", "/api/auth/refresh", "/nowhere"])
def test_a_body_that_stops_is_nobodys_bug(besieged, path):
    """Whoever sends it goes away, or is waited for no longer."""
    api, besieger = besieged
    form = "Content-Type: application/x-www-form-urlencoded"
    begun = head("POST", path, "none", form, "Sec-Fetch-Site: same-origin", "Content-Length: 99")
    besieger.send(begun + b"name=a")[0].close()
    answer(besieger.send(begun + b"name=a")[0])

    assert api.client().get("/healthz").is_success
    assert "a bug" not in api.log


@pytest.mark.parametrize(
    ("path", "heard"), [("/api/auth/refresh", b"HTTP/1.1 400"), ("/nowhere", b"HTTP/1.1 404")]
)
def test_a_body_that_is_no_http_ends_its_request(besieged, path, heard):
    """Before it was answered or after that; it is nobody's bug, and the service goes on."""
    api, besieger = besieged
    chunked = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    (connection,) = besieger.send(chunked.encode())
    if heard.endswith(b"404"):  # whoever needs no body has answered
        connection.recv(1, socket.MSG_PEEK)
    connection.sendall(b"no length\r\n")

    assert answer(connection).startswith(heard)
    assert api.client().get("/healthz").is_success
    assert "a bug" not in api.log
    assert "Traceback" not in api.log


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (b"GET /healthz?" + b"x" * 70_000, b"HTTP/1.1 431 "),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000, b"HTTP/1.1 431 "),
        (b"no request\r\n\r\n" + b"x" * 70_000, b"HTTP/1.1 400 "),
    ],
)
def test_a_head_without_an_end_is_told_from_what_is_no_http(shared_api, data, heard):
    """Whoever sends it knows what to shorten."""
    besieger = Besieger(shared_api.url)
    (connection,) = besieger.send()
    connection.sendall(data)
    began = connection.recv(1 << 16)
    besieger.close()

    assert began.startswith(heard)
    assert shared_api.client().get("/healthz").is_success


def test_what_nobody_reads_is_ended_and_lets_the_backup_go(besieged, sql, database):
    """Downloads are so many at once; one that is not read ends, and the backup can be deleted."""
    api, besieger = besieged
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, x TEXT)",
        "INSERT INTO t SELECT seq, REPEAT('x', 30000) FROM seq_1_to_400",
    ])
    client = api.client()
    run = created(client, databases=[database], compress=False, verify=False)
    path = f"{BACKUP}/download/{run['backup_id']}"
    download = head("GET", path, client.headers["Authorization"])

    def is_taken():
        """Whether they are under way; whoever looks too late begins anew."""
        missing = 2 - int(numbers(client, "used")["max_downloads"])
        besieger.send(download, count=missing)
        if missing:
            return False
        third, deleted = client.get(path), client.delete(f"{BACKUP}/delete/{run['backup_id']}")
        return (third.status_code, deleted.status_code) == (429, 409)

    wait_until(is_taken, "both are under way, and there is room for no third")
    wait_until(
        lambda: client.delete(f"{BACKUP}/delete/{run['backup_id']}").status_code == 200,
        "the file is let go",
    )
    assert numbers(client)["answer_seconds"] >= 2


@pytest.mark.long
def test_a_scheduled_backup_runs_while_the_service_is_besieged(own_api, server, sql, database):
    """Unread downloads, drills, silent connections and unfinished bodies, more than there may be."""
    count, settings = series((60, SMALL), (1100, DEFAULTS))
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    api = own_api(server.url).start(**settings)
    client = api.client()
    token = client.headers["Authorization"]
    backup_id = created(client, databases=[database])["backup_id"]
    before = memory(api)
    drills = [
        client.post(f"{BACKUP}/test-restore/{backup_id}", json={"drill": True}).status_code
        for _ in range(4)
    ]
    assert set(drills) <= {202, 409}
    besiegers = [Besieger(api.url) for _ in range(2)]
    besiegers[0].send(head("GET", f"{BACKUP}/download/{backup_id}", token), count=4)
    besiegers[0].send(count=count)
    body = head("POST", f"{BACKUP}/create", token, "Content-Length: 262144") + b" " * 200_000
    for connection in besiegers[1].send(count=count):
        connection.setblocking(False)
        try:
            connection.send(body)
        except OSError:
            continue
    schedule_that_was_due(api.backups, database, minutes=120)
    wait_until(lambda: schedule_of(api.backups).get("last_backup_id"), "the backup is begun")
    grown = memory(api) - before
    for besieger in besiegers:
        besieger.close()
    wait_until(lambda: api.client().get("/healthz").is_success, "the service answers")

    (run,) = client.get(RUNS, params={"asked_by": "schedule:default"}).json()["runs"][:1]
    assert run["origin"] == "schedule"
    assert grown < 120 << 20
    assert sum(numbers(api.client()).values()) > 0
    assert api.log.count("Connection refused") < 50


def test_unfinished_bodies_take_little_more_than_their_bytes(own_api):
    """As many as are let in by default, each as long as one may be but for a byte."""
    api = own_api("mysql://nobody@127.0.0.1:1/").start(
        **DEFAULTS | {"MAX_CLIENT_CONNECTIONS": "200"}
    )
    besieger = Besieger(api.url)
    token = api.client().headers["Authorization"]
    before = memory(api)
    count, size = 190, 256 << 10
    body = head("POST", f"{BACKUP}/create", token, f"Content-Length: {size}") + b"[" * (size - 1)
    besieger.send(body, count=count)

    wait_until(lambda: memory(api) - before > count * size, "all of them are held")
    time.sleep(1)
    assert memory(api) - before < 2 * count * size
    assert api.client().get("/healthz").is_success
    besieger.close()


def memory(api):
    """Bytes that the service has in memory."""
    with open(f"/proc/{api.process.pid}/statm", encoding="ascii") as file:  # noqa: PTH123 - of the kernel
        return int(file.read().split()[1]) * 4096


def test_clients_behind_a_proxy_are_told_apart(own_api):
    """By what a proxy says that is trusted: one client's requests do not use up another's."""
    api = own_api("mysql://nobody@127.0.0.1:1/").start(
        **SMALL | {"MAX_CLIENT_CONNECTIONS": "2", "TRUSTED_PROXIES": "127.0.0.1"}
    )
    besieger = Besieger(api.url)
    client = api.client()
    token = client.headers["Authorization"]
    body = head(
        "POST", f"{BACKUP}/create", token, "Content-Length: 1000", "X-Forwarded-For: 192.0.2.1"
    )

    def status(address):
        return client.get("/healthz", headers={"X-Forwarded-For": address}).status_code

    def is_full():
        """Whether no third is let in; what ended before this looked is sent again."""
        besieger.send(body, count=2)
        return status("192.0.2.1") == 429

    wait_until(is_full, "both are under way")
    assert status("192.0.2.2") == 200
    wait_until(lambda: status("192.0.2.1") == 200, "both are given up")
    besieger.close()
