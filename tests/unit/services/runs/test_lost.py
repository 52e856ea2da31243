"""Runs whose installation is gone: found, ended by somebody, and never over the word of who is at work."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.runs.run import Run, RunId, RunState
from app.errors import AlreadyRunningError, ConflictError, NotCancellableError, RunNotFoundError
from app.services.runs.lost import LostRuns
from app.storage.run_locks import RunLocks
from tests.fixtures.clocks import SystemClock
from tests.fixtures.run_installation import ANN, RunInstallation, WatchedWork, ended, job


# A run at work writes its counters down twice in that time.
SILENT_SECONDS = 1.2


def seen_from(installation: RunInstallation, home: Path, seconds: float = 0.01) -> LostRuns:
    """What is lost as an installation of another state directory sees it."""
    return LostRuns(installation.store, RunLocks(home), SystemClock(), seconds)


@pytest.fixture
async def at_work(runs) -> RunId:
    """A run that is at work."""
    work = WatchedWork()
    run: Run = (await runs.start(job(work), ANN))[0]
    await work.begun.wait()
    return run.run_id


@pytest.fixture
async def lost(installation) -> RunId:
    """A run whose state directory was lost: nobody runs it, and nobody judges it."""
    service = installation.service()
    run: Run = (await service.start(job(WatchedWork(0.01)), ANN))[0]
    over = await ended(service, run)
    again = replace(
        over, state=RunState.RUNNING, revision=over.revision + 1, result=None, finished_at=None
    )
    await installation.store.save(again)
    return run.run_id


async def test_a_run_whose_state_directory_is_lost_is_found_by_the_next(
    lost, installation, tmp_path
):
    """Its own installation judges it, so to that one it is an orphan and no lost one."""
    found = await seen_from(installation, tmp_path / "other").find()

    assert [run.run_id for run in found] == [lost]
    assert await seen_from(installation, installation.home).find() == ()
    assert [run.run_id for run in await installation.service().orphans()] == [lost]


async def test_a_run_at_work_elsewhere_is_not_lost(at_work, installation, tmp_path):
    """Its counters move: nobody ends it."""
    other = seen_from(installation, tmp_path / "other", SILENT_SECONDS)

    assert await other.find() == []
    with pytest.raises(AlreadyRunningError) as caught:
        await other.end(at_work, "os:bob", "gone")
    assert caught.value.run_id == at_work
    assert not (await installation.store.get(at_work)).state.is_over


async def test_a_lost_run_ends_with_no_claim_about_what_became_of_it(lost, installation, tmp_path):
    """Who said so, why, and that nobody knows."""
    run = await seen_from(installation, tmp_path / "other").end(lost, "os:bob", "disk died")

    assert (await installation.history()) == [run]
    assert run.error is not None
    assert (run.state, run.error.code) == (RunState.FAILED, "run-lost")
    assert run.error.message.startswith("os:bob has ended it in the history: disk died;")
    assert "nobody here knows" in run.error.message
    assert run.finished_at is not None
    assert await installation.service().unfinished() == []
    with pytest.raises(NotCancellableError):
        await seen_from(installation, tmp_path / "other").end(lost, "os:bob", "again")


async def test_a_run_that_was_only_out_of_sight_says_so_itself(at_work, runs, installation):
    """Ended too early, such as while its machine was stopped, it is at work again with its next counters."""
    found = await installation.store.get(at_work)
    early = replace(found, state=RunState.FAILED, revision=found.revision + 1)
    await installation.store.save(early)

    async with asyncio.timeout(60):
        while (await installation.store.get(at_work)).state.is_over:  # noqa: ASYNC110 - the run writes it
            await asyncio.sleep(0.05)
    await runs.cancel(at_work)

    assert (await ended(runs, found)).state is RunState.CANCELLED
    assert (await installation.store.get(at_work)).state is RunState.CANCELLED


async def test_only_a_lost_run_is_ended(lost, installation):
    """None of this installation, and none that is not there."""
    with pytest.raises(ConflictError, match="of this installation"):
        await seen_from(installation, installation.home).end(lost, "os:bob", "gone")
    with pytest.raises(RunNotFoundError):
        await seen_from(installation, installation.home).end("run_x", "os:bob", "gone")
