"""What happened around a moment, next to it first."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest

from app.binlog.archive.keys import PLAIN
from app.binlog.archive.layout import root_of
from app.bootstrap.program import Program
from app.config import Settings
from app.domain.restores.log_archive import TransactionQuery
from app.services.binlog import search as module
from app.services.binlog.search import search, search_around
from tests.fixtures.binlog import VARIANTS, archive, corpus, directory_in


WEEK = timedelta(days=7)


@pytest.fixture
def backups(tmp_path):
    """A directory with an archive of 14 transactions, in tail, sealed segments and two files."""
    archive(directory_in(tmp_path), corpus("mariadb-10.11")).close()
    return tmp_path


async def test_the_nearest_on_both_sides_are_found(backups):
    """In the order of the log; those of the moment itself are before it."""
    everything = (await search(backups, PLAIN, TransactionQuery())).transactions
    at = everything[6].committed_at
    before = [found for found in everything if found.committed_at <= at]
    after = [found for found in everything if found.committed_at > at]

    near = await search_around(backups, PLAIN, TransactionQuery(limit=3), at, WEEK)

    assert list(near.before) == before[-3:]
    assert list(near.after) == after[:3]
    assert near.is_whole


@pytest.mark.parametrize("variant", VARIANTS)
async def test_each_is_found_by_its_own_moment(tmp_path, variant):
    """MySQL tells it by the microsecond, and the archive is looked through by milliseconds."""
    archive(directory_in(tmp_path), corpus(variant)).close()
    everything = (await search(tmp_path, PLAIN, TransactionQuery())).transactions

    for transaction in everything:
        at = transaction.committed_at
        found = (await search(tmp_path, PLAIN, TransactionQuery(since=at, until=at))).transactions
        assert found == tuple(other for other in everything if other.committed_at == at)
        assert transaction in found


async def test_far_away_from_everything_the_last_are_found_that_are_near_enough(backups):
    """A day later within a week, and none within an hour."""
    everything = (await search(backups, PLAIN, TransactionQuery())).transactions
    later = everything[-1].committed_at + timedelta(days=1)

    near = await search_around(backups, PLAIN, TransactionQuery(limit=2), later, WEEK)
    none = await search_around(backups, PLAIN, TransactionQuery(limit=2), later, timedelta(hours=1))

    assert (near.before, near.after) == (everything[-2:], ())
    assert (none.before, none.after, none.is_whole) == ((), (), True)


async def test_conditions_hold_on_both_sides(backups):
    """Those of the list of transactions."""
    everything = (await search(backups, PLAIN, TransactionQuery(match="create"))).transactions
    query = TransactionQuery(match="create", limit=100)
    near = await search_around(backups, PLAIN, query, everything[0].committed_at, WEEK)

    assert near.before + near.after == everything != ()


async def test_whoever_searches_leaves_threads_to_all_else(backups, tmp_path):
    """A thread of the service is free at once, however many search at the same time."""
    (stream,) = (path for path in root_of(backups).iterdir() if path.is_dir())
    for number in range(60):
        shutil.copytree(stream, stream.with_name(f"{stream.name[:-3]}{number:03}"))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4))
    service = Program(Settings(backup_dir=backups, state_dir=tmp_path / "s")).binlog
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    nothing = TransactionQuery(match="nothing is like that")
    searches = [asyncio.create_task(service.transactions(nothing)) for _ in range(6)]
    looks = [asyncio.create_task(service.transactions_around(nothing, at, WEEK)) for _ in range(6)]
    await asyncio.sleep(0)

    await asyncio.to_thread(lambda: None)
    assert not any(task.done() for task in (*searches, *looks))
    assert all(found.transactions == () for found in await asyncio.gather(*searches))
    assert all(found.before == () for found in await asyncio.gather(*looks))


async def test_when_there_is_no_time_it_says_so(backups, monkeypatch):
    """Whoever waits for a page does not wait for ever."""

    class Impatient(Timer):
        def start(self):
            self.function()

    monkeypatch.setattr(module, "Timer", Impatient)
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)

    assert not (await search_around(backups, PLAIN, TransactionQuery(), at, WEEK)).is_whole
