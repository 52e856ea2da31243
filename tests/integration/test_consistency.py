"""
What a backup sees while others write, change tables, hold locks or take rights away.

A writer's invariant is the oracle: if the restored copy breaks it, the connections of the backup saw
different moments.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.dump import ladder
from app.errors import SnapshotError
from tests.fixtures.accounts import (
    BINLOG_RIGHT,
    READER,
    account,
    as_account,
    files,
    grants_without,
    login,
)
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.concurrent_writers import (
    ACCOUNTS,
    CHUNK_BYTES,
    RANDOM,
    TABLES,
    WRITER_ERRORS,
    create_accounts,
    create_large_table,
    is_same,
    transfer,
    writers,
)
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import snapshot


def total(sql: Sql, database: str) -> tuple[int, int]:
    """Count all accounts and all money."""
    union = " UNION ALL ".join(f"SELECT v FROM `{database}`.{table}" for table in TABLES)
    count, money = sql.run(f"SELECT COUNT(*), SUM(v) FROM ({union}) x")[0]
    return int(count), int(money)


# How a rung is reached: rights beyond those of a reader, and whether the server writes a binary log.
_BETTER = f"RELOAD, PROCESS, {BINLOG_RIGHT} ON *.*"
RUNGS = (
    {
        "instance-lock": ((f"BACKUP_ADMIN, {_BETTER}",), True),
        "flush-lock": ((_BETTER,), True),
        "table-locks": (("LOCK TABLES ON bank.*", f"PROCESS, {BINLOG_RIGHT} ON *.*"), True),
        "single": ((), False),
    }
    if IS_MYSQL
    else {
        "backup-stage": ((_BETTER,), True),
        "flush-lock": ((_BETTER,), True),
        "lock-free": (("PROCESS, BINLOG ADMIN ON *.*",), True),
        "single": ((), False),
    }
)


@pytest.mark.parametrize("rung", RUNGS)
async def test_no_money_is_lost_on_any_rung(rung, own_server, tmp_path):
    """On every rung of the ladder the copy has all the money, whoever moves it meanwhile."""
    rights, binlog = RUNGS[rung]
    with own_server(*(() if binlog else ("--skip-log-bin",))) as server, ExitStack() as stack:
        sql = stack.enter_context(Sql(server.url))
        sql.script(["CREATE DATABASE bank", "USE bank"])
        create_accounts(sql)
        name = stack.enter_context(
            account(sql, *(f"{right} ON bank.*" for right in READER), *rights)
        )
        if rung == "flush-lock" and not IS_MYSQL:  # another backup program is at work
            holder = stack.enter_context(Sql(server.url))
            holder.run("BACKUP STAGE START")
        backstay = Backstay(server.url, tmp_path / "backups")
        pause = 0.005 if rung in {"backup-stage", "instance-lock"} else 0.02

        def step(client: Sql) -> None:
            transfer(client)
            time.sleep(pause)

        with writers(server.url, "bank", 16, step) as done:
            before = sum(done)
            async with as_account(backstay, name) as limited:
                manifest = await limited.backup("bank", threads=4, chunk_bytes=CHUNK_BYTES)
            assert sum(done) > before, "nobody wrote during the backup"

        await backstay.restore(manifest, "copy")
        assert total(sql, "copy") == (3 * ACCOUNTS, 3 * ACCOUNTS * 1000)
        await backstay.target.close()

    consistency = manifest.consistency
    assert (consistency.method, consistency.consistent) == (rung, True)
    skipped = [line.split()[2] for line in manifest.warnings if line.startswith("snapshot by")]
    assert skipped == list(RUNGS)[: list(RUNGS).index(rung)]
    assert bool(manifest.position.binlog_file) is binlog
    blind = any("PROCESS" in warning for warning in manifest.warnings)
    assert blind is (rung == "single")


async def test_counters_of_one_transaction_are_equal_in_every_backup(backstay, sql, database):
    """Two tables that one transaction counts up together are equal in every backup."""
    for table in ("one", "two"):
        sql.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, n BIGINT)")
        sql.run(f"INSERT INTO {table} VALUES (1, 0)")

    def count(client: Sql) -> None:
        client.run("START TRANSACTION")
        client.run("UPDATE one SET n = n + 1")
        client.run("UPDATE two SET n = n + 1")
        client.run("COMMIT")

    with writers(backstay.url, database, 1, count):
        manifests = [await backstay.backup(database, threads=2) for _ in range(5)]

    seen = []
    for manifest in manifests:
        copy = await backstay.copy(manifest)
        ((first,),), ((second,),) = (
            sql.run(f"SELECT n FROM {copy}.{table}") for table in ("one", "two")
        )
        assert first == second
        seen.append(first)
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


@pytest.mark.long
@pytest.mark.parametrize("kind", STORM)
async def test_a_backup_under_a_storm_of_ddl_is_never_short(kind, backstay, sql, database):
    """Under a storm of DDL a backup is right or fails as no snapshot; it is never short."""
    for table in ("hot", "twin", "calm"):
        sql.run(f"CREATE TABLE {table} (id INT PRIMARY KEY, s VARCHAR(20))")
        sql.run(f"INSERT INTO {table} SELECT seq, '{table}' FROM seq_1_to_500")
    good = []

    def step(client: Sql) -> None:
        client.script(STORM[kind])
        time.sleep(RANDOM.random() / 50)

    with writers(backstay.url, database, 1, step):
        for _ in range(series(3, 6)):
            with suppress(SnapshotError):
                good.append(await backstay.backup(database, threads=2, chunk_bytes=CHUNK_BYTES))

    assert len(files(backstay)) == 2 * len(good)
    for manifest in good:
        await backstay.backups.verify(manifest.backup_id)
        copy = await backstay.copy(manifest)
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
DDL = (
    "RENAME TABLE a TO spare, b TO a, spare TO b",
    "ALTER TABLE a ADD COLUMN w INT DEFAULT 7, ALGORITHM=INSTANT",
    "DROP TABLE a",
    "TRUNCATE TABLE a",
    "CREATE OR REPLACE TABLE a (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE c AS SELECT * FROM a",
)
NO_REPLACE = pytest.mark.differs("mysql", reason="it has no CREATE OR REPLACE TABLE")
# In short two phases for each statement, and three statements for each phase.
PHASES_AND_DDL = [
    pytest.param(phase, ddl, marks=[NO_REPLACE] * ddl.startswith("CREATE OR"))
    for (step, phase), (number, ddl) in itertools.product(enumerate(PHASES), enumerate(DDL))
    if step % 2 == number % 2 or series(short=False, long=True)
]


@pytest.mark.long
@pytest.mark.parametrize(("phase", "ddl"), PHASES_AND_DDL)
async def test_ddl_between_two_steps_is_noticed_or_harmless(phase, ddl, backstay, sql, database):
    """One DDL statement between any two steps of a backup is noticed, or harmless."""
    sql.script([
        "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
        "INSERT INTO a SELECT seq, 1 FROM seq_1_to_10",
        "INSERT INTO b SELECT seq, 2 FROM seq_1_to_20",
        "SET lock_wait_timeout = 5",
    ])
    before = snapshot(backstay.url, database)

    def act() -> None:
        if IS_MYSQL and phase is not Phase.SNAPSHOT:  # no DDL gets past LOCK INSTANCE
            sql.run("SET lock_wait_timeout = 1")
            with pytest.raises(WRITER_ERRORS, match="Lock wait timeout"):
                sql.run(ddl)
        else:
            sql.run(ddl)

    progress = listening(phase, act)
    manifest = await backstay.backups.create(BackupRequest((database,), threads=2), progress)

    # The second attempt, if one was needed, saw the database as it is now.
    copy = snapshot(backstay.url, await backstay.copy(manifest))
    after = snapshot(backstay.url, database)
    assert is_same(copy, before) or is_same(copy, after)


async def test_tables_that_change_places_are_each_there_once(backstay, sql, database):
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
    manifest = await backstay.backups.create(request, Progress(listener=swap))

    copy = await backstay.copy(manifest)
    contents = [sql.run(f"SELECT DISTINCT v FROM {copy}.t{number}") for number in range(8)]
    assert sorted(contents) == [[(number,)] for number in range(8)]


@pytest.mark.differs("mysql", reason="it has no BACKUP STAGE")
async def test_a_stage_that_another_program_holds_means_a_lower_rung(
    own_server, tmp_path, monkeypatch
):
    """While another program holds BACKUP STAGE for good we take a lower rung, and say so."""
    monkeypatch.setattr(ladder, "_LOCK_SECONDS", 1)
    with own_server() as server, Sql(server.url) as sql, Sql(server.url) as holder:
        sql.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (id INT PRIMARY KEY)"])
        sql.run("INSERT INTO t VALUES (1)")
        for stage in ("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"):
            holder.run(f"BACKUP STAGE {stage}")
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d", threads=2)
        await backstay.target.close()
    assert manifest.consistency.method in {"flush-lock", "lock-free"}
    assert manifest.warnings[0].startswith("snapshot by backup-stage was not possible")
    assert manifest.rows_count == 1


@pytest.mark.differs("mysql", reason="LOCK INSTANCE keeps DDL out until the backup is done")
@pytest.mark.parametrize("may_stop_logging", [True, False])
async def test_an_alter_waits_for_the_end_only_beside_the_binary_log(
    may_stop_logging, backstay, sql, database
):
    """An ALTER of a table already read waits for nobody, unless we may not leave the binary log."""
    create_large_table(sql)
    for number in range(60):
        sql.run(f"CREATE TABLE z{number} (id INT PRIMARY KEY)")
    times: dict[Phase, float] = {}

    def alter() -> None:
        with Sql(backstay.url, database) as client:
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
        async with as_account(backstay, name) as limited:
            request = BackupRequest((database,), threads=2)
            await limited.backups.create(request, Progress(listener=listener))
    await asyncio.to_thread(thread.join, 20)
    early = times[Phase.OBJECTS] - times[Phase.INDEX]
    assert (early > 0.5) is may_stop_logging


async def test_a_reader_of_one_database_backs_up_that_one(backstay, sql, database):
    """A user who may see only one of two databases backs up that one, and is told of the other."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    with account(sql, *(f"{right} ON `{database}`.*" for right in READER)) as name:
        async with as_account(backstay, name) as limited:
            manifest = await limited.backups.create(BackupRequest())
        assert [entry.name for entry in manifest.databases] == [database]
        assert login(backstay.url, name) not in str(manifest.warnings)
