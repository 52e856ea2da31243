"""Dry runs: they change nothing, say what a restore would do, and a restore then does just that."""

import pytest

from app.domain.backups.manifest import ObjectKind
from app.domain.restores.dry_run import Action
from app.domain.restores.restore import RestoreRequest
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import by_name, by_object, ends_as_foretold, nothing_changes


# Small enough for several chunks in 1000 rows of 300 bytes.
CHUNK_BYTES = 1 << 14
# 200 rows a chunk at least.
TEXT = "REPEAT('x', 300)"


def _tables(sql):
    """Make three tables of 1000 rows: by number, by a key of two columns, without a key."""
    sql.script([
        "CREATE TABLE plain (id INT PRIMARY KEY, s VARCHAR(400))",
        "CREATE TABLE pair (a INT, b VARCHAR(20), s VARCHAR(400), PRIMARY KEY (b, a))",
        "CREATE TABLE loose (id INT, s VARCHAR(400))",
        f"INSERT INTO plain SELECT seq, {TEXT} FROM seq_1_to_1000",
        f"INSERT INTO pair SELECT seq, CONCAT('k', seq DIV 250), {TEXT} FROM seq_1_to_1000",
        f"INSERT INTO loose SELECT seq, {TEXT} FROM seq_1_to_1000",
    ])


def _chunks(manifest, name):
    """Count the chunks of a table in a backup; how many there are depends on the server's estimates."""
    count = sum(member.kind == "data" and member.table == name for member in manifest.members)
    assert count >= 4
    return count


def _drift(forecast, name):
    table = by_name(forecast)[name]
    return table.rows_now, table.rows_then, table.chunks, table.chunks_changed


# -- drift -----------------------------------------------------------------------------------------


async def test_a_table_as_it_was_has_not_drifted(services, sql, database):
    """Several chunks were compared and none differs; the restore does what was said."""
    _tables(sql)
    manifest = await services.backup(database, chunk_bytes=CHUNK_BYTES)

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))

    for name in ("plain", "pair", "loose"):
        assert by_name(forecast)[name].action is Action.REPLACE
        assert by_name(forecast)[name].same_definition is True
        assert _drift(forecast, name) == (1000, 1000, _chunks(manifest, name), 0)
    assert forecast.verified is True


@pytest.mark.parametrize(
    ("change", "rows", "changed"),
    [
        ("INSERT INTO {} VALUES (2000, 'k9', 'new')", 1001, 1),
        ("DELETE FROM {} WHERE a = 1", 999, 1),
        ("UPDATE {} SET s = 'y' WHERE a = 500", 1000, 1),
        ("UPDATE {} SET s = 'y' WHERE a IN (1, 1000)", 1000, 2),
        ("DELETE FROM {}", 0, None),
    ],
    ids=["insert at the end", "delete the first", "update the middle", "both ends", "all gone"],
)
async def test_only_chunks_that_changed_count_as_changed(
    change, rows, changed, services, sql, database
):
    """In tables with a key exactly the chunks that were touched differ; without one, all of them."""
    _tables(sql)
    sql.script([
        "ALTER TABLE plain CHANGE id a INT, ADD b VARCHAR(20) AFTER a",
        "ALTER TABLE loose CHANGE id a INT, ADD b VARCHAR(20) AFTER a",
    ])
    manifest = await services.backup(database, chunk_bytes=CHUNK_BYTES)
    sql.script([change.format(name) for name in ("plain", "pair", "loose")])

    with nothing_changes(services):
        forecast = await services.recoveries.dry_run(
            await services.recoveries.plan(RestoreRequest(manifest.backup_id))
        )

    for name in ("plain", "pair"):
        count = _chunks(manifest, name)
        assert _drift(forecast, name) == (rows, 1000, count, changed or count)
    count = _chunks(manifest, "loose")
    assert _drift(forecast, "loose") == (rows, 1000, count, count)


async def test_rows_are_compared_as_long_as_columns_and_key_are_the_same(services, sql, database):
    """Another index or comment is a difference in definition only; other columns end the comparison."""
    _tables(sql)
    manifest = await services.backup(database, chunk_bytes=CHUNK_BYTES)
    sql.script([
        "ALTER TABLE plain ADD INDEX (s), COMMENT 'later', ADD extra INT",
        "ALTER TABLE pair MODIFY s VARCHAR(401)",
        "ALTER TABLE loose DROP COLUMN s",
    ])

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))

    assert [table.same_definition for table in forecast.tables] == [False] * 3
    assert _drift(forecast, "plain") == (1000, 1000, _chunks(manifest, "plain"), 0)
    assert _drift(forecast, "pair") == (1000, 1000, 0, 0)
    assert _drift(forecast, "loose") == (1000, 1000, 0, 0)


async def test_rows_are_not_compared_with_another_key(services, sql, database):
    """The chunks of a backup are ranges of its key; a table with another one is only counted."""
    _tables(sql)
    manifest = await services.backup(database, chunk_bytes=CHUNK_BYTES)
    sql.run("ALTER TABLE pair DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)")

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))

    assert _drift(forecast, "pair") == (1000, 1000, 0, 0)


# -- what becomes of tables and objects ------------------------------------------------------------


async def test_the_action_of_every_table_is_foretold(services, sql, database):
    """Tables are created, replaced or dropped by a whole restore, and what it does is the same."""
    sql.script([f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in ("a", "b", "c")])
    sql.run("INSERT INTO a VALUES (1), (2)")
    sql.script([
        "CREATE TABLE s (id INT)" if IS_MYSQL else "CREATE SEQUENCE s",
        "CREATE VIEW v AS SELECT id FROM a",
    ])
    manifest = await services.backup(database)
    sql.script(["DROP TABLE b", "CREATE TABLE d (id INT PRIMARY KEY)", "INSERT INTO d VALUES (7)"])

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))

    actions = {
        table.name: (table.action, table.rows_now, table.rows_then) for table in forecast.tables
    }
    assert actions == {
        "a": (Action.REPLACE, 2, 2),
        "b": (Action.CREATE, None, 0),
        "c": (Action.REPLACE, 0, 0),
        "d": (Action.DROP, 1, None),
        "s": (Action.REPLACE, 0 if IS_MYSQL else None, 0),
    }


async def test_tables_that_were_not_chosen_are_kept(services, sql, database):
    """With patterns only tables that match change, with their triggers."""
    sql.script([f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in ("a", "b")])
    sql.script([
        "CREATE TRIGGER ta BEFORE INSERT ON a FOR EACH ROW SET @x = 1",
        "CREATE TRIGGER tb BEFORE INSERT ON b FOR EACH ROW SET @x = 1",
        "CREATE VIEW v AS SELECT 1",
    ])
    manifest = await services.backup(database)
    sql.script(["DROP TRIGGER ta", "CREATE TABLE c (id INT PRIMARY KEY)"])

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id, tables=("a",)))

    actions = {table.name: table.action for table in forecast.tables}
    assert actions == {"a": Action.REPLACE, "b": Action.KEEP, "c": Action.KEEP}
    assert by_object(forecast) == {("trigger", "ta"): Action.CREATE}


async def test_the_action_of_every_object_is_foretold(services, sql, database):
    """Views, triggers, routines and events are created, replaced, dropped, or kept as they are."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW same AS SELECT id FROM t",
        "CREATE VIEW other AS SELECT id FROM t",
        "CREATE PROCEDURE gone() SELECT 1",
        "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
    ])
    manifest = await services.backup(database)
    sql.script([
        "CREATE OR REPLACE VIEW other AS SELECT id + 1 AS id FROM t",
        "DROP PROCEDURE gone",
        "CREATE PROCEDURE fresh() SELECT 1",
        "ALTER EVENT e DISABLE",
    ])

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))

    assert by_object(forecast) == {
        ("view", "same"): Action.KEEP,
        ("view", "other"): Action.REPLACE,
        ("procedure", "gone"): Action.CREATE,
        ("procedure", "fresh"): Action.DROP,
        ("function", "f"): Action.KEEP,
        ("trigger", "r"): Action.KEEP,
        ("event", "e"): Action.REPLACE,
    }
    assert {item.kind for item in forecast.objects} == {
        ObjectKind.VIEW, ObjectKind.PROCEDURE, ObjectKind.FUNCTION, ObjectKind.TRIGGER, ObjectKind.EVENT,
    }  # fmt: skip


async def test_under_another_name_everything_is_created(services, sql, database):
    """A name that is free gets all of it; the live database is not compared with anything."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "CREATE VIEW v AS SELECT id FROM t"])
    manifest = await services.backup(database)

    forecast = await ends_as_foretold(
        services, RestoreRequest(manifest.backup_id, into=services.new_name())
    )

    assert {table.action for table in forecast.tables} == {Action.CREATE}
    assert {item.action for item in forecast.objects} == {Action.CREATE}
    assert forecast.tables[0].same_definition is None


async def test_foreign_keys_from_outside_are_named(services, sql, database):
    """Keys of other schemas, and of tables that stay, are listed; the restore makes them again."""
    other = services.new_name()
    sql.script([
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, CONSTRAINT near FOREIGN KEY (id) REFERENCES parent (id))",
        f"CREATE DATABASE {other}",
        (
            f"CREATE TABLE {other}.far (id INT PRIMARY KEY,"
            f" CONSTRAINT away FOREIGN KEY (id) REFERENCES {database}.parent (id))"
        ),
    ])
    manifest = await services.backup(database)

    whole = await ends_as_foretold(services, RestoreRequest(manifest.backup_id))
    part = await ends_as_foretold(services, RestoreRequest(manifest.backup_id, tables=("parent",)))
    sql.run(f"DROP DATABASE {other}")

    assert whole.incoming_foreign_keys == (f"{other}.far.away",)
    assert part.incoming_foreign_keys == tuple(
        sorted([f"{other}.far.away", f"{database}.child.near"])
    )


@pytest.mark.parametrize(
    "options",
    [{"schema_only": True}, {"data_only": True}, {"tables": ("plain", "lo*")}],
    ids=["definitions", "rows", "some tables"],
)
async def test_parts_of_a_backup_end_as_foretold(options, services, sql, database):
    """Definitions alone, rows alone and some tables: rows afterwards and actions are those of the restore."""
    _tables(sql)
    manifest = await services.backup(database, chunk_bytes=CHUNK_BYTES)
    sql.script(["DELETE FROM plain WHERE id < 300", "CREATE TABLE later (id INT)"])

    forecast = await ends_as_foretold(services, RestoreRequest(manifest.backup_id, **options))

    expected = 0 if "schema_only" in options else 1000
    assert by_name(forecast)["plain"].rows_then == expected
    assert by_name(forecast)["plain"].rows_now == 701
    assert (by_name(forecast)["plain"].chunks > 0) is ("schema_only" not in options)
