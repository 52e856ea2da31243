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
from tests.fixtures.depot import Depot
from tests.fixtures.kernels import CountingKernel, FailingKernel, KillingKernel


async def _readable(depot: Depot) -> list[str]:
    """Read every listed backup to its last byte; returns their ids."""
    for backup_id in depot.ids():
        with depot.catalogue.open(backup_id) as reader:
            await reader.verify(VerifyLevel.HASHES)
    return depot.ids()


@pytest.fixture
def three(tmp_path) -> Path:
    """A directory of three backups, to be copied."""
    depot = Depot(tmp_path / "three")
    asyncio.run(depot.days(3))
    return depot.path


def _made(three: Path, home: Path) -> Depot:
    """Make an installation that keeps one backup and has two more."""
    depot = Depot(home, max_backups=1)
    shutil.copytree(three, depot.path, dirs_exist_ok=True)
    depot.passes(days=2)
    return depot


def _calls(three: Path, home: Path) -> int:
    """Count the system calls of one prune."""
    depot = _made(three, home)
    depot.kernel = kernel = CountingKernel()
    asyncio.run(depot.retention.prune())
    assert len(depot.ids()) == 1
    return kernel.count


def _checked(depot: Depot, newest: str) -> None:
    """Check that the newest is whole, that nothing is half there, and that the next prune ends."""
    depot.kernel = LocalDirectory(depot.path).kernel
    depot.catalogue.sweep()
    listed = asyncio.run(_readable(depot))
    assert newest in listed
    assert len(leftovers(depot.path)) == 2 * len(listed)
    asyncio.run(depot.retention.prune())
    assert depot.ids() == [newest]
    assert len(leftovers(depot.path)) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_prune_killed_anywhere_loses_nothing_that_is_kept(three, tmp_path):
    """Kill -9 after system calls all over it: the newest is whole, the rest whole or swept."""
    total = _calls(three, tmp_path / "count")
    survived = set()
    for at in range(1, total + 1, 5):
        depot = _made(three, tmp_path / str(at))
        newest = depot.ids()[0]
        child = os.fork()
        if child == 0:
            try:
                depot.kernel = KillingKernel(at)
                asyncio.run(depot.retention.prune())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        survived.add(len(depot.ids()))
        _checked(depot, newest)

    assert survived == {1, 2, 3}


def test_a_failing_system_call_costs_nothing_that_is_kept(three, tmp_path):
    """Whichever call fails: told or harmless, and the next prune does the rest."""
    total = _calls(three, tmp_path / "count")
    told = 0
    for at in range(1, total + 1, 5):
        depot = _made(three, tmp_path / str(at))
        newest = depot.ids()[0]
        depot.kernel = FailingKernel(at, errno.EIO)
        try:
            told += bool(asyncio.run(depot.retention.prune()).failed)
        except AppError:
            told += 1
        _checked(depot, newest)

    assert told > total / 15
