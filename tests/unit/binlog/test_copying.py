"""The archive in a store: copied as it grows, and brought back whole or not at all."""

import shutil
from threading import Event

import pytest

from app.age.x25519 import Identity
from app.binlog.archive.keys import PLAIN
from app.binlog.archive.layout import FOLDER, stream_directory
from app.binlog.archive.reading import open_streams
from app.binlog.archive.streams import note_break
from app.binlog.archive.writing import StreamWriter
from app.binlog.copying import StreamCopy
from app.binlog.fetching import fetch_streams
from app.domain.backups.manifest import Codec
from app.domain.restores.log_archive import LogBreak
from app.errors import (
    AlreadyRunningError,
    BinlogDamagedError,
    ChecksumMismatchError,
    StorageUnavailableError,
    UnknownSignerError,
)
from app.storage.local import LocalDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.binlog import (
    archive,
    corpus,
    directory_in,
    document_of,
    events_of,
    served,
)
from tests.fixtures.log_archive import joined


SOMEBODY = Identity.new()


def copy_now(copy, store):
    """Make one pass."""
    return copy.run(store, lambda: None, Event())


@pytest.fixture
def store(tmp_path):
    """Make a store in a directory."""
    (tmp_path / "store").mkdir()
    return LocalStore(tmp_path / "store")


def names_in(store):
    """List what is there without its folder."""
    return sorted(found.name.split("_", 2)[2] for found in store.list("binlog_"))


@pytest.mark.parametrize("append_only", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
def test_an_archive_that_is_lost_comes_back_from_its_store(tmp_path, store, keyed, append_only):
    """After a copy at each of its transactions: segments, the newest tail, the newest document; and goes on."""
    keys = log_keys_of(tmp_path / "state", *[SOMEBODY] * keyed, reader=SOMEBODY)
    first, second = corpus("mariadb-10.11")
    directory = directory_in(tmp_path)
    writer = StreamWriter.begin(directory, document_of(first), Codec.GZIP, keys)
    copy = StreamCopy(directory, append_only=append_only)
    for path in (first, second):
        if path is second:
            writer.change_file(path.name, 1)
        for number, event in enumerate(events_of(path)):
            writer.accept(event)
            writer.sync(number)
            if path is first and number % 5 == 0:
                writer.roll(number)
            if number % 3 == 0:
                assert copy_now(copy, store)
    note_break(directory, LogBreak("2024-01-01", 1, 4, "somebody"), keys)
    writer.close()
    assert copy_now(copy, store)
    assert copy_now(StreamCopy(directory, append_only=append_only), store)
    tails = [name for name in names_in(store) if name.endswith(".tail")]
    assert (len(tails) == 1) is not append_only
    back = LocalDirectory(tmp_path / "back" / FOLDER)

    assert fetch_streams(store, back, keys) == (directory.path.name,)
    (stream,) = open_streams(tmp_path / "back", keys)
    assert joined(stream) == {path.name: served(path) for path in (first, second)}
    assert [found.reason for found in stream.breaks] == ["somebody"]
    assert fetch_streams(store, back, keys) == ()
    went_on = StreamWriter.resume(stream_directory(back.path, stream.id), Codec.GZIP, keys)
    assert (went_on.file, went_on.scan.position) == (second.name, second.stat().st_size)
    went_on.close()


def test_what_is_not_what_was_written_is_not_brought_back(tmp_path, store):
    """A changed or missing object, and one of somebody whom nobody knows; nothing is left of a try."""
    keys = log_keys_of(tmp_path / "state", SOMEBODY)
    directory = directory_in(tmp_path)
    archive(directory, corpus("mysql-9.7"), keys=keys).close()
    copy_now(StreamCopy(directory, append_only=False), store)
    back = LocalDirectory(tmp_path / "back" / FOLDER)
    segment = min((tmp_path / "store").glob("binlog_*.age"))
    data = segment.read_bytes()

    segment.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BinlogDamagedError, match="changed"):
        fetch_streams(store, back, keys)
    segment.unlink()
    with pytest.raises(BinlogDamagedError, match="missing"):
        fetch_streams(store, back, keys)
    segment.write_bytes(data)
    with pytest.raises(UnknownSignerError):
        fetch_streams(store, back, log_keys_of(tmp_path / "other", reader=SOMEBODY))
    assert open_streams(tmp_path / "back", keys) == []
    assert fetch_streams(store, back, keys)


class Forgetful(LocalStore):
    """A store that gives back other bytes than it was sent, from some time on."""

    forgets = True

    def read(self, name, offset, size):
        data = super().read(name, offset, size)
        return bytes(len(data)) if self.forgets and ".binlog" in name else data


def test_a_copy_that_comes_back_otherwise_is_none(tmp_path):
    """Its document is not written, so nobody takes it for one; what was wrong is told, and is no other history."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mysql-9.7")).close()
    (tmp_path / "store").mkdir()
    store = Forgetful(tmp_path / "store")
    copy = StreamCopy(directory, append_only=False)

    for _ in range(2):
        with pytest.raises(ChecksumMismatchError, match="other bytes") as caught:
            copy_now(copy, store)
        assert "store test" in caught.value.hint
    assert not [name for name in names_in(store) if name.endswith(".json") and name[0] == "0"]
    store.forgets = False
    assert copy_now(copy, store)


@pytest.mark.parametrize("roll_after", [3, 5])
def test_an_older_state_of_an_archive_does_not_go_on_in_its_store(tmp_path, store, roll_after):
    """It seals other segments of the same log; with both the store would have none that can be brought back."""
    directory, older = directory_in(tmp_path), directory_in(tmp_path / "older")
    archive(directory, corpus("mariadb-10.11")).close()
    assert copy_now(StreamCopy(directory, append_only=False), store)
    before = names_in(store)
    archive(older, corpus("mariadb-10.11"), roll_after=roll_after).close()
    copy = StreamCopy(older, append_only=False)

    for _ in range(2):
        with pytest.raises(ChecksumMismatchError, match="another history"):
            copy_now(copy, store)

    assert names_in(store) == before
    assert copy_now(StreamCopy(directory, append_only=False), store)


@pytest.mark.parametrize("append_only", [False, True])
def test_of_two_archivers_of_a_stream_the_one_that_began_first_is_told(
    tmp_path, store, append_only
):
    """Before it writes again, and though both have the same so far; started again, it is the one that goes on."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mariadb-10.11")).close()
    shutil.copytree(tmp_path / "binlog", tmp_path / "clone" / "binlog")
    clone = StreamCopy(directory_in(tmp_path / "clone"), append_only=append_only)
    before, again = (StreamCopy(directory, append_only=append_only) for _ in range(2))

    assert copy_now(before, store)
    for first, second in ((before, clone), (clone, again)):
        assert copy_now(second, store)
        there = names_in(store)
        for _ in range(2):
            with pytest.raises(AlreadyRunningError, match="another archiver") as caught:
                copy_now(first, store)
            assert "clone" in caught.value.hint
        assert names_in(store) == there
    assert copy_now(again, store)
    writers = [name for name in names_in(store) if name.startswith("writer")]
    assert len(writers) == (3 if append_only else 1)


def test_of_two_archivers_that_begin_at_once_one_is_told_at_its_start(tmp_path, store):
    """Both have seen who was there before; the name is given once."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mysql-9.7")).close()
    other = StreamCopy(directory, append_only=False)

    class Slow(LocalStore):
        def put(self, name, data, *, create=False, retain_until=None):
            if "_writer." in name:
                copy_now(other, store)
            return super().put(name, data, create=create, retain_until=retain_until)

    with pytest.raises(AlreadyRunningError):
        copy_now(StreamCopy(directory, append_only=False), Slow(tmp_path / "store"))
    assert copy_now(other, store)


def test_of_two_fetches_at_once_one_is_told_of_the_other(tmp_path, store):
    """They would write into one folder; what a killed one left goes with the next, whatever it fetches."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mysql-9.7")).close()
    copy_now(StreamCopy(directory, append_only=False), store)
    back = LocalDirectory(tmp_path / "back" / FOLDER)
    left = back.path / ".fetch-fedcba987654"
    left.mkdir(parents=True)
    (left / "rows").write_bytes(b"of somebody")
    others: list[str] = []

    class Slow(LocalStore):
        def list(self, prefix=""):
            with pytest.raises(AlreadyRunningError) as caught:
                fetch_streams(store, back, PLAIN)
            others.append(caught.value.hint)
            return super().list(prefix)

    assert fetch_streams(Slow(tmp_path / "store"), back, PLAIN) == (directory.path.name,)
    assert len(others) == 1
    assert sorted(path.name for path in back.path.iterdir()) == [
        ".fetching.lock",
        directory.path.name,
    ]


def test_a_fetch_that_fails_leaves_no_rows(tmp_path, store):
    """Neither does one that was cancelled in the middle of an object."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mysql-9.7")).close()
    copy_now(StreamCopy(directory, append_only=False), store)
    back = LocalDirectory(tmp_path / "back" / FOLDER)

    class Failing(LocalStore):
        def read(self, name, offset, size):
            if name.endswith(".head"):
                raise failure
            return super().read(name, offset, size)

    for failure in (StorageUnavailableError("away"), KeyboardInterrupt()):
        with pytest.raises(type(failure)):
            fetch_streams(Failing(tmp_path / "store"), back, PLAIN)
        assert [path.name for path in back.path.iterdir()] == [".fetching.lock"]
    assert fetch_streams(store, back, PLAIN)
