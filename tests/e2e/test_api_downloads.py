"""Downloads over HTTP: whole, in ranges, and kept from being deleted meanwhile."""

import base64
import hashlib
import re
import socket
import time
from email import message_from_bytes

import httpx
import pytest

from tests.fixtures.api_requests import BACKUP, created, done, problem
from tests.fixtures.cli import wait_until
from tests.fixtures.people import PASSWORD, with_users
from tests.fixtures.servers import Sql


@pytest.fixture(scope="module")
def large(shared_api, server):
    """A backup that no socket's buffers can hold: its result, and the bytes of its file."""
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE t_large",
            "USE t_large",
            "CREATE TABLE t (id INT PRIMARY KEY, x TEXT)",
            "INSERT INTO t SELECT seq, REPEAT(CHAR(65 + seq % 26), 30000) FROM seq_1_to_400",
        ])
        try:
            client = shared_api.client()
            run = created(client, databases=["t_large"], compress=False, verify=False)
        finally:
            sql.run("DROP DATABASE t_large")
    return run["result"], (shared_api.backups / run["result"]["file"]).read_bytes()


@pytest.fixture
def slow(shared_api):
    """A client that takes little before it is read from, so that a download stays under way."""
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)]
    return shared_api.client(transport=httpx.HTTPTransport(socket_options=options))


@pytest.fixture
def fetch(admin, large):
    """GET of that backup with some headers."""

    def fetch(**headers):
        return admin.get(
            f"{BACKUP}/download/{large[0]['backup_id']}",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return fetch


def test_a_download_is_the_file(fetch, large):
    """The bytes are those on disk, and the headers hold their SHA-256 in both usual ways."""
    result, data = large

    response = fetch()

    assert response.status_code == 200
    assert response.content == data
    digest = hashlib.sha256(data)
    assert response.headers["ETag"] == f'"{digest.hexdigest()}"' == f'"{result["checksum"]}"'
    assert response.headers["Repr-Digest"] == (
        f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    )
    assert response.headers["Content-Length"] == str(len(data)) == str(result["size"])
    assert response.headers["Content-Disposition"] == f'attachment; filename="{result["file"]}"'
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=100-199", slice(100, 200)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=10000000-", slice(10_000_000, None)),
        ("bytes=10000000-999999999999", slice(10_000_000, None)),
    ],
)
def test_a_range_is_that_part(fetch, large, wanted, part):
    """206 with exactly these bytes, and where they are."""
    data = large[1]
    start, end, _ = part.indices(len(data))

    response = fetch(Range=wanted)

    assert response.status_code == 206
    assert response.content == data[part]
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(data)}"
    assert response.headers["ETag"] == f'"{large[0]["checksum"]}"'


def test_several_ranges_come_in_one_answer(fetch, large):
    """206 in parts, each with its place."""
    data = large[1]

    response = fetch(Range="bytes=5-9,1000-1999,-3")

    assert response.status_code == 206
    kind = response.headers["Content-Type"]
    assert kind.startswith("multipart/byteranges; boundary=")
    found = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + response.content)
    parts = {part["Content-Range"]: part.get_payload(decode=True) for part in found.walk()}
    size = len(data)
    del parts[None]
    assert parts == {
        f"bytes 5-9/{size}": data[5:10],
        f"bytes 1000-1999/{size}": data[1000:2000],
        f"bytes {size - 3}-{size - 1}/{size}": data[-3:],
    }


def test_a_download_that_broke_off_goes_on(fetch, large):
    """If-Range with the right ETag gives the rest; with another the whole, as the file is another."""
    result, data = large

    rest = fetch(Range="bytes=11900000-", If_Range=f'"{result["checksum"]}"')
    whole = fetch(Range="bytes=11900000-", If_Range='"another"')
    weak = fetch(Range="bytes=11900000-", If_Range=f'W/"{result["checksum"]}"')

    assert (rest.status_code, rest.content) == (206, data[11_900_000:])
    assert [(answer.status_code, answer.content == data) for answer in (whole, weak)] == [
        (200, True)
    ] * 2


@pytest.mark.parametrize("wanted", ["bytes=999999999999-", "bytes=999999999999-9999999999999"])
def test_a_range_outside_of_the_file_is_refused(fetch, large, wanted):
    """416, with the size."""
    response = fetch(Range=wanted)

    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(large[1])}"


@pytest.mark.parametrize("wanted", ["pages=1-2", "bytes", "bytes=", "bytes=a-b", "bytes=9-5"])
def test_a_range_that_is_none_is_refused(fetch, wanted):
    """400 for whatever is no range of bytes."""
    assert fetch(Range=wanted).status_code == 400


def test_a_backup_is_not_deleted_while_it_is_downloaded(admin, slow, large):
    """409 backup-in-use; the download goes on to its end, and then the backup can be deleted."""
    result, data = large
    url = f"{BACKUP}/download/{result['backup_id']}"
    delete = f"{BACKUP}/delete/{result['backup_id']}"

    with slow.stream("GET", url) as response:
        parts = response.iter_bytes()
        read = next(parts)
        found = problem(admin.delete(delete), 409, "backup-in-use")
        read += b"".join(parts)

    assert found["retryable"] is True
    assert read == data


def test_whoever_goes_away_lets_the_backup_go(admin, slow, database, sql):
    """A download that is given up holds nothing: the backup can be deleted."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, x TEXT)",
        "INSERT INTO t SELECT seq, REPEAT('x', 30000) FROM seq_1_to_400",
    ])
    run = created(admin, databases=[database], compress=False, verify=False)
    delete = f"{BACKUP}/delete/{run['backup_id']}"

    with slow.stream("GET", f"{BACKUP}/download/{run['backup_id']}") as response:
        parts = response.iter_bytes()
        next(parts)
        problem(admin.delete(delete), 409, "backup-in-use")

    wait_until(lambda: admin.delete(delete).status_code == 200, "the file is let go")


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "operator"}])
def test_a_download_ends_with_the_right_to_it(shared_api, admin, slow, large, change):
    """Whoever is disabled, or is no admin any more, has no database a day later that was begun in time."""
    result, data = large
    name = f"leaver{next(iter(change))}"
    with_users(shared_api, **{name: "admin", f"{name}2": "admin"})  # the last admin stays
    tokens = admin.post("/api/auth/token", data={"username": name, "password": PASSWORD}).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    url, read = f"{BACKUP}/download/{result['backup_id']}", 0

    with slow.stream("GET", url, headers=headers) as response:
        parts = response.iter_bytes()
        read += len(next(parts))
        admin.patch(f"/api/admin/users/{name}", json=change).raise_for_status()
        time.sleep(2)
        with pytest.raises(httpx.RemoteProtocolError):
            read += sum(map(len, parts))

    assert read < len(data)


def test_what_is_taken_away_is_in_the_audit(fetch, admin, large):
    """Who, from where and which backup, whole or in part; but not what is refused, and no look at the headers."""
    path = f"{BACKUP}/download/{large[0]['backup_id']}"
    before = admin.get("/api/admin/audit").json()["entries"][0]["number"]
    fetch()
    fetch(Range="bytes=0-9")
    fetch(Range="bytes=a-b")
    admin.head(path)
    admin.get(f"{path[:-1]}x")

    found = admin.get("/api/admin/audit", params={"action": "download_backup"}).json()["entries"]
    assert [
        (entry["actor"], entry["address"], entry["target"], entry["status"])
        for entry in found
        if entry["number"] > before
    ] == [("some-admin", "127.0.0.1", f"GET {path}", status) for status in (206, 200)]


def test_a_body_that_is_refused_ends_the_download(shared_api, admin, large):
    """The file is let go, and nothing of it is an error of the program."""
    result, data = large
    before = len(shared_api.log)
    with socket.create_connection(("127.0.0.1", int(shared_api.url.rpartition(":")[2]))) as plain:
        plain.sendall(
            f"GET {BACKUP}/download/{result['backup_id']} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {admin.headers['Authorization']}\r\nContent-Length: 999999\r\n\r\n".encode()
        )
        read = sum(len(part) for part in iter(lambda: plain.recv(1 << 16), b""))

    assert read < len(data)
    assert "Traceback" not in shared_api.log[before:]
    assert "never retrieved" not in shared_api.log[before:]


def test_a_truncated_backup_is_not_sent(admin, shared_api, database, sql):
    """A file of another size than written ends as a problem, and not as a download."""
    run = _small(admin, database, sql)
    file = shared_api.backups / run["result"]["file"]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])

    problem(admin.get(f"{BACKUP}/download/{run['backup_id']}"), 500, "truncated-file")
    file.unlink()
    problem(admin.get(f"{BACKUP}/download/{run['backup_id']}"), 404, "backup-not-found")


def test_a_damaged_backup_is_found_out_by_its_digest(admin, shared_api, database, sql):
    """Bytes that were changed are sent, under the digest of those that were written."""
    run = _small(admin, database, sql)
    file = shared_api.backups / run["result"]["file"]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)

    response = admin.get(f"{BACKUP}/download/{run['backup_id']}")

    assert response.content == data
    claimed = re.fullmatch(r"sha-256=:(.*):", response.headers["Repr-Digest"])
    assert claimed is not None
    assert base64.b64decode(claimed[1]).hex() == run["result"]["checksum"]
    assert hashlib.sha256(response.content).hexdigest() != run["result"]["checksum"]
    done(admin.delete(f"{BACKUP}/delete/{run['backup_id']}"))


def _small(client, database, sql):
    sql.script(["CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1)"])
    return created(client, databases=[database])
