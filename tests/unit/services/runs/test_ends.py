"""Ends that the history did not take: shown at once, kept, and written down by whoever comes first."""

import asyncio
import logging
from dataclasses import replace

import pytest

from app.control.runs import RunRecords
from app.domain.runs.ends import decode_end, encode_end
from app.domain.runs.run import Failure, RunState
from app.errors import ControlUnavailableError, StatementError, StorageUnavailableError
from app.storage.run_ends import RunEndFiles
from app.storage.run_locks import RunLocks
from tests.fixtures.run_installation import ANN, BOB, WatchedWork, done, ended, job


class LockedHistory(RunRecords):
    """A history whose file others lock for as long as they like."""

    is_locked = False

    async def add(self, run, key=None):
        """Add a run."""
        self._require()
        return await super().add(run, key)

    async def save(self, run):
        """Save a run."""
        self._require()
        return await super().save(run)

    def _require(self):
        if self.is_locked:
            raise ControlUnavailableError("control database: another process has locked it")


async def refused(_progress):
    """Fail."""
    raise StatementError("no", errno=1064, hint="Ask the server.")


def kept(installation):
    """Names of the ends that are kept as files."""
    return RunEndFiles(installation.home).names()


async def run_with_locked_end(installation, store, work=done):
    """Do work whose end the history does not take; return the run as the service tells it."""
    runs = installation.service(store)
    slow = WatchedWork(0.05)

    async def both(progress):
        await slow(progress)
        return await work(progress)

    run, _ = await runs.start(job(both), ANN)
    await slow.begun.wait()
    store.is_locked = True
    return runs, await ended(runs, run)


async def test_an_end_is_told_at_once_and_written_down_by_another_process(installation):
    """The history calls it running as long as it takes nothing, and nobody calls it an orphan."""
    store = LockedHistory(installation.database)
    runs, over = await run_with_locked_end(installation, store)
    other = installation.service()

    assert (over.state, over.result) == (RunState.SUCCEEDED, {"value": 7})
    assert [run.state.is_over for run in await installation.history()] == [False]
    assert await runs.unfinished() == []
    assert await runs.orphans() == await other.orphans() == []
    assert kept(installation) == {over.run_id}
    await other.write_ends()

    assert await installation.history() == [over]
    assert kept(installation) == set()
    store.is_locked = False
    await runs.write_ends()
    assert await installation.history() == [over]


async def test_an_end_that_is_kept_outlives_its_process(installation):
    """The next one finds it in its file, with its error."""
    store = LockedHistory(installation.database)
    _, over = await run_with_locked_end(installation, store, refused)
    next_one = installation.service()

    await next_one.write_ends()

    (found,) = await installation.history()
    assert (found.state, found.error, found.finished_at) == (
        RunState.FAILED,
        over.error,
        over.finished_at,
    )
    assert await next_one.orphans() == []


async def test_an_end_that_no_disk_takes_is_kept_in_memory(installation, caplog):
    """Its process writes it down as soon as it can, and says meanwhile where it is."""
    (installation.home / "ends").write_text("in the way")
    store = LockedHistory(installation.database)
    runs, over = await run_with_locked_end(installation, store)
    assert "kept in memory alone" in caplog.text
    (installation.home / "ends").unlink()
    store.is_locked = False

    await runs.close(0)

    assert await installation.history() == [over]


async def test_a_run_that_began_without_history_gets_into_it_while_it_works(installation):
    """As soon as the history takes something."""
    store = LockedHistory(installation.database)
    store.is_locked = True
    runs, work = installation.service(store), WatchedWork()
    run, _ = await runs.start(job(work), ANN, needs_history=False)
    await work.begun.wait()
    assert await installation.history() == []
    store.is_locked = False

    async with asyncio.timeout(60):
        while not await installation.history():  # noqa: ASYNC110 - the run writes it
            await asyncio.sleep(0.05)

    assert [known.run_id for known in await installation.history()] == [run.run_id]
    await runs.close(0)


async def test_a_run_without_any_history_is_in_it_later(installation):
    """A command whose history was locked from its beginning to its end."""
    store = LockedHistory(installation.database)
    store.is_locked = True

    assert await installation.service(store).perform(job(done), BOB) == 7
    assert await installation.history() == []
    await installation.service().write_ends()

    (found,) = await installation.history()
    assert (found.state, found.result, found.requested_by) == (
        RunState.SUCCEEDED,
        {"value": 7},
        "bob",
    )


async def test_a_damaged_end_is_told_and_costs_only_itself(installation, caplog):
    """Others are written down; the run of the damaged one is an orphan again, judged by what is there."""
    store = LockedHistory(installation.database)
    _, first = await run_with_locked_end(installation, store)
    store.is_locked = False
    _, second = await run_with_locked_end(installation, store)
    RunEndFiles(installation.home).save(first.run_id, b'{"run_id": ')
    caplog.set_level(logging.INFO)

    other = installation.service()
    await other.write_ends()

    assert "is damaged" in caplog.text
    assert caplog.text.count("written down late") == 1
    assert [run.run_id for run in await other.orphans()] == [first.run_id]
    assert (await installation.store.get(second.run_id)).state is RunState.SUCCEEDED
    assert kept(installation) == set()


class BuggyHistory(RunRecords):
    """A history that has a bug where runs are added."""

    async def add(self, run, key=None):
        """Fail."""
        raise ZeroDivisionError(run.run_id, key)


@pytest.mark.parametrize("begin", ["perform", "start"])
async def test_a_bug_of_the_history_holds_nothing_that_others_need(installation, begin):
    """The run never began; the next one finds its locks free."""
    runs = installation.service(BuggyHistory(installation.database))
    with pytest.raises(ZeroDivisionError):
        await getattr(runs, begin)(job(done), ANN)

    assert await installation.service().perform(job(done), ANN) == 7


async def test_an_end_never_takes_the_place_of_a_later_one(installation):
    """What a repair has corrected since stays so."""
    store = LockedHistory(installation.database)
    runs, over = await run_with_locked_end(installation, store, refused)
    corrected = replace(over, state=RunState.SUCCEEDED, error=None, result={"value": 7})
    await installation.service().write_ends()
    await installation.service().rewrite(corrected)
    store.is_locked = False

    await runs.write_ends()

    (found,) = await installation.history()
    assert (found.state, found.error) == (RunState.SUCCEEDED, None)


async def test_every_field_of_a_run_survives_its_file(runs, installation):
    """Whatever it is."""
    request = {"tables": ["a", None, 1.5], "databases": ()}
    run, _ = await runs.start(job(done, request=request), ANN)
    over = replace(
        await ended(runs, run),
        error=Failure("code", "title", "message", "hint", retryable=True),
        owner=RunLocks(installation.home).owner(),
    )

    found = decode_end(encode_end(replace(over, request=request)))

    assert found == replace(over, request={"tables": ["a", None, 1.5], "databases": []})


@pytest.mark.parametrize("is_locked", [False, True], ids=["written", "kept"])
async def test_an_error_about_a_name_that_is_no_utf_8_is_in_the_history(is_locked, installation):
    """A run would be called running until somebody took it for one whose process has ended."""
    store = LockedHistory(installation.database)

    async def fail(_progress):
        store.is_locked = is_locked
        raise StorageUnavailableError("t\udce9: gone", hint="Look at t\udce9.")

    with pytest.raises(StorageUnavailableError):
        await installation.service(store).perform(job(fail), BOB)
    store.is_locked = False
    await installation.service().write_ends()

    (found,) = await installation.history()
    assert (found.state, found.error.message) == (RunState.FAILED, "t?: gone")
    assert found.error.hint == "Look at t?."
