"""
Stores that fail at any request: what was asked for is done by trying again, or ends in an error that is told.

Whatever happens, nothing that is not whole can be seen, and nothing is left after the sweep.
"""

import signal
from datetime import timedelta
from itertools import cycle, product
from urllib.parse import unquote

import pytest

from app.domain.store_trial import StoreFacts
from app.errors import (
    AlreadyThereError,
    AppError,
    HostKeyError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.services.stores.trial import PREFIX, Trial
from app.storage.remote.limits import Limits
from tests.fixtures import forked_python
from tests.fixtures.certificates import make_certificates
from tests.fixtures.clocks import SystemClock
from tests.fixtures.http_proxy import HttpFault
from tests.fixtures.proxy import Fault, proxy
from tests.fixtures.series import series
from tests.fixtures.stores import drawn_bytes


PART = 5 << 20
DAY = timedelta(days=1)
DATA = drawn_bytes(1, PART + 3000)
SMALL = DATA[:1000]
OF_HTTP = ("s3", "gcs", "azure")
# What passes when the same is asked for once more.
PASSING = (
    HttpFault.CUT_BEFORE,
    HttpFault.CUT_AFTER,
    HttpFault.ERROR_AFTER,
    HttpFault.TRUNCATED,
    HttpFault.ERROR,
    HttpFault.SLOW_DOWN,
)


@pytest.fixture(scope="module")
def proxies(store_servers):
    """A proxy before each server."""
    return {kind: store_servers.proxy(kind) for kind in OF_HTTP}


def work(store):
    """Do everything once that a backup does."""
    with store.begin("data", PART) as upload:
        upload.write(DATA)
        upload.complete()
    store.put("manifest", SMALL, create=True)
    assert store.read("data", PART - 500, 1000) == DATA[PART - 500 : PART + 500]
    assert {found.name: found.size for found in store.list()} == {
        "data": len(DATA),
        "manifest": len(SMALL),
    }
    assert store.delete("manifest") is True


def work_on(store):
    """Do it again and again."""
    for _ in range(20):
        work(store)
        store.delete("data")


def is_whole(store):
    """Tell whether all that can be seen is whole; the store does not fail now."""
    whole = {"data": DATA, "manifest": SMALL}
    for found in store.list():
        assert found.size == len(whole[found.name])
        assert store.read(found.name, 0, found.size) == whole[found.name]
    return True


def sweep(store):
    """Remove what was left unfinished, and look that nothing is."""
    ahead = store.now() + DAY
    for upload in store.unfinished(ahead):
        store.abort_unfinished(upload)
    return list(store.unfinished(ahead)) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "fault"),
    # In short each kind and each fault, but not each of them with each other.
    series([*zip(2 * OF_HTTP, PASSING, strict=True)], [*product(OF_HTTP, PASSING)]),
)
def test_a_fault_at_any_request_passes_or_is_told(store_servers, proxies, kind, fault):
    """Each request in turn fails once; all that can be seen afterwards is whole."""
    middle = proxies[kind]
    middle.reset()
    healthy = store_servers.open(store_servers.definition(kind, middle.url))
    work(healthy)
    requests = len(middle.seen)
    assert requests > 8

    told = {}
    for number in range(1, requests + 1, series(6, 1)):
        store = store_servers.open(store_servers.definition(kind, middle.url))
        middle.reset(lambda seen, *_, number=number: fault if seen == number else None)
        try:
            work(store)
        except AppError as exc:
            told[number] = exc
        middle.reset()
        assert is_whole(store)
        assert sweep(store)
    assert all(isinstance(exc, StorageError) for exc in told.values()), told
    # Nearly all pass; what may end is a request that cannot be made twice.
    assert len(told) <= 1, told


# What does not pass, what it means, and what is told to do.
LASTING = (
    (HttpFault.SLOW_DOWN, StorageUnavailableError, "higher limit"),
    (HttpFault.ERROR, StorageUnavailableError, ""),
    (HttpFault.CUT_BEFORE, StorageUnavailableError, "network"),
    (HttpFault.EXPIRED, StorageDeniedError, "renew"),
    (HttpFault.SKEWED, StorageDeniedError, "NTP"),
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "lasting"),
    # In short each kind and each fault, but not each of them with each other.
    series([*zip(cycle(OF_HTTP), LASTING, strict=False)], [*product(OF_HTTP, LASTING)]),
)
def test_what_does_not_pass_ends_in_an_error_that_says_what_to_do(
    store_servers, proxies, kind, lasting
):
    """Every call, in time, and without a word of the key."""
    fault, error, hint = lasting
    middle = proxies[kind]
    store = store_servers.open(store_servers.definition(kind, middle.url))
    middle.reset(lambda *_: fault)
    calls = {
        "list": lambda: list(store.list()),
        "read": lambda: store.read("x", 0, 1),
        "put": lambda: store.put("x", SMALL),
        "create": lambda: store.put("x", SMALL, create=True),
        "upload": lambda: send(store, SMALL),
        "clock": store.now,
    }
    for name, call in calls.items():
        with pytest.raises(error) as caught:
            call()
        assert hint in caught.value.hint, name
        for secret in store_servers.variables.values():
            assert secret not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r}"
    middle.reset()
    assert list(store.list()) == []


def send(store, data):
    """Upload bytes."""
    with store.begin("x", PART) as upload:
        upload.write(data)
        upload.complete()


def test_a_creation_whose_answer_is_lost_is_known_as_our_own(store_servers, proxies):
    """And that of somebody else with other bytes is not."""
    middle = proxies["s3"]
    store = store_servers.open(store_servers.definition("s3", middle.url))
    middle.reset(lambda number, *_: HttpFault.CUT_AFTER if number == 1 else None)
    store.put("ours", SMALL, create=True)
    assert store.read("ours", 0, len(SMALL)) == SMALL

    store.put("theirs", b"theirs")
    middle.reset(lambda number, *_: HttpFault.CUT_BEFORE if number == 1 else None)
    with pytest.raises(AlreadyThereError):
        store.put("theirs", SMALL, create=True)


@pytest.mark.parametrize("kind", OF_HTTP)
def test_a_store_that_sends_other_bytes_is_found_out_by_its_trial(store_servers, proxies, kind):
    """No store can be asked whether it does: what was written is compared with what comes back."""
    middle = proxies[kind]
    store = store_servers.open(store_servers.definition(kind, middle.url))
    middle.reset(
        lambda _, method, path: (
            HttpFault.WRONG if method == "GET" and PREFIX in unquote(path) else None
        )
    )
    facts = StoreFacts("tried", kind, "here", append_only=False, object_lock_days=0)
    trial = Trial(store, facts, SystemClock()).run()
    middle.reset()

    assert not trial.is_fit
    assert {check.name for check in trial.checks if check.error} >= {"read"}
    assert list(store.list()) == []


@pytest.mark.parametrize("kind", OF_HTTP)
def test_what_comes_short_every_time_is_no_end_of_the_file(store_servers, proxies, kind):
    """The store says how long it is, and only where that is too short the file is cut off."""
    middle = proxies[kind]
    store = store_servers.open(store_servers.definition(kind, middle.url))
    middle.reset()
    store.put("short", SMALL)
    middle.reset(lambda _, method, path: HttpFault.TRUNCATED if method == "GET" else None)
    with pytest.raises(StorageUnavailableError):
        store.read("short", 0, len(SMALL))
    middle.reset()
    with pytest.raises(TruncatedFileError):
        store.read("short", 0, len(SMALL) + 1)


def test_a_store_that_never_answers_is_given_up(store_servers, proxies):
    """After its time, not after that of the operating system."""
    middle = proxies["s3"]
    limits = Limits(attempts=2, connect_seconds=1, answer_seconds=0.3, pause_seconds=0.01)
    store = store_servers.open(store_servers.definition("s3", middle.url), limits)
    middle.reset(lambda *_: HttpFault.HELD)
    with pytest.raises(StorageUnavailableError, match="in time"):
        store.stat("x")
    with pytest.raises(StorageUnavailableError, match="in time"):
        store.now()
    middle.reset()


_UPLOAD = """
import json, os, sys
from app.storage.remote.definitions import KINDS
from app.storage.remote.opening import open_store
table = json.loads(sys.argv[1])
store = open_store("killed", KINDS[table["kind"]].model_validate(table), os.environ.get)
with store.begin("data", 5 << 20) as upload:
    upload.write(bytes(5 << 20))
    upload.write(bytes(5 << 20))
    upload.complete()
store.put("manifest", bytes(1000), create=True)
print("done")
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", series(["s3"], ["s3", "azure"]))
def test_kill_9_between_any_two_requests_leaves_nothing_that_is_listed_and_not_whole(
    store_servers, proxies, kind, tmp_path
):
    """The process is killed while its n-th request has no answer yet; the sweep removes the rest."""
    middle = proxies[kind]
    kills = 0
    for number in range(series(4, 1), 30, series(4, 1)):
        definition = store_servers.definition(kind, middle.url)
        middle.reset(lambda seen, *_, number=number: HttpFault.HELD if seen == number else None)
        printed = tmp_path / f"printed{number}"
        environment = {**store_servers.variables, "PATH": ""}
        process = forked_python.start(_UPLOAD, [definition.model_dump_json()], environment, printed)
        while process.is_alive() and not middle.held.wait(0.02):
            pass
        process.kill()
        process.join()
        middle.reset()
        if process.exitcode == 0:
            assert printed.read_text() == "done\n"
            break
        assert process.exitcode == -signal.SIGKILL, printed.read_text()
        kills += 1
        store = store_servers.open(definition)
        sizes = {found.name: found.size for found in store.list()}
        assert sizes in ({}, {"data": 10 << 20}, {"data": 10 << 20, "manifest": 1000})
        assert sweep(store)
    assert kills >= series(1, 6)


@pytest.mark.long
@pytest.mark.parametrize("limit", series([0, 5000], [*range(0, 12_000, 500)]))
def test_an_ssh_connection_that_is_cut_at_any_time_is_opened_again(store_servers, limit):
    """Once it is healthy; what was under way is told, and leaves nothing that can be seen."""
    server = store_servers.sftp
    with proxy(f"{server.url}/", Fault.CUT, limit) as middle:
        store = store_servers.open(store_servers.definition("sftp", middle.url.rstrip("/")))
        with pytest.raises(StorageUnavailableError):
            work_on(store)
        middle.limit = 1 << 40
        assert is_whole(store)
        assert sweep(store)
        for found in list(store.list()):
            store.delete(found.name)
        work(store)
        store.close()


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_a_store_with_a_certificate_of_a_stranger_is_told_nothing(store_servers, tmp_path, kind):
    """Until its authority is named; then everything works over TLS."""
    certificates = make_certificates(tmp_path / "of the store", "127.0.0.1")
    middle = store_servers.proxy(kind, certificates)
    store = store_servers.open(store_servers.definition(kind, middle.url))
    for call in (lambda: list(store.list()), store.now):
        with pytest.raises(StorageUnavailableError, match="no TLS connection"):
            call()
    assert middle.seen == []

    trusted = store_servers.definition(kind, middle.url, ca_file=certificates.ca)
    opened = store_servers.open(trusted)
    work(opened)
    assert abs(opened.now() - SystemClock().now()) < timedelta(minutes=1)


def test_an_ssh_server_with_another_key_is_told_nothing(store_servers):
    """Neither is one that is pinned by a key of another kind."""
    other = (store_servers.sftp.home / "user.pub").read_text().strip()
    store = store_servers.open(store_servers.definition("sftp", host_key=other))
    with pytest.raises(HostKeyError) as caught:
        list(store.list())
    assert "fingerprint" in caught.value.hint
    store.close()
