"""Journals on disk: the old one or the new one, never a torn one."""

import errno
import os
import shutil
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.ids import BackupId
from app.domain.restores.journal import (
    Journal,
    RestoreId,
    RestoreKind,
    RestorePhase,
    SchemaSwap,
    encode_journal,
)
from app.errors import JournalDamagedError, StorageError
from app.storage.journals import Journals, new_restore_id
from tests.fixtures.kernels import CountingKernel, FailingKernel, InterruptingKernel, ShortKernel
from tests.fixtures.power_loss import RecordingKernel, states


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def journal(number: int = 1, phase: RestorePhase = RestorePhase.LOADING) -> Journal:
    """Make the journal of the n-th recovery of a test."""
    digits = f"{number:012x}"
    return Journal(
        RestoreId(f"restore_{digits}"),
        RestoreKind.RESTORE,
        BackupId("backup_65ba1f2f3d4e5"),
        "db.example:3306",
        NOON + timedelta(seconds=number),
        phase,
        (SchemaSwap("shop", f"shop__bk_new_{digits}", f"shop__bk_old_{digits}"),),
    )


OLD, NEW = journal(), journal(phase=RestorePhase.SWAPPING)


def files(path) -> set[str]:
    """Names of the journals' directory without its permanent files."""
    return {file.name for file in (path / "recoveries").iterdir()} - {".lock", ".htaccess"}


def test_what_is_saved_is_read_newest_first(tmp_path):
    """Whatever the order of writing; a later state takes the place of the earlier one."""
    journals = Journals(tmp_path)
    for number in (2, 3, 1):
        journals.save(journal(number))
    journals.save(replace(journal(2), phase=RestorePhase.DONE, keep_until=NOON))

    found = journals.all()

    assert [journal.began_at.second for journal in found] == [3, 2, 1]
    assert [journal.phase for journal in found] == [
        RestorePhase.LOADING,
        RestorePhase.DONE,
        RestorePhase.LOADING,
    ]
    assert Journals(tmp_path).all() == found


def test_journals_of_one_moment_have_an_order(tmp_path):
    """By their ids, so that everybody sees the same newest one."""
    for number in (1, 3, 2):
        Journals(tmp_path).save(replace(journal(number), began_at=NOON))

    found = [journal.restore_id[-1] for journal in Journals(tmp_path).all()]

    assert found == ["3", "2", "1"]


def test_what_is_removed_is_gone(tmp_path):
    """The others stay; removing twice is fine."""
    journals = Journals(tmp_path)
    journals.save(journal(1))
    journals.save(journal(2))
    journals.remove(journal(1).restore_id)
    journals.remove(journal(1).restore_id)

    assert journals.all() == [journal(2)]
    assert files(tmp_path) == {"restore_000000000002.json"}


def test_a_state_directory_that_is_not_there_holds_no_journals(tmp_path):
    """Nothing is made by looking."""
    assert Journals(tmp_path / "absent").all() == []
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(
    "name",
    [
        "restore_00000000000.json",
        "restore_0000000000010.json",
        "restore_00000000000G.json",
        "restore_00000000000A.json",
        "restore_000000000009",
        "restore_000000000009.json.partial",
        "restore_000000000009.json.json",
        "backup_000000000009.json",
        " restore_000000000009.json",
        "notes.txt",
    ],
)
def test_files_of_others_are_ignored(tmp_path, name):
    """Only the names that we give are read, half written ones are not."""
    journals = Journals(tmp_path)
    journals.save(OLD)
    (tmp_path / "recoveries" / name).write_bytes(b"not a journal")

    assert journals.all() == [OLD]


@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 300, encode_journal(OLD)[:-3]])
def test_a_damaged_journal_costs_only_itself(tmp_path, damage):
    """It may be about live data: it is named, and never taken for one that is not there."""
    journals = Journals(tmp_path)
    journals.save(journal(2))
    (tmp_path / "recoveries" / "restore_000000000001.json").write_bytes(damage)

    found = journals.survey()

    assert found.whole == journals.all() == [journal(2)]
    assert [name for name, _ in found.damaged] == ["restore_000000000001"]
    assert journals.find(journal(2).restore_id) == journal(2)
    with pytest.raises(JournalDamagedError, match=r"^restore_000000000001\.json: "):
        journals.find("restore_000000000001")


@pytest.mark.parametrize("name", ["restore_00000000000f", "restore_1", "", "../owner"])
def test_what_is_no_journal_is_not_found(tmp_path, name):
    """Text of a user names a journal or nothing, and never another file."""
    Journals(tmp_path).save(OLD)

    assert Journals(tmp_path).find(name) is None


def test_a_symbolic_link_is_not_followed(tmp_path):
    """Whoever can write to the directory cannot make us read another file."""
    journals = Journals(tmp_path)
    journals.save(OLD)
    (tmp_path / "secret").write_bytes(encode_journal(journal(2)))
    (tmp_path / "recoveries" / "restore_000000000002.json").symlink_to(tmp_path / "secret")

    (damaged,) = journals.survey().damaged
    assert damaged.restore_id == "restore_000000000002"
    assert journals.all() == [OLD]


def test_journals_are_the_owners_alone(tmp_path):
    """They hold definitions of other people's databases; a lax umask changes nothing."""
    before = os.umask(0)
    try:
        Journals(tmp_path / "state").save(OLD)
    finally:
        os.umask(before)

    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    }
    assert modes == {
        "state": 0o700,
        "recoveries": 0o700,
        ".htaccess": 0o600,
        ".lock": 0o600,
        "restore_000000000001.json": 0o600,
    }


def test_ids_of_restores_are_names_of_journals(tmp_path):
    """Every id that is made can be saved and found again."""
    made = {new_restore_id() for _ in range(20)}
    for restore_id in made:
        Journals(tmp_path).save(replace(OLD, restore_id=restore_id))

    assert {journal.restore_id for journal in Journals(tmp_path).all()} == made


def saved_old(path) -> None:
    """Make a state directory with one journal."""
    Journals(path).save(OLD)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_whichever_call_of_a_save_fails_the_old_or_the_new_journal_is_there(tmp_path, error):
    """An error is told, a success is the new one, and the next save works."""
    kernel = CountingKernel()
    saved_old(tmp_path / "count")
    Journals(tmp_path / "count", kernel).save(NEW)
    told = 0
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        saved_old(path)
        failing = FailingKernel(at, error)
        try:
            Journals(path, failing).save(NEW)
        except StorageError:
            told += 1
            assert Journals(path).all() in ([OLD], [NEW]), f"{failing.failed} at {at}"
        else:
            assert failing.failed in {"close", "drop_cache"}
            assert Journals(path).all() == [NEW]
        Journals(path).save(NEW)
        assert Journals(path).all() == [NEW]
        assert files(path) == {"restore_000000000001.json"}
    assert told > kernel.count // 2


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_whichever_call_of_the_first_save_fails_no_journal_or_all_of_it_is_there(tmp_path, error):
    """Directories may be half made; the next save makes the rest."""
    kernel = CountingKernel()
    Journals(tmp_path / "count" / "state", kernel).save(NEW)
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at) / "state"
        try:
            Journals(path, FailingKernel(at, error)).save(NEW)
        except StorageError:
            assert Journals(path).all() in ([], [NEW])
        Journals(path).save(NEW)
        assert Journals(path).all() == [NEW]


def test_whichever_call_of_a_removal_fails_the_journal_is_whole_or_gone(tmp_path):
    """And can be removed again."""
    kernel = CountingKernel()
    saved_old(tmp_path / "count")
    Journals(tmp_path / "count", kernel).remove(OLD.restore_id)
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        saved_old(path)
        try:
            Journals(path, FailingKernel(at, errno.EIO)).remove(OLD.restore_id)
        except StorageError:
            assert Journals(path).all() in ([OLD], [])
        else:
            assert Journals(path).all() == []
        Journals(path).remove(OLD.restore_id)
        assert files(path) == set()


def test_whichever_call_of_a_read_fails_nothing_is_made_up(tmp_path):
    """All of it, an error, or a journal that counts as damaged: an unreadable one is not a missing one."""
    saved_old(tmp_path)
    Journals(tmp_path).save(journal(2))
    kernel = CountingKernel()
    everything = Journals(tmp_path, kernel).all()
    for at in range(1, kernel.count + 1):
        failing = FailingKernel(at, errno.EIO)
        try:
            found = Journals(tmp_path, failing).survey()
        except StorageError:
            continue
        assert len(found.whole) + len(found.damaged) == len(everything)
        assert failing.failed in {"close", "drop_cache"} or found.damaged


@pytest.mark.parametrize(
    "kernel", [InterruptingKernel, lambda: ShortKernel(1), lambda: ShortKernel(2)]
)
def test_interrupted_and_short_calls_are_continued(tmp_path, kernel):
    """A signal, or a kernel that moves one byte at a time, changes nothing."""
    journals = Journals(tmp_path, kernel())
    journals.save(OLD)
    journals.save(NEW)

    assert journals.all() == [NEW]
    journals.remove(NEW.restore_id)
    assert journals.all() == []


def test_no_power_loss_tears_a_journal(tmp_path):
    """In every state of the disk there is one of the journals, and a saved one survives."""
    Journals(tmp_path / "live").save(OLD)
    kernel = RecordingKernel()
    journals = Journals(tmp_path / "live2", kernel)
    journals.save(OLD)
    old_since = len(kernel.journal)
    journals.save(NEW)
    new_since = len(kernel.journal)
    journals.remove(NEW.restore_id)
    gone_since = len(kernel.journal)

    checked = 0
    for issued, state in states(kernel.journal):
        path = tmp_path / f"state-{checked}" / "recoveries"
        path.mkdir(parents=True)
        for name, data in state.items():
            (path / name).write_bytes(data)
        found = Journals(path.parent).all()
        assert found in ([], [OLD], [NEW])
        assert found or not old_since <= issued <= new_since
        assert found == [OLD] or issued != old_since
        assert found == [NEW] or issued != new_since
        assert found == [] or issued != gone_since
        shutil.rmtree(path.parent)
        checked += 1
    assert checked > len(kernel.journal)
