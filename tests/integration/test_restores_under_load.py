"""What readers and writers see of restores and undos that happen under their hands (hazard 94)."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from random import SystemRandom
from typing import Any

import pymysql
import pytest

from app.domain.backups.manifest import Manifest
from app.domain.restores.restore import RestoreRequest, RestoreResult
from app.domain.runs.progress import Phase, Progress
from app.errors import TablesInUseError
from app.services.restores.service import RecoveryService
from tests.fixtures.accounts import account, login
from tests.fixtures.backstay import Backstay
from tests.fixtures.cli import wait_until
from tests.fixtures.restored_shop import LATER, scratch
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# Not secrets, just different every time.
DICE = SystemRandom()
DEFINITION_CHANGED = 1412
READ_ONLY, LOCK_TIMEOUT, DEADLOCK = 1290, 1205, 1213
TABLES = ("one", "two", "three", "four")


class Crowd:
    """
    Clients that work until the end of a block.

    Attributes:
        done: How often each has done its work.
        errors: Numbers of the server's errors that they met, and how often.
        failures: What ended one of them before its time.
    """

    def __init__(self, count: int) -> None:
        self.done = [0] * count
        self.errors: dict[int, int] = {}
        self.failures: list[BaseException] = []
        self._stop = threading.Event()

    def work(self, number: int, url: str, step: Callable[[Sql], None]) -> None:
        """Do the same again and again; a server's error is counted, any other ends it."""
        try:
            with Sql(url) as sql:
                while not self._stop.is_set():
                    try:
                        step(sql)
                    except pymysql.MySQLError as exc:
                        self.errors[exc.args[0]] = self.errors.get(exc.args[0], 0) + 1
                        sql.run("ROLLBACK")
                    self.done[number] += 1
        except BaseException as exc:  # shown by the test, not by the thread
            self.failures.append(exc)
            raise

    def stop(self) -> None:
        """Ask them to end."""
        self._stop.set()


@contextmanager
def crowd(url: str, count: int, step: Callable[[Sql], None]) -> Iterator[Crowd]:
    """Let some clients work beside a block."""
    made = Crowd(count)
    threads = [
        threading.Thread(target=made.work, args=(number, url, step), daemon=True)
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(made.done) or bool(made.failures), "all have done something")
        yield made
    finally:
        made.stop()
        for thread in threads:
            thread.join(60)
    assert made.failures == []


# -- readers ---------------------------------------------------------------------------------------


def generation(sql: Sql, number: int) -> None:
    """Make every table, a view and a function of database `d` say the same number."""
    sql.run("USE d")
    for table in TABLES:
        sql.script([
            f"CREATE OR REPLACE TABLE d.{table} (id INT PRIMARY KEY, g INT)",
            f"INSERT INTO d.{table} SELECT seq, {number} FROM seq_1_to_50",
        ])
    sql.script([
        "CREATE OR REPLACE VIEW d.every AS SELECT g FROM d.one UNION ALL SELECT g FROM d.four",
        "CREATE OR REPLACE TRIGGER d.stamp BEFORE INSERT ON d.two FOR EACH ROW SET NEW.g = 0",
    ])


@pytest.mark.long
async def test_readers_see_all_or_nothing(own_server, tmp_path):
    """Readers of all tables see the old database or the new one, never a mix and never a gap."""
    seen: set[tuple[int, ...]] = set()
    sums = ", ".join(f"(SELECT SUM(g) FROM d.{table})" for table in TABLES)

    def in_one_statement(sql: Sql) -> None:
        seen.add(sql.run(f"SELECT {sums}, (SELECT SUM(g) / 2 FROM d.every)")[0])

    def in_one_transaction(sql: Sql) -> None:
        sql.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        tables = DICE.sample(TABLES, k=len(TABLES))
        seen.add(tuple(sql.run(f"SELECT SUM(g) FROM d.{table}")[0][0] for table in tables))
        sql.run("COMMIT")

    with own_server("--skip-log-bin") as server, Sql(server.url) as sql:
        sql.run("CREATE DATABASE d")
        generation(sql, 1)
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d")
        generation(sql, 2)
        with (
            crowd(server.url, series(1, 3), in_one_statement) as some,
            crowd(server.url, series(2, 3), in_one_transaction) as others,
        ):
            for _ in range(series(1, 2)):
                result = await backstay.restore(manifest, create_backup=False)
                undo = await backstay.recoveries.undo(result.restore_id)
                await backstay.recoveries.undo(undo.restore_id)
        await backstay.target.close()

    assert {number for row in seen for number in row} == {50, 100}
    assert all(len(set(row)) == 1 for row in seen)
    assert some.errors == {}
    # The RENAME may wait for a table that a transaction has read while that waits for the next one.
    assert set(others.errors) <= {DEFINITION_CHANGED, DEADLOCK}


@pytest.mark.parametrize("phase", [Phase.PREFLIGHT, Phase.INDEX, Phase.SWAP])
async def test_a_snapshot_older_than_the_swap_is_told_or_reads_all(phase, backstay, sql, shop):
    """A transaction from before or after the load that reads after the swap is told so, or reads all."""
    manifest = await backstay.backup(shop)
    with Sql(backstay.url, shop) as reader:
        begun: list[object] = []

        def listener(progress: Progress) -> None:
            if progress.phase is phase and not begun:
                begun.append(reader.run("START TRANSACTION WITH CONSISTENT SNAPSHOT"))

        request = RestoreRequest(manifest.backup_id, create_backup=False)
        await backstay.recoveries.restore(
            await backstay.recoveries.plan(request), Progress(listener=listener)
        )
        try:
            rows = reader.run("SELECT COUNT(*) FROM customer")
        except pymysql.MySQLError as exc:
            rows = exc.args[0]

    assert begun
    assert rows in ([(3,)], DEFINITION_CHANGED)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_snapshot_from_the_middle_of_the_load_is_waited_for(ends, backstay, sql, shop):
    """The swap waits a while for a transaction that would see half of the rows, then warns of it."""
    manifest = await backstay.backup(shop)
    begun: list[threading.Timer] = []
    with Sql(backstay.url, shop) as reader:

        def listener(progress: Progress) -> None:
            if progress.phase is Phase.LOAD and progress.rows_done and not begun:
                reader.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                begun.append(threading.Timer(1.0, reader.run, ["COMMIT"]))

        def swapping(progress: Progress) -> None:
            listener(progress)
            if progress.phase is Phase.SWAP and ends:
                begun[0].start()

        request = RestoreRequest(manifest.backup_id, create_backup=False)
        result = await backstay.recoveries.restore(
            await backstay.recoveries.plan(request), Progress(listener=swapping)
        )
        if ends:
            begun[0].join()

    assert any("still open" in warning for warning in result.warnings) is not ends


# -- writers ---------------------------------------------------------------------------------------


BANK = (
    "CREATE TABLE account (id INT PRIMARY KEY, v BIGINT NOT NULL)",
    "INSERT INTO account SELECT seq, 1000 FROM seq_1_to_100",
    (
        "CREATE TABLE transfer (id CHAR(32) PRIMARY KEY, source INT NOT NULL, target INT NOT NULL,"
        " FOREIGN KEY (source) REFERENCES account (id), FOREIGN KEY (target) REFERENCES account (id))"
    ),
    "CREATE TABLE audit (id CHAR(32) PRIMARY KEY)",
    "CREATE TRIGGER audits AFTER INSERT ON transfer FOR EACH ROW INSERT INTO audit VALUES (NEW.id)",
)


async def restores(backstay: Backstay, manifest: Manifest, writers: Crowd) -> list[RestoreResult]:
    """Restore several times while others write; a restore that gives up changes nothing."""
    results = []
    for point in (True, False, False):
        enough = sum(writers.done) + 50
        wait_until(lambda enough=enough: sum(writers.done) > enough, "some wrote")  # type: ignore[misc]
        with suppress(TablesInUseError):
            results.append(await backstay.restore(manifest, create_backup=point))
    return results


@pytest.mark.long
async def test_writers_lose_nothing(own_server, tmp_path):
    """Under writers without a pause a restore ends in time; no commit is lost, no trigger is missed."""
    committed: set[str] = set()

    def transfer(sql: Sql) -> None:
        name = uuid.uuid4().hex
        source, other = DICE.sample(range(1, 101), k=2)
        sql.run("START TRANSACTION")
        sql.run(f"INSERT INTO bank.transfer VALUES ('{name}', {source}, {other})")
        sql.run(f"UPDATE bank.account SET v = v - 1 WHERE id = {source}")
        sql.run(f"UPDATE bank.account SET v = v + 1 WHERE id = {other}")
        sql.run("COMMIT")
        committed.add(name)

    with own_server("--skip-log-bin") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE bank", "USE bank", *BANK])
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("bank")
        with (
            account(sql, "ALL ON bank.*") as name,
            crowd(login(server.url, name), series(4, 8), transfer) as writers,
        ):
            results = await restores(backstay, manifest, writers)
        await backstay.target.close()
        found: set[str] = set()
        for place in ("bank", *scratch(sql)):
            rows = {row[0] for row in sql.run(f"SELECT id FROM {place}.transfer")}
            assert rows == {row[0] for row in sql.run(f"SELECT id FROM {place}.audit")}
            assert sql.run(f"SELECT SUM(v), COUNT(*) FROM {place}.account") == [(100_000, 100)]
            assert not rows & found
            found |= rows
        assert sql.run("SELECT @@GLOBAL.read_only") == [(0,)]

    assert found == committed
    assert set(writers.errors) <= {READ_ONLY, LOCK_TIMEOUT, DEADLOCK}
    assert results
    assert all(result.fence == "read_only" and result.duration < 45 for result in results)


# -- cancelled at any moment -----------------------------------------------------------------------


async def ended(work: Coroutine[Any, Any, RestoreResult], delay: float) -> bool:
    """Cancel something after a while and tell whether it ended by that."""
    task = asyncio.create_task(work)
    asyncio.get_running_loop().call_later(delay, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


@pytest.mark.parametrize("undone", [False, True], ids=["restore", "undo"])
async def test_what_is_cancelled_happens_wholly_or_not_at_all(undone, backstay, sql, shop):
    """What is cancelled has not happened at all, or wholly when it was too late; it can be done again."""
    manifest = await backstay.backup(shop)
    states = [snapshot(backstay.url, shop)]
    sql.script(LATER)
    states.append(snapshot(backstay.url, shop))
    first = await backstay.restore(manifest) if undone else None
    old, new = states if undone else reversed(states)

    async def work() -> RestoreResult:
        service: RecoveryService = backstay.recoveries
        if first:
            return await service.undo(first.restore_id)
        request = RestoreRequest(manifest.backup_id, create_backup=False)
        return await service.restore(await service.plan(request))

    for delay in sorted(DICE.uniform(0.02, 0.12 if undone else 0.4) for _ in range(8)):
        around = (scratch(sql, shop), len(backstay.journals.all()))
        was_cancelled = await ended(work(), delay)
        now = snapshot(backstay.url, shop)
        if now == new:
            break
        assert was_cancelled
        assert_same(old, now)
        assert (scratch(sql, shop), len(backstay.journals.all())) == around
        assert sql.run("SELECT @@GLOBAL.read_only") == [(0,)]
    else:
        await work()

    assert_same(new, snapshot(backstay.url, shop))
    await backstay.recoveries.undo(backstay.journals.all()[0].restore_id)
    assert_same(old, snapshot(backstay.url, shop))
