"""Triggers of chosen tables come with them, and nothing else does."""

import pytest

from tests.fixtures.accounts import databases
from tests.oracle.snapshots import assert_same, snapshot


async def test_a_view_of_a_triggers_name_is_left_alone(backstay, sql, database):
    """Views and triggers have names of their own; a restore of a table brings its triggers only."""
    sql.script([
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE VIEW same AS SELECT 1 AS one",
        "CREATE PROCEDURE same() SELECT 1",
        "CREATE EVENT same ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DO SELECT 1",
        "CREATE TRIGGER same BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
    ])
    manifest = await backstay.backup(database)
    sql.script([
        "CREATE OR REPLACE VIEW same AS SELECT 2 AS two",
        "CREATE OR REPLACE PROCEDURE same() SELECT 2",
        "CREATE OR REPLACE EVENT same ON SCHEDULE EVERY 2 DAY STARTS '2035-01-01' DO SELECT 2",
    ])
    before = snapshot(backstay.url, database)

    await backstay.restore(manifest, tables=("t",))
    assert_same(before, snapshot(backstay.url, database))

    sql.run("DROP VIEW same")
    without = snapshot(backstay.url, database)
    await backstay.restore(manifest, tables=("t",))
    assert_same(without, snapshot(backstay.url, database))


async def test_triggers_remember_the_collation_that_their_database_had(backstay, sql, database):
    """A table comes back as it was into a database with another default, and the database keeps that."""
    sql.script([
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
        f"ALTER DATABASE `{database}` COLLATE = utf8mb4_bin",
        "CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW SET @b = 1",
    ])
    manifest = await backstay.backup(database)
    then = snapshot(backstay.url, database)
    sql.script([f"ALTER DATABASE `{database}` COLLATE = latin1_bin", "DROP TRIGGER a"])
    before = snapshot(backstay.url, database)

    result = await backstay.restore(manifest, tables=("t",))

    assert_same({**then, "schemata": before["schemata"]}, snapshot(backstay.url, database))
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database))


async def test_an_undo_of_some_tables_leaves_the_databases_default(backstay, sql, database):
    """What was changed after the restore, and is not of these tables, stays."""
    sql.script([
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
    ])
    manifest = await backstay.backup(database)
    result = await backstay.restore(manifest, tables=("t",))
    sql.run(f"ALTER DATABASE `{database}` COLLATE = latin1_bin")
    changed = snapshot(backstay.url, database)

    await backstay.recoveries.undo(result.restore_id)

    assert_same(changed, snapshot(backstay.url, database))


async def test_an_undo_of_everything_brings_the_databases_default_back(backstay, sql, database):
    """A whole restore changes it, so its undo does too."""
    sql.run("CREATE TABLE t (id int PRIMARY KEY)")
    manifest = await backstay.backup(database)
    sql.run(f"ALTER DATABASE `{database}` COLLATE = latin1_bin")
    before = snapshot(backstay.url, database)

    result = await backstay.restore(manifest)

    assert snapshot(backstay.url, database)["schemata"] != before["schemata"]
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database))


@pytest.mark.parametrize("tables", [(), ("t",)])
async def test_undone_undos_bring_back_the_default_too(backstay, sql, database, tables):
    """Also of a database that the restore had made, and of one without any objects."""
    sql.script(["CREATE TABLE t (id int)", f"ALTER DATABASE `{database}` COLLATE = utf8mb4_bin"])
    manifest = await backstay.backup(database)
    sql.run(f"ALTER DATABASE `{database}` COLLATE = latin1_bin")
    for name in (database, backstay.new_name()):
        into = "" if name == database else name
        before = snapshot(backstay.url, name) if not into else None
        result = await backstay.restore(manifest, into, tables=tables)
        after = snapshot(backstay.url, name)

        undone = await backstay.recoveries.undo(result.restore_id)
        if before:
            assert_same(before, snapshot(backstay.url, name))
        else:
            assert name not in databases(sql)
        await backstay.recoveries.undo(undone.restore_id)
        assert_same(after, snapshot(backstay.url, name))


async def test_rows_alone_leave_the_default(backstay, sql, database):
    """And their undo does, whatever was changed meanwhile."""
    sql.script([
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
    ])
    manifest = await backstay.backup(database)
    sql.script([f"ALTER DATABASE `{database}` COLLATE = latin1_bin", "INSERT INTO t VALUES (1)"])
    before = snapshot(backstay.url, database)

    result = await backstay.restore(manifest, data_only=True)

    assert snapshot(backstay.url, database)["schemata"] == before["schemata"]
    sql.run(f"ALTER DATABASE `{database}` COLLATE = utf8mb4_bin")
    changed = snapshot(backstay.url, database)["schemata"]
    await backstay.recoveries.undo(result.restore_id)
    assert_same({**before, "schemata": changed}, snapshot(backstay.url, database))
