"""A prune of many backups takes so many calls for each, and never lists all of them for one."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

from app.archive.catalogue.readings import FRESH_SECONDS
from tests.fixtures.backup_store import BackupStore
from tests.fixtures.kernels import CountingKernel
from tests.fixtures.many_backups import make_many


FEW, MANY = 30, 120


class _Counting(CountingKernel):
    """Counts the calls of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def decide(self, number, name, call, args):
        self.calls[name] += 1
        return call(*args)


async def _prune(home, count) -> Counter[str]:
    kernel = _Counting()
    store = BackupStore(home, kernel=kernel, max_backups=2)
    await store.open()
    try:
        await asyncio.to_thread(
            make_many, store.path, count, until=store.clock.now() - timedelta(hours=1)
        )
        await asyncio.sleep(0.1)  # what has only just changed may change again, and is read twice
        pruned = await store.retention.prune()
    finally:
        await store.close()
    assert len(pruned.deleted) >= count - 3
    assert len(store.ids()) == count - len(pruned.deleted)
    return kernel.calls


async def test_a_prune_of_many_lists_the_directory_no_more_often(tmp_path):
    """Four times as many take four times as many calls, and as many lists as before."""
    few = await _prune(tmp_path / "few", FEW)
    began = time.monotonic()
    many = await _prune(tmp_path / "many", MANY)
    # On a machine that others use it takes so long that a reading becomes too old meanwhile.
    aged = int((time.monotonic() - began) / FRESH_SECONDS)

    assert few["listdir"] <= 8
    assert few["listdir"] <= many["listdir"] <= few["listdir"] + aged
    assert (many.total() - few.total()) / (MANY - FEW) <= 60
