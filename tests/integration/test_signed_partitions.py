"""Tables whose partitions compute below 0, which a server makes, fills and opens in one sql_mode only."""

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import Snapshot, assert_same, snapshot


SIGNED = "NO_UNSIGNED_SUBTRACTION"
BOUNDS = "(PARTITION p0 VALUES LESS THAN (-5), PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN MAXVALUE)"
TABLES = (
    f"CREATE TABLE t (a BIGINT UNSIGNED PRIMARY KEY, b INT) PARTITION BY RANGE (a - 10) {BOUNDS}",
    "INSERT INTO t VALUES (1, 1), (7, 2), (30, 3)",
    (
        "CREATE TABLE many (a INT UNSIGNED PRIMARY KEY, b VARCHAR(40), KEY (b))"
        f" PARTITION BY RANGE (a - 10) {BOUNDS}"
    ),
    "INSERT INTO many SELECT seq, REPEAT('x', 30) FROM seq_1_to_12000",
    # No bound is below 0, but a row is.
    (
        "CREATE TABLE rows_only (a BIGINT UNSIGNED NOT NULL, b INT) PARTITION BY RANGE (a - 10)"
        " (PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN MAXVALUE)"
    ),
    "INSERT INTO rows_only VALUES (7, 1), (20, 2), (7, 1)",
    (
        "CREATE TABLE listed (a INT UNSIGNED, b INT UNSIGNED, PRIMARY KEY (a, b))"
        " PARTITION BY LIST (a - b) (PARTITION below VALUES IN (-2, -1), PARTITION others VALUES IN (0, 1, 2))"
    ),
    "INSERT INTO listed VALUES (1, 3), (2, 3), (3, 3), (5, 3)",
    (
        "CREATE TABLE sub (a INT UNSIGNED NOT NULL, b INT NOT NULL) PARTITION BY RANGE (b)"
        " SUBPARTITION BY HASH (a - 10) SUBPARTITIONS 2"
        " (PARTITION `p - 1` VALUES LESS THAN (-5) COMMENT 'a - (1', PARTITION p2 VALUES LESS THAN (9))"
    ),
    "INSERT INTO sub VALUES (3, -7), (30, 8)",
    (
        "CREATE TABLE computed (a INT UNSIGNED PRIMARY KEY, c BIGINT AS (a - 20) STORED)"
        " PARTITION BY HASH (a - 10) PARTITIONS 3"
    ),
    "INSERT INTO computed (a) VALUES (1), (40)",
    "CREATE TRIGGER halved BEFORE INSERT ON t FOR EACH ROW SET NEW.b = NEW.b - 1",
)
# It keeps a mode in which the server does not open its table, but where that is open.
OTHER_TRIGGER = (
    "SELECT 1 FROM t LIMIT 0",
    "SET SESSION sql_mode = ''",
    "CREATE TRIGGER plainly BEFORE DELETE ON t FOR EACH ROW SET @x = 1",
    f"SET SESSION sql_mode = '{SIGNED}'",
)
# A lock is needed for what has no transactions.
LOCKED = f"CREATE TABLE locked (a INT UNSIGNED) ENGINE=MyISAM PARTITION BY RANGE (a - 10) {BOUNDS}"


@pytest.fixture
def sql(own_server):
    """A server on which everybody works in that mode, the tests' own judges too, and nothing is open."""
    with own_server(f"--sql-mode={SIGNED}") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE parts", "USE parts", *TABLES])
        if not IS_MYSQL:  # where only InnoDB has partitions
            sql.script([LOCKED, "INSERT INTO locked VALUES (3), (33)"])
        sql.run("FLUSH TABLES")
        yield sql


def look(sql: Sql) -> Snapshot:
    """Look at the database, and leave no table open behind it."""
    found = snapshot(sql.url, "parts")
    sql.run("FLUSH TABLES")
    return found


async def test_they_come_back(sql, tmp_path):
    """They are backed up, loaded by hand, restored beside and in place, and an undo brings back what was there."""
    backstay = Backstay(sql.url, tmp_path / "backups")
    before = look(sql)
    manifest = await backstay.round_trip("parts", judge=False)
    assert manifest.warnings == ()
    assert all(SIGNED in dict(table.session)["sql_mode"] for table in manifest.databases[0].tables)

    sql.script(["DELETE FROM t WHERE a = 7", "DROP TRIGGER halved"])
    changed = look(sql)
    restored = await backstay.restore(manifest)
    assert_same(before, look(sql))
    await backstay.recoveries.undo(restored.restore_id)
    assert_same(changed, look(sql))
    await backstay.close()


async def test_a_trigger_of_another_mode_comes_back(sql, tmp_path):
    """One that keeps a mode in which its table is not opened is made, and removed, all the same."""
    sql.script(OTHER_TRIGGER)
    before = look(sql)
    backstay = Backstay(sql.url, tmp_path / "backups")
    manifest = await backstay.backup("parts", tables=("t",))
    sql.script(["DROP TRIGGER plainly", "FLUSH TABLES"])
    await backstay.restore(manifest)
    assert_same(before, look(sql))
    await backstay.close()


async def test_a_view_of_one_is_used_as_before(sql, tmp_path):
    """A view comes back with its table; what MySQL notes of its columns at a RENAME is not compared."""
    sql.script(["CREATE VIEW v AS SELECT a, b FROM t", "FLUSH TABLES"])
    backstay = Backstay(sql.url, tmp_path / "backups")
    manifest = await backstay.backup("parts")
    sql.script(["UPDATE t SET b = 0", "FLUSH TABLES"])
    await backstay.restore(manifest)
    sql.run("FLUSH TABLES")
    assert sql.run("SELECT a, b FROM v ORDER BY a") == [(1, 1), (7, 2), (30, 3)]
    await backstay.close()


async def test_definitions_alone_come_back(sql, tmp_path):
    """A backup without rows knows the mode as well, and a drill proves it."""
    backstay = Backstay(sql.url, tmp_path / "backups")
    manifest = await backstay.backup("parts", include_data=False)
    request = RestoreRequest(manifest.backup_id, tables=("t", "listed"))
    result = await backstay.recoveries.drill(await backstay.recoveries.plan_drill(request))
    assert result.tables_count == 2
    copy = await backstay.copy(manifest)
    assert sql.run(f"SELECT COUNT(*) FROM {copy}.t") == [(0,)]
    await backstay.close()


async def test_other_tables_are_opened_as_before(sql, tmp_path):
    """A difference that is never below 0 may go beyond what is signed: its table is not made in that mode."""
    sql.script([
        "CREATE DATABASE usual",
        "USE usual",
        "SET SESSION sql_mode = ''",
        (
            "CREATE TABLE big (a BIGINT UNSIGNED PRIMARY KEY) PARTITION BY RANGE (a - 1)"
            " (PARTITION p0 VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN MAXVALUE)"
        ),
        "INSERT INTO big VALUES (3), (18446744073709551614)",
        "FLUSH TABLES",
    ])
    backstay = Backstay(sql.url, tmp_path / "backups")
    manifest = await backstay.backup("usual")
    copy = await backstay.copy(manifest)
    assert manifest.databases[0].tables[0].session == ()
    for database in ("usual", copy):
        found = sql.run(f"SELECT a FROM {database}.big WHERE a = 18446744073709551614")
        assert found == [(18446744073709551614,)]
    await backstay.close()
