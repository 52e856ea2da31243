"""
K: what a backup sees while others write, change tables, hold locks or take rights away.

A writer's invariant is the oracle: if the restored copy breaks it, the connections of the backup saw
different moments.
"""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from random import SystemRandom

import pymysql
import pytest

from app.domain.backup import BackupRequest
from app.domain.manifest import Manifest
from app.domain.progress import Phase, Progress
from app.domain.restore import RestoreRequest
from app.errors import AppError, ConnectionLostError, PermissionDeniedError, SnapshotError
from tests.fixtures.accounts import (
    READER,
    account,
    as_account,
    databases,
    files,
    login,
    others,
    wait_until,
)
from tests.fixtures.servers import Sql
from tests.fixtures.trips import Trip, client_arguments
from tests.oracle import assert_same, snapshot


# Not secrets, just different every time.
DICE = SystemRandom()
ACCOUNTS = 600
TABLES = ("a1", "a2", "a3")
# Small enough for dozens of chunks a table, so that all four connections read at the same time.
CHUNK_BYTES = 2048
# Errors that DDL and locks of others bring upon a writer.
WRITER_ERRORS = (
    pymysql.err.OperationalError,
    pymysql.err.ProgrammingError,
    pymysql.err.InternalError,
)


@contextmanager
def writers(
    url: str, database: str, count: int, step: Callable[[Sql], None]
) -> Iterator[list[int]]:
    """Run a step again and again on some connections; yields how often each has run it."""
    stop = threading.Event()
    done = [0] * count
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Sql(url, database) as sql:
                sql.run("SET innodb_lock_wait_timeout = 2, lock_wait_timeout = 20")
                while not stop.is_set():
                    try:
                        step(sql)
                    except WRITER_ERRORS:
                        sql.run("ROLLBACK")
                    done[number] += 1
        except BaseException as exc:  # shown by the test, not by the thread
            errors.append(exc)
            raise

    threads = [
        threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(done) or bool(errors), "every writer works")
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not errors


def bank(sql: Sql) -> None:
    """Make three tables of accounts with 1000 each: integer, text and no key."""
    sql.run("CREATE TABLE a1 (id INT AUTO_INCREMENT PRIMARY KEY, v BIGINT, note VARCHAR(60))")
    sql.run("CREATE TABLE a2 (id VARCHAR(20) PRIMARY KEY, v BIGINT, note VARCHAR(60))")
    sql.run("CREATE TABLE a3 (id INT, v BIGINT, note VARCHAR(60), KEY (id))")
    for table in TABLES:
        sql.run(f"INSERT INTO {table} SELECT seq, 1000, REPEAT('x', 40) FROM seq_1_to_{ACCOUNTS}")


def transfer(sql: Sql) -> None:
    """Move money between two accounts of any tables."""
    one, other = DICE.choices(TABLES, k=2)
    amount = DICE.randrange(1, 100)
    sql.run("START TRANSACTION")
    sql.run(f"UPDATE {one} SET v = v - {amount} WHERE id = '{DICE.randint(1, ACCOUNTS)}'")
    sql.run(f"UPDATE {other} SET v = v + {amount} WHERE id = '{DICE.randint(1, ACCOUNTS)}'")
    sql.run("COMMIT")


def total(sql: Sql, database: str) -> tuple[int, int]:
    """Count all accounts and all money."""
    union = " UNION ALL ".join(f"SELECT v FROM `{database}`.{table}" for table in TABLES)
    count, money = sql.run(f"SELECT COUNT(*), SUM(v) FROM ({union}) x")[0]
    return int(count), int(money)


# How a rung is reached: rights beyond those of a reader, and whether the server writes a binary log.
RUNGS = {
    "backup-stage": (("RELOAD, PROCESS, BINLOG MONITOR ON *.*",), True),
    "flush-lock": (("RELOAD, PROCESS, BINLOG MONITOR ON *.*",), True),
    "lock-free": (("PROCESS, BINLOG ADMIN ON *.*",), True),
    "single": ((), False),
}


@pytest.mark.parametrize("rung", RUNGS)
async def test_k1_bank(rung, own_server, tmp_path):
    """On every rung of the ladder the copy has all the money, whoever moves it meanwhile."""
    rights, binlog = RUNGS[rung]
    with own_server(*(() if binlog else ("--skip-log-bin",))) as server, ExitStack() as stack:
        sql = stack.enter_context(Sql(server.url))
        sql.script(["CREATE DATABASE bank", "USE bank"])
        bank(sql)
        name = stack.enter_context(
            account(sql, *(f"{right} ON bank.*" for right in READER), *rights)
        )
        if rung == "flush-lock":  # another backup program is at work
            holder = stack.enter_context(Sql(server.url))
            holder.run("BACKUP STAGE START")
        trip = Trip(server.url, tmp_path / "backups")
        pause = 0.02 if rung == "lock-free" else 0.0

        def step(client: Sql) -> None:
            transfer(client)
            time.sleep(pause)

        with writers(server.url, "bank", 16, step) as done:
            before = sum(done)
            async with as_account(trip, name) as limited:
                manifest = await limited.backup("bank", threads=4, chunk_bytes=CHUNK_BYTES)
            assert sum(done) > before, "nobody wrote during the backup"

        await trip.restore(manifest, "copy")
        assert total(sql, "copy") == (3 * ACCOUNTS, 3 * ACCOUNTS * 1000)
        await trip.target.close()

    consistency = manifest.consistency
    assert (consistency.method, consistency.consistent) == (rung, True)
    skipped = [line.split()[2] for line in manifest.warnings if line.startswith("snapshot by")]
    assert skipped == list(RUNGS)[: list(RUNGS).index(rung)]
    assert bool(manifest.position.binlog_file) is binlog
    blind = any("PROCESS" in warning for warning in manifest.warnings)
    assert blind is (rung == "single")


async def test_k2_counters(trip, sql, database):
    """Two tables that one transaction counts up together are equal in every backup."""
    for table in ("one", "two"):
        sql.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, n BIGINT)")
        sql.run(f"INSERT INTO {table} VALUES (1, 0)")

    def count(client: Sql) -> None:
        client.run("START TRANSACTION")
        client.run("UPDATE one SET n = n + 1")
        client.run("UPDATE two SET n = n + 1")
        client.run("COMMIT")

    with writers(trip.url, database, 1, count):
        manifests = [await trip.backup(database, threads=2) for _ in range(5)]

    seen = []
    for manifest in manifests:
        copy = await trip.copy(manifest)
        ((one,),), ((two,),) = (
            sql.run(f"SELECT n FROM {copy}.{table}") for table in ("one", "two")
        )
        assert one == two
        seen.append(one)
    assert seen == sorted(seen)
    assert len(set(seen)) > 1


def listening(phase: Phase, act: Callable[[], None]) -> Progress:
    """Return a progress that does something once, when a phase begins."""
    left = [act]

    def listener(progress: Progress) -> None:
        if progress.phase is phase and left:
            left.pop()()

    return Progress(listener=listener)


STORM = {
    "alter": ("ALTER TABLE hot ADD COLUMN extra INT", "ALTER TABLE hot DROP COLUMN extra"),
    "rebuild": ("ALTER TABLE hot FORCE",),
    "truncate": (
        "TRUNCATE TABLE hot",
        "INSERT INTO hot SELECT seq, 'hot' FROM seq_1_to_500",
    ),
    "rename": ("RENAME TABLE hot TO spare, twin TO hot, spare TO twin",),
    "drop": (
        "DROP TABLE hot",
        "CREATE TABLE hot (id INT PRIMARY KEY, s VARCHAR(20))",
        "INSERT INTO hot SELECT seq, 'hot' FROM seq_1_to_500",
    ),
}


@pytest.mark.parametrize("kind", STORM)
async def test_k3_ddl_storm(kind, trip, sql, database):
    """Under a storm of DDL a backup is right or fails as no snapshot; it is never short."""
    for table in ("hot", "twin", "calm"):
        sql.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, s VARCHAR(20))")
        sql.run(f"INSERT INTO {table} SELECT seq, '{table}' FROM seq_1_to_500")
    good = []

    def step(client: Sql) -> None:
        client.script(STORM[kind])
        time.sleep(DICE.random() / 50)

    with writers(trip.url, database, 1, step):
        for _ in range(6):
            with suppress(SnapshotError):
                good.append(await trip.backup(database, threads=2, chunk_bytes=CHUNK_BYTES))

    assert len(files(trip)) == 2 * len(good)
    for manifest in good:
        await trip.backups.verify(manifest.backup_id)
        copy = await trip.copy(manifest)
        rows = {
            table: sql.run(f"SELECT COUNT(*), COUNT(DISTINCT s), MIN(s) FROM {copy}.{table}")[0]
            for table in ("hot", "twin", "calm")
            # Between DROP and CREATE, and only then, there is none.
            if kind != "drop" or table != "hot" or sql.run(f"SHOW TABLES IN {copy} LIKE 'hot'")
        }
        names = {rows["calm"], rows["twin"], rows.get("hot", (500, 1, "hot"))}
        empty = {(0, 0, None), (500, 1, "hot")} if kind in {"truncate", "drop"} else set()
        assert names - empty | {(500, 1, "hot")} == {
            (500, 1, table) for table in ("hot", "twin", "calm")
        }


PHASES = (Phase.SNAPSHOT, Phase.INSPECT, Phase.DUMP, Phase.OBJECTS)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "ddl",
    [
        "RENAME TABLE a TO spare, b TO a, spare TO b",
        "ALTER TABLE a ADD COLUMN w INT DEFAULT 7, ALGORITHM=INSTANT",
        "DROP TABLE a",
        "TRUNCATE TABLE a",
        "CREATE OR REPLACE TABLE a (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE c AS SELECT * FROM a",
    ],
)
async def test_k3_ddl_at_each_step(phase, ddl, trip, sql, database):
    """One DDL statement between any two steps of a backup is noticed, or harmless."""
    sql.script([
        "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT seq, 1 FROM seq_1_to_10",
        "INSERT INTO b SELECT seq, 2 FROM seq_1_to_20",
        "SET lock_wait_timeout = 5",
    ])
    before = snapshot(trip.url, database)

    progress = listening(phase, lambda: sql.script([ddl]))
    manifest = await trip.backups.create(BackupRequest((database,), threads=2), progress)

    # The second attempt, if one was needed, saw the database as it is now.
    copy = snapshot(trip.url, await trip.copy(manifest))
    after = snapshot(trip.url, database)
    assert same(copy, before) or same(copy, after)


def same(one, other) -> bool:
    """Compare two databases."""
    try:
        assert_same(one, other)
    except AssertionError:
        return False
    return True


async def test_k3_swap_between_two_tables(trip, sql, database):
    """Tables that change places after one of them was read do not end up twice and not at all."""
    for number in range(8):
        sql.run(f"CREATE TABLE t{number} (id INT PRIMARY KEY, v INT)")
        sql.run(f"INSERT INTO t{number} SELECT seq, {number} FROM seq_1_to_2000")
    attempts: list[Phase] = []

    def swap(progress: Progress) -> None:
        if progress.phase is Phase.SNAPSHOT:
            attempts.append(progress.phase)
        if progress.phase is Phase.DUMP and progress.tables_done == 4 and len(attempts) == 1:
            attempts.append(Phase.DUMP)
            for number in range(4):
                # Those still locked by the backup cannot be renamed, which is as good.
                try:
                    sql.run("SET lock_wait_timeout = 0")
                    sql.run(
                        f"RENAME TABLE t{number} TO x, t{number + 4} TO t{number}, x TO t{number + 4}"
                    )
                except WRITER_ERRORS:
                    continue

    request = BackupRequest((database,), threads=2, chunk_bytes=CHUNK_BYTES)
    manifest = await trip.backups.create(request, Progress(listener=swap))

    copy = await trip.copy(manifest)
    contents = [sql.run(f"SELECT DISTINCT v FROM {copy}.t{number}") for number in range(8)]
    assert sorted(contents) == [[(number,)] for number in range(8)]


def run_long(url: str) -> None:
    """Run a query that ends only when it is killed."""
    with Sql(url, "d") as client, suppress(*WRITER_ERRORS):
        client.run("SELECT SLEEP(60) FROM t")


def sleepers(sql: Sql) -> list[int]:
    """Ids of the connections that run `run_long`."""
    listing = "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
    return [row[0] for row in sql.run(listing)]


async def test_k4_long_query_before_flush(own_server, tmp_path):
    """A query that holds up our lock makes us give up in time, and nobody waits longer than that."""
    with own_server() as server, Sql(server.url) as sql, Sql(server.url) as holder:
        sql.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (id INT PRIMARY KEY, v INT)"])
        sql.run("INSERT INTO t VALUES (1, 1)")
        holder.run("BACKUP STAGE START")  # leaves FLUSH TABLES WITH READ LOCK as the best rung
        sleeper = threading.Thread(target=run_long, args=(server.url,), daemon=True)
        sleeper.start()
        wait_until(lambda: bool(sleepers(sql)), "the long query runs")
        trip = Trip(server.url, tmp_path / "backups")
        waits = [0.0]

        def step(client: Sql) -> None:
            began = time.monotonic()
            client.run("UPDATE t SET v = v + 1")
            waits.append(time.monotonic() - began)

        with writers(server.url, "d", 1, step):
            began = time.monotonic()
            manifest = await trip.backup("d", threads=2)
            took = time.monotonic() - began
        sql.run(f"KILL {sleepers(sql)[0]}")
        sleeper.join(20)
        await trip.target.close()

    assert manifest.consistency.method in {"flush-lock", "lock-free"}
    assert took < 20
    assert max(waits) < 6


def binary_log(url: str, manifest: Manifest) -> bytes:
    """Read everything that happened since a backup's point, as the client takes it."""
    position = manifest.position
    program = ["mariadb-binlog", "--read-from-remote-server", *client_arguments(url)]
    span = [f"--start-position={position.binlog_position}", "--to-last-log", position.binlog_file]
    return subprocess.run([*program, *span], capture_output=True, check=True, timeout=60).stdout


def replay(url: str, log: bytes) -> None:
    """Do it all again."""
    program = ["mariadb", "--no-defaults", *client_arguments(url)]
    subprocess.run(program, input=log, check=True, timeout=60)


async def test_k5_replay_from_the_position(own_server, tmp_path):
    """The binary log, replayed from the recorded position over the copy, gives the live tables."""
    with own_server() as server, own_server("--skip-log-bin") as spare:
        with Sql(server.url) as sql:
            sql.script(["CREATE DATABASE bank", "USE bank"])
            bank(sql)
            source = Trip(server.url, tmp_path / "backups")

            def step(client: Sql) -> None:
                transfer(client)
                client.run("INSERT INTO a1 (v, note) VALUES (0, 'new')")

            with writers(server.url, "bank", 3, step) as done:
                manifest = await source.backup("bank", threads=4, chunk_bytes=CHUNK_BYTES)
                enough = sum(done) + 300
                wait_until(lambda: sum(done) > enough, "some more was written")
            position = manifest.position
            assert position.binlog_file
            assert position.gtid
            log = await asyncio.to_thread(binary_log, server.url, manifest)
            live = snapshot(server.url, "bank")
        target = Trip(spare.url, tmp_path / "backups")
        await target.restore(manifest)
        assert not same(live, snapshot(spare.url, "bank"))
        await asyncio.to_thread(replay, spare.url, log)
        assert_same(live, snapshot(spare.url, "bank"))
        for trip in (source, target):
            await trip.target.close()


def large_table(sql: Sql, rows: int = 20_000) -> None:
    """Make a table that takes a few hundred statements."""
    sql.run("CREATE TABLE big (id INT PRIMARY KEY, s VARCHAR(200))")
    sql.run(f"INSERT INTO big SELECT seq, REPEAT('x', 150) FROM seq_1_to_{rows}")


def killer(sql: Sql, phase: Phase, events: int) -> Progress:
    """Return a progress that kills one of our connections after some events of a phase."""
    left = [events]

    def listener(progress: Progress) -> None:
        if progress.phase is phase:
            left[0] -= 1
            if left[0] == 0:
                sql.run(f"KILL {DICE.choice(others(sql))}")

    return Progress(listener=listener)


@pytest.fixture
def lone(own_server, tmp_path):
    """A server of its own with a large table, so that all other connections on it are ours."""
    with own_server() as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "USE d"])
        large_table(sql)
        yield Trip(server.url, tmp_path / "backups"), sql


@pytest.mark.parametrize("event", [3, 40])
async def test_k6_killed_during_a_backup(event, lone):
    """A connection killed in the middle of a backup ends it; nothing is listed and nothing left."""
    trip, sql = lone

    with pytest.raises(ConnectionLostError) as caught:
        await trip.backups.create(
            BackupRequest(("d",), threads=3, chunk_bytes=CHUNK_BYTES * 8),
            killer(sql, Phase.DUMP, event),
        )

    assert caught.value.hint
    assert trip.catalogue.entries() == ()
    assert files(trip) == set()
    wait_until(lambda: others(sql) == [], "our connections are gone")
    await trip.target.close()


@pytest.mark.parametrize("event", [2, 30])
async def test_k6_killed_during_a_restore(event, lone):
    """A connection killed in the middle of a restore ends it; the target is removed again."""
    trip, sql = lone
    manifest = await trip.backup("d", chunk_bytes=CHUNK_BYTES * 8)
    # The connection that holds nothing but the right to clean up may be hit: the restore goes on.
    holders = databases(sql)
    progress = killer(sql, Phase.LOAD, event)

    try:
        await trip.recoveries.restore(RestoreRequest(manifest.backup_id, into="copy"), progress)
    except ConnectionLostError:
        assert databases(sql) == holders
    else:
        assert sql.run("SELECT COUNT(*) FROM copy.big") == [(20_000,)]
    wait_until(lambda: others(sql) == [], "our connections are gone")
    await trip.target.close()


RICH = [
    "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
    "INSERT INTO t VALUES (1, 1), (2, 2)",
    "CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM",
    "INSERT INTO m VALUES (1)",
    "CREATE VIEW w AS SELECT id FROM t",
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SET @x = 1",
    "CREATE PROCEDURE p() SELECT 1",
]
ALL_RIGHTS = {
    "SELECT": "`{}`.*",
    "SHOW VIEW": "`{}`.*",
    "TRIGGER": "`{}`.*",
    "EVENT": "`{}`.*",
    "LOCK TABLES": "`{}`.*",
    "RELOAD": "*.*",
    "PROCESS": "*.*",
    "BINLOG MONITOR": "*.*",
    "SELECT on mysql.proc": "mysql.proc",
}


def grants_without(missing: str, database: str) -> list[str]:
    """Return every grant but one."""
    return [
        f"{right.split(' on ')[0]} ON {scope.format(database)}"
        for right, scope in ALL_RIGHTS.items()
        if right != missing
    ]


@pytest.mark.parametrize(
    "missing", ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "SELECT on mysql.proc"]
)
async def test_k7_required_right(missing, trip, sql, database):
    """Without a right that a backup needs, the error names it and the GRANT that mends it."""
    sql.script(RICH)
    with account(sql, *grants_without(missing, database)) as name:
        async with as_account(trip, name) as limited:
            with pytest.raises(PermissionDeniedError) as caught:
                await limited.backup(database)
        assert files(trip) == set()
        error = caught.value
        assert missing.split(" on ")[0] in f"{error} {error.hint}"
        grant = error.hint.replace("the user of BACKSTAY_DATABASE_URL", f"'{name}'@'%'")
        sql.script(line for line in grant.split(";") if line.strip())
        async with as_account(trip, name) as limited:
            manifest = await limited.backup(database)
    assert_same(snapshot(trip.url, database), snapshot(trip.url, await trip.copy(manifest)))


@pytest.mark.parametrize("missing", ["LOCK TABLES", "RELOAD", "PROCESS", "BINLOG MONITOR"])
async def test_k7_wished_right(missing, trip, sql, database):
    """Without a right that only makes a backup better, it is made, and says what it lacks."""
    sql.script(RICH)
    with account(sql, *grants_without(missing, database)) as name:
        async with as_account(trip, name) as limited:
            manifest = await limited.backup(database)
    assert_same(snapshot(trip.url, database), snapshot(trip.url, await trip.copy(manifest)))
    warnings = " ".join(manifest.warnings)
    if missing == "RELOAD":
        assert manifest.consistency.method == "lock-free"
        assert "snapshot by backup-stage was not possible" in warnings
    elif missing == "LOCK TABLES":
        assert "could not be locked" in warnings
        assert f"{database}.m" in warnings
    elif missing == "PROCESS":
        assert "PROCESS" in warnings
    else:
        assert not manifest.position.binlog_file
        assert "BINLOG MONITOR" in warnings


async def test_k7_rights_by_a_role(trip, sql, database):
    """Rights that come from a role that is the user's default count like the user's own."""
    sql.script(RICH)
    role = f"r_{database}"
    sql.run(f"CREATE ROLE {role}")
    try:
        with account(sql) as name:
            for grant in grants_without("", database):
                sql.run(f"GRANT {grant} TO {role}")
            sql.script([f"GRANT {role} TO {name}@'%'", f"SET DEFAULT ROLE {role} FOR {name}@'%'"])
            async with as_account(trip, name) as limited:
                manifest = await limited.backup(database)
    finally:
        sql.run(f"DROP ROLE {role}")
    assert manifest.consistency.method == "backup-stage"
    assert_same(snapshot(trip.url, database), snapshot(trip.url, await trip.copy(manifest)))


async def test_k7_rights_by_a_role_that_is_off(trip, sql, database):
    """A role that is granted but not active does not help, and the error says what to grant."""
    sql.script(RICH)
    role = f"r_{database}"
    sql.run(f"CREATE ROLE {role}")
    try:
        with account(sql, f"SELECT ON `{database}`.*") as name:
            sql.script([f"GRANT SHOW VIEW, TRIGGER, EVENT ON `{database}`.* TO {role}"])
            sql.run(f"GRANT {role} TO {name}@'%'")
            async with as_account(trip, name) as limited:
                with pytest.raises(PermissionDeniedError) as caught:
                    await limited.backup(database)
    finally:
        sql.run(f"DROP ROLE {role}")
    assert f"GRANT TRIGGER ON `{database}`.* TO '{name}'@'%';" in caught.value.hint


async def test_k7_rights_on_single_tables(trip, sql, database):
    """Rights on single tables are enough for a backup of these tables."""
    sql.script(RICH)
    with account(sql, f"SELECT, SHOW VIEW, TRIGGER ON `{database}`.t") as name:
        async with as_account(trip, name) as limited:
            manifest = await limited.backup(database, tables=("t",))
            with pytest.raises(AppError):
                await limited.backup(database, tables=("m",))
            with pytest.raises(PermissionDeniedError):
                await limited.backup(database)
    copy = await trip.copy(manifest)
    assert sql.run(f"SELECT * FROM {copy}.t ORDER BY id") == [(1, 1), (2, 2)]
    assert [one.name for one in manifest.databases[0].objects] == ["r"]


async def test_k9_another_program_holds_the_stage(own_server, tmp_path):
    """While another program holds BACKUP STAGE we take a lower rung, in time, and say so."""
    with own_server() as server, Sql(server.url) as sql, Sql(server.url) as holder:
        sql.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (id INT PRIMARY KEY)"])
        sql.run("INSERT INTO t VALUES (1)")
        for stage in ("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"):
            holder.run(f"BACKUP STAGE {stage}")
        trip = Trip(server.url, tmp_path / "backups")
        began = time.monotonic()
        manifest = await trip.backup("d", threads=2)
        took = time.monotonic() - began
        await trip.target.close()
    assert took < 20
    assert manifest.consistency.method in {"flush-lock", "lock-free"}
    assert manifest.warnings[0].startswith("snapshot by backup-stage was not possible")
    assert manifest.rows_count == 1


@pytest.mark.parametrize("may_stop_logging", [True, False])
async def test_alter_does_not_wait_for_the_end(may_stop_logging, trip, sql, database):
    """An ALTER of a table already read waits for nobody, unless we may not leave the binary log."""
    large_table(sql)
    for number in range(60):
        sql.run(f"CREATE TABLE z{number} (id INT PRIMARY KEY)")
    times: dict[Phase, float] = {}

    def alter() -> None:
        with Sql(trip.url, database) as client:
            client.run("ALTER TABLE big ADD COLUMN w INT, ALGORITHM=INSTANT")
            times[Phase.INDEX] = time.monotonic()

    thread = threading.Thread(target=alter)

    def listener(progress: Progress) -> None:
        times[progress.phase] = time.monotonic()
        if progress.phase is Phase.DUMP and progress.tables_done:
            if not thread.ident:
                thread.start()
            time.sleep(0.025)  # stands for tables that take long

    grants = ["BINLOG ADMIN ON *.*"] if may_stop_logging else []
    with account(sql, *grants, *grants_without("", database)) as name:
        async with as_account(trip, name) as limited:
            request = BackupRequest((database,), threads=2)
            await limited.backups.create(request, Progress(listener=listener))
    await asyncio.to_thread(thread.join, 20)
    early = times[Phase.OBJECTS] - times[Phase.INDEX]
    assert (early > 0.5) is may_stop_logging


async def test_cut_login_of_a_reader(trip, sql, database):
    """A user who may see only one of two databases backs up that one, and is told of the other."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    with account(sql, *(f"{right} ON `{database}`.*" for right in READER)) as name:
        async with as_account(trip, name) as limited:
            manifest = await limited.backups.create(BackupRequest())
        assert [one.name for one in manifest.databases] == [database]
        assert login(trip.url, name) not in str(manifest.warnings)
