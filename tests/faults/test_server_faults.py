"""
What servers do to backups and restores: they die, fill up, shrink their packets, hide databases.

The invariant of all of them: what failed says so in one error, and leaves nothing that looks whole.
"""

import threading
from contextlib import ExitStack

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Manifest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.errors import (
    ConnectionFailedError,
    ConnectionLostError,
    DatabaseNotFoundError,
    IncompatibleServerError,
    StatementError,
    TableNotFoundError,
    TargetNotEmptyError,
)
from tests.fixtures.accounts import (
    BINLOG_RIGHT,
    READER,
    account,
    as_account,
    databases,
    files,
    login,
)
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


LOST = (ConnectionLostError, ConnectionFailedError)


# In chunks of 64 kB more than any test lets pass.
ROWS = 6_000


def fill(sql: Sql, name: str = "d", rows: int = ROWS) -> None:
    """Make a database of one table, 300 bytes a row."""
    sql.script([f"CREATE DATABASE {name}", f"USE {name}"])
    sql.run("CREATE TABLE big (id INT PRIMARY KEY, s VARCHAR(400))")
    sql.run(f"INSERT INTO big SELECT seq, REPEAT('x', 300) FROM seq_1_to_{rows}")


class Killer:
    """Kills a server at the k-th event of a phase."""

    def __init__(self, server, phase: Phase, event: int) -> None:
        self._server = server
        self._phase = phase
        self._left = event

    def __call__(self, progress: Progress) -> None:
        if progress.phase is self._phase:
            self._left -= 1
            if self._left == 0:
                self._server.kill()


@pytest.mark.parametrize(
    ("phase", "event"), [(Phase.INSPECT, 1), (Phase.DUMP, 12), (Phase.OBJECTS, 1)]
)
async def test_a_server_that_dies_ends_a_backup_and_leaves_nothing(
    phase, event, own_server, tmp_path
):
    """A server that dies ends the backup with one clear error; nothing is left on disk."""
    with own_server() as server:
        with Sql(server.url) as sql:
            fill(sql)
        backstay = Backstay(server.url, tmp_path / "backups")
        killer = Killer(server, phase, event)
        request = BackupRequest(("d",), threads=3, chunk_bytes=1 << 16)

        with pytest.raises(LOST) as caught:
            await backstay.backups.create(request, Progress(listener=killer))

        assert caught.value.hint
        assert files(backstay) == set()
        server.start()
        again = Backstay(server.url, backstay.directory)
        manifest = await again.backup("d")
        assert manifest.rows_count == ROWS
        assert len(files(backstay)) == 2
        for services in (backstay, again):
            await services.target.close()


@pytest.mark.parametrize("event", [1, 12])
async def test_a_restore_removes_what_a_dead_server_left(event, own_server, tmp_path):
    """A server that dies ends the restore with the first error; the next one removes the half."""
    with own_server() as server:
        with Sql(server.url) as sql:
            fill(sql)
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d", chunk_bytes=1 << 16)
        request = RestoreRequest(manifest.backup_id, into="copy")
        killer = Killer(server, Phase.LOAD, event)

        with pytest.raises(LOST) as caught:
            await backstay.recoveries.restore(
                await backstay.recoveries.plan(request), Progress(listener=killer)
            )

        assert "doctor --repair" in caught.value.hint
        server.start()
        again = Backstay(server.url, backstay.directory)
        with Sql(server.url) as sql:
            assert "copy" not in databases(sql)
        result = await again.restore(manifest, "copy")
        assert result.verified
        assert_same(snapshot(server.url, "d"), snapshot(server.url, "copy"))
        with Sql(server.url) as sql:
            assert not [name for name in databases(sql) if "__bk_" in name]
        for services in (backstay, again):
            await services.target.close()


@pytest.mark.parametrize("existed", [True, False])
async def test_what_others_put_into_the_target_is_never_dropped(existed, backstay, sql, database):
    """What somebody puts into the target after our first look is found, and never dropped."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    manifest = await backstay.backup(database)
    target = backstay.new_name()
    if existed:
        sql.run(f"CREATE DATABASE {target}")

    def listener(progress: Progress) -> None:
        if progress.phase is Phase.VERIFY:
            sql.run(f"CREATE DATABASE IF NOT EXISTS {target}")
            sql.run(f"CREATE TABLE IF NOT EXISTS {target}.precious (id INT PRIMARY KEY)")

    request = RestoreRequest(manifest.backup_id, into=target)
    with pytest.raises(TargetNotEmptyError):
        await backstay.recoveries.restore(
            await backstay.recoveries.plan(request), Progress(listener=listener)
        )

    assert sql.run(f"SHOW TABLES IN {target}") == [("precious",)]


async def test_a_packet_too_small_for_a_row_refuses_before_any_change(own_server, tmp_path):
    """A target whose packets are too small for a row refuses before it has changed anything."""
    with own_server() as large, own_server("--max-allowed-packet=1M") as small:
        with Sql(large.url) as sql:
            sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, b LONGBLOB)"])
            sql.run("INSERT INTO d.t VALUES (1, REPEAT('x', 3000000))")
        there = Backstay(large.url, tmp_path / "backups")
        manifest = await there.backup("d")
        here = Backstay(small.url, tmp_path / "backups")

        with pytest.raises(IncompatibleServerError, match="max_allowed_packet"):
            await here.restore(manifest, "copy")

        with Sql(small.url) as sql:
            assert "copy" not in databases(sql)
        for backstay in (there, here):
            await backstay.target.close()


async def test_a_target_that_runs_out_of_space_keeps_nothing(own_server, tmp_path):
    """A target that runs out of space says so, and what was loaded is removed again."""
    tiny = ("--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:24M")
    with own_server() as large, own_server(*tiny) as small:
        with Sql(large.url) as sql:
            fill(sql, rows=80_000)
        there = Backstay(large.url, tmp_path / "backups")
        manifest = await there.backup("d")
        here = Backstay(small.url, tmp_path / "backups")

        with pytest.raises(StatementError) as caught:
            await here.restore(manifest, "copy")

        assert "the table is full" in str(caught.value)
        assert "copy.big" in str(caught.value)
        with Sql(small.url) as sql:
            assert "copy" not in databases(sql)
        for backstay in (there, here):
            await backstay.target.close()


async def test_all_databases_are_in_one_snapshot(own_server, tmp_path):
    """Without a name, every database but the system's is in one snapshot, whatever its name."""
    names = [
        "plain",
        "back`tick",
        "do.t",
        "d'a\"sh-",
        "\u00fcn\u00ef \u65e5\u672c",
        "Mixed",
        "%",
        "empty",
    ]
    with own_server() as server:
        with Sql(server.url) as sql:
            for name in names:
                quoted = "`" + name.replace("`", "``") + "`"
                sql.run(f"CREATE DATABASE {quoted}")
                if name != "empty":
                    sql.script([f"USE {quoted}", "CREATE TABLE `t``.x` (id INT PRIMARY KEY)"])
                    sql.run("INSERT INTO `t``.x` VALUES (1), (2)")
                    sql.run("CREATE VIEW v AS SELECT * FROM `t``.x`")
            before = {name: snapshot(server.url, name) for name in names}
            backstay = Backstay(server.url, tmp_path / "backups")
            manifest = await backstay.backups.create(BackupRequest())
            assert {database.name for database in manifest.databases} == set(names)
            for name in names:
                sql.run("DROP DATABASE `" + name.replace("`", "``") + "`")

            result = await backstay.restore(manifest)

            assert set(result.databases) == set(names)
            for name in names:
                assert_same(before[name], snapshot(server.url, name))
        await backstay.target.close()


async def test_a_server_that_folds_names_is_backed_up(own_server, tmp_path):
    """A server that folds names to lower case is backed up, and restored elsewhere."""
    with own_server("--lower-case-table-names=1") as folding, own_server() as plain:
        with Sql(folding.url) as sql:
            sql.script([
                "CREATE DATABASE Shop",
                "USE Shop",
                "CREATE TABLE `\u00c4rger` (Id INT PRIMARY KEY)",
            ])
            sql.run("INSERT INTO `\u00c4rger` VALUES (1)")
        there = Backstay(folding.url, tmp_path / "backups")
        manifest = await there.backup("shop")
        await there.restore(manifest, "copy")
        here = Backstay(plain.url, tmp_path / "backups")
        await here.restore(manifest, "copy")
        assert manifest.server.lower_case_table_names == 1
        before = snapshot(folding.url, "shop")
        assert_same(before, snapshot(folding.url, "copy"))
        assert_same(before, snapshot(plain.url, "copy"))
        for backstay in (there, here):
            await backstay.target.close()


async def test_names_that_are_one_on_the_target_are_refused(own_server, tmp_path):
    """Tables that differ only in case are refused by a server that takes them for one."""
    with own_server() as plain, own_server("--lower-case-table-names=1") as folding:
        with Sql(plain.url) as sql:
            sql.script([
                "CREATE DATABASE d",
                "CREATE TABLE d.t (i INT)",
                "CREATE TABLE d.T (i INT)",
            ])
        there = Backstay(plain.url, tmp_path / "backups")
        manifest = await there.backup("d")
        here = Backstay(folding.url, tmp_path / "backups")
        with pytest.raises(IncompatibleServerError, match="one name"):
            await here.restore(manifest, "copy")
        with Sql(folding.url) as sql:
            assert "copy" not in databases(sql)
        for backstay in (there, here):
            await backstay.target.close()


def chosen(manifest: Manifest) -> set[str]:
    """Names of the tables in a backup."""
    return {table.name for database in manifest.databases for table in database.tables}


@pytest.mark.parametrize(
    ("tables", "exclude", "expected"),
    [
        (("a1",), (), {"a1"}),
        (("a*",), (), {"a1", "a2", "a_x"}),
        (("a?",), ("a2",), {"a1"}),
        (("*.b1", "a_x"), (), {"b1", "a_x"}),
        ((), ("a*", "*.b1"), {"odd[1]"}),
        (("odd[1]",), (), {"odd[1]"}),
        (("a_x",), (), {"a_x"}),
    ],
)
async def test_patterns_choose_tables_with_their_triggers(
    tables, exclude, expected, backstay, sql, database
):
    """Patterns choose tables with their triggers; what they leave out is not in the backup."""
    for name in ("a1", "a2", "a_x", "b1", "odd[1]"):
        sql.run(f"CREATE TABLE `{name}` (id INT PRIMARY KEY)")
        sql.run(f"INSERT INTO `{name}` VALUES (1)")
        sql.run(f"CREATE TRIGGER `t{name}` BEFORE INSERT ON `{name}` FOR EACH ROW SET @x = 1")

    manifest = await backstay.backup(database, tables=tables, exclude_tables=exclude)

    assert chosen(manifest) == expected
    triggers = {item.table for item in manifest.databases[0].objects if item.table}
    assert triggers == expected
    copy = await backstay.copy(manifest)
    assert {row[0] for row in sql.run(f"SHOW TABLES IN {copy}")} == expected


async def test_a_backup_without_data_has_every_definition(backstay, sql, database):
    """Without data a backup still has every definition, and restores to empty tables."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    sql.run("CREATE VIEW v AS SELECT id FROM t")

    manifest = await backstay.backup(database, include_data=False)

    copy = await backstay.copy(manifest)
    assert manifest.rows_count == 0
    assert sql.run(f"SELECT COUNT(*) FROM {copy}.v") == [(0,)]


async def test_what_a_user_may_not_see_is_left_out(backstay, sql, database):
    """What a user may not see is left out when all are meant, and not found when it is named."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    hidden = backstay.new_name()
    sql.run(f"CREATE DATABASE {hidden}")
    with account(sql, *(f"{right} ON `{database}`.*" for right in READER)) as name:
        async with as_account(backstay, name) as limited:
            manifest = await limited.backups.create(BackupRequest())
            assert [entry.name for entry in manifest.databases] == [database]
            with pytest.raises(DatabaseNotFoundError):
                await limited.backup(hidden)
            with pytest.raises(TableNotFoundError):
                await limited.backup(database, tables=("nothing",))
    assert login(backstay.url, name) not in str(manifest.warnings)


async def test_a_read_only_server_is_backed_up(own_server, tmp_path):
    """A replica that refuses writes is backed up like any other server."""
    with ExitStack() as stack:
        server = stack.enter_context(own_server())
        sql = stack.enter_context(Sql(server.url))
        fill(sql, rows=500)
        rights = (
            f"RELOAD, PROCESS, {BINLOG_RIGHT}, LOCK TABLES{', BACKUP_ADMIN' if IS_MYSQL else ''}"
        )
        name = stack.enter_context(
            account(sql, *(f"{right} ON d.*" for right in READER), f"{rights} ON *.*")
        )
        sql.run("SET GLOBAL read_only = 1")
        backstay = Backstay(server.url, tmp_path / "backups")
        async with as_account(backstay, name) as limited:
            manifest = await limited.backup("d")
        sql.run("SET GLOBAL read_only = 0")
        await backstay.restore(manifest, "copy")
        assert_same(snapshot(server.url, "d"), snapshot(server.url, "copy"))
        assert manifest.consistency.method == ("instance-lock" if IS_MYSQL else "backup-stage")
        await backstay.target.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("archive")]
