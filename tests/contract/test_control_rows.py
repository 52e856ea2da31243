"""Rows of the history that are odd: too long, of another version, edited by somebody, written by many at once."""

import asyncio

import pytest
from sqlalchemy import text

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.runs.run import RunFilter, RunId, RunState
from app.domain.stores import Page
from app.errors import ControlUnavailableError, InvalidRequestError
from tests.fixtures.records import NOON, run


async def test_values_that_no_column_holds_are_refused(server, database, tmp_path):
    """A server says so; it never cuts them."""
    control = ControlDatabase(f"{server.url.rstrip('/')}/{database}", tmp_path)
    await control.prepare()
    with pytest.raises(InvalidRequestError, match="does not fit"):
        await RunRecords(control).add(run(requested_by="x" * 300))
    await control.close()


async def test_a_row_that_makes_no_sense_is_reported(control, runs):
    """Somebody who edits the table gets an error, not a traceback."""
    await runs.add(run())
    for assignment in ("progress = '{'", "progress = NULL, kind = 'other'"):
        async with control.writing() as connection:
            await connection.execute(text(f"UPDATE runs SET {assignment}"))
        with pytest.raises(ControlUnavailableError, match="unreadable"):
            await runs.get(run().run_id)


async def test_a_row_of_another_version_costs_only_itself(control, runs, caplog):
    """A machine that shares the database was upgraded before this one: all other runs are told, and counted."""
    ours, theirs = run(state=RunState.FAILED), run(run_id=RunId(f"run_{9:016x}"))
    open_still = run(run_id=RunId(f"run_{8:016x}"))
    for made in (ours, theirs, open_still):
        await runs.add(made)
    async with control.writing() as connection:
        strange = "UPDATE runs SET kind = 'newer' WHERE run_id = :run_id"
        await connection.execute(text(strange), {"run_id": theirs.run_id})
        await connection.execute(text("UPDATE runs SET state = 'newer' WHERE kind = 'newer'"))

    listed, total = await runs.list(RunFilter(), Page(sort="created_at"))

    assert ({found.run_id for found in listed}, total) == ({ours.run_id, open_still.run_id}, 3)
    assert [found.run_id for found in await runs.unfinished()] == [open_still.run_id]
    assert [found.run_id for found in await runs.failures(9)] == [ours.run_id]
    assert {tally.state for tally in await runs.tally()} == {ours.state, open_still.state}
    async with control.writing() as connection:
        await connection.execute(text("UPDATE runs SET kind = 'backup' WHERE kind = 'newer'"))
    assert await runs.outcomes(ours.kind, NOON) == [(ours.created_at, ours.state)]
    assert f"run '{theirs.run_id}' is unreadable" in str([
        vars(record) for record in caplog.records
    ])


async def test_of_many_writers_of_one_row_the_highest_revision_stays(runs):
    """Writers of one row at once all succeed, and the highest revision stays."""
    await runs.add(run())

    await asyncio.gather(
        *(runs.save(run(revision=number, state=RunState.RUNNING)) for number in range(2, 42)),
        *(runs.request_cancel(run().run_id) for _ in range(5)),
    )

    found = await runs.get(run().run_id)
    assert (found.revision, found.cancel_requested) == (41, True)
