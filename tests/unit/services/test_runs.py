"""Runs on their real history, SQLite in a file, and their real locks; only the work is made up."""

import asyncio
import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.progress import Phase, Progress
from app.domain.run import Asker, IdempotencyKey, Origin, Run, RunFilter, RunKind, RunState
from app.domain.stores import Page, RunStore
from app.errors import (
    AlreadyRunningError,
    AppError,
    BackupNotFoundError,
    ControlUnavailableError,
    KeyReusedError,
    NotCancellableError,
    RunNotFoundError,
    StatementError,
)
from app.services.history import NoHistory
from app.services.order import Order
from app.services.runs import RunService
from app.storage.runlocks import Resource, RunLocks
from tests.fixtures.trips import TestClock


SERVER = Resource("backup", "the backups of this server")
ANN = Asker("ann", Origin.API)
BOB = Asker("bob", Origin.CLI)
KEY = IdempotencyKey("key", "a" * 64)
ENDLESS = 60.0

Work = Callable[[Progress], Awaitable[Any]]


def order(work: Work, *resources: Resource, **changes: Any) -> Order[Any]:
    """Order work whose value is its own document."""
    made: Order[Any] = Order(
        RunKind.BACKUP, work, lambda value: {"value": value}, resources or (SERVER,)
    )
    return replace(made, **changes)


class Watched:
    """
    Work that is watched.

    Attributes:
        begun: Whether its first step was done.
        cancelled: How often it was cancelled.
        cleaning: Seconds that it cleans up for when it is cancelled.
    """

    def __init__(self, seconds: float = ENDLESS, *, cleaning: float = 0.0) -> None:
        self.begun = asyncio.Event()
        self.cancelled = 0
        self.cleaned = False
        self.cleaning = cleaning
        self._seconds = seconds

    async def __call__(self, progress: Progress) -> int:
        """Work for a while."""
        progress.enter(Phase.DUMP)
        self.begun.set()
        try:
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(self.cleaning)
            self.cleaned = True
            raise
        return 7


async def done(_progress: Progress) -> int:
    """Succeed at once."""
    return 7


@dataclass
class World:
    """
    One installation.

    Attributes:
        home: Its state directory.
        database: Its control database.
        store: Its history.
        services: All that were made, which are closed with it.
    """

    home: Path
    database: ControlDatabase
    store: RunRecords
    services: list[RunService] = field(default_factory=list)

    def service(self, store: RunStore | None = None) -> RunService:
        """Make the service as another process of this installation would."""
        made = RunService(store or self.store, RunLocks(self.home), TestClock())
        self.services.append(made)
        return made

    async def close(self) -> None:
        """End all, in the order that a process does: a run may still write its end down."""
        for service in self.services:
            await service.close(0)
        await self.database.close()

    def is_free(self, *resources: Resource) -> bool:
        """Tell whether a new run could have these; the server's backups unless others are named."""
        try:
            held = RunLocks(self.home).hold("run_" + "f" * 16, resources or (SERVER,))
        except AlreadyRunningError:
            return False
        RunLocks(self.home).forget("run_" + "f" * 16)
        held.release()
        return True

    async def nothing_left(self) -> bool:
        """Tell whether the server's lock is free at once, and each run's own one in a moment."""
        free = self.is_free()
        async with asyncio.timeout(2):
            while list((self.home / "runs").glob("run_*")):  # noqa: ASYNC110 - a thread removes them
                await asyncio.sleep(0.005)
        return free

    def lose_history(self) -> None:
        """Make the control database useless, as another program would."""
        with closing(sqlite3.connect(self.home / "control.db")) as connection:
            connection.execute("DROP TABLE runs")

    async def history(self) -> list[Run]:
        """Return what is written down, oldest first."""
        return list((await self.store.list(RunFilter(), Page(sort="created_at")))[0])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An installation with an empty history."""
    home = tmp_path / "state"
    database = ControlDatabase(f"sqlite+aiosqlite:///{home / 'control.db'}", home)
    await database.prepare()
    world = World(home, database, RunRecords(database))
    yield world
    await world.close()


@pytest.fixture
def runs(world: World) -> RunService:
    """The service of that installation."""
    return world.service()


async def ended(runs: RunService, run: Run) -> Any:
    """Wait for the end of a run and return it."""
    found = await runs.wait(run.run_id, 20)
    assert found.state.is_over
    return found


# -- endings --------------------------------------------------------------------------------------


async def test_a_run_that_succeeds_is_remembered_with_its_result(runs, world):
    """Who asked for what, when it began and ended, and what came of it."""
    request = {"databases": ["shop"]}
    begun, is_new = await runs.start(order(done, request=request, backup_id="backup_x"), ANN)
    over = await ended(runs, begun)

    assert is_new
    assert begun.state is RunState.RUNNING or begun.state is RunState.QUEUED
    assert re.fullmatch(r"run_[0-9a-f]{16}", begun.run_id)
    assert (over.state, over.result, over.error) == (RunState.SUCCEEDED, {"value": 7}, None)
    assert (over.asked_by, over.origin, over.kind) == ("ann", Origin.API, RunKind.BACKUP)
    assert (over.request, over.backup_id) == (request, "backup_x")
    assert over.owner == RunLocks(world.home).owner()
    assert over.started_at is not None
    assert over.finished_at is not None
    assert over.created_at <= over.started_at <= over.finished_at
    assert await world.history() == [over]
    assert await world.nothing_left()


async def test_a_run_that_fails_is_remembered_with_its_error(runs, world):
    """In the words of the error, without directories and without what a server said."""

    async def missing(_progress):
        raise BackupNotFoundError("backup_x", hint="Look into /srv/secret/backups.")

    async def refused(_progress):
        raise StatementError("Duplicate entry 'secret' for key 'x'", errno=1062)

    for work in (missing, refused):
        run, _ = await runs.start(order(work), ANN)
        assert (await ended(runs, run)).state is RunState.FAILED
        assert await world.nothing_left()

    errors = [run.error for run in await world.history()]
    assert [error.code for error in errors] == ["backup-not-found", "statement"]
    assert errors[0].hint == "Look into backups."
    assert "secret" not in str(errors)
    assert "1062" in errors[1].message


async def test_a_bug_is_remembered_by_its_kind_alone(runs, world, caplog):
    """What it says may be anybody's data; the traceback is in the log, for those of the machine."""

    async def buggy(_progress):
        raise KeyError("somebody's password")

    run, _ = await runs.start(order(buggy), ANN)
    over = await ended(runs, run)

    assert over.state is RunState.FAILED
    assert (over.error.code, over.error.message) == ("internal", "KeyError")
    assert "password" not in str(over)
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
    assert await world.nothing_left()


async def test_a_result_that_cannot_be_described_is_a_bug(runs, world):
    """The run has failed, and lets its locks go."""
    nothing: dict[int, Any] = {}
    run, _ = await runs.start(order(done, document=lambda value: nothing[value]), ANN)

    assert (await ended(runs, run)).error.message == "KeyError"
    assert await world.nothing_left()


async def test_perform_returns_what_the_work_returned(runs, world):
    """And the run is remembered like any other."""
    assert await runs.perform(order(done), BOB) == 7

    (run,) = await world.history()
    assert (run.state, run.origin, run.asked_by) == (RunState.SUCCEEDED, Origin.CLI, "bob")
    assert await world.nothing_left()


@pytest.mark.parametrize(
    "error", [BackupNotFoundError("backup_x"), ZeroDivisionError("x"), OSError(5, "x")], ids=repr
)
async def test_perform_raises_the_very_error_of_the_work(error, runs, world):
    """So that the command line tells the same with history and without."""

    async def fails(_progress):
        raise error

    with pytest.raises(type(error)) as caught:
        await runs.perform(order(fails), BOB)

    assert caught.value is error
    assert [run.state for run in await world.history()] == [RunState.FAILED]
    assert await world.nothing_left()


async def test_cancelling_who_waits_cancels_the_work_once(runs, world):
    """However often: the cleaning is not interrupted, and is waited for."""
    work = Watched(cleaning=0.1)
    waiting = asyncio.create_task(runs.perform(order(work), BOB))
    await work.begun.wait()
    for _ in range(5):
        waiting.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert (work.cancelled, work.cleaned) == (1, True)
    assert [run.state for run in await world.history()] == [RunState.CANCELLED]
    assert await world.nothing_left()


@pytest.mark.parametrize("steps", range(12))
async def test_whoever_is_cancelled_at_any_step_leaves_no_lock(steps, runs, world):
    """Before the locks are taken, while the run is written down, before its first step, after it."""
    work = Watched()
    waiting = asyncio.create_task(runs.perform(order(work), BOB))
    for _ in range(steps):
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.02)  # a thread may still be taking locks

    assert work.cancelled == work.begun.is_set()
    assert await world.nothing_left()
    assert {run.state for run in await world.history()} <= {RunState.CANCELLED}


# -- cancelling -----------------------------------------------------------------------------------


async def test_a_run_is_cancelled_before_its_first_step(runs, world):
    """The work never begins, and the run is over all the same."""
    work = Watched()
    run, _ = await runs.start(order(work), ANN)
    assert not work.begun.is_set()

    await runs.cancel(run.run_id)
    over = await ended(runs, run)

    assert (over.state, over.error.code) == (RunState.CANCELLED, "cancelled")
    assert not work.begun.is_set()
    assert await world.nothing_left()


async def test_a_run_is_cancelled_while_it_works(runs, world):
    """However often: its cleaning is not interrupted, and the answer says that it was asked to."""
    work = Watched(cleaning=1.0)
    run, _ = await runs.start(order(work), ANN)
    await work.begun.wait()
    answers = [await runs.cancel(run.run_id) for _ in range(3)]
    over = await ended(runs, run)

    assert [(one.state, one.cancel_requested) for one in answers] == [(RunState.RUNNING, True)] * 3
    assert (over.state, over.cancel_requested) == (RunState.CANCELLED, True)
    assert (work.cancelled, work.cleaned) == (1, True)
    assert await world.history() == [over]
    assert await world.nothing_left()


async def test_what_is_over_cannot_be_cancelled(runs, world):
    """However it ended; and what was never there is not found."""
    run, _ = await runs.start(order(done), ANN)
    over = await ended(runs, run)

    with pytest.raises(NotCancellableError, match="has succeeded"):
        await runs.cancel(run.run_id)
    for unknown in ("run_" + "0" * 16, "../x", ""):
        with pytest.raises(RunNotFoundError):
            await runs.cancel(unknown)
    assert await world.history() == [over]


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


async def test_a_run_cannot_be_cancelled_while_its_end_is_written(world):
    """It has succeeded, even if nobody can read that yet; the one who waits gets the value."""
    store = SlowStore(world.database)
    runs = world.service(store)
    waiting = asyncio.create_task(runs.perform(order(done), BOB))
    await store.reached.wait()
    (run,) = await runs.unfinished()
    waiting.cancel()
    with pytest.raises(NotCancellableError):
        await runs.cancel(run.run_id)
    store.go.set()

    assert await waiting == 7
    assert [one.state for one in await world.history()] == [RunState.SUCCEEDED]
    assert await world.nothing_left()


async def test_another_process_asks_to_cancel_through_the_history(runs, world):
    """It is noticed within a second."""
    work = Watched()
    run, _ = await runs.start(order(work), ANN)
    await work.begun.wait()
    began = time.monotonic()

    asked = await world.service().cancel(run.run_id)
    over = await ended(runs, run)

    assert asked.cancel_requested
    assert time.monotonic() - began < 1.0
    assert (over.state, over.cancel_requested) == (RunState.CANCELLED, True)
    assert await world.nothing_left()


# -- watching -------------------------------------------------------------------------------------


async def test_a_run_is_written_down_while_it_works(runs, world):
    """At least once a second, each time with a higher revision and what was counted by then."""

    async def counts(progress):
        progress.enter(Phase.DUMP)
        for _ in range(26):
            progress.moved("shop.t", rows=1, size=10)
            await asyncio.sleep(0.1)

    run, _ = await runs.start(order(counts), ANN)
    seen = [run]
    times = [time.monotonic()]
    while not seen[-1].state.is_over:
        await asyncio.sleep(0.02)
        if (now := await world.store.get(run.run_id)) != seen[-1]:
            seen.append(now)
            times.append(time.monotonic())

    revisions = [one.revision for one in seen]
    rows = [one.progress.rows_done for one in seen if one.progress]
    assert revisions == sorted(set(revisions))
    assert rows == sorted(rows)
    assert rows[-1] == 26
    assert max(b - a for a, b in pairwise(times)) < 1.0


async def test_a_name_is_written_down_at_once(runs, world):
    """After a crash it tells what became of the run: it must not wait for the next beat."""

    async def named(progress):
        progress.name(backup_id="backup_x", restore_id="restore_x")
        await asyncio.sleep(ENDLESS)

    run, _ = await runs.start(order(named), ANN)
    deadline = time.monotonic() + 0.4
    while (found := await world.store.get(run.run_id)).restore_id == "":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)

    assert (found.backup_id, found.restore_id) == ("backup_x", "restore_x")
    await runs.cancel(run.run_id)
    await ended(runs, run)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another process"])
async def test_watching_ends_with_the_run_and_goes_on_after_a_revision(elsewhere, runs, world):
    """Nothing comes twice, and the last thing is the end."""
    watcher = world.service() if elsewhere else runs
    run, _ = await runs.start(order(Watched(1.2)), ANN)

    seen = [one async for one in watcher.watch(run.run_id)]
    later = [one async for one in watcher.watch(run.run_id, seen[-2].revision)]
    nothing = [one async for one in watcher.watch(run.run_id, seen[-1].revision)]

    revisions = [one.revision for one in seen]
    assert revisions == sorted(set(revisions))
    assert len(seen) >= 3
    assert [one.state.is_over for one in seen] == [False] * (len(seen) - 1) + [True]
    assert later == seen[-1:]
    assert nothing == []
    with pytest.raises(RunNotFoundError):
        await anext(watcher.watch("run_" + "0" * 16))


async def test_waiting_ends_with_the_run_or_with_patience(runs, world):
    """Whichever comes first, also for a run of another process."""
    work = Watched(0.5)
    run, _ = await runs.start(order(work), ANN)
    other = world.service()

    for service in (runs, other):
        assert not (await service.wait(run.run_id, 0.05)).state.is_over
    for service in (other, runs):
        assert (await service.wait(run.run_id, 20)).state is RunState.SUCCEEDED


# -- more than one --------------------------------------------------------------------------------


async def test_two_processes_of_an_installation_exclude_each_other(runs, world):
    """The refused run is never written down, and the refusal names the one that is in the way."""
    other = world.service()
    work = Watched()
    run, _ = await runs.start(order(work), ANN)
    for service in (runs, other):
        with pytest.raises(AlreadyRunningError) as caught:
            await service.perform(order(done), BOB)
        assert caught.value.run_id == run.run_id
        with pytest.raises(AlreadyRunningError):
            await service.start(order(done), ANN)
    assert await other.perform(order(done, Resource("else", "else")), BOB) == 7
    assert [one.run_id for one in await other.unfinished()] == [run.run_id]

    await runs.cancel(run.run_id)
    await ended(runs, run)

    assert await other.perform(order(done), BOB) == 7
    assert len(await world.history()) == 3


async def test_one_of_many_starts_begins(runs, world):
    """The others are refused, and name it."""
    work = Watched()
    answers = await asyncio.gather(
        *(runs.start(order(work), ANN) for _ in range(50)), return_exceptions=True
    )
    (run,) = [answer[0] for answer in answers if isinstance(answer, tuple)]
    refusals = [answer for answer in answers if isinstance(answer, AlreadyRunningError)]

    assert len(refusals) == 49
    assert {one.run_id for one in refusals} == {run.run_id}
    await runs.close(0)
    assert await world.nothing_left()


@pytest.mark.parametrize("processes", [1, 3])
async def test_many_starts_with_one_key_are_one_run(processes, world):
    """Each gets the same run, one of them as a new one."""
    services = [world.service() for _ in range(processes)]
    work = Watched(0.3)
    free = order(work, resources=())
    answers = await asyncio.gather(
        *(services[number % processes].start(free, ANN, KEY) for number in range(50))
    )

    (run_id,) = {run.run_id for run, _ in answers}
    assert [is_new for _, is_new in answers].count(True) == 1
    for service in services:
        assert (await service.wait(run_id, 20)).state is RunState.SUCCEEDED
    again, is_new = await services[0].start(free, ANN, KEY)
    assert (again.run_id, again.state, is_new) == (run_id, RunState.SUCCEEDED, False)
    assert len(await world.history()) == 1
    assert await world.nothing_left()


async def test_a_key_of_another_request_is_refused(runs, world):
    """Nothing begins; the same key of somebody else is theirs."""
    await ended(runs, (await runs.start(order(done), ANN, KEY))[0])

    with pytest.raises(KeyReusedError):
        await runs.start(order(done), ANN, replace(KEY, fingerprint="b" * 64))
    theirs, is_new = await runs.start(order(done), BOB, KEY)
    await ended(runs, theirs)

    assert is_new
    assert len(await world.history()) == 2
    assert await world.nothing_left()


# -- closing --------------------------------------------------------------------------------------


async def test_closing_waits_for_what_is_nearly_done(runs, world):
    """It may go on for as long as is said, and no longer is waited."""
    run, _ = await runs.start(order(Watched(0.2)), ANN)
    began = time.monotonic()

    await runs.close(20)

    assert time.monotonic() - began < 5
    assert (await world.store.get(run.run_id)).state is RunState.SUCCEEDED
    assert await world.nothing_left()


@pytest.mark.parametrize("seconds", [0, 0.1])
async def test_closing_cancels_what_takes_longer(seconds, runs, world):
    """And waits until it has cleaned up."""
    work = Watched(cleaning=0.1)
    run, _ = await runs.start(order(work), ANN)
    await work.begun.wait()

    await runs.close(seconds)

    assert work.cleaned
    assert (await world.store.get(run.run_id)).state is RunState.CANCELLED
    assert await world.nothing_left()
    for call in (runs.start(order(done), ANN), runs.perform(order(done), BOB)):
        with pytest.raises(AlreadyRunningError, match="stopping"):
            await call


async def test_a_run_that_begins_while_the_service_is_closed_ends_with_it(runs, world):
    """Nothing is at work when the service says that it is closed."""
    work = Watched()
    for pause in (0.0, 0.001, 0.002, 0.004, 0.008):
        service = world.service()
        starting = asyncio.create_task(service.start(order(work), ANN))
        await asyncio.sleep(pause)
        await service.close(0)
        await asyncio.gather(starting, return_exceptions=True)

        assert await world.nothing_left()
        assert not await service.unfinished()


# -- without a history ----------------------------------------------------------------------------


async def test_work_goes_on_when_its_history_is_lost(runs, world, caplog):
    """Somebody drops its table while it works; what could not be written is in the log."""
    work = Watched(0.8)
    performing = asyncio.create_task(runs.perform(order(work), BOB))
    await work.begun.wait()
    world.lose_history()

    assert await performing == 7
    assert await world.nothing_left()
    assert "The history could not be written" in caplog.text
    assert await runs.perform(order(done), BOB) == 7
    with pytest.raises(ControlUnavailableError):
        await runs.start(order(done), ANN)
    assert await world.nothing_left()


async def test_a_history_that_cannot_be_reached_never_fails_commands(world, tmp_path):
    """Only who needs the history to follow a run, the API, is refused."""
    away = ControlDatabase("mysql+aiomysql://nobody:x@127.0.0.1:1/x", tmp_path)
    runs = world.service(RunRecords(away))

    assert await runs.perform(order(done), BOB) == 7
    with pytest.raises(ControlUnavailableError):
        await runs.start(order(done), ANN)
    assert await world.nothing_left()
    await away.close()


async def test_commands_work_without_any_history(world):
    """They exclude each other all the same, and nothing is found afterwards."""
    runs, other = world.service(NoHistory()), world.service(NoHistory())
    work = Watched()
    performing = asyncio.create_task(runs.perform(order(work), BOB))
    await work.begun.wait()
    with pytest.raises(AlreadyRunningError):
        await other.perform(order(done), BOB)
    performing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await performing

    assert await other.perform(order(done), BOB) == 7
    assert await runs.list(RunFilter(), Page()) == ([], 0)
    assert await runs.unfinished() == await runs.orphans() == []
    with pytest.raises(RunNotFoundError):
        await runs.get("run_" + "0" * 16)
    assert await world.nothing_left()


# -- orphans --------------------------------------------------------------------------------------


async def test_only_what_nobody_runs_any_more_is_an_orphan(runs, world):
    """Not a run that lives, here or in another process, nor one of another installation."""
    living, _ = await runs.start(order(Watched()), ANN)
    owner = RunLocks(world.home).owner()
    dead = replace(living, run_id="run_" + "d" * 16, owner=owner, state=RunState.RUNNING)
    await world.store.add(dead)
    await world.store.add(replace(dead, run_id="run_" + "e" * 16, owner="0" * 16))

    for service in (runs, world.service()):
        assert [run.run_id for run in await service.orphans()] == [dead.run_id]
    await runs.settle(replace(dead, state=RunState.FAILED))

    assert await runs.orphans() == []
    settled = await world.store.get(dead.run_id)
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
async def test_a_run_that_ends_while_orphans_are_looked_for_is_none(elsewhere, world):
    """Its own end stands in the history, and is never overwritten."""
    store = LateStore(world.database)
    looking = world.service(store)
    runs = world.service() if elsewhere else looking
    work = Watched(0.05)
    run, _ = await runs.start(order(work), ANN)
    store.meanwhile = lambda: ended(runs, run)

    assert await looking.orphans() == []


async def test_what_cannot_be_written_down_is_not_begun(world):
    """The API could not tell anybody how it goes; an error of the history is the answer."""
    runs = world.service()
    world.lose_history()
    work = Watched()

    with pytest.raises(AppError):
        await runs.start(order(work), ANN, KEY)

    assert not work.begun.is_set()
    assert await world.nothing_left()
