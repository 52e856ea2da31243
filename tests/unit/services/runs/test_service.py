"""Runs on their real history, SQLite in a file, and their real locks; only the work is made up."""

import asyncio
import logging
import re
import time
from itertools import pairwise
from typing import Any, cast

import pytest

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.runs.progress import Phase
from app.domain.runs.run import Origin, Run, RunKind, RunState
from app.errors import (
    BackupNotFoundError,
    NotCancellableError,
    RunNotFoundError,
    StatementError,
)
from app.services.runs.service import BEAT_SECONDS, RunService
from app.storage.run_locks import RunLocks
from tests.fixtures import records
from tests.fixtures.run_installation import ANN, BOB, ENDLESS, WatchedWork, done, ended, job
from tests.fixtures.virtual_time import VirtualClock, virtually


# -- endings --------------------------------------------------------------------------------------


async def test_a_run_that_succeeds_is_recorded_with_its_result(runs, installation):
    """Who asked for what, when it began and ended, and what came of it."""
    request = {"databases": ["shop"]}
    begun, is_new = await runs.start(job(done, request=request, backup_id="backup_x"), ANN)
    over = await ended(runs, begun)

    assert is_new
    assert begun.state is RunState.RUNNING or begun.state is RunState.QUEUED
    assert re.fullmatch(r"run_[0-9a-f]{16}", begun.run_id)
    assert (over.state, over.result, over.error) == (RunState.SUCCEEDED, {"value": 7}, None)
    assert (over.requested_by, over.origin, over.kind) == ("ann", Origin.API, RunKind.BACKUP)
    assert (over.request, over.backup_id) == (request, "backup_x")
    assert over.owner == RunLocks(installation.home).owner()
    assert over.started_at is not None
    assert over.finished_at is not None
    assert over.created_at <= over.started_at <= over.finished_at
    assert await installation.history() == [over]
    assert await installation.nothing_left()


async def test_a_run_that_fails_is_recorded_with_its_error(runs, installation):
    """In the words of the error, without directories and without what a server said."""

    async def missing(_progress):
        raise BackupNotFoundError("backup_x", hint="Look into /srv/secret/backups.")

    async def refused(_progress):
        raise StatementError("Duplicate entry 'secret' for key 'x'", errno=1062)

    for work in (missing, refused):
        run, _ = await runs.start(job(work), ANN)
        assert (await ended(runs, run)).state is RunState.FAILED
        assert await installation.nothing_left()

    errors = [run.error for run in await installation.history()]
    assert [error.code for error in errors] == ["backup-not-found", "statement"]
    assert errors[0].hint == "Look into backups."
    assert "secret" not in str(errors)
    assert "1062" in errors[1].message


async def test_a_bug_is_recorded_by_its_kind_alone(runs, installation, caplog):
    """What it says may be anybody's data; the traceback is in the log, for those of the machine."""

    async def buggy(_progress):
        raise KeyError("somebody's password")

    run, _ = await runs.start(job(buggy), ANN)
    over = await ended(runs, run)

    assert over.state is RunState.FAILED
    assert (over.error.code, over.error.message) == ("internal", "KeyError")
    assert "password" not in str(over)
    (record,) = [entry for entry in caplog.records if entry.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
    assert await installation.nothing_left()


async def test_a_result_that_cannot_be_described_is_a_bug(runs, installation):
    """The run has failed, and lets its locks go."""
    nothing: dict[int, Any] = {}
    run, _ = await runs.start(job(done, document=lambda value: nothing[value]), ANN)

    assert (await ended(runs, run)).error.message == "KeyError"
    assert await installation.nothing_left()


async def test_perform_returns_what_the_work_returned(runs, installation):
    """And the run is remembered like any other."""
    assert await runs.perform(job(done), BOB) == 7

    (run,) = await installation.history()
    assert (run.state, run.origin, run.requested_by) == (RunState.SUCCEEDED, Origin.CLI, "bob")
    assert await installation.nothing_left()


@pytest.mark.parametrize(
    "error", [BackupNotFoundError("backup_x"), ZeroDivisionError("x"), OSError(5, "x")], ids=repr
)
async def test_perform_raises_the_very_error_of_the_work(error, runs, installation):
    """So that the command line tells the same with history and without."""

    async def fails(_progress):
        raise error

    with pytest.raises(type(error)) as caught:
        await runs.perform(job(fails), BOB)

    assert caught.value is error
    assert [run.state for run in await installation.history()] == [RunState.FAILED]
    assert await installation.nothing_left()


async def test_cancelling_who_waits_cancels_the_work_once(runs, installation):
    """However often: the cleaning is not interrupted, and is waited for."""
    work = WatchedWork(cleaning=0.1)
    waiting = asyncio.create_task(runs.perform(job(work), BOB))
    await work.begun.wait()
    for _ in range(5):
        waiting.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert (work.cancelled, work.cleaned) == (1, True)
    assert [run.state for run in await installation.history()] == [RunState.CANCELLED]
    assert await installation.nothing_left()


@pytest.mark.parametrize("steps", range(12))
async def test_whoever_is_cancelled_at_any_step_leaves_no_lock(steps, runs, installation):
    """Before the locks are taken, while the run is written down, before its first step, after it."""
    work = WatchedWork()
    waiting = asyncio.create_task(runs.perform(job(work), BOB))
    for _ in range(steps):
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.02)  # a thread may still be taking locks

    assert work.cancelled == work.begun.is_set()
    assert await installation.nothing_left()
    assert {run.state for run in await installation.history()} <= {RunState.CANCELLED}


# -- cancelling -----------------------------------------------------------------------------------


async def test_a_run_is_cancelled_before_its_first_step(runs, installation):
    """The work never begins, and the run is over all the same."""
    work = WatchedWork()
    run, _ = await runs.start(job(work), ANN)
    assert not work.begun.is_set()

    await runs.cancel(run.run_id)
    over = await ended(runs, run)

    assert (over.state, over.error.code) == (RunState.CANCELLED, "cancelled")
    assert not work.begun.is_set()
    assert await installation.nothing_left()


async def test_a_run_is_cancelled_while_it_works(runs, installation):
    """However often: its cleaning is not interrupted, and the answer says that it was asked to."""
    work = WatchedWork(cleaning=1.0)
    run, _ = await runs.start(job(work), ANN)
    await work.begun.wait()
    answers = [await runs.cancel(run.run_id) for _ in range(3)]
    over = await ended(runs, run)

    assert [(answer.state, answer.cancel_requested) for answer in answers] == [
        (RunState.RUNNING, True)
    ] * 3
    assert (over.state, over.cancel_requested) == (RunState.CANCELLED, True)
    assert (work.cancelled, work.cleaned) == (1, True)
    assert await installation.history() == [over]
    assert await installation.nothing_left()


async def test_what_is_over_cannot_be_cancelled(runs, installation):
    """However it ended; and what was never there is not found."""
    run, _ = await runs.start(job(done), ANN)
    over = await ended(runs, run)

    with pytest.raises(NotCancellableError, match="has succeeded"):
        await runs.cancel(run.run_id)
    for unknown in ("run_" + "0" * 16, "../x", ""):
        with pytest.raises(RunNotFoundError):
            await runs.cancel(unknown)
    assert await installation.history() == [over]


class SlowStore(RunRecords):
    """A history whose last write of a run waits until it may go on."""

    def __init__(self, database: ControlDatabase) -> None:
        super().__init__(database)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def save(self, run: Run) -> bool:
        """Wait before the end of a run is written."""
        if run.state.is_over:
            self.reached.set()
            await self.go.wait()
        return await super().save(run)


async def test_a_run_cannot_be_cancelled_while_its_end_is_written(installation):
    """It has succeeded, even if nobody can read that yet; the one who waits gets the value."""
    store = SlowStore(installation.database)
    runs = installation.service(store)
    waiting = asyncio.create_task(runs.perform(job(done), BOB))
    await store.reached.wait()
    (run,) = await runs.unfinished()
    waiting.cancel()
    with pytest.raises(NotCancellableError):
        await runs.cancel(run.run_id)
    store.go.set()

    assert await waiting == 7
    assert [record.state for record in await installation.history()] == [RunState.SUCCEEDED]
    assert await installation.nothing_left()


async def test_another_process_asks_to_cancel_through_the_history(runs, installation):
    """It is noticed by itself, long before the work would end."""
    work = WatchedWork()
    run, _ = await runs.start(job(work), ANN)
    await work.begun.wait()

    asked = await installation.service().cancel(run.run_id)
    over = await ended(runs, run)

    assert asked.cancel_requested
    assert (over.state, over.cancel_requested) == (RunState.CANCELLED, True)
    assert await installation.nothing_left()


# -- watching -------------------------------------------------------------------------------------


async def test_a_run_is_written_down_while_it_works(runs, installation):
    """At least once a second, each time with a higher revision and what was counted by then."""

    async def counts(progress):
        progress.enter(Phase.DUMP)
        for _ in range(26):
            progress.moved("shop.t", rows=1, size=10)
            await asyncio.sleep(0.1)

    run, _ = await runs.start(job(counts), ANN)
    seen = [run]
    times = [time.monotonic()]
    while not seen[-1].state.is_over:
        await asyncio.sleep(0.02)
        if (now := await installation.store.get(run.run_id)) != seen[-1]:
            seen.append(now)
            times.append(time.monotonic())

    revisions = [record.revision for record in seen]
    rows = [record.progress.rows_done for record in seen if record.progress]
    assert revisions == sorted(set(revisions))
    assert rows == sorted(rows)
    assert rows[-1] == 26
    assert max(b - a for a, b in pairwise(times)) < 1.0


async def test_a_name_is_written_down_at_once(runs, installation):
    """After a crash it tells what became of the run: it must not wait for the next beat."""

    async def named(progress):
        progress.name(backup_id="backup_x", restore_id="restore_x")
        await asyncio.sleep(ENDLESS)

    run, _ = await runs.start(job(named), ANN)
    deadline = time.monotonic() + 60
    while (found := await installation.store.get(run.run_id)).restore_id == "":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)

    assert (found.backup_id, found.restore_id) == ("backup_x", "restore_x")
    await runs.cancel(run.run_id)
    await ended(runs, run)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another process"])
async def test_watching_ends_with_the_run_and_goes_on_after_a_revision(
    elsewhere, runs, installation
):
    """Nothing comes twice, and the last thing is the end."""
    watcher = installation.service() if elsewhere else runs
    run, _ = await runs.start(job(WatchedWork(1.2)), ANN)

    seen = [record async for record in watcher.watch(run.run_id)]
    later = [record async for record in watcher.watch(run.run_id, seen[-2].revision)]
    nothing = [record async for record in watcher.watch(run.run_id, seen[-1].revision)]

    revisions = [record.revision for record in seen]
    assert revisions == sorted(set(revisions))
    assert len(seen) >= 3
    assert [record.state.is_over for record in seen] == [False] * (len(seen) - 1) + [True]
    assert later == seen[-1:]
    assert nothing == []
    with pytest.raises(RunNotFoundError):
        await anext(watcher.watch("run_" + "0" * 16))


class Beats:
    """A history in which a run moves on at each beat, for ten of them."""

    async def get(self, run_id: str) -> Run:
        """Return it as its process has left it at its last beat."""
        revision = 1 + int(asyncio.get_running_loop().time() / BEAT_SECONDS)
        state = RunState.RUNNING if revision < 10 else RunState.SUCCEEDED
        return records.run(revision=revision, state=state)


def test_whoever_watches_is_told_at_least_once_a_second(tmp_path):
    """Of each beat, before there is another: in the seconds that are waited, a busy machine adds none."""

    @virtually
    async def watch() -> None:
        service = RunService(cast("Any", Beats()), RunLocks(tmp_path), VirtualClock())
        times = [
            asyncio.get_running_loop().time() async for _ in service.watch(records.run().run_id)
        ]
        assert len(times) == 10
        assert all(later - earlier <= 1 for earlier, later in pairwise(times))

    watch()


async def test_waiting_ends_with_the_run_or_after_its_time(runs, installation):
    """Whichever comes first, also for a run of another process."""
    work = WatchedWork(0.5)
    run, _ = await runs.start(job(work), ANN)
    other = installation.service()

    for service in (runs, other):
        assert not (await service.wait(run.run_id, 0.05)).state.is_over
    for service in (other, runs):
        assert (await service.wait(run.run_id, 20)).state is RunState.SUCCEEDED
