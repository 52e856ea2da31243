"""Spare files: on a full disk a journal still has room, and no crash tears it."""

import errno
import fcntl
import os
import shutil
from dataclasses import replace

import pytest

from app.domain.ids import BackupId
from app.domain.restores.journal import RestorePhase
from app.errors import StorageError, StorageFullError
from app.storage.journals import Journals
from app.storage.kernel import Kernel
from tests.fixtures.kernels import CountingKernel
from tests.unit.storage.test_journals import NEW, OLD, files, journal


SPARES = {f".spare-{number}" for number in range(3)}


class FullDisk(CountingKernel):
    """A disk that takes no more: a write is refused beyond what a file has already."""

    def decide(self, number, name, call, args):
        """Refuse what would need room."""
        if name == "write":
            here = os.lseek(args[0], 0, os.SEEK_CUR)
            end = os.fstat(args[0]).st_size
            if _appends(args[0]) or here + len(args[1]) > end:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call(*args)


def _appends(fd):
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)


@pytest.fixture
def reserved(tmp_path):
    """A state directory that has its spares."""
    Journals(tmp_path).reserve()
    return tmp_path


def test_on_a_full_disk_journals_are_written_all_the_same(reserved):
    """Each state of two restores, as often as one likes; the spares stay what they are."""
    full = Journals(reserved, FullDisk())
    for number in (1, 2):
        for phase in RestorePhase:
            written = journal(number, phase)
            full.save(written)
            assert Journals(reserved).find(written.restore_id) == written

    assert {name for name in files(reserved) if name.startswith(".spare")} < SPARES
    full.remove(journal(1).restore_id)
    full.remove(journal(2).restore_id)
    Journals(reserved).reserve()
    assert files(reserved) == SPARES


def test_without_a_spare_a_full_disk_is_an_error(tmp_path, reserved):
    """As is a journal that is too large for one; what was there is still there."""
    full = Journals(reserved, FullDisk())
    full.save(OLD)
    large = replace(NEW, backup_id=BackupId("b" * 300_000))
    with pytest.raises(StorageFullError):
        full.save(large)
    assert Journals(reserved).all() == [OLD]

    bare = tmp_path / "bare"
    Journals(bare).save(OLD)
    with pytest.raises(StorageFullError):
        Journals(bare, FullDisk()).save(NEW)
    assert Journals(bare).all() == [OLD]


class FailingFullDisk(FullDisk):
    """One on which also the k-th call fails that is not refused anyway."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def decide(self, number, name, call, args):
        """Fail it."""
        if number == self.at:
            if name == "close":
                call(*args)  # the descriptor is gone whatever close says
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().decide(number, name, call, args)


def test_whichever_call_fails_the_old_or_the_new_journal_is_there(tmp_path):
    """Whatever was left behind, no file is written in place that somebody reads."""
    kernel = FullDisk()
    home = tmp_path / "made"
    Journals(home).reserve()
    Journals(home).save(OLD)
    shutil.copytree(home, tmp_path / "count")
    Journals(tmp_path / "count", kernel).save(NEW)
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        shutil.copytree(home, path)
        try:
            Journals(path, FailingFullDisk(at)).save(NEW)
        except StorageError:
            assert Journals(path).all() in ([OLD], [NEW]), f"at {at}"
        later = replace(NEW, phase=RestorePhase.FINISHING)
        Journals(path, FullDisk()).save(later)
        assert Journals(path).all() == [later], f"at {at}"
        Journals(path).reserve()
        assert files(path) == {"restore_000000000001.json", *SPARES}, f"at {at}"


def test_a_disk_that_has_no_room_for_spares_has_none(tmp_path):
    """Nobody is told: there is nothing to do about it, and nothing was promised."""
    Journals(tmp_path).save(OLD)
    Journals(tmp_path, FullDisk()).reserve()

    assert files(tmp_path) == {"restore_000000000001.json"}
    assert isinstance(FullDisk(), Kernel)
