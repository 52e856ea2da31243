"""What a database is besides its tables and objects: its name, its comment, the numbers it gives out (hazard 163)."""

import pytest

from tests.fixtures.backstay import Backstay
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


ODD = 'it\'s \\ a "comment" `of` ü; -- */ /* # line\nbreak'


async def test_names_that_only_look_like_the_servers_own(own_server, tmp_path):
    """Where case counts `SYS` is somebody's database, and part of a backup of everything."""
    with own_server() as server, Sql(server.url) as sql:
        for name in ("SYS", "Mysql"):
            sql.script([
                f"CREATE DATABASE {name}",
                f"CREATE TABLE {name}.t (id int PRIMARY KEY)",
                f"INSERT INTO {name}.t VALUES (1)",
            ])
        sql.run("CREATE TABLE sys.mine (id int PRIMARY KEY)")
        made = Backstay(server.url, tmp_path / "backups")
        manifest = await made.backup()
        assert {"SYS", "Mysql"} <= {database.name for database in manifest.databases}
        assert any("tables in the server's own database sys" in text for text in manifest.warnings)

        before = snapshot(server.url, "SYS")
        sql.run("DROP TABLE SYS.t")
        await made.restore(manifest, databases=("SYS",))
        assert_same(before, snapshot(server.url, "SYS"))
        await made.close()


@pytest.mark.differs("mysql", reason="its databases have no comment")
@pytest.mark.parametrize("comment", ["owned by accounts", ODD])
async def test_the_comment_comes_back(comment, backstay, sql, database):
    """Under another name, in place, by an undo and by hand."""
    text = comment.replace("\\", "\\\\").replace("'", "''")
    sql.script([
        f"ALTER DATABASE `{database}` COMMENT = '{text}'",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE PROCEDURE p() SELECT 1",
        f"ALTER DATABASE `{database}` COLLATE utf8mb4_bin",
        "CREATE PROCEDURE q() SELECT 1",
    ])
    manifest = await backstay.round_trip(database, judge=False)
    assert manifest.databases[0].comment == comment
    then = snapshot(backstay.url, database)
    sql.run(f"ALTER DATABASE `{database}` COMMENT = 'other'")
    before = snapshot(backstay.url, database)

    result = await backstay.restore(manifest)
    assert_same(then, snapshot(backstay.url, database))
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database))
    await backstay.restore(manifest, tables=("t",))
    assert_same(before, snapshot(backstay.url, database))


async def test_comments_with_backslashes_that_are_none(backstay, sql, database):
    """The server prints comments of events and routines escaped, also for a mode without escapes."""
    sql.script([
        "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR STARTS '2035-01-01' DISABLE COMMENT 'C:\\b''q\\' DO SELECT '\\'",
        "CREATE EVENT f ON SCHEDULE EVERY 1 YEAR STARTS '2035-01-01' COMMENT '\\' DO SELECT 'comment ''x'''",
        "CREATE PROCEDURE p() COMMENT 'a\\\nb' SELECT 1",
        "CREATE FUNCTION g(a int) RETURNS int DETERMINISTIC COMMENT '\\' RETURN 1",
    ])
    manifest = await backstay.round_trip(database, judge=False)
    await backstay.restore(manifest)
    assert await backstay.prove(manifest.backup_id) == []


async def test_a_key_to_a_table_that_is_nowhere_comes_back(backstay, sql, database):
    """Nor is its database there while rows without a parent are counted, which MySQL says in its own way."""
    sql.script([
        "SET foreign_key_checks = 0",
        f"CREATE TABLE child (id INT, CONSTRAINT {database}_key FOREIGN KEY (id) REFERENCES nowhere (id))",
        "INSERT INTO child VALUES (5)",
    ])
    manifest = await backstay.backup(database)
    sql.run(f"DROP DATABASE {database}")

    await backstay.restore(manifest)

    assert sql.run(f"SELECT id FROM {database}.child") == [(5,)]
