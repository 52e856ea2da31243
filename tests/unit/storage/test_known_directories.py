"""Directories that were in use are known, and one that is gone is not taken for a new one."""

import json
import threading
import time

import pytest

from app.errors import StorageUnavailableError
from app.storage.known_directories import KnownDirectories
from app.storage.local import LocalDirectory


@pytest.fixture
def directory(tmp_path):
    """A directory of backups with a witness, in use."""
    made = LocalDirectory(tmp_path / "b", witness=KnownDirectories(tmp_path / "s"))
    assert not made.is_there()
    made.prepare()
    return made


def _empty(directory):
    for path in directory.path.iterdir():
        path.unlink()


def test_one_that_is_new_is_made_and_known(directory, tmp_path):
    """Others are not, and whoever asks later knows the same."""
    known = KnownDirectories(tmp_path / "s")

    assert known.knows(directory.path)
    assert not known.knows(tmp_path / "elsewhere")
    assert directory.is_there()


@pytest.mark.parametrize("leaves", [True, False], ids=["empty", "gone"])
def test_one_that_is_lost_is_refused(directory, leaves):
    """Whatever is done with it first; nothing is written where it was."""
    _empty(directory)
    if not leaves:
        directory.path.rmdir()

    for use in (directory.is_there, directory.prepare, lambda: directory.find("x", 1)):
        with pytest.raises(StorageUnavailableError, match="gone or empty"):
            use()
    assert directory.path.exists() is leaves
    assert not leaves or list(directory.path.iterdir()) == []


def test_one_without_its_htaccess_is_no_lost_one(directory):
    """It was copied without the files that begin with a dot, maybe; there is something in it."""
    _empty(directory)
    (directory.path / "backup").write_bytes(b"x")
    directory.prepare()

    assert directory.exists(".htaccess")


@pytest.mark.parametrize("damage", [b"", b"{", b"7", b"[1, null]", b"[" * 30_000, b"\xff"])
def test_a_note_that_is_damaged_is_none(directory, tmp_path, damage):
    """It is asked for nothing but to warn."""
    (tmp_path / "s" / "known" / "directories.json").write_bytes(damage)
    _empty(directory)
    directory.prepare()

    assert directory.is_there()


def test_where_nothing_can_be_noted_work_goes_on(tmp_path):
    """A state directory that is a file costs the warning, not the backup."""
    (tmp_path / "s").write_bytes(b"mine")
    directory = LocalDirectory(tmp_path / "b", witness=KnownDirectories(tmp_path / "s"))
    directory.prepare()

    assert directory.is_there()


def test_what_another_process_notes_meanwhile_stays(directory, tmp_path):
    """Whoever waits for the lock has read an older note."""
    known = KnownDirectories(tmp_path / "s")
    notes = LocalDirectory(tmp_path / "s" / "known")
    first, other = tmp_path / "first", tmp_path / "other"
    waiting = threading.Thread(target=known.note, args=(first,))
    with notes.locked():
        waiting.start()
        time.sleep(0.2)
        notes.replace("directories.json", json.dumps([str(directory.path), str(other)]).encode())
    waiting.join()

    assert [known.knows(path) for path in (directory.path, first, other)] == [True] * 3


def test_a_note_that_cannot_be_read_is_not_written_anew(directory, tmp_path):
    """What it says is not nothing."""
    note = tmp_path / "s" / "known" / "directories.json"
    note.rename(tmp_path / "moved")
    note.symlink_to(tmp_path / "moved")
    known = KnownDirectories(tmp_path / "s")
    known.note(tmp_path / "one")

    assert note.is_symlink()
    assert str(directory.path) in (tmp_path / "moved").read_text()


def test_the_last_hundred_are_known(tmp_path):
    """The note does not grow without end."""
    known = KnownDirectories(tmp_path / "s")
    for number in range(101):
        known.note(tmp_path / str(number))

    assert [known.knows(tmp_path / str(number)) for number in (0, 1, 100)] == [False, True, True]
