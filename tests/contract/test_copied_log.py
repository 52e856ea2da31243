"""Copies of the binary log in stores of every kind: what was left there is in nobody's way, and what is old goes."""

from dataclasses import replace
from threading import Event

import pytest

from app.binlog.archive.keys import PLAIN
from app.binlog.archive.layout import BEHIND_ALL, FOLDER, Stem
from app.binlog.archive.pruning import beginning_at, prune
from app.binlog.archive.reading import open_stream, open_streams
from app.binlog.archive.streams import change_stream_document
from app.binlog.copied import copied_streams
from app.binlog.copies_pruning import goes_before, prune_copy, remove_copy
from app.binlog.copying import StreamCopy
from app.binlog.fetching import fetch_streams
from app.domain.restores.points import Place
from app.errors import ChecksumMismatchError
from app.storage.local import LocalDirectory
from tests.fixtures.binlog import archive, corpus, directory_in


def copy_now(directory, store, *, append_only=False):
    """Copy what is missing, as a service that has just begun."""
    return StreamCopy(directory, append_only=append_only).run(store, lambda: None, Event())


def fetched(store, home, *, is_whole=False):
    """Bring everything back, elsewhere; returns the transactions of the one stream, proven."""
    assert fetch_streams(store, LocalDirectory(home / FOLDER), PLAIN, is_whole=is_whole)
    (stream,) = open_streams(home)
    stream.verify()
    return list(stream.transactions())


def leave_bytes(store, directory):
    """Put other bytes where those of each segment shall be, as a machine leaves them that died."""
    left = sorted(name for name in directory.names() if ".binlog" in name)
    for name in left:
        store.put(f"binlog_{directory.path.name}_{name}", b"of a machine that died")
    return left


@pytest.mark.parametrize("append_only", [False, True])
def test_bytes_without_a_document_keep_no_copy_from_being_made(tmp_path, store, append_only):
    """They are nobody's: the segment lies beside them, and they go where something may be deleted."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mariadb-10.11")).close()
    left = leave_bytes(store, directory)

    assert copy_now(directory, store, append_only=append_only)
    assert copy_now(directory, store, append_only=append_only)

    (copied,) = copied_streams(store)
    assert [name for name in left if name in copied.sizes] == (left if append_only else [])
    assert fetched(store, tmp_path / "back") == list(open_stream(directory).transactions())


@pytest.fixture
def pruned(tmp_path, store):
    """A stream that was copied whole, and pruned here since; with all its transactions."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mariadb-10.11"), roll_after=1).close()
    assert copy_now(directory, store)
    stream = open_stream(directory)
    everything = list(stream.transactions())
    middle = everything[len(everything) // 2]
    prune(directory, beginning_at(stream, Place(middle.number, middle.start)))
    assert copy_now(directory, store)
    return directory, stream, everything


def test_what_was_pruned_here_comes_back_when_it_is_asked_for(tmp_path, store, pruned):
    """As far back as the store has it, with the time of the commit before."""
    directory, stream, everything = pruned
    assert fetched(store, tmp_path / "as it was") == list(open_stream(directory).transactions())
    assert fetched(store, tmp_path / "whole", is_whole=True) == everything
    (copied,) = copied_streams(store)
    oldest = copied.documented[3]
    prune_copy(store, copied, oldest)

    back = fetched(store, tmp_path / "the rest", is_whole=True)
    assert back == everything[-len(back) :]
    (rest,) = open_streams(tmp_path / "the rest")
    assert Stem(rest.files[0].number, rest.files[0].start) == oldest
    known, now = (archived.border_at(oldest.number, oldest.start) for archived in (stream, rest))
    assert known
    assert now
    assert now.committed_ms == known.committed_ms > 0


def test_what_lies_before_a_beginning_goes_and_the_rest_comes_back(tmp_path, store, pruned):
    """Again is harmless; copies of what the stream was go too, and nothing is copied again."""
    directory, _, _ = pruned
    kept = list(open_stream(directory).transactions())
    (copied,) = copied_streams(store)
    document = copied.document(store)
    first = Stem(document.first_number, document.first_start)
    counted = goes_before(copied, first)
    for _ in range(2):
        prune_copy(store, copied, first)
        (copied,) = copied_streams(store)
        assert goes_before(copied, first) == (0, 0)

    assert counted[0] > 3
    assert counted[1] > 0
    assert [name for name in copied.sizes if name.startswith("stream.")] == ["stream.000002.json"]
    assert min(copied.data) == first
    assert fetched(store, tmp_path / "here") == kept
    assert fetched(store, tmp_path / "whole", is_whole=True) == kept
    assert copy_now(directory, store)
    (again,) = copied_streams(store)
    assert again.data == copied.data
    assert again.documented == copied.documented


def test_a_stream_that_goes_whole_is_fetched_by_nobody(tmp_path, store):
    """Also when whoever removes it dies in the middle; the next one removes the rest."""
    directory = directory_in(tmp_path)
    archive(directory, corpus("mysql-9.7")).close()
    assert copy_now(directory, store)
    change_stream_document(
        directory, lambda document: replace(document, ended_at="2026-11-29T04:00:00+00:00")
    )
    assert copy_now(directory, store)
    (copied,) = copied_streams(store)
    deletes = []

    class Dying:
        def __getattr__(self, name):
            return getattr(store, name)

        def delete(self, name):
            deletes.append(name)
            if len(deletes) > 4:
                raise ZeroDivisionError
            return store.delete(name)

    with pytest.raises(ZeroDivisionError):
        remove_copy(Dying(), copied)
    back = LocalDirectory(tmp_path / "back" / FOLDER)
    assert fetch_streams(store, back, PLAIN) == ()
    (copied,) = copied_streams(store)
    assert Stem(copied.document(store).first_number, 0) == BEHIND_ALL
    remove_copy(store, copied)
    assert list(store.list()) == []


def test_of_two_archivers_of_one_stream_the_second_is_refused(tmp_path, store):
    """A copy of an installation goes on by itself: at its first segment that another one has sealed it is told."""
    ours, theirs = (directory_in(tmp_path / name) for name in ("ours", "theirs"))
    copies = [StreamCopy(directory, append_only=False) for directory in (ours, theirs)]
    for directory, roll_after in ((ours, 3), (theirs, 2)):
        archive(directory, corpus("mariadb-10.11"), roll_after=roll_after).close()

    assert copies[0].run(store, lambda: None, Event())
    for copy in (copies[1], StreamCopy(theirs, append_only=False)):
        with pytest.raises(ChecksumMismatchError, match="another history"):
            copy.run(store, lambda: None, Event())

    assert copies[0].run(store, lambda: None, Event())
    assert fetched(store, tmp_path / "back") == list(open_stream(ours).transactions())
