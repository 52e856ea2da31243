"""R8, R10: which tables a restore in place changes, and what it refuses before it changes any."""

import asyncio
import subprocess
from typing import Any

import pytest

from app.domain.progress import Phase, Progress
from app.domain.recovery import RecoveryPhase
from app.domain.restore import RestoreRequest
from app.errors import (
    AlreadyRunningError,
    IncompatibleServerError,
    IntegrityError,
    InvalidRequestError,
    PermissionDeniedError,
    StatementError,
    TableNotFoundError,
    TargetNotEmptyError,
)
from app.services import swaps
from tests.corpora import objects
from tests.fixtures.accounts import account, as_account
from tests.fixtures.forged import with_rows_twice, with_text
from tests.fixtures.servers import Sql
from tests.fixtures.swapped import LATER, SHOP, drop, errno, scratch, untouched
from tests.fixtures.trips import Trip, client_arguments
from tests.oracle import assert_same, snapshot


@pytest.fixture
def other(sql, shop):
    """A second, empty database."""
    name = f"{shop}_x"
    sql.run(f"CREATE DATABASE {name}")
    yield name
    drop(sql, name, shop)


def tables_of(snap):
    """Return what a snapshot says of tables and their rows, by table."""
    return {
        name: (rows, snap["definition"][f"TABLE {name}"]) for name, rows in snap["content"].items()
    }


# -- R8: what is chosen ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (("journal",), {"journal"}),
        (("*r*", "customer"), {"customer", "journal", "purchase"}),
        (("?ustomer", "*.journal"), {"customer", "journal"}),
    ],
)
async def test_r8_some_tables(patterns, chosen, trip, sql, shop):
    """Tables chosen by name are as in the backup with their triggers, all others as they were."""
    manifest = await trip.backup(shop)
    backed_up = snapshot(trip.url, shop)
    sql.script(LATER)
    before = snapshot(trip.url, shop)

    result = await trip.restore(manifest, tables=patterns)

    after = tables_of(snapshot(trip.url, shop))
    assert set(result.restored_tables) == {f"{shop}.{name}" for name in chosen}
    assert result.dropped_tables == ()
    for name, table in after.items():
        assert table == tables_of(backed_up if name in chosen else before)[name]
    triggers = {row[0] for row in sql.run("SHOW TRIGGERS")}
    assert triggers == {"extra_set", "noted"} | ({"checked"} if "purchase" in chosen else set())
    assert set(after) == {"customer", "extra", "journal", "purchase"}
    assert sql.run("SELECT COUNT(*) FROM more")
    await trip.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(trip.url, shop))


async def test_r8_a_backup_of_some_tables(trip, sql, shop):
    """A backup of some tables changes these and leaves everything else alone."""
    manifest = await trip.backup(shop, tables=("customer", "purchase"))
    backed_up = tables_of(snapshot(trip.url, shop))
    sql.script(LATER)
    before = tables_of(snapshot(trip.url, shop))

    result = await trip.restore(manifest)

    after = tables_of(snapshot(trip.url, shop))
    expected = {**before, "customer": backed_up["customer"], "purchase": backed_up["purchase"]}
    assert after == expected
    assert result.dropped_tables == ()
    assert {row[0] for row in sql.run("SHOW TRIGGERS")} == {"extra_set", "noted", "checked"}
    assert errno(sql, "CALL other()") == 0


async def test_r8_a_whole_restore(trip, sql, shop):
    """A whole restore leaves exactly what is in the backup, and says which tables went."""
    sql.run("CREATE SEQUENCE numbers START WITH 7")
    manifest = await trip.backup(shop)
    before = snapshot(trip.url, shop)
    sql.script([*LATER, "DROP SEQUENCE numbers", "CREATE SEQUENCE digits"])
    sql.run(f"ALTER DATABASE {shop} CHARACTER SET latin1")

    result = await trip.restore(manifest)

    assert_same(before, snapshot(trip.url, shop))
    assert result.dropped_tables == (f"{shop}.digits", f"{shop}.extra")
    assert result.databases == (shop,)
    assert (result.verified, result.verified_before) == (True, True)


async def test_r8_several_databases(trip, sql, shop, other):
    """Databases with keys into each other change places together, and come back by one undo."""
    sql.script([*objects.o6(shop, other), f"CREATE TABLE {other}.plain (id INT)"])
    manifest = await trip.backup(shop, other)
    backed_up = [snapshot(trip.url, name) for name in (shop, other)]
    sql.script(["SET foreign_key_checks = 0", f"DELETE FROM {other}.o6_far"])
    sql.script([f"DROP TABLE {other}.plain", "DROP TABLE o6_wide", "DELETE FROM o6_self"])
    sql.run("SET foreign_key_checks = 1")
    before = [snapshot(trip.url, name) for name in (shop, other)]

    result = await trip.restore(manifest)

    for name, one in zip((shop, other), backed_up, strict=True):
        assert_same(one, snapshot(trip.url, name))
    assert errno(sql, f"DELETE FROM {other}.o6_far") == errno(sql, "DELETE FROM o6_near") == 1451
    await trip.recoveries.undo(result.restore_id)
    for name, one in zip((shop, other), before, strict=True):
        assert_same(one, snapshot(trip.url, name))


async def test_r8_one_of_several_databases(trip, sql, shop, other):
    """One database of several is restored in place, or under another name; keys bind the live ones."""
    sql.script(objects.o6(shop, other))
    manifest = await trip.backup(shop, other)
    before = snapshot(trip.url, other)
    sql.run("DELETE FROM purchase")

    result = await trip.restore(manifest, databases=(shop,))

    assert result.databases == (shop,)
    assert_same(before, snapshot(trip.url, other))
    assert errno(sql, f"DELETE FROM {other}.o6_far") == errno(sql, "DELETE FROM o6_near") == 1451
    copy = trip.new_name()
    with untouched(trip, shop, other):
        with pytest.raises(InvalidRequestError, match="names one database"):
            await trip.restore(manifest, copy)
        with pytest.raises(TargetNotEmptyError):
            await trip.restore(manifest, other, databases=(shop,))
    result = await trip.restore(manifest, copy, databases=(shop,))
    assert (result.recovery_point, result.databases) == ("", (copy,))
    assert sql.run(f"SELECT SUM(amount) FROM {copy}.purchase") == [(30,)]
    await trip.recoveries.undo(result.restore_id)
    assert sql.run(f"SHOW DATABASES LIKE '{copy}'") == []
    drop(sql, copy)


async def test_r8_rows_only(trip, sql, shop):
    """With rows only, tables and triggers keep the definitions they have now."""
    manifest = await trip.backup(shop)
    sql.script([
        "ALTER TABLE purchase ADD note VARCHAR(9) DEFAULT 'new', ADD KEY (amount), COMMENT 'mine'",
        "ALTER TABLE customer DROP PRIMARY KEY, ADD PRIMARY KEY (id), MODIFY id INT FIRST",
        "DROP TRIGGER checked",
        "CREATE TRIGGER since BEFORE INSERT ON purchase FOR EACH ROW SET NEW.note = 'set'",
        "DELETE FROM purchase",
        "INSERT INTO purchase VALUES (9, 1, 1, 'x')",
    ])
    before = snapshot(trip.url, shop)

    result = await trip.restore(manifest, data_only=True)

    assert sql.run("SELECT * FROM purchase ORDER BY id") == [(1, 1, 10, "new"), (2, 2, 20, "new")]
    assert {row[0] for row in sql.run("SHOW TRIGGERS")} == {"noted", "since"}
    comment = sql.run("SHOW TABLE STATUS LIKE 'purchase'")[0][17]
    assert comment == "mine"
    assert result.rows_count == 7
    sql.run("INSERT INTO purchase (customer, amount) VALUES (1, 1)")
    assert sql.run("SELECT note FROM purchase WHERE amount = 1") == [("set",)]
    await trip.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(trip.url, shop))


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE customer DROP name",
        "ALTER TABLE customer MODIFY name VARCHAR(10) NOT NULL",
        "DROP TABLE journal",
    ],
)
async def test_r8_rows_only_that_do_not_fit(change, trip, sql, shop):
    """Rows for a column or a table that is not there any more are refused before anything changes."""
    manifest = await trip.backup(shop)
    sql.run(change)
    catalogue = len(trip.catalogue.entries())

    with untouched(trip, shop), pytest.raises(IncompatibleServerError, match=r"customer|journal"):
        await trip.restore(manifest, data_only=True)

    assert len(trip.catalogue.entries()) == catalogue


async def test_r8_definitions_only(trip, sql, shop):
    """Without rows, the tables are empty and everything else is as in the backup."""
    manifest = await trip.backup(shop)
    sql.script(LATER)

    result = await trip.restore(manifest, schema_only=True)

    assert result.rows_count == 0
    assert sql.run("SELECT COUNT(*) FROM customer, purchase, journal") == [(0,)]
    sql.run("INSERT INTO customer VALUES (1, 'x')")
    sql.run("INSERT INTO purchase (customer, amount) VALUES (1, -3)")
    assert sql.run("SELECT * FROM sales") == [("x", 0)]
    assert errno(sql, "CALL tidy()") == 0


async def test_r8_a_backup_without_rows(trip, sql, shop):
    """A backup without rows does not take the place of rows, unless that is asked for."""
    manifest = await trip.backup(shop, include_data=False)
    with untouched(trip, shop):
        with pytest.raises(IncompatibleServerError, match="--schema-only"):
            await trip.restore(manifest)
        with pytest.raises(InvalidRequestError):
            await trip.restore(manifest, data_only=True)
        with pytest.raises(InvalidRequestError):
            await trip.restore(manifest, data_only=True, schema_only=True)
        with pytest.raises(TableNotFoundError):
            await trip.restore(manifest, tables=("nothing*",), schema_only=True)

    await trip.restore(manifest, schema_only=True)

    assert sql.run("SELECT COUNT(*) FROM customer") == [(0,)]


async def test_orphans_are_told(trip, sql, shop):
    """Rows that lose their parent by a restore of one table are counted in a warning."""
    manifest = await trip.backup(shop)
    sql.script([
        "INSERT INTO customer VALUES (8, 'x')",
        "INSERT INTO purchase VALUES (80, 8, 1), (81, 8, 1), (82, NULL, 1)",
    ])

    result = await trip.restore(manifest, tables=("customer",))

    (warning,) = result.warnings
    assert f"foreign key buys of {shop}.purchase: 2 rows without a parent" in warning
    assert errno(sql, "INSERT INTO purchase VALUES (83, 8, 1)") == 1452


# -- the recovery point ---------------------------------------------------------------------------


@pytest.mark.parametrize("patterns", [(), ("purchase", "journal")])
async def test_recovery_point(patterns, trip, sql, shop):
    """Before a restore, exactly what it replaces is backed up as a recovery point."""
    manifest = await trip.backup(shop)
    sql.script(LATER)
    before = snapshot(trip.url, shop)

    result = await trip.restore(manifest, tables=patterns)

    point = trip.catalogue.manifest(result.recovery_point)
    assert point.options.recovery_point
    (database,) = point.databases
    replaced = {"customer", "extra", "journal", "purchase"} if not patterns else set(patterns)
    assert {table.name for table in database.tables} == replaced
    await trip.recoveries.restore(RestoreRequest(result.recovery_point))
    assert_same(before, snapshot(trip.url, shop))


async def test_no_recovery_point(trip, sql, shop):
    """There is none when it is not wanted, or nothing is replaced."""
    manifest = await trip.backup(shop)
    copy = trip.new_name()

    results = [
        await trip.restore(manifest, create_backup=False),
        await trip.restore(manifest, copy),
    ]
    sql.run(f"DROP DATABASE {shop}")
    results.append(await trip.restore(manifest))

    assert [one.recovery_point for one in results] == ["", "", ""]
    assert len(trip.catalogue.entries()) == 1
    sql.run(f"USE {shop}")


# -- R10: backups that are not what they promise --------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"'ada'", b"'a customer whose name is far too long'"),
        (b"(2,", b"(1,"),
        (b"`name` varchar(20)", b"`name` varchar(21)"),
        (b"AFTER INSERT ON", b"BEFORE INSERT ON"),
        (b"DELETE FROM journal", b"DELETE FROM purchase"),
    ],
    ids=["too long", "same key", "column", "trigger", "procedure"],
)
async def test_r10_a_backup_that_was_changed(old, new, trip, sql, shop):
    """A backup whose every digest is right, but whose content does not fit together, is refused."""
    manifest = await trip.backup(shop)
    forged = await with_text(trip, manifest, old, new)
    sql.script(LATER)

    with untouched(trip, shop), pytest.raises((StatementError, IntegrityError)):
        await trip.restore(forged)


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
async def test_r10_rows_twice(key, trip, sql, shop):
    """A backup with rows twice in it is refused, whether or not a key sees them."""
    drop(sql, shop)
    sql.script([f"CREATE DATABASE {shop}", f"USE {shop}", f"CREATE TABLE t (id INT {key})"])
    sql.run("INSERT INTO t VALUES (1), (2), (3)")
    forged = await with_rows_twice(trip, await trip.backup(shop))
    sql.run("INSERT INTO t VALUES (4)")

    with untouched(trip, shop), pytest.raises((StatementError, IntegrityError)):
        await trip.restore(forged)


# -- cancelled ------------------------------------------------------------------------------------


class Cancelling(Progress):
    """Cancels a task when a phase begins for the n-th time."""

    def __init__(self, phase: Phase, count: int) -> None:
        super().__init__()
        self.left = [phase] * count
        self.task: asyncio.Task[Any] | None = None

    def enter(self, phase: Phase) -> None:
        super().enter(phase)
        if self.left and phase is self.left[0]:
            self.left.pop()
            if not self.left and self.task:
                self.task.cancel()


@pytest.mark.parametrize(
    ("phase", "count"),
    [
        (Phase.PREFLIGHT, 1),
        (Phase.VERIFY, 1),
        (Phase.RECOVERY_POINT, 1),
        (Phase.DUMP, 1),
        (Phase.LOAD, 1),
        (Phase.PROVE, 1),
        (Phase.SWAP, 1),
        (Phase.PROVE, 2),
    ],
)
async def test_cancelled_when_a_phase_begins(phase, count, trip, sql, shop):
    """Whenever a restore is cancelled, the database is exactly as before, and nothing is left."""
    manifest = await trip.backup(shop)
    sql.script(LATER)
    progress = Cancelling(phase, count)
    request = RestoreRequest(manifest.backup_id)
    with untouched(trip, shop):
        progress.task = asyncio.create_task(trip.recoveries.restore(request, progress))
        with pytest.raises(asyncio.CancelledError):
            await progress.task

    await trip.restore(manifest)


# -- rights ---------------------------------------------------------------------------------------


async def test_rights(own_server, tmp_path):
    """Missing rights are named before anything changes, and what the hint grants is enough."""
    with own_server("--skip-log-bin") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE a_shop", "USE a_shop", *SHOP])
        trip = Trip(server.url, tmp_path / "backups")
        manifest = await trip.backup("a_shop")
        sql.script(LATER)
        with account(sql, "ALL ON `a\\_shop`.*", "SELECT ON mysql.proc") as name:
            async with as_account(trip, name) as limited:
                with untouched(trip, "a_shop"), pytest.raises(PermissionDeniedError) as caught:
                    await limited.restore(manifest)
            assert "`a\\_shop\\_\\_bk\\_%`.*" in caught.value.hint
            sql.script(one for one in caught.value.hint.split(";") if one.strip())
            async with as_account(trip, name) as limited:
                result = await limited.restore(manifest)
                assert result.fence == "none"
                assert any("may not set read_only" in warning for warning in result.warnings)
                await limited.recoveries.prove(manifest.backup_id)
                undo = await limited.recoveries.undo(result.restore_id)
                assert undo.fence == "none"
            sql.run(f"GRANT READ_ONLY ADMIN ON *.* TO {name}@'%'")
            async with as_account(trip, name) as limited:
                again = await limited.restore(manifest)
                assert again.fence == "read_only"
                assert not any("read_only" in warning for warning in again.warnings)
        await trip.target.close()


# -- two at once ----------------------------------------------------------------------------------


async def test_two_restores_of_one_database(trip, sql, shop):
    """Of two restores of the same database at once, one is refused and the other is complete."""
    manifest = await trip.backup(shop)
    before = snapshot(trip.url, shop)
    sql.script(LATER)

    ends = await asyncio.gather(
        trip.restore(manifest), trip.restore(manifest), return_exceptions=True
    )

    errors = [one for one in ends if isinstance(one, BaseException)]
    assert [type(one) for one in errors] == [AlreadyRunningError]
    assert_same(before, snapshot(trip.url, shop))


async def test_a_restore_while_another_waits_for_locks(trip, sql, shop, monkeypatch):
    """A restore that comes later leaves the one at work alone, and is refused."""
    monkeypatch.setattr(swaps, "_MOST_PATIENCE_SECONDS", 0)
    manifest = await trip.backup(shop)
    copy = await trip.copy(manifest)
    other = await trip.backup(copy)
    waiting = asyncio.Event()

    def listener(progress):
        if progress.phase is Phase.SWAP:
            waiting.set()

    with Sql(trip.url, shop) as holder:
        holder.script(["START TRANSACTION", "SELECT * FROM customer"])
        request = RestoreRequest(manifest.backup_id, create_backup=False)
        first = asyncio.create_task(trip.recoveries.restore(request, Progress(listener=listener)))
        await waiting.wait()
        with pytest.raises(AlreadyRunningError):
            await trip.restore(manifest)
        beside = await trip.restore(other)
        holder.run("ROLLBACK")
    result = await first

    assert result.databases == (shop,)
    assert beside.databases == (copy,)
    phases = [one.phase for one in trip.journals.all() if one.phase is not RecoveryPhase.FORGOTTEN]
    assert phases == [RecoveryPhase.DONE] * len(phases)
    drop(sql, copy)


async def test_two_restores_of_two_databases(trip, sql, shop, other):
    """Restores of different databases go on at the same time."""
    sql.run(f"CREATE TABLE {other}.t (id INT PRIMARY KEY)")
    sql.run(f"INSERT INTO {other}.t VALUES (1), (2)")
    manifests = [await trip.backup(name) for name in (shop, other)]
    before = [snapshot(trip.url, name) for name in (shop, other)]
    sql.script([*LATER, f"DELETE FROM {other}.t"])

    results = await asyncio.gather(*(trip.restore(one) for one in manifests))

    assert [one.databases for one in results] == [(shop,), (other,)]
    for name, one in zip((shop, other), before, strict=True):
        assert_same(one, snapshot(trip.url, name))


# -- the binary log -------------------------------------------------------------------------------


async def test_binary_log(own_server, tmp_path):
    """A restore, its undo and another restore reach a replica by the log; a skipped one leaves no trace."""
    with own_server() as server, own_server("--skip-log-bin") as spare, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE shop", "USE shop", *SHOP])
        trip = Trip(server.url, tmp_path / "backups")
        manifest = await trip.backup("shop")
        sql.script(LATER)
        result = await trip.restore(manifest)
        undo = await trip.recoveries.undo(result.restore_id)
        again = await trip.restore(manifest, tables=("customer", "purchase"))
        live = snapshot(server.url, "shop")
        kept = scratch(sql)
        ((first, _),) = sql.run("SHOW BINARY LOGS")
        await asyncio.to_thread(replay, server.url, spare.url, first)
        with Sql(spare.url) as replica:
            assert scratch(replica) == kept
        assert_same(live, snapshot(spare.url, "shop"))
        for name in kept:
            assert_same(snapshot(server.url, name), snapshot(spare.url, name))

        before = sql.run("SHOW MASTER STATUS")
        silent = await trip.restore(manifest, skip_binlog=True)
        assert sql.run("SHOW MASTER STATUS") == before
        await trip.recoveries.undo(silent.restore_id)
        assert sql.run("SHOW MASTER STATUS") == before
        assert_same(live, snapshot(server.url, "shop"))
        await trip.target.close()

    assert [result.binary_log, again.binary_log] == ["written", "written"]
    assert undo.warnings == ()
    assert silent.binary_log == "skipped"
    assert any("not in the binary log" in warning for warning in silent.warnings)


def replay(source, target, first):
    """Run on one server what the binary log of another has from a file on."""
    read = ["mariadb-binlog", "--read-from-remote-server", *client_arguments(source)]
    log = subprocess.run([*read, "--to-last-log", first], capture_output=True, check=True)
    write = ["mariadb", "--no-defaults", "--binary-mode", *client_arguments(target)]
    done = subprocess.run(write, input=log.stdout, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
