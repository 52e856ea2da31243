"""What S3 says in words that no server on the loopback says: pages, names of others, lies, and no clock."""

import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from app.errors import StorageDeniedError, StorageUnavailableError
from app.storage.remote.cloud.s3 import S3ObjectStore, SessionKey
from app.storage.remote.definitions import S3Definition
from app.storage.remote.limits import Limits


LATER = datetime(2030, 1, 1, tzinfo=UTC)
KEYS = ["a", "b", "c", "d", "e"]


def page(after, *, tells):
    """Two uploads behind a key, as Amazon's reference shows them; some stores leave the next markers out."""
    keys = [key for key in KEYS if key > after]
    uploads = "".join(
        f"<Upload><Key>p/{key}</Key><UploadId>id-{key}</UploadId>"
        "<Initiated>2026-01-31T14:30:15.000Z</Initiated></Upload>"
        for key in keys[:2]
    )
    is_cut = len(keys) > 2
    marker = f"<NextKeyMarker>p/{keys[1]}</NextKeyMarker>" if is_cut and tells else ""
    return (
        f"<ListMultipartUploadsResult><IsTruncated>{str(is_cut).lower()}</IsTruncated>"
        f"{marker}{uploads}</ListMultipartUploadsResult>"
    ).encode()


class Answers(BaseHTTPRequestHandler):
    """Answers about uploads, without a Date."""

    tells = True

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        after = query.get("key-marker", ["p/"])[0].removeprefix("p/")
        self._answer(page(after, tells=self.tells))

    def do_HEAD(self):
        self._answer(b"")

    def _answer(self, body):
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Strangers(Answers):
    """Answers about a bucket where somebody else has names that obstore cannot read."""

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        number = int(query.get("continuation-token", ["0"])[0])
        keys = [f"p/{name}" for name in ("backup_1", "backup_2", "logs//x", "\tx", "a/../b")]
        found = [key for key in keys if key.startswith(query["prefix"][0])]
        following = f"<NextContinuationToken>{number + 1}</NextContinuationToken>"
        is_cut = number + 1 < len(found)
        self._answer(
            "<ListBucketResult><Contents>"
            f"<Key>{found[number]}</Key><Size>5</Size><ETag>e</ETag>"
            "<LastModified>2026-01-31T14:30:15.000Z</LastModified></Contents>"
            f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{following * is_cut}"
            "</ListBucketResult>".encode()
        )

    def do_HEAD(self):
        self.send_response_only(403)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Crowd(Answers):
    """Answers about so many names that the strange one comes on the second page."""

    keys = (*(f"p/backup_{number:04}" for number in range(1000)), "p/backup_x//y", "p/backup_z")

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        found = [key for key in self.keys if key > after]
        contents = "".join(
            f"<Contents><Key>{key}</Key><Size>5</Size><ETag>e</ETag>"
            "<LastModified>2026-01-31T14:30:15.000Z</LastModified></Contents>"
            for key in found[:1000]
        )
        is_cut = len(found) > 1000
        following = f"<NextContinuationToken>{found[999]}</NextContinuationToken>" if is_cut else ""
        self._answer(
            f"<ListBucketResult>{contents}<IsTruncated>{str(is_cut).lower()}</IsTruncated>"
            f"{following}</ListBucketResult>".encode()
        )


class Keeper(Answers):
    """Confirms deletions, and deletes nothing."""

    confirmed: list[str]

    def do_HEAD(self):
        self.send_response_only(200)
        self.send_header("Date", "Sat, 31 Jan 2026 14:30:15 GMT")
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 14:30:15 GMT")
        self.send_header("ETag", "e")
        self.send_header("Content-Length", "5")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = re.findall("<Key>(.*?)</Key>", body)
        self.confirmed += keys
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def do_DELETE(self):
        self.confirmed.append(self.path)
        self.send_response_only(204)
        self.end_headers()


@contextmanager
def serving(kind):
    """A store on a server that answers so."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    definition = S3Definition(
        kind="s3",
        bucket="b",
        prefix="p",
        endpoint=f"http://127.0.0.1:{server.server_address[1]}",
        access_key="k",
        secret_env="UNUSED",
    )
    opened = S3ObjectStore(definition, SessionKey("s"), limits=Limits(2, pause_seconds=0.01))
    try:
        yield opened
    finally:
        opened.close()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=[True, False])
def store(request):
    """A store on such a server, which names the next page or does not."""
    with serving(type("Answers", (Answers,), {"tells": request.param})) as opened:
        yield opened


def test_unfinished_uploads_come_from_all_pages(store):
    """Also where a store does not say where the next one begins."""
    found = list(store.unfinished(LATER))

    assert [(upload.name, upload.upload_id) for upload in found] == [
        (key, f"id-{key}") for key in KEYS
    ]
    assert list(store.unfinished(found[0].begun_at)) == []


def test_a_store_that_does_not_tell_the_time_is_told(store):
    """Nothing is guessed: what is old is decided by it."""
    with pytest.raises(StorageUnavailableError, match="what time it is"):
        store.now()


def test_names_of_others_keep_nothing_from_being_listed():
    """Nor are they the reason of a refusal that is about something else."""
    with serving(Strangers) as store:
        assert [stored.name for stored in store.list("backup_")] == ["backup_1", "backup_2"]
        with pytest.raises(StorageDeniedError, match=r"backup_1: the store refuses to read"):
            store.stat("backup_1")


def test_a_list_that_is_gone_on_with_otherwise_has_each_name_once():
    """What obstore could read of it is there already."""
    with serving(Crowd) as store:
        found = [stored.name for stored in store.list("backup_")]

    assert found == sorted({key.removeprefix("p/") for key in Crowd.keys} - {"backup_x//y"})


def test_a_deletion_that_is_confirmed_and_not_done_ends():
    """As a gateway does, or a rule of the bucket; it is asked for once."""
    confirmed: list[str] = []
    with serving(type("Keeper", (Keeper,), {"confirmed": confirmed})) as store:
        with pytest.raises(StorageUnavailableError, match="still has it") as caught:
            store.delete("x")

        assert "rule of the bucket" in caught.value.hint
        assert len(confirmed) == 1
