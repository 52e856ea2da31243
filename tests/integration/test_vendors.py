"""What one vendor prints, locks or refuses otherwise than the other makes no difference to a backup."""

import time

import pytest

from app.errors import IncompatibleServerError
from tests.fixtures.accounts import account, as_account
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.concurrent_writers import writers
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


async def test_collations_that_are_not_the_default_come_back(backstay, sql, database):
    """MySQL names a column's character set or does not, by how the table was made."""
    sql.script([
        (
            "CREATE TABLE a (id INT PRIMARY KEY, x VARCHAR(10), y VARCHAR(10) COLLATE utf8mb4_bin,"
            " z TEXT CHARACTER SET latin1, w CHAR(3) CHARACTER SET latin1 COLLATE latin1_german2_ci)"
            " COLLATE utf8mb4_unicode_ci"
        ),
        (
            "CREATE TABLE b (x VARCHAR(9) COLLATE latin1_bin"
            " COMMENT ' CHARACTER SET latin1 COLLATE latin1_bin',"
            " e ENUM('a','b') COLLATE utf8mb4_unicode_520_ci) CHARACTER SET latin1"
        ),
        "ALTER TABLE a MODIFY x VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "INSERT INTO a VALUES (1, 'ß', 'ss', 'é', 'ö')",
    ])

    await backstay.round_trip(database)


ODD = ("order-items", "a b.c", "ключ", "naïve/ñ")


@pytest.mark.parametrize("right", ["PROCESS", "USAGE"])
async def test_names_of_any_letters_are_backed_up_and_restored(right, backstay, sql, database):
    """A user of few rights, who gets no rung that keeps DDL out, restores them in place as well."""
    sql.script(f"CREATE TABLE `{name}` (`k-1` INT PRIMARY KEY)" for name in ODD)
    sql.run(
        "CREATE TABLE `child-1` (k INT, CONSTRAINT `f-1` FOREIGN KEY (k) REFERENCES `ключ` (`k-1`))"
    )
    sql.script(f"INSERT INTO `{name}` VALUES (1), (2)" for name in ODD)
    before = snapshot(backstay.url, database)
    scope = database.replace("_", r"\_")
    with account(sql, f"ALL ON `{scope}%`.*", f"{right} ON *.*") as name:
        async with as_account(backstay, name) as limited:
            manifest = await limited.backup(database, threads=2)
            sql.run("DELETE FROM `order-items`")
            await limited.restore(manifest)

    assert_same(before, snapshot(backstay.url, database))
    blind = [text for text in manifest.warnings if "RENAME" in text]
    assert bool(blind) is (IS_MYSQL or right == "USAGE")
    if right == "PROCESS":
        # Only MySQL itself knows how it encodes letters; how it encodes ASCII is documented.
        assert all("ключ" in text and "order-items" not in text for text in blind)


async def test_tables_without_transactions_wait_for_nobody(backstay, sql, database):
    """Their lock is taken when nothing has to be flushed any more: MySQL's flush waits for it."""
    sql.script([
        "CREATE TABLE m (id INT PRIMARY KEY) ENGINE=MyISAM",
        "CREATE TABLE i (id INT PRIMARY KEY) ENGINE=InnoDB",
        "INSERT INTO m VALUES (1)",
        "INSERT INTO i VALUES (1)",
    ])

    def count(client: Sql) -> None:
        client.run("UPDATE m SET id = id + 1")
        client.run("UPDATE i SET id = (SELECT id FROM m)")

    with writers(backstay.url, database, 1, count):
        manifest = await backstay.backup(database, threads=2)
    copy = await backstay.copy(manifest)

    # A lock that is waited for in vain is told.
    assert not [text for text in manifest.warnings if "snapshot" in text]
    (mine,), (theirs,) = sql.run(f"SELECT id FROM `{copy}`.m UNION ALL SELECT id FROM `{copy}`.i")
    assert mine - theirs in {0, 1}


@pytest.mark.differs("mariadb", reason="it has no duality views")
async def test_views_of_documents_come_back(backstay, sql, database):
    """No ordinary view stands in for one, nor may use it; each takes the place of the other."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))",
        "INSERT INTO t VALUES (1, 'a'), (2, ' AS ')",
        (
            "CREATE JSON RELATIONAL DUALITY VIEW documents AS"
            " SELECT JSON_DUALITY_OBJECT(WITH(INSERT) '_id': id, 'v': v) FROM t"
        ),
    ])

    manifest = await backstay.round_trip(database)
    sql.script(["DROP VIEW documents", "DELETE FROM t"])
    await backstay.restore(manifest)

    read = "SELECT data->>'$.v' AS v FROM documents ORDER BY 1"
    assert sql.run(read) == [(" AS ",), ("a",)]
    sql.script(["DROP VIEW documents", "CREATE VIEW documents AS SELECT 1 AS a"])
    result = await backstay.restore(manifest)
    assert sql.run(read) == [(" AS ",), ("a",)]
    await backstay.recoveries.undo(result.restore_id)
    assert sql.run("SELECT a FROM documents") == [(1,)]


@pytest.mark.differs("mariadb", reason="it has no general tablespaces")
async def test_a_tablespace_that_is_missing_is_found_first(own_server, tmp_path):
    """Nothing is loaded where a table asks for a tablespace that is not there."""
    with (
        own_server() as source,
        own_server() as bare,
        Sql(source.url) as sql,
        Sql(bare.url) as there,
    ):
        sql.script([
            "CREATE TABLESPACE `t s` ADD DATAFILE 'ts.ibd'",
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY) TABLESPACE `t s`",
            "CREATE TABLE d.own (id INT COMMENT ' TABLESPACE `x`') TABLESPACE innodb_file_per_table",
        ])
        here, target = (Backstay(server.url, tmp_path / "backups") for server in (source, bare))
        manifest = await here.backup("d")

        with pytest.raises(IncompatibleServerError, match=r"d\.t is in tablespace 't s'"):
            await target.restore(manifest)
        assert there.run("SHOW DATABASES LIKE 'd%'") == []
        there.run("CREATE TABLESPACE `t s` ADD DATAFILE 'ts.ibd'")
        await target.restore(manifest)
        await here.copy(manifest)
        for backstay in (here, target):
            await backstay.close()


DEPRECATED = ("ucs2", "utf8mb3", "macroman", "macce", "dec8", "hp8")


async def test_warnings_of_deprecated_character_sets_are_passed_over(backstay, sql, database):
    """MySQL warns of the introducer of each such literal, whatever the statement does."""
    for charset in DEPRECATED:
        sql.run(
            f"CREATE TABLE {charset} (k VARCHAR(20) CHARACTER SET {charset} PRIMARY KEY,"
            f" v TEXT CHARACTER SET {charset}, e ENUM('a', 'z') CHARACTER SET {charset})"
        )
        sql.run(
            f"INSERT INTO {charset} SELECT CONCAT('key ', seq), REPEAT('x', 40), 'z' FROM seq_1_to_200"
        )

    manifest = await backstay.backup(database, chunk_bytes=1024)
    copy = await backstay.copy(manifest)

    assert_same(snapshot(backstay.url, database), snapshot(backstay.url, copy))


async def test_writers_of_one_row_stand_still_for_a_moment_only(backstay, sql, database):
    """A lock that waits for a row's waiter is given up soon, tried again, and granted."""
    sql.script([
        "CREATE TABLE hot (id INT PRIMARY KEY, n BIGINT)",
        "INSERT INTO hot VALUES (1, 0)",
        "CREATE TABLE log (id BIGINT AUTO_INCREMENT PRIMARY KEY, n BIGINT)",
    ])
    waits: list[float] = []

    def count(client: Sql) -> None:
        client.run("START TRANSACTION")
        client.run("UPDATE hot SET n = n + 1")
        begin = time.monotonic()
        client.run("INSERT INTO log (n) SELECT n FROM hot")
        client.run("COMMIT")
        waits.append(time.monotonic() - begin)

    with writers(backstay.url, database, 3, count):
        manifests = [await backstay.backup(database, threads=2) for _ in range(4)]
    copies = [await backstay.copy(manifest) for manifest in manifests]

    assert max(waits) < 3
    assert {manifest.consistency.consistent for manifest in manifests} == {True}
    for copy in copies:
        assert sql.run(f"SELECT MAX(n) FROM `{copy}`.log") == sql.run(f"SELECT n FROM `{copy}`.hot")
