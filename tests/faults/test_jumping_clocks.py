"""Clocks that jump: restores, drills and undos of whatever the machine says what time it is."""

from datetime import timedelta

import pytest

from app.domain.restores.restore import RestoreRequest
from app.services.restores.service import RecoveryService
from app.storage.clock_witness import ClockWitness, ElapsedClock
from tests.fixtures.clocks import ShiftedClock
from tests.oracle.snapshots import assert_same, snapshot


AHEAD, BEHIND = timedelta(days=400), timedelta(days=-400)


@pytest.fixture
def installation(backstay, sql, database, tmp_path):
    """A table, the services by a clock of their own, and that clock."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    clock = ShiftedClock()
    witness = ClockWitness(tmp_path / "state", clock.now)
    witness.record({})
    recoveries = RecoveryService(
        server=backstay.target,
        catalogue=backstay.catalogue,
        clock=clock,
        journals=backstay.journals,
        backups=backstay.backups,
        undo_minutes=60,
        elapsed=ElapsedClock(witness),
    )
    return recoveries, clock


@pytest.mark.parametrize("jump", [AHEAD, BEHIND], ids=["ahead", "behind"])
async def test_a_restore_under_any_clock_is_whole_and_can_be_undone(
    jump, installation, backstay, sql, database
):
    """Also a drill; and what the clock does between them changes nothing but the time for an undo."""
    recoveries, clock = installation
    manifest = await backstay.backup(database)
    before = snapshot(backstay.url, database)
    sql.run("DELETE FROM t WHERE id = 1")
    changed = snapshot(backstay.url, database)
    clock.ahead = jump

    request = RestoreRequest(manifest.backup_id)
    drilled = await recoveries.drill(await recoveries.plan_drill(request))
    result = await recoveries.restore(await recoveries.plan(request))

    assert (drilled.rows_count, result.rows_count, result.verified) == (2, 2, True)
    assert_same(before, snapshot(backstay.url, database))
    await recoveries.undo(result.restore_id)
    assert_same(changed, snapshot(backstay.url, database))


async def test_a_clock_that_is_set_ahead_ends_no_time_for_an_undo(
    installation, backstay, sql, database
):
    """What a restore had replaced is not dropped before its time has come."""
    recoveries, clock = installation
    manifest = await backstay.backup(database)
    sql.run("DELETE FROM t")
    result = await recoveries.restore(await recoveries.plan(RestoreRequest(manifest.backup_id)))
    clock.ahead = AHEAD

    assert await recoveries.drop_expired() == []
    assert [journal.restore_id for journal in await recoveries.undoable()] == [result.restore_id]
    await recoveries.undo(result.restore_id)
    assert sql.run("SELECT COUNT(*) FROM t") == [(0,)]


async def test_a_clock_that_is_set_back_leaves_more_time_for_an_undo(
    installation, backstay, sql, database
):
    """What it had replaced is kept for longer; nothing else comes of it."""
    recoveries, clock = installation
    clock.ahead = AHEAD
    manifest = await backstay.backup(database)
    sql.run("DELETE FROM t")
    result = await recoveries.restore(await recoveries.plan(RestoreRequest(manifest.backup_id)))
    clock.ahead = BEHIND

    await recoveries.drop_expired()
    await recoveries.undo(result.restore_id)
    assert sql.run("SELECT COUNT(*) FROM t") == [(0,)]
