"""Backups and restores whose network fails, that are cancelled, or whose query takes too long."""

import asyncio
import itertools
import threading
import time
from contextlib import suppress

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Progress
from app.engine.dump.ladder import open_snapshot
from app.engine.schema.tables import TableRef
from app.engine.server import heartbeat, server as engine_server
from app.engine.server.server import Server as Target
from app.engine.swap import rename
from app.errors import (
    ConnectionFailedError,
    ConnectionLostError,
    StalledError,
)
from app.services.restores.connections import load_sessions
from app.services.restores.swap import Swaps
from tests.fixtures.accounts import databases, end_connection, files, others
from tests.fixtures.backstay import Backstay
from tests.fixtures.cli import wait_until
from tests.fixtures.clocks import SystemClock
from tests.fixtures.dry_runs import left_over
from tests.fixtures.proxy import WHOLE, Fault, proxy
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# Of what a broken network ends, which would wait for ever. What comes before has more: a busy machine is silent as well.
TIMEOUT_SECONDS = 2.0
# After the first, and in less than the second, a connection on which nothing moves is asked whether it is there.
QUIET_SECONDS, ASKED_SECONDS = 1.0, 2.5
# Bytes that a network takes before it fails: in the middle of the work, and near its end.
LIMITS = (200_000, 2_000_000)


def wide_table(sql: Sql) -> None:
    """Make 6 MB in one table."""
    sql.script(["CREATE DATABASE d", "USE d"])
    sql.run("CREATE TABLE big (id INT PRIMARY KEY, s VARCHAR(400), KEY (s(20)))")
    sql.run("INSERT INTO big SELECT seq, REPEAT('x', 300) FROM seq_1_to_20000")


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "limit"),
    series([*zip(WHOLE, LIMITS, strict=True)], [*itertools.product(WHOLE, LIMITS)]),
)
async def test_a_broken_network_ends_a_backup_in_time(fault, limit, own_server, tmp_path):
    """A network that goes silent or away ends the backup in time; nothing is left."""
    with own_server() as server, Sql(server.url) as sql:
        wide_table(sql)
        with proxy(server.url, fault, limit) as way:
            backstay = Backstay(way.url, tmp_path / "backups", timeout_seconds=TIMEOUT_SECONDS)
            with pytest.raises((StalledError, ConnectionLostError, ConnectionFailedError)):
                await backstay.backup("d", threads=3, chunk_bytes=1 << 16)
            await backstay.target.close()
        assert files(backstay) == set()
        wait_until(lambda: others(sql) == [], "the server has no connection of ours")


@pytest.mark.parametrize("fault", WHOLE)
async def test_a_broken_network_ends_a_restore_in_time(fault, own_server, tmp_path):
    """The error stays the first one, the live database is as it was, and a repair drops the rest."""
    with own_server() as server, Sql(server.url) as sql:
        wide_table(sql)
        with proxy(server.url, fault, 1 << 40) as way:
            backstay = Backstay(way.url, tmp_path / "backups", timeout_seconds=TIMEOUT_SECONDS)
            patient = Backstay(way.url, tmp_path / "backups")
            manifest = await patient.backup("d", chunk_bytes=1 << 16)
            sql.run("DELETE FROM big WHERE id > 10")
            before = snapshot(server.url, "d")

            def listener(progress: Progress) -> None:
                if progress.rows_done > 8000:
                    way.limit = 0

            request = RestoreRequest(manifest.backup_id, create_backup=False)
            plan = await patient.recoveries.plan(request)
            with pytest.raises((StalledError, ConnectionLostError)):
                await backstay.recoveries.restore(plan, Progress(listener=listener))
            await backstay.target.close()
            assert left_over(sql) != []

            way.limit = 1 << 40
            await repaired(patient)
            await patient.target.close()
        assert left_over(sql) == []
        assert_same(before, snapshot(server.url, "d"))
        wait_until(lambda: others(sql) == [], "the server has no connection of ours")


@pytest.mark.waits
@pytest.mark.parametrize("fault", Fault)
async def test_a_broken_network_ends_a_drill_in_time(fault, own_server, tmp_path):
    """The live database is not touched, nothing is held against the backup, and a repair drops the rest."""
    with own_server() as server, Sql(server.url) as sql:
        wide_table(sql)
        before = snapshot(server.url, "d")
        with proxy(server.url, fault, 1 << 40) as way:
            backstay = Backstay(way.url, tmp_path / "backups", timeout_seconds=TIMEOUT_SECONDS)
            patient = Backstay(way.url, tmp_path / "backups")
            manifest = await patient.backup("d", chunk_bytes=1 << 16)

            def listener(progress: Progress) -> None:
                if progress.rows_done > 8000:
                    way.limit = 0

            plan = await patient.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
            with pytest.raises((StalledError, ConnectionLostError)):
                await backstay.recoveries.drill(plan, Progress(listener=listener))
            assert backstay.catalogue.proofs(manifest.backup_id) == ()

            way.limit = 1 << 40
            if fault is Fault.HALF:
                end_sleeping(sql)
            await repaired(patient)
            assert left_over(sql) == []
            assert_same(before, snapshot(server.url, "d"))
            await backstay.target.close()
            await patient.target.close()


@pytest.mark.long
@pytest.mark.waits
@pytest.mark.parametrize("fault", WHOLE)
async def test_a_broken_network_leaves_an_undo_old_or_new(fault, own_server, tmp_path):
    """Wherever it fails: it ends in time, and after a repair the database is all of the one or the other."""
    points = range(500, 60_000, series(14_000, 7_000))
    # Most of the time is waiting, so some servers share the points.
    servers = series(2, 4)
    undone = await asyncio.gather(
        *(
            count_undone(own_server(), tmp_path / str(part), fault, points[part::servers])
            for part in range(servers)
        )
    )
    assert 0 < sum(undone) < len(points)


async def count_undone(server, home, fault, points) -> int:
    """Let an undo fail after so many bytes each time, and return how often it was done after all."""
    with server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (id INT PRIMARY KEY)"])
        sql.run("CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id")
        old = snapshot(server.url, "d")
        with proxy(server.url, fault, 1 << 40) as way:
            backstay = Backstay(way.url, home / "backups", timeout_seconds=TIMEOUT_SECONDS)
            patient = Backstay(way.url, home / "backups")
            manifest = await patient.backup("d")
            sql.run("INSERT INTO t VALUES (1)")
            new = snapshot(server.url, "d")
            result = await patient.restore(manifest)
            restored, undone = 1, 0
            for more in points:
                if snapshot(server.url, "d") == new:
                    result = await patient.restore(manifest)
                    restored += 1
                way.limit = way.passed + more
                with suppress(StalledError, ConnectionLostError, ConnectionFailedError):
                    await backstay.recoveries.undo(result.restore_id)
                way.limit = 1 << 40
                await repaired(patient)
                assert snapshot(server.url, "d") in (old, new)
                undone += snapshot(server.url, "d") == new
            assert restored >= undone
            await backstay.target.close()
            await patient.target.close()
    return undone


def end_sleeping(sql: Sql) -> None:
    """End every connection that does nothing, as the server does after minutes without a word."""
    idle = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep'"
    for (number,) in sql.run(idle):
        end_connection(sql, number)


async def repaired(backstay: Backstay) -> None:
    """Repair until nothing is left to be; a server that writes to a lost connection holds its locks for a minute."""
    async with asyncio.timeout(90):
        await backstay.recoveries.repair()
        while any(not journal.phase.is_over for journal in backstay.journals.all()):
            await asyncio.sleep(0.1)
            await backstay.recoveries.repair()


class Cancel:
    """Cancels a task at its k-th event."""

    def __init__(self, event: int) -> None:
        self.left = event
        self.task: asyncio.Task[object] | None = None

    def __call__(self, _progress: Progress) -> None:
        self.left -= 1
        if self.left == 0 and self.task is not None:
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)

    async def run(self, work) -> bool:
        """Run to the end or to the cancellation; returns whether it was cancelled."""
        self.task = asyncio.ensure_future(work)
        with suppress(asyncio.CancelledError):
            await self.task
            return False
        return True


@pytest.mark.long
@pytest.mark.parametrize("events", [range(1, 8), range(8, 120, series(21, 7))])
async def test_a_backup_cancelled_at_any_event_leaves_nothing(events, own_server, tmp_path):
    """A backup cancelled at any event leaves no file and no query of ours on the server."""
    with own_server() as server, Sql(server.url) as sql:
        wide_table(sql)
        backstay = Backstay(server.url, tmp_path / "backups")
        await backstay.backup("d")
        kept = 1
        for event in events:
            cancel = Cancel(event)
            request = BackupRequest(("d",), threads=2, chunk_bytes=1 << 16)
            if not await cancel.run(backstay.backups.create(request, Progress(listener=cancel))):
                kept += 1
            assert len(backstay.catalogue.entries()) == kept
            assert len(files(backstay)) == 2 * kept
            wait_until(lambda: others(sql) == [], "the server has no connection of ours")
        await backstay.target.close()


@pytest.mark.long
async def test_a_restore_cancelled_at_any_event_leaves_nothing(own_server, tmp_path):
    """A restore cancelled at any event leaves no database and no query of ours on the server."""
    with own_server() as server, Sql(server.url) as sql:
        wide_table(sql)
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d", chunk_bytes=1 << 16)
        before = databases(sql)
        for event in series((1, 3, 6, 20, 90, 110, 115), (*range(1, 10), *range(10, 120, 5))):
            cancel = Cancel(event)
            request = RestoreRequest(manifest.backup_id, into="copy")
            if await cancel.run(
                backstay.recoveries.restore(
                    await backstay.recoveries.plan(request), Progress(listener=cancel)
                )
            ):
                assert databases(sql) == before
            else:
                sql.run("DROP DATABASE copy")
            wait_until(lambda: others(sql) == [], "the server has no connection of ours")
        await backstay.target.close()


async def test_a_timeout_ends_the_query_on_the_server(own_server):
    """What takes longer than the timeout is ended on the server, not just forgotten."""
    with own_server() as server, Sql(server.url) as sql:
        target = Target(server.url, timeout_seconds=3)  # a busy machine connects within that
        async with target.session() as session:
            with pytest.raises(StalledError):
                await session.query("SELECT SLEEP(30)")
        wait_until(lambda: others(sql) == [], "the query is gone")
        await target.close()
    assert threading.active_count() < 50


async def test_a_silent_network_keeps_no_locked_block_waiting(backstay, sql, database, monkeypatch):
    """Locks, connections that load and a snapshot are left in seconds when something fails in them."""
    monkeypatch.setattr(heartbeat, "_QUIET_SECONDS", QUIET_SECONDS)
    for module, name in (
        (heartbeat, "_POLL_SECONDS"),
        (heartbeat, "_LAST_SECONDS"),
        (rename, "_RELEASE_SECONDS"),
        (engine_server, "_KILL_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.5)
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    manifest = await backstay.backup(database)
    tables = [TableRef(database, "t", "InnoDB")]
    took = await asyncio.gather(
        failed_in_silence(
            backstay.url,
            lambda server: Swaps(server, backstay.journals, SystemClock()).locked([database]),
        ),
        failed_in_silence(backstay.url, lambda server: load_sessions(server, manifest, 2)),
        failed_in_silence(
            backstay.url,
            lambda server: open_snapshot(server, tables, threads=2, chunk_bytes=1 << 20),
        ),
    )
    assert max(took) < 60  # not for the five minutes that a statement may take


async def failed_in_silence(url, begin) -> float:
    """Let a block fail when its connections have become silent, and return how long it took to end."""
    failed_at = 0.0
    with proxy(url, Fault.STALL, 1 << 40) as way:
        server = Target(way.url, timeout_seconds=300)
        with suppress(ZeroDivisionError):
            async with begin(server):
                way.limit = 0
                await asyncio.sleep(ASKED_SECONDS)
                failed_at = time.monotonic()
                raise ZeroDivisionError
        took = time.monotonic() - failed_at
        await server.close()
    assert failed_at
    return took
