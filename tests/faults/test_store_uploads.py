"""Uploads of which the last request fails, or the clean-up: what the store has is what is said of it."""

import logging
from datetime import timedelta

import pytest

from app.errors import StorageDeniedError, StorageError, StorageUnavailableError
from app.storage.remote.limits import Limits
from tests.fixtures.http_proxy import HttpFault
from tests.fixtures.store_programs import KEY, SECRET
from tests.fixtures.stores import drawn_bytes


PART = 5 << 20
# What a line is given for it takes no time.
SMALL_PART = 64 << 10
DAY = timedelta(days=1)
DATA = drawn_bytes(1, PART + 3000)
OF_HTTP = ("s3", "gcs", "azure")


@pytest.fixture(scope="module")
def proxies(store_servers):
    """A proxy before each server."""
    return {kind: store_servers.proxy(kind) for kind in OF_HTTP}


@pytest.fixture
def middle(proxies, kind):
    """The proxy of a kind, which passes everything on at first."""
    proxies[kind].reset()
    return proxies[kind]


def is_completion(method, path):
    """Tell whether a request makes parts an object: of S3 and Google, or of Azure."""
    return (method == "POST" and "uploadId" in path) or "comp=blocklist" in path


def send(store, name="x"):
    """Upload in parts."""
    with store.begin(name, PART) as upload:
        upload.write(DATA)
        upload.complete()


@pytest.mark.parametrize("kind", OF_HTTP)
def test_a_completion_whose_answers_are_all_lost_is_looked_for(store_servers, middle, kind):
    """The store has it, all of it: so it is complete, and nobody needs to send it again."""
    store = store_servers.open(store_servers.definition(kind, middle.url))
    middle.reset(
        lambda _, method, path: HttpFault.CUT_AFTER if is_completion(method, path) else None
    )
    send(store)

    assert store.stat("x").size == len(DATA)


@pytest.mark.parametrize("kind", OF_HTTP)
def test_a_completion_that_never_arrives_leaves_nothing_that_is_seen(store_servers, middle, kind):
    """It ends in an error that may pass, and the sweep removes the parts where the store shows them."""
    store = store_servers.open(store_servers.definition(kind, middle.url))
    middle.reset(
        lambda _, method, path: HttpFault.CUT_BEFORE if is_completion(method, path) else None
    )
    with pytest.raises(StorageUnavailableError):
        send(store)
    middle.reset()

    assert list(store.list()) == []
    for left in store.unfinished(store.now() + DAY):
        store.abort_unfinished(left)
    assert list(store.unfinished(store.now() + DAY)) == []


@pytest.mark.parametrize(
    ("kind", "count", "which"),
    [
        ("s3", SMALL_PART, 1),
        ("gcs", SMALL_PART, 1),
        # The others take no parts as small as these: a part, and what makes one object of all.
        ("azure", SMALL_PART + 1, 1),
        ("azure", SMALL_PART + 1, 3),
    ],
)
def test_a_request_of_an_upload_that_stalls_is_made_again(
    store_servers, middle, kind, count, which
):
    """A connection that a firewall has forgotten is answered by nobody; a backup of hours goes on."""
    limits = Limits(attempts=4, answer_seconds=1, pause_seconds=0.01)
    store = store_servers.open(store_servers.definition(kind, middle.url), limits)
    puts = []

    def hold_one(_number, method, path):
        puts.extend([path] if method == "PUT" else [])
        return HttpFault.HELD if method == "PUT" and len(puts) == which else None

    middle.reset(hold_one)
    with store.begin("x", SMALL_PART) as upload:
        upload.write(DATA[:count])
        upload.complete()
    middle.reset()

    assert len(puts) > which
    assert store.read("x", 0, count) == DATA[:count]


@pytest.mark.parametrize("kind", ["s3"])
def test_an_upload_that_cannot_be_aborted_is_left_to_the_sweep(store_servers, middle, kind, caplog):
    """What made it fail is what is told; that something is left is in the log."""
    store = store_servers.open(store_servers.definition(kind, middle.url))
    with pytest.raises(ZeroDivisionError), caplog.at_level(logging.WARNING):
        fail_unreachable(store, middle)
    middle.reset()

    assert "left to the sweep" in caplog.text
    (left,) = store.unfinished(store.now() + DAY)
    assert left.name == "x"
    store.abort_unfinished(left)
    assert list(store.unfinished(store.now() + DAY)) == []


def fail_unreachable(store, middle):
    """Begin an upload, and fail when the store cannot be reached any more."""
    with store.begin("x", PART) as upload:
        upload.write(DATA)
        upload.write(DATA)
        middle.reset(lambda *_: HttpFault.CUT_BEFORE)
        raise ZeroDivisionError


@pytest.mark.parametrize("kind", OF_HTTP)
def test_more_parts_than_a_store_takes_are_refused_before_they_are_sent(
    store_servers, middle, kind
):
    """With what to do: the estimate was wrong."""
    store = store_servers.open(store_servers.definition(kind, middle.url))
    with store.begin("x", 1) as upload, pytest.raises(StorageError, match="10000 parts") as caught:
        upload.write(bytes(10_001))

    assert "ANALYZE TABLE" in caught.value.hint
    assert list(store.list()) == []


def test_without_a_key_the_credentials_of_the_machine_are_used(
    store_servers, monkeypatch, tmp_path
):
    """As Amazon's tools find them, by both libraries; where there are none, that is told."""
    definition = store_servers.definition("s3", access_key="", secret_env="")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    store = store_servers.open(definition)
    store.put("x", b"1")
    assert [found.name for found in store.list()] == ["x"]
    assert store.delete("x")

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = store_servers.open(definition)
    for call in (lambda: list(store.list()), lambda: store.put("x", b"1"), store.now):
        with pytest.raises(StorageDeniedError, match="no credentials") as caught:
            call()
        assert "access_key" in caught.value.hint
