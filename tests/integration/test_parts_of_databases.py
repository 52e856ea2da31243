"""Backups of some tables of a database, with views, routines and events besides: what is around them stays."""

from typing import Any

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import StatementError
from tests.fixtures.dry_runs import by_object, ends_as_foretold
from tests.fixtures.restored_shop import errno, untouched
from tests.oracle.snapshots import assert_same, snapshot


def taken_out(found: Any) -> Any:
    """Take the rows of purchases out of a snapshot, and return them."""
    return found["content"].pop("purchase")


@pytest.mark.parametrize(
    "options",
    [{"tables": ("*s*",)}, {"exclude_tables": ("journal", "customer")}],
    ids=["some and a view", "all but some"],
)
async def test_what_is_not_in_the_backup_stays(options, backstay, sql, shop):
    """Triggers of other tables, other views, routines and events are none of its business."""
    sql.script([
        "CREATE TRIGGER written BEFORE INSERT ON journal FOR EACH ROW SET @x = 1",
        "CREATE VIEW names AS SELECT name FROM customer",
    ])
    manifest = await backstay.backup(shop, **options)
    purchases = taken_out(snapshot(backstay.url, shop))
    sql.script([
        "DELETE FROM purchase",
        "CREATE VIEW more AS SELECT * FROM customer",
        "CREATE PROCEDURE other() SELECT 1",
        "CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2035-01-01 00:00:00' DO SELECT 1",
    ])
    before = snapshot(backstay.url, shop)

    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

    after = snapshot(backstay.url, shop)
    assert taken_out(after) == purchases != taken_out(before)
    assert_same(before, after)
    assert {action.value for action in by_object(forecast).values()} == {"keep"}


async def test_an_undo_leaves_what_the_restore_has_left(backstay, sql, shop):
    """Routines, events and views that it did not bring are as somebody has made them since."""
    manifest = await backstay.backup(shop, tables=("*s*",))
    sql.run("DELETE FROM purchase")
    none = taken_out(snapshot(backstay.url, shop))
    result = await backstay.restore(manifest)
    sql.script([
        "DROP PROCEDURE tidy",
        "CREATE PROCEDURE tidy() SELECT 'since then'",
        "DROP EVENT nightly",
        "CREATE VIEW more AS SELECT 1 AS x",
        f"ALTER DATABASE {shop} COLLATE utf8mb4_bin",
    ])
    before = snapshot(backstay.url, shop)

    await backstay.recoveries.undo(result.restore_id)

    after = snapshot(backstay.url, shop)
    assert taken_out(after) == none != taken_out(before)
    assert_same(before, after)


async def test_a_recovery_point_holds_the_objects_that_are_replaced(backstay, sql, shop):
    """A backup without one table brings views and routines: those of now are backed up with the other tables."""
    manifest = await backstay.backup(shop, exclude_tables=("journal",))
    sql.script([
        "DROP PROCEDURE tidy",
        "CREATE PROCEDURE tidy() SELECT 'a newer one'",
        "DELETE FROM purchase",
    ])
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest)
    point = backstay.catalogue.manifest(result.recovery_point)
    assert snapshot(backstay.url, shop) != before
    await backstay.restore(point)

    assert {table.name for table in point.databases[0].tables} == {"customer", "purchase"}
    assert_same(before, snapshot(backstay.url, shop))


async def test_nothing_is_overwritten_under_another_name(backstay, sql, shop):
    """A database may hold something else there, and no routine, view or event of the backup's names."""
    manifest = await backstay.backup(shop, exclude_tables=("journal",))
    target = backstay.new_name()
    request = RestoreRequest(manifest.backup_id, into=target)
    sql.script([f"CREATE DATABASE {target}", f"CREATE PROCEDURE {target}.tidy() SELECT 1"])

    refused = await ends_as_foretold(backstay, request)
    sql.script([f"DROP PROCEDURE {target}.tidy", f"CREATE PROCEDURE {target}.mine() SELECT 1"])
    done = await ends_as_foretold(backstay, request)

    assert [str(problem) for problem in refused.problems] == [
        f"database {target!r} holds procedure 'tidy' already"
    ]
    assert not done.problems
    assert sql.run(f"CALL {target}.mine()") == [(1,)]


async def test_a_restore_that_fails_gives_keys_of_other_tables_back(backstay, sql, database):
    """What refers to a table that came is made to refer to it; where it cannot, it refers to the old one again."""
    sql.run("CREATE TABLE p (id VARCHAR(20) COLLATE utf8mb4_bin PRIMARY KEY)")
    manifest = await backstay.backup(database)
    sql.script([
        "ALTER TABLE p MODIFY id DATE",
        "CREATE TABLE c (id DATE PRIMARY KEY, CONSTRAINT fk FOREIGN KEY (id) REFERENCES p (id))",
        "INSERT INTO p VALUES ('2020-01-01')",
        "INSERT INTO c VALUES ('2020-01-01')",
    ])

    with untouched(backstay, database), pytest.raises(StatementError):
        await backstay.restore(manifest, tables=("p",))

    assert errno(sql, "DELETE FROM p") == 1451
