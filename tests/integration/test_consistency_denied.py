"""Backups and restores whose connections are killed, or whose rights are not enough (hazards 16, 17 and 76)."""

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.errors import AppError, ConnectionLostError, PermissionDeniedError
from tests.fixtures.accounts import (
    BINLOG_RIGHT,
    ROUTINE_RIGHT,
    account,
    as_account,
    databases,
    end_connection,
    files,
    grants_without,
    others,
)
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.cli import wait_until
from tests.fixtures.concurrent_writers import CHUNK_BYTES, RANDOM, create_large_table
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# Of the lock that LOCK INSTANCE FOR BACKUP takes.
HOLDERS = (
    "SELECT PROCESSLIST_ID FROM performance_schema.metadata_locks"
    " JOIN performance_schema.threads ON THREAD_ID = OWNER_THREAD_ID"
    " WHERE OBJECT_TYPE = 'BACKUP LOCK' AND LOCK_DURATION = 'EXPLICIT'"
)


def killer(sql: Sql, phase: Phase, events: int) -> Progress:
    """Return a progress that kills one of our connections after some events of a phase."""
    left = [events]

    def listener(progress: Progress) -> None:
        if progress.phase is phase:
            left[0] -= 1
            if left[0] == 0:
                end_connection(sql, RANDOM.choice(others(sql)))

    return Progress(listener=listener)


@pytest.fixture
def lone(own_server, tmp_path):
    """A server of its own with a large table, so that all other connections on it are ours."""
    with own_server() as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "USE d"])
        create_large_table(sql)
        yield Backstay(server.url, tmp_path / "backups"), sql


@pytest.mark.parametrize("event", [3, 40])
async def test_a_killed_connection_ends_a_backup_and_leaves_nothing(event, lone):
    """A connection killed in the middle of a backup ends it; nothing is listed and nothing left."""
    backstay, sql = lone

    with pytest.raises(ConnectionLostError) as caught:
        await backstay.backups.create(
            BackupRequest(("d",), threads=3, chunk_bytes=CHUNK_BYTES * 8),
            killer(sql, Phase.DUMP, event),
        )

    assert caught.value.hint
    assert backstay.catalogue.entries() == ()
    assert files(backstay) == set()
    wait_until(lambda: others(sql) == [], "our connections are gone")
    await backstay.target.close()


@pytest.mark.differs("mariadb", reason="it has no LOCK INSTANCE")
async def test_a_backup_ends_whose_lock_was_lost(own_server, tmp_path):
    """The connection that keeps DDL out has nothing to say; when it is killed, there is no backup."""
    with own_server("--performance-schema=1") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"])
        backstay = Backstay(server.url, tmp_path / "backups")

        def unlock(progress: Progress) -> None:
            if progress.phase is Phase.DUMP:
                for (holder,) in sql.run(HOLDERS):
                    end_connection(sql, holder)

        with pytest.raises(ConnectionLostError):
            await backstay.backups.create(BackupRequest(("d",)), Progress(listener=unlock))
        await backstay.target.close()

    assert files(backstay) == set()


@pytest.mark.parametrize("event", [2, 30])
async def test_a_killed_connection_ends_a_restore_and_leaves_nothing(event, lone):
    """A connection killed in the middle of a restore ends it; the target is removed again."""
    backstay, sql = lone
    manifest = await backstay.backup("d", chunk_bytes=CHUNK_BYTES * 8)
    # The connection that holds nothing but the right to clean up may be hit: the restore goes on.
    holders = databases(sql)
    progress = killer(sql, Phase.LOAD, event)

    try:
        await backstay.recoveries.restore(
            await backstay.recoveries.plan(RestoreRequest(manifest.backup_id, into="copy")),
            progress,
        )
    except ConnectionLostError:
        assert databases(sql) == holders
    else:
        assert sql.run("SELECT COUNT(*) FROM copy.big") == [(20_000,)]
    wait_until(lambda: others(sql) == [], "our connections are gone")
    await backstay.target.close()


ROLE_OF = "TO" if IS_MYSQL else "FOR"
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


@pytest.mark.parametrize("missing", ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT", ROUTINE_RIGHT])
async def test_a_missing_right_is_named_with_its_cure(missing, backstay, sql, database):
    """Without a right that a backup needs, the error names it and the GRANT that mends it."""
    sql.script(RICH)
    with account(sql, *grants_without(missing, database)) as name:
        async with as_account(backstay, name) as limited:
            with pytest.raises(PermissionDeniedError) as caught:
                await limited.backup(database)
        assert files(backstay) == set()
        error = caught.value
        assert missing.split(" on ")[0] in f"{error} {error.hint}"
        grant = error.hint.replace("the user of BACKSTAY_DATABASE_URL", f"'{name}'@'%'")
        sql.script(line for line in grant.split(";") if line.strip())
        async with as_account(backstay, name) as limited:
            manifest = await limited.backup(database)
    assert_same(
        snapshot(backstay.url, database), snapshot(backstay.url, await backstay.copy(manifest))
    )


@pytest.mark.parametrize("missing", ["LOCK TABLES", "RELOAD", "PROCESS", BINLOG_RIGHT])
async def test_a_right_that_is_only_wished_for_is_a_warning(missing, backstay, sql, database):
    """Without a right that only makes a backup better, it is made, and says what it lacks."""
    sql.script(RICH)
    with account(sql, *grants_without(missing, database)) as name:
        async with as_account(backstay, name) as limited:
            manifest = await limited.backup(database)
    assert_same(
        snapshot(backstay.url, database), snapshot(backstay.url, await backstay.copy(manifest))
    )
    warnings = " ".join(manifest.warnings)
    if missing == "RELOAD":
        assert manifest.consistency.method == ("table-locks" if IS_MYSQL else "lock-free")
        assert f"snapshot by {'flush-lock' if IS_MYSQL else 'backup-stage'} was not" in warnings
    elif missing == "LOCK TABLES":
        assert "could not be locked" in warnings
        assert f"{database}.m" in warnings
    elif missing == "PROCESS":
        assert "PROCESS" in warnings
    else:
        assert not manifest.position.binlog_file
        assert BINLOG_RIGHT in warnings


async def test_rights_of_a_default_role_count(backstay, sql, database):
    """Rights that come from a role that is the user's default count like the user's own."""
    sql.script(RICH)
    role = f"r_{database}"
    sql.run(f"CREATE ROLE {role}")
    try:
        with account(sql) as name:
            for grant in grants_without("", database):
                sql.run(f"GRANT {grant} TO {role}")
            sql.script([
                f"GRANT {role} TO {name}@'%'",
                f"SET DEFAULT ROLE {role} {ROLE_OF} {name}@'%'",
            ])
            async with as_account(backstay, name) as limited:
                manifest = await limited.backup(database)
    finally:
        sql.run(f"DROP ROLE {role}")
    assert manifest.consistency.method == ("flush-lock" if IS_MYSQL else "backup-stage")
    assert_same(
        snapshot(backstay.url, database), snapshot(backstay.url, await backstay.copy(manifest))
    )


async def test_rights_of_a_role_that_is_off_do_not_count(backstay, sql, database):
    """A role that is granted but not active does not help, and the error says what to grant."""
    sql.script(RICH)
    role = f"r_{database}"
    sql.run(f"CREATE ROLE {role}")
    try:
        with account(sql, f"SELECT ON `{database}`.*") as name:
            sql.script([f"GRANT SHOW VIEW, TRIGGER, EVENT ON `{database}`.* TO {role}"])
            sql.run(f"GRANT {role} TO {name}@'%'")
            async with as_account(backstay, name) as limited:
                with pytest.raises(PermissionDeniedError) as caught:
                    await limited.backup(database)
    finally:
        sql.run(f"DROP ROLE {role}")
    assert f"GRANT TRIGGER ON `{database}`.* TO '{name}'@'%';" in caught.value.hint


async def test_rights_on_single_tables_are_enough_for_them(backstay, sql, database):
    """Rights on single tables are enough for a backup of these tables."""
    sql.script(RICH)
    with account(sql, f"SELECT, SHOW VIEW, TRIGGER ON `{database}`.t") as name:
        async with as_account(backstay, name) as limited:
            manifest = await limited.backup(database, tables=("t",))
            with pytest.raises(AppError):
                await limited.backup(database, tables=("m",))
            with pytest.raises(PermissionDeniedError):
                await limited.backup(database)
    copy = await backstay.copy(manifest)
    assert sql.run(f"SELECT * FROM {copy}.t ORDER BY id") == [(1, 1), (2, 2)]
    assert [item.name for item in manifest.databases[0].objects] == ["r"]


async def test_bodies_that_are_hidden_keep_no_chosen_table_out(backstay, sql, database):
    """A backup of tables holds no routine, so none is asked for; nor is one before a restore of tables."""
    sql.script([
        "CREATE TABLE t (i INT PRIMARY KEY)",
        "CREATE PROCEDURE others() SELECT 1",
    ])
    scope = database.replace("_", r"\_")
    with account(sql, f"ALL ON `{scope}%`.*") as name:
        async with as_account(backstay, name) as limited:
            manifest = await limited.backup(database, tables=("t",))
            result = await limited.restore(manifest)

    assert manifest.databases[0].objects == ()
    assert result.verified
