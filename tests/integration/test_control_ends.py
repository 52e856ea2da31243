"""Ends of runs whose control database fails just then: told as they are, kept, and written down later."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.runs.run import Run, RunState
from tests.fixtures.accounts import end_connection
from tests.fixtures.control import furnish
from tests.fixtures.run_installation import ANN, BOB, RunInstallation, done, ended, job
from tests.fixtures.servers import OwnServers, Sql


Fault = Callable[[], AbstractContextManager[None]]
# What servers say that take no writes, or always choose this transaction to give way.
REFUSALS = {"read-only": 1290, "read-only by a failover": 1836, "deadlock": 1213, "full": 1114}


async def installed(address: str, home: Path) -> RunInstallation:
    """An installation with an empty history at an address."""
    database = ControlDatabase(address, home)
    await database.prepare()
    return RunInstallation(home, database, RunRecords(database))


@pytest.fixture
async def on_server(server, database, tmp_path: Path) -> AsyncIterator[RunInstallation]:
    """One whose history is on a server."""
    made = await installed(f"{server.url.rstrip('/')}/{database}", tmp_path / "state")
    yield made
    await made.close()


@pytest.fixture
async def in_file(tmp_path: Path) -> AsyncIterator[RunInstallation]:
    """One whose history is a file, which waits no longer than a moment for others."""
    file = tmp_path / "state" / "control.db"
    made = await installed(f"sqlite+aiosqlite:///{file}?timeout=0.1", file.parent)
    yield made
    await made.close()


async def require_kept(installation: RunInstallation, fault: Fault) -> None:
    """Let the history fail at the end of a run, and require that nothing is lost or untrue of it."""
    runs, other, is_enough = installation.service(), installation.service(), asyncio.Event()

    async def work(progress):
        await is_enough.wait()
        return await done(progress)

    run, _ = await runs.start(job(work), ANN)
    with fault():
        is_enough.set()
        over = await ended(runs, run)
        assert (over.state, over.result) == (RunState.SUCCEEDED, {"value": 7})
        assert not (await installation.store.get(run.run_id)).state.is_over
        assert await other.orphans() == []
    await other.write_ends()

    assert await installation.history() == [over]
    assert not list((installation.home / "ends").glob("run_*"))


@pytest.mark.parametrize("number", REFUSALS.values(), ids=REFUSALS)
async def test_an_end_that_a_server_refuses_is_written_down_later(number, on_server, sql, database):
    """Whatever it says: the tables are there, and take nothing."""

    @contextmanager
    def refused():
        sql.run(
            f"CREATE TRIGGER {database}.no BEFORE UPDATE ON {database}.runs FOR EACH ROW"
            f" SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'no'"
        )
        yield
        sql.run(f"DROP TRIGGER {database}.no")

    await require_kept(on_server, refused)


async def test_an_end_whose_connection_is_lost_is_written_down_later(
    on_server, sql, server, database
):
    """Each connection is killed in the middle of its statement."""

    @contextmanager
    def lost():
        sql.run(
            f"CREATE TRIGGER {database}.slow BEFORE UPDATE ON {database}.runs FOR EACH ROW"
            " SET NEW.revision = NEW.revision + SLEEP(20)"
        )
        killing = asyncio.create_task(asyncio.to_thread(kill, server.url))
        yield
        killing.cancel()
        is_over.append(True)
        sql.run(f"DROP TRIGGER {database}.slow")

    is_over: list[bool] = []

    def kill(url: str) -> None:
        query = (
            "SELECT id FROM information_schema.processlist"
            f" WHERE db = '{database}' AND state = 'User sleep'"
        )
        with Sql(url) as killer:
            while not is_over:
                for (number,) in killer.run(query):
                    end_connection(killer, number)

    await require_kept(on_server, lost)


async def test_an_end_that_finds_the_file_locked_is_written_down_later(in_file):
    """By whoever writes in it for longer than is waited."""

    @contextmanager
    def locked():
        with closing(sqlite3.connect(in_file.home / "control.db", timeout=10)) as other:
            other.isolation_level = None
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    await require_kept(in_file, locked)


async def test_an_end_is_in_the_history_that_is_there_when_it_comes(in_file, tmp_path):
    """An older copy has taken the place of the one in which the run began."""
    runs, is_enough = in_file.service(), asyncio.Event()

    async def work(progress):
        await is_enough.wait()
        return await done(progress)

    run, _ = await runs.start(job(work), ANN)
    while (await in_file.history())[0].state is not RunState.RUNNING:  # noqa: ASYNC110 - the run writes it
        await asyncio.sleep(0.05)
    furnish(tmp_path / "copy")
    (tmp_path / "copy" / "control.db").rename(in_file.home / "control.db")
    is_enough.set()
    over = await ended(runs, run)

    assert await in_file.history() == [over]
    assert over.state is RunState.SUCCEEDED


@pytest.fixture
async def narrow(own_server: OwnServers, tmp_path: Path) -> AsyncIterator[RunInstallation]:
    """One whose control database takes statements of 1 MiB at most."""
    server = own_server("--max-allowed-packet=1M")
    with Sql(server.url) as sql:
        sql.run("CREATE DATABASE control")
    made = await installed(f"{server.url.rstrip('/')}/control", tmp_path / "state")
    yield made
    await made.close()


async def test_a_result_that_no_statement_takes_is_left_out_of_the_history(narrow):
    """The run has succeeded and says what is missing; ends of others are written down as ever."""
    runs = narrow.service()

    async def long(_progress):
        return [f"shop.a_table_of_a_rather_long_name_{number:06}" for number in range(50_000)]

    assert len(await runs.perform(job(long), BOB)) == 50_000
    assert await runs.perform(job(done), BOB) == 7
    await narrow.service().write_ends()

    cut, whole = await narrow.history()
    assert (cut.state, cut.result, whole.result) == (RunState.SUCCEEDED, None, {"value": 7})
    assert cut.progress is not None
    assert re.fullmatch(
        r"its result, 2,\d\d\d,\d\d\d bytes, is not .*", cut.progress.journal[-1].text
    )
    assert not list((narrow.home / "ends").glob("run_*"))


async def test_an_orphan_with_such_a_result_holds_up_no_other(narrow):
    """What is judged anew is as long as it was."""
    runs = narrow.service()
    run, _ = await runs.start(job(done), ANN)
    over: Run = await ended(runs, run)
    values = ["x" * 100] * 20_000

    await runs.rewrite(replace(over, result={"value": values}))

    (found,) = await narrow.history()
    assert (found.state, found.result, found.revision) == (
        RunState.SUCCEEDED,
        None,
        over.revision + 1,
    )
