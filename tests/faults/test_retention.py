"""Retention when processes and media fail: what is half deleted is swept, and nothing good is lost."""

import asyncio
import errno
import os
import shutil
from pathlib import Path

import pytest

from app.domain.backups.check_notes import VerifyLevel
from app.errors import AppError
from app.storage.local import LocalDirectory
from tests.fixtures.archives import leftovers
from tests.fixtures.backup_store import BackupStore
from tests.fixtures.kernels import CountingKernel, FailingKernel, KillingKernel
from tests.fixtures.series import series


# Of so many system calls one fails, or is the last.
STRIDE = series(11, 5)


async def _readable(backup_store: BackupStore) -> list[str]:
    """Read every listed backup to its last byte; returns their ids."""
    for backup_id in backup_store.ids():
        with backup_store.catalogue.open(backup_id) as reader:
            await reader.verify(VerifyLevel.HASHES)
    return backup_store.ids()


@pytest.fixture
def three(tmp_path) -> Path:
    """A directory of three backups, to be copied."""
    backup_store = BackupStore(tmp_path / "three")
    asyncio.run(backup_store.days(3))
    return backup_store.path


def _made(three: Path, home: Path) -> BackupStore:
    """Make an installation that keeps one backup and has two more."""
    backup_store = BackupStore(home, max_backups=1)
    shutil.copytree(three, backup_store.path, dirs_exist_ok=True)
    backup_store.passes(days=2)
    return backup_store


def _calls(three: Path, home: Path) -> int:
    """Count the system calls of one prune."""
    backup_store = _made(three, home)
    backup_store.kernel = kernel = CountingKernel()
    asyncio.run(backup_store.retention.prune())
    assert len(backup_store.ids()) == 1
    return kernel.count


def _checked(backup_store: BackupStore, newest: str) -> None:
    """Check that the newest is whole, that nothing is half there, and that the next prune ends."""
    backup_store.kernel = LocalDirectory(backup_store.path).kernel
    backup_store.catalogue.sweep()
    listed = asyncio.run(_readable(backup_store))
    assert newest in listed
    assert len(leftovers(backup_store.path)) == 2 * len(listed)
    asyncio.run(backup_store.retention.prune())
    assert backup_store.ids() == [newest]
    assert len(leftovers(backup_store.path)) == 2


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_prune_killed_anywhere_loses_nothing_that_is_kept(three, tmp_path):
    """Kill -9 after system calls all over it: the newest is whole, the rest whole or swept."""
    total = _calls(three, tmp_path / "count")
    survived = set()
    for at in range(1, total + 1, STRIDE):
        backup_store = _made(three, tmp_path / str(at))
        newest = backup_store.ids()[0]
        child = os.fork()
        if child == 0:
            try:
                backup_store.kernel = KillingKernel(at)
                asyncio.run(backup_store.retention.prune())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        survived.add(len(backup_store.ids()))
        _checked(backup_store, newest)

    assert survived == {1, 2, 3}


@pytest.mark.long
def test_a_failing_system_call_costs_nothing_that_is_kept(three, tmp_path):
    """Whichever call fails: told or harmless, and the next prune does the rest."""
    total = _calls(three, tmp_path / "count")
    told = 0
    for at in range(1, total + 1, STRIDE):
        backup_store = _made(three, tmp_path / str(at))
        newest = backup_store.ids()[0]
        backup_store.kernel = FailingKernel(at, errno.EIO)
        try:
            told += bool(asyncio.run(backup_store.retention.prune()).failed)
        except AppError:
            told += 1
        _checked(backup_store, newest)

    assert told > total / STRIDE / 3
