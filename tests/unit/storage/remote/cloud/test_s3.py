"""What S3 says in words that no server on the loopback says: pages of uploads, and a clock that is missing."""

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from app.errors import StorageUnavailableError
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


@pytest.fixture(params=[True, False])
def store(request):
    """A store on such a server, which names the next page or does not."""
    kind = type("Answers", (Answers,), {"tells": request.param})
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
    yield opened
    opened.close()
    server.shutdown()
    thread.join()
    server.server_close()


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
