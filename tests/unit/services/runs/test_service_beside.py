"""Runs beside others: many at once, closing, without a history, orphans."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from app.control.absent import NoHistory
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.runs.run import IdempotencyKey, RunFilter, RunState
from app.domain.stores import Page
from app.errors import (
    AlreadyRunningError,
    AppError,
    ControlUnavailableError,
    KeyReusedError,
    RunNotFoundError,
)
from app.storage.run_locks import Resource, RunLocks
from tests.fixtures.run_installation import ANN, BOB, WatchedWork, done, ended, job


KEY = IdempotencyKey("key", "a" * 64)


# -- more than one --------------------------------------------------------------------------------


async def test_two_processes_of_an_installation_exclude_each_other(runs, installation):
    """The refused run is never written down, and the refusal names the one that is in the way."""
    other = installation.service()
    work = WatchedWork()
    run, _ = await runs.start(job(work), ANN)
    for service in (runs, other):
        with pytest.raises(AlreadyRunningError) as caught:
            await service.perform(job(done), BOB)
        assert caught.value.run_id == run.run_id
        with pytest.raises(AlreadyRunningError):
            await service.start(job(done), ANN)
    assert await other.perform(job(done, Resource("else", "else")), BOB) == 7
    assert [record.run_id for record in await other.unfinished()] == [run.run_id]

    await runs.cancel(run.run_id)
    await ended(runs, run)

    assert await other.perform(job(done), BOB) == 7
    assert len(await installation.history()) == 3


async def test_one_of_many_starts_begins(runs, installation):
    """The others are refused, and name it."""
    work = WatchedWork()
    answers = await asyncio.gather(
        *(runs.start(job(work), ANN) for _ in range(50)), return_exceptions=True
    )
    (run,) = [answer[0] for answer in answers if isinstance(answer, tuple)]
    refusals = [answer for answer in answers if isinstance(answer, AlreadyRunningError)]

    assert len(refusals) == 49
    assert {refusal.run_id for refusal in refusals} == {run.run_id}
    await runs.close(0)
    assert await installation.nothing_left()


@pytest.mark.parametrize("processes", [1, 3])
async def test_many_starts_with_one_key_are_one_run(processes, installation):
    """Each gets the same run, one of them as a new one."""
    services = [installation.service() for _ in range(processes)]
    work = WatchedWork(0.3)
    free = job(work, resources=())
    answers = await asyncio.gather(
        *(services[number % processes].start(free, ANN, KEY) for number in range(50))
    )

    (run_id,) = {run.run_id for run, _ in answers}
    assert [is_new for _, is_new in answers].count(True) == 1
    for service in services:
        assert (await service.wait(run_id, 20)).state is RunState.SUCCEEDED
    again, is_new = await services[0].start(free, ANN, KEY)
    assert (again.run_id, again.state, is_new) == (run_id, RunState.SUCCEEDED, False)
    assert len(await installation.history()) == 1
    assert await installation.nothing_left()


async def test_a_key_of_another_request_is_refused(runs, installation):
    """Nothing begins; the same key of somebody else is theirs."""
    await ended(runs, (await runs.start(job(done), ANN, KEY))[0])

    with pytest.raises(KeyReusedError):
        await runs.start(job(done), ANN, replace(KEY, fingerprint="b" * 64))
    theirs, is_new = await runs.start(job(done), BOB, KEY)
    await ended(runs, theirs)

    assert is_new
    assert len(await installation.history()) == 2
    assert await installation.nothing_left()


# -- closing --------------------------------------------------------------------------------------


async def test_closing_waits_for_what_is_nearly_done(runs, installation):
    """It may go on for as long as is said, and no longer is waited."""
    run, _ = await runs.start(job(WatchedWork(0.2)), ANN)
    began = time.monotonic()

    await runs.close(60)

    assert time.monotonic() - began < 60
    assert (await installation.store.get(run.run_id)).state is RunState.SUCCEEDED
    assert await installation.nothing_left()


@pytest.mark.parametrize("seconds", [0, 0.1])
async def test_closing_cancels_what_takes_longer(seconds, runs, installation):
    """And waits until it has cleaned up."""
    work = WatchedWork(cleaning=0.1)
    run, _ = await runs.start(job(work), ANN)
    await work.begun.wait()

    await runs.close(seconds)

    assert work.cleaned
    assert (await installation.store.get(run.run_id)).state is RunState.CANCELLED
    assert await installation.nothing_left()
    for call in (runs.start(job(done), ANN), runs.perform(job(done), BOB)):
        with pytest.raises(AlreadyRunningError, match="stopping"):
            await call


async def test_a_run_that_begins_while_the_service_is_closed_ends_with_it(runs, installation):
    """Nothing is at work when the service says that it is closed."""
    work = WatchedWork()
    for pause in (0.0, 0.001, 0.002, 0.004, 0.008):
        service = installation.service()
        starting = asyncio.create_task(service.start(job(work), ANN))
        await asyncio.sleep(pause)
        await service.close(0)
        await asyncio.gather(starting, return_exceptions=True)

        assert await installation.nothing_left()
        assert not await service.unfinished()


# -- without a history ----------------------------------------------------------------------------


async def test_work_goes_on_when_its_history_is_lost(runs, installation, caplog):
    """Somebody drops its table while it works; what could not be written is in the log."""
    work = WatchedWork(0.8)
    performing = asyncio.create_task(runs.perform(job(work), BOB))
    await work.begun.wait()
    installation.lose_history()

    assert await performing == 7
    assert await installation.nothing_left()
    assert "Run history could not be written" in caplog.text
    assert await runs.perform(job(done), BOB) == 7
    with pytest.raises(ControlUnavailableError):
        await runs.start(job(done), ANN)
    assert await installation.nothing_left()


async def test_a_history_that_cannot_be_reached_never_fails_commands(installation, tmp_path):
    """Only who needs the history to follow a run, the API, is refused."""
    away = ControlDatabase("mysql+aiomysql://nobody:x@127.0.0.1:1/x", tmp_path)
    runs = installation.service(RunRecords(away))

    assert await runs.perform(job(done), BOB) == 7
    with pytest.raises(ControlUnavailableError):
        await runs.start(job(done), ANN)
    assert await installation.nothing_left()
    await away.close()


async def test_commands_work_without_any_history(installation):
    """They exclude each other all the same, and nothing is found afterwards."""
    runs, other = installation.service(NoHistory()), installation.service(NoHistory())
    work = WatchedWork()
    performing = asyncio.create_task(runs.perform(job(work), BOB))
    await work.begun.wait()
    with pytest.raises(AlreadyRunningError):
        await other.perform(job(done), BOB)
    performing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await performing

    assert await other.perform(job(done), BOB) == 7
    assert await runs.list(RunFilter(), Page()) == ([], 0)
    assert await runs.unfinished() == await runs.orphans() == []
    with pytest.raises(RunNotFoundError):
        await runs.get("run_" + "0" * 16)
    assert await installation.nothing_left()


# -- orphans --------------------------------------------------------------------------------------


async def test_only_what_nobody_runs_any_more_is_an_orphan(runs, installation):
    """Not a run that lives, here or in another process, nor one of another installation."""
    living, _ = await runs.start(job(WatchedWork()), ANN)
    owner = RunLocks(installation.home).owner()
    dead = replace(living, run_id="run_" + "d" * 16, owner=owner, state=RunState.RUNNING)
    await installation.store.add(dead)
    await installation.store.add(replace(dead, run_id="run_" + "e" * 16, owner="0" * 16))

    for service in (runs, installation.service()):
        assert [run.run_id for run in await service.orphans()] == [dead.run_id]
    await runs.rewrite(replace(dead, state=RunState.FAILED))

    assert await runs.orphans() == []
    settled = await installation.store.get(dead.run_id)
    assert (settled.state, settled.revision) == (RunState.FAILED, dead.revision + 1)
    assert settled.finished_at is not None
    await runs.close(0)


class LateStore(RunRecords):
    """A history that is read, and handed over only when something else has happened."""

    meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def unfinished(self):
        """Return what was not over before that."""
        found = await super().unfinished()
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return found


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another process"])
async def test_a_run_that_ends_while_orphans_are_looked_for_is_no_orphan(elsewhere, installation):
    """Its own end stands in the history, and is never overwritten."""
    store = LateStore(installation.database)
    looking = installation.service(store)
    runs = installation.service() if elsewhere else looking
    work = WatchedWork(0.05)
    run, _ = await runs.start(job(work), ANN)
    store.meanwhile = lambda: ended(runs, run)

    assert await looking.orphans() == []


async def test_what_cannot_be_written_down_is_not_begun(installation):
    """The API could not tell anybody how it goes; an error of the history is the answer."""
    runs = installation.service()
    installation.lose_history()
    work = WatchedWork()

    with pytest.raises(AppError):
        await runs.start(job(work), ANN, KEY)

    assert not work.begun.is_set()
    assert await installation.nothing_left()
