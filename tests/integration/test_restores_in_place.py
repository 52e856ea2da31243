"""Which tables a restore in place changes, and what it refuses before it changes any (hazards 95 and 97)."""

import asyncio

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import (
    IncompatibleServerError,
    IntegrityError,
    InvalidRequestError,
    StatementError,
    TableNotFoundError,
    TargetNotEmptyError,
)
from tests.corpora import objects
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.forged import with_rows_twice, with_text
from tests.fixtures.restored_shop import LATER, drop, errno, untouched
from tests.oracle.snapshots import assert_same, snapshot


def tables_of(snap):
    """Return what a snapshot says of tables and their rows, by table."""
    return {
        name: (rows, snap["definition"][f"TABLE {name}"]) for name, rows in snap["content"].items()
    }


# -- what is chosen --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (("journal",), {"journal"}),
        (("*r*", "customer"), {"customer", "journal", "purchase"}),
        (("?ustomer", "*.journal"), {"customer", "journal"}),
    ],
)
async def test_chosen_tables_come_back_and_others_stay(patterns, chosen, backstay, sql, shop):
    """Tables chosen by name are as in the backup with their triggers, all others as they were."""
    manifest = await backstay.backup(shop)
    backed_up = snapshot(backstay.url, shop)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest, tables=patterns)

    after = tables_of(snapshot(backstay.url, shop))
    assert set(result.restored_tables) == {f"{shop}.{name}" for name in chosen}
    assert result.dropped_tables == ()
    for name, table in after.items():
        assert table == tables_of(backed_up if name in chosen else before)[name]
    triggers = {row[0] for row in sql.run("SHOW TRIGGERS")}
    assert triggers == {"extra_set", "noted"} | ({"checked"} if "purchase" in chosen else set())
    assert set(after) == {"customer", "extra", "journal", "purchase"}
    assert sql.run("SELECT COUNT(*) FROM more")
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, shop))


async def test_a_backup_of_some_tables_changes_these_alone(backstay, sql, shop):
    """A backup of some tables changes these and leaves everything else alone."""
    manifest = await backstay.backup(shop, tables=("customer", "purchase"))
    backed_up = tables_of(snapshot(backstay.url, shop))
    sql.script(LATER)
    before = tables_of(snapshot(backstay.url, shop))

    result = await backstay.restore(manifest)

    after = tables_of(snapshot(backstay.url, shop))
    expected = {**before, "customer": backed_up["customer"], "purchase": backed_up["purchase"]}
    assert after == expected
    assert result.dropped_tables == ()
    assert {row[0] for row in sql.run("SHOW TRIGGERS")} == {"extra_set", "noted", "checked"}
    assert errno(sql, "CALL other()") == 0


# A sequence where there are any.
KIND, COLUMNS = ("TABLE", " (id INT)") if IS_MYSQL else ("SEQUENCE", "")


async def test_a_whole_restore_leaves_what_is_in_the_backup(backstay, sql, shop):
    """A whole restore leaves exactly what is in the backup, and says which tables went."""
    sql.run(f"CREATE {KIND} numbers{COLUMNS}")
    manifest = await backstay.backup(shop)
    before = snapshot(backstay.url, shop)
    sql.script([*LATER, f"DROP {KIND} numbers", f"CREATE {KIND} digits{COLUMNS}"])
    sql.run(f"ALTER DATABASE {shop} CHARACTER SET latin1")

    result = await backstay.restore(manifest)

    assert_same(before, snapshot(backstay.url, shop))
    assert result.dropped_tables == (f"{shop}.digits", f"{shop}.extra")
    assert result.databases == (shop,)
    assert (result.verified, result.verified_before) == (True, True)


async def test_several_databases_change_places_together(backstay, sql, shop, other):
    """Databases with keys into each other change places together, and come back by one undo."""
    sql.script([*objects.foreign_keys(shop, other), f"CREATE TABLE {other}.plain (id INT)"])
    manifest = await backstay.backup(shop, other)
    backed_up = [snapshot(backstay.url, name) for name in (shop, other)]
    sql.script(["SET foreign_key_checks = 0", f"DELETE FROM {other}.fk_far"])
    sql.script([f"DROP TABLE {other}.plain", "DROP TABLE fk_wide", "DELETE FROM fk_self"])
    sql.run("SET foreign_key_checks = 1")
    before = [snapshot(backstay.url, name) for name in (shop, other)]

    result = await backstay.restore(manifest)

    for name, state in zip((shop, other), backed_up, strict=True):
        assert_same(state, snapshot(backstay.url, name))
    assert errno(sql, f"DELETE FROM {other}.fk_far") == errno(sql, "DELETE FROM fk_near") == 1451
    await backstay.recoveries.undo(result.restore_id)
    for name, state in zip((shop, other), before, strict=True):
        assert_same(state, snapshot(backstay.url, name))


async def test_one_of_several_databases_leaves_the_others(backstay, sql, shop, other):
    """One database of several is restored in place, or under another name; keys bind the live ones."""
    sql.script(objects.foreign_keys(shop, other))
    manifest = await backstay.backup(shop, other)
    before = snapshot(backstay.url, other)
    sql.run("DELETE FROM purchase")

    result = await backstay.restore(manifest, databases=(shop,))

    assert result.databases == (shop,)
    assert_same(before, snapshot(backstay.url, other))
    assert errno(sql, f"DELETE FROM {other}.fk_far") == errno(sql, "DELETE FROM fk_near") == 1451
    copy = backstay.new_name()
    with untouched(backstay, shop, other):
        with pytest.raises(InvalidRequestError, match="is for one database"):
            await backstay.restore(manifest, copy)
        with pytest.raises(TargetNotEmptyError):
            await backstay.restore(manifest, other, databases=(shop,))
    result = await backstay.restore(manifest, copy, databases=(shop,))
    assert (result.recovery_point, result.databases) == ("", (copy,))
    assert sql.run(f"SELECT SUM(amount) FROM {copy}.purchase") == [(30,)]
    await backstay.recoveries.undo(result.restore_id)
    assert sql.run(f"SHOW DATABASES LIKE '{copy}'") == []
    drop(sql, copy)


async def test_rows_alone_keep_the_definitions_of_now(backstay, sql, shop):
    """With rows only, tables and triggers keep the definitions they have now."""
    manifest = await backstay.backup(shop)
    sql.script([
        "ALTER TABLE purchase ADD note VARCHAR(9) DEFAULT 'new', ADD KEY (amount), COMMENT 'mine'",
        "ALTER TABLE customer DROP PRIMARY KEY, ADD PRIMARY KEY (id), MODIFY id INT FIRST",
        "DROP TRIGGER checked",
        "CREATE TRIGGER since BEFORE INSERT ON purchase FOR EACH ROW SET NEW.note = 'set'",
        "DELETE FROM purchase",
        "INSERT INTO purchase VALUES (9, 1, 1, 'x')",
    ])
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest, data_only=True)

    assert sql.run("SELECT * FROM purchase ORDER BY id") == [(1, 1, 10, "new"), (2, 2, 20, "new")]
    assert {row[0] for row in sql.run("SHOW TRIGGERS")} == {"noted", "since"}
    comment = sql.run("SHOW TABLE STATUS LIKE 'purchase'")[0][17]
    assert comment == "mine"
    assert result.rows_count == 7
    sql.run("INSERT INTO purchase (customer, amount) VALUES (1, 1)")
    assert sql.run("SELECT note FROM purchase WHERE amount = 1") == [("set",)]
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, shop))


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE customer DROP name",
        "ALTER TABLE customer MODIFY name VARCHAR(10) NOT NULL",
        "DROP TABLE journal",
    ],
)
async def test_rows_alone_that_do_not_fit_are_refused(change, backstay, sql, shop):
    """Rows for a column or a table that is not there any more are refused before anything changes."""
    manifest = await backstay.backup(shop)
    sql.run(change)
    catalogue = len(backstay.catalogue.entries())

    with (
        untouched(backstay, shop),
        pytest.raises(IncompatibleServerError, match=r"customer|journal"),
    ):
        await backstay.restore(manifest, data_only=True)

    assert len(backstay.catalogue.entries()) == catalogue


async def test_definitions_alone_give_empty_tables(backstay, sql, shop):
    """Without rows, the tables are empty and everything else is as in the backup."""
    manifest = await backstay.backup(shop)
    sql.script(LATER)

    result = await backstay.restore(manifest, schema_only=True)

    assert result.rows_count == 0
    assert sql.run("SELECT COUNT(*) FROM customer, purchase, journal") == [(0,)]
    sql.run("INSERT INTO customer VALUES (1, 'x')")
    sql.run("INSERT INTO purchase (customer, amount) VALUES (1, -3)")
    assert sql.run("SELECT * FROM sales") == [("x", 0)]
    assert errno(sql, "CALL tidy()") == 0


async def test_a_backup_without_rows_replaces_none_unasked(backstay, sql, shop):
    """A backup without rows does not take the place of rows, unless that is asked for."""
    manifest = await backstay.backup(shop, include_data=False)
    with untouched(backstay, shop):
        with pytest.raises(IncompatibleServerError, match="--schema-only"):
            await backstay.restore(manifest)
        with pytest.raises(InvalidRequestError):
            await backstay.restore(manifest, data_only=True)
        with pytest.raises(InvalidRequestError):
            await backstay.restore(manifest, data_only=True, schema_only=True)
        with pytest.raises(TableNotFoundError):
            await backstay.restore(manifest, tables=("nothing*",), schema_only=True)

    await backstay.restore(manifest, schema_only=True)

    assert sql.run("SELECT COUNT(*) FROM customer") == [(0,)]


async def test_rows_that_lose_their_parent_are_counted_in_a_warning(backstay, sql, shop):
    """Rows that lose their parent by a restore of one table are counted in a warning."""
    manifest = await backstay.backup(shop)
    sql.script([
        "INSERT INTO customer VALUES (8, 'x')",
        "INSERT INTO purchase VALUES (80, 8, 1), (81, 8, 1), (82, NULL, 1)",
    ])

    result = await backstay.restore(manifest, tables=("customer",))

    (warning,) = result.warnings
    assert f"foreign key buys of {shop}.purchase: 2 rows without a parent" in warning
    assert errno(sql, "INSERT INTO purchase VALUES (83, 8, 1)") == 1452


# -- the recovery point ----------------------------------------------------------------------------


@pytest.mark.parametrize("patterns", [(), ("purchase", "journal")])
async def test_a_recovery_point_holds_exactly_what_is_replaced(patterns, backstay, sql, shop):
    """Before a restore, exactly what it replaces is backed up as a recovery point."""
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest, tables=patterns)

    point = backstay.catalogue.manifest(result.recovery_point)
    assert point.options.recovery_point
    (database,) = point.databases
    replaced = {"customer", "extra", "journal", "purchase"} if not patterns else set(patterns)
    assert {table.name for table in database.tables} == replaced
    await backstay.recoveries.restore(
        await backstay.recoveries.plan(RestoreRequest(result.recovery_point))
    )
    assert_same(before, snapshot(backstay.url, shop))


async def test_no_recovery_point_is_made_of_nothing_or_unwanted(backstay, sql, shop):
    """There is none when it is not wanted, or nothing is replaced."""
    manifest = await backstay.backup(shop)
    copy = backstay.new_name()

    results = [
        await backstay.restore(manifest, create_backup=False),
        await backstay.restore(manifest, copy),
    ]
    sql.run(f"DROP DATABASE {shop}")
    results.append(await backstay.restore(manifest))

    assert [result.recovery_point for result in results] == ["", "", ""]
    assert len(backstay.catalogue.entries()) == 1
    sql.run(f"USE {shop}")


# -- backups that are not what they promise --------------------------------------------------------


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
async def test_a_backup_whose_content_does_not_fit_is_refused(old, new, backstay, sql, shop):
    """A backup whose every digest is right, but whose content does not fit together, is refused."""
    manifest = await backstay.backup(shop)
    forged = await with_text(backstay, manifest, old, new)
    sql.script(LATER)

    with untouched(backstay, shop), pytest.raises((StatementError, IntegrityError)):
        await backstay.restore(forged)


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
async def test_a_backup_with_rows_twice_is_refused(key, backstay, sql, shop):
    """A backup with rows twice in it is refused, whether or not a key sees them."""
    drop(sql, shop)
    sql.script([f"CREATE DATABASE {shop}", f"USE {shop}", f"CREATE TABLE t (id INT {key})"])
    sql.run("INSERT INTO t VALUES (1), (2), (3)")
    forged = await with_rows_twice(backstay, await backstay.backup(shop))
    sql.run("INSERT INTO t VALUES (4)")

    with untouched(backstay, shop), pytest.raises((StatementError, IntegrityError)):
        await backstay.restore(forged)


async def test_restores_of_two_databases_go_on_at_once(backstay, sql, shop, other):
    """Restores of different databases go on at the same time."""
    sql.run(f"CREATE TABLE {other}.t (id INT PRIMARY KEY)")
    sql.run(f"INSERT INTO {other}.t VALUES (1), (2)")
    manifests = [await backstay.backup(name) for name in (shop, other)]
    before = [snapshot(backstay.url, name) for name in (shop, other)]
    sql.script([*LATER, f"DELETE FROM {other}.t"])

    results = await asyncio.gather(*(backstay.restore(manifest) for manifest in manifests))

    assert [result.databases for result in results] == [(shop,), (other,)]
    for name, state in zip((shop, other), before, strict=True):
        assert_same(state, snapshot(backstay.url, name))
