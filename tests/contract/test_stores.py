"""What every store promises, on each kind: a directory, S3, Google, Azure and SFTP, with real servers."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.errors import (
    AlreadyThereError,
    InvalidRequestError,
    ObjectNotFoundError,
    RefusedError,
    TruncatedFileError,
)
from app.storage.remote.store import LEAST_PART_BYTES
from tests.fixtures import forked_python
from tests.fixtures.clocks import SystemClock
from tests.fixtures.series import series
from tests.fixtures.stores import drawn_bytes


# The least of S3, so that tests send no more than they need.
PART = 5 << 20
DAY = timedelta(days=1)
DATA = drawn_bytes(1, 10_000)


def fail_after(store, size):
    """Send so many bytes, and fail for a reason of one's own."""
    with store.begin("failed", PART) as upload:
        upload.write(bytes(size))
        raise ZeroDivisionError


def names(store, prefix=""):
    """What is listed, in order."""
    return sorted(found.name for found in store.list(prefix))


def test_what_was_put_is_there(store):
    """Its bytes, its size, its name in the list, and a time of today."""
    store.put("a.sql.gz", DATA)
    found = store.stat("a.sql.gz")

    assert store.read("a.sql.gz", 0, len(DATA)) == DATA
    assert (found.name, found.size) == ("a.sql.gz", len(DATA))
    assert abs(found.modified_at - SystemClock().now()) < timedelta(minutes=1)
    assert list(store.list()) == [found]


def test_free_space_is_told_where_the_store_knows_it(store, kind, tmp_path):
    """As the file system says; a bucket has none."""
    free = store.free_bytes()

    if kind in {"local", "sftp"}:
        assert abs(free - shutil.disk_usage(tmp_path).free) < 1 << 30
    else:
        assert free is None


def test_nothing_is_there_at_first(store):
    """No list, no description, no bytes, nothing to delete."""
    assert names(store) == []
    assert store.stat("nothing") is None
    assert store.delete("nothing") is False
    with pytest.raises(ObjectNotFoundError):
        store.read("nothing", 0, 1)


def test_ranges_are_exact(store):
    """Any range inside comes as it is; one that goes beyond the end says that bytes are missing."""
    store.put("ranges", DATA)
    for start, size in ((0, 1), (0, len(DATA)), (1, 4096), (4095, 2), (len(DATA) - 1, 1), (777, 7)):
        assert store.read("ranges", start, size) == DATA[start : start + size]

    assert store.read("ranges", 5, 0) == b""
    for start, size in ((0, len(DATA) + 1), (len(DATA) - 1, 2), (len(DATA), 1), (1 << 40, 1)):
        with pytest.raises(TruncatedFileError):
            store.read("ranges", start, size)


def test_nothing_is_an_object_as_well(store):
    """An empty one is there like any other."""
    store.put("empty", b"", create=True)

    assert store.stat("empty").size == 0
    assert names(store) == ["empty"]


def test_what_shall_be_new_overwrites_nothing(store):
    """The second is told, the first stays; without being asked, it is replaced."""
    store.put("manifest", b"first", create=True)
    with pytest.raises(AlreadyThereError):
        store.put("manifest", b"second", create=True)
    assert store.read("manifest", 0, 5) == b"first"

    with pytest.raises(AlreadyThereError):
        store.put("manifest", b"first", create=True)
    store.put("manifest", b"third")
    assert store.read("manifest", 0, 5) == b"third"


def test_of_many_who_create_at_once_one_does(store):
    """All others are told, and its bytes are whole."""
    barrier = threading.Barrier(6)

    def create(number):
        barrier.wait()
        try:
            store.put("raced", bytes([number]) * 1000, create=True)
        except AlreadyThereError:
            return None
        return number

    with ThreadPoolExecutor(6) as threads:
        made = [number for number in threads.map(create, range(6)) if number is not None]

    assert len(made) == 1
    assert store.read("raced", 0, 1000) == bytes(made) * 1000


@pytest.mark.long
def test_lists_are_by_prefix_and_have_all_pages(store):
    """Names in folders too; a prefix ends anywhere in a name."""
    count = series(60, 1200)
    wanted = [f"backup_{number:05}/manifest.json" for number in range(count // 2)]
    wanted += [f"backup_{number:05}.sql.gz" for number in range(count // 2)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: store.put(name, b"x"), wanted))

    assert names(store) == sorted(wanted)
    assert names(store, "backup_0000") == sorted(
        name for name in wanted if name.startswith("backup_0000")
    )
    assert names(store, "backup_00001/") == ["backup_00001/manifest.json"]
    assert names(store, "other") == []


def test_an_upload_is_there_when_it_is_complete(store):
    """Neither listed nor described before; afterwards every byte, across the borders of parts."""
    data = drawn_bytes(3, PART + 70_000)
    with store.begin("large", PART) as upload:
        for start in range(0, len(data), 300_000):
            upload.write(data[start : start + 300_000])
        assert store.stat("large") is None
        assert names(store) == []
        upload.complete()

    assert names(store) == ["large"]
    assert store.stat("large").size == len(data)
    assert store.read("large", PART - 1000, 2000) == data[PART - 1000 : PART + 1000]
    assert store.read("large", 0, len(data)) == data


_UPLOAD = """
import json, os, resource, sys
from app.storage.remote.definitions import KINDS
from app.storage.remote.opening import open_store
table = json.loads(sys.argv[1])
store = open_store("measured", KINDS[table["kind"]].model_validate(table), os.environ.get)
block = bytes(1 << 18)
def send(name, count):
    with store.begin(name, 8 << 20) as upload:
        for _ in range(count):
            upload.write(block)
        upload.complete()
    store.read(name, 0, 1 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = send("small", 40)
print((send("large", int(sys.argv[2])) - before) // 1024)
"""


@pytest.mark.long
def test_memory_is_bounded_by_two_parts(store_servers, kind, tmp_path):
    """However large an upload is; the first one has brought in what any needs."""
    definition = store_servers.definition(kind)
    arguments = [definition.model_dump_json(), str(series(100, 4000))]
    environment = {**store_servers.variables, "PATH": ""}
    printed = forked_python.call(_UPLOAD, arguments, environment, tmp_path / "printed")

    assert int(printed) < 2 * 8 + 8


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_an_upload_may_be_smaller_than_a_part(store, size):
    """Even nothing at all."""
    with store.begin("small", LEAST_PART_BYTES) as upload:
        upload.write(DATA[:size])
        upload.complete()

    assert store.stat("small").size == size


def test_an_upload_that_fails_leaves_nothing(store):
    """Whatever the reason is, however much was sent."""
    for size in (10, PART + 10):
        with pytest.raises(ZeroDivisionError):
            fail_after(store, size)

    assert store.stat("failed") is None
    assert names(store) == []
    assert list(store.unfinished(store.now() + DAY)) == []


def test_what_a_crash_leaves_is_swept(store):
    """Where the store shows it: by its age, and never in a list."""
    upload = store.begin("crashed", PART)
    upload.write(bytes(PART + 10))
    upload.write(bytes(PART + 10))
    now = store.now()

    assert names(store) == []
    found = list(store.unfinished(now + DAY))
    assert len(found) == store.lists_unfinished
    assert list(store.unfinished(now - DAY)) == []
    for left in found:
        store.abort_unfinished(left)
        store.abort_unfinished(left)
    assert list(store.unfinished(now + DAY)) == []
    upload.abort()
    assert names(store) == []


def test_an_upload_replaces_nothing(store):
    """Its name must be free when it begins."""
    store.put("taken", b"first")
    with pytest.raises(AlreadyThereError):
        store.begin("taken", PART)

    assert store.read("taken", 0, 5) == b"first"


def test_what_is_deleted_is_gone(store):
    """And nothing else is."""
    store.put("gone", b"1")
    store.put("gone.2", b"2")

    assert store.delete("gone") is True
    assert store.delete("gone") is False
    assert names(store) == ["gone.2"]


def test_the_clock_of_the_store_is_told(store):
    """Within seconds of this machine's, which it runs on; nothing is left of it."""
    before, told, after = SystemClock().now(), store.now(), SystemClock().now()
    few = timedelta(seconds=5)
    assert before - few < told < after + few
    assert names(store) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/x",
        "x/",
        "a//b",
        "a/../b",
        ".hidden",
        "a b",
        "a\nb",
        "\u00e4",
        "x" * 600,
    ],
)
def test_names_are_plain(store, name):
    """What could lead elsewhere, or be escaped by one store and not by another, is no name."""
    with pytest.raises(InvalidRequestError):
        store.put(name, b"x")
    with pytest.raises(InvalidRequestError):
        store.stat(name)
    with pytest.raises(InvalidRequestError):
        store.begin(name, PART)


def test_what_keeps_nothing_says_so(store):
    """Retention that is wanted and not given would be found out too late."""
    assert not store.keeps_objects
    with pytest.raises(RefusedError):
        store.put("kept", b"x", retain_until=store.now() + DAY)
    with pytest.raises(RefusedError):
        store.begin("kept", PART, retain_until=store.now() + DAY)
    with pytest.raises(RefusedError):
        store.retain("kept", store.now() + DAY)
    assert names(store) == []


def test_a_store_serves_several_threads(store):
    """Each gets its own bytes."""

    def work(number):
        data = drawn_bytes(number, 50_000)
        store.put(f"thread-{number}", data, create=True)
        return store.read(f"thread-{number}", 100, 40_000) == data[100:40_100]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(16)))
