"""Recoveries to a point in time: what a backup and the binary log give is what was there."""

import asyncio
from contextlib import closing
from dataclasses import replace

import pytest
import pytest_asyncio

from app.binlog.archive.reading import open_streams
from app.domain.restores.points import Point, PointKind, RecoverRequest
from app.errors import (
    BaseUnfitError,
    PointInsideTransactionError,
    PointNotCoveredError,
)
from app.services.backups.retention_items import item_in
from app.services.log_retention.kept_log import KeptLog
from app.services.point_in_time.plan import plan_recovery
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.clocks import SystemClock
from tests.fixtures.point_in_time import PointsInTime, Witness
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


SHOP = [
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE DATABASE log",
    "USE shop",
    "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60), at DATETIME)",
    """CREATE TABLE items (id INT PRIMARY KEY AUTO_INCREMENT, order_id INT NOT NULL, n INT,
 CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE)""",
    "CREATE TABLE log.entries (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(60))",
    "INSERT INTO orders (note, at) VALUES ('one', '2024-01-01 00:00:00'), ('two', NULL), ('three', NULL)",
    "INSERT INTO items (order_id, n) VALUES (1, 1), (1, 2), (2, 3), (3, 4)",
]  # fmt: skip


@pytest_asyncio.fixture
async def points(own_server, server_template, tmp_path):
    """A source with a shop, and no archive yet."""
    found = PointsInTime(own_server(), tmp_path, server_template)
    found.sql.script(SHOP)
    yield found
    await found.close()


@pytest_asyncio.fixture
async def witness(own_server, points):
    """Another server to look at what was recovered."""
    found = Witness(own_server(), points)
    yield found
    await found.close()


def shop_and_log(points):
    return {name: snapshot(points.sql, name) for name in ("shop", "log")}


def require_same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        assert_same(found[name], expected[name])


@pytest.mark.long
async def test_every_point_is_what_was_there(points, witness):
    """DDL, XA, cascades, transactions over databases, temporary tables, rollbacks, rotations."""
    sql = points.sql
    await points.backup()
    steps = [
        ["INSERT INTO shop.orders (note, at) VALUES ('four', NOW())"],
        ["BEGIN", "UPDATE shop.orders SET note = 'x' WHERE id = 1", "INSERT INTO log.entries (text) VALUES ('changed')", "COMMIT"],
        ["DELETE FROM shop.orders WHERE id = 1"],
        ["FLUSH BINARY LOGS", "ALTER TABLE shop.items ADD COLUMN extra TIMESTAMP NULL, ADD KEY by_n (n)"],
        ["XA START 'one'", "INSERT INTO log.entries (text) VALUES ('prepared')", "XA END 'one'", "XA PREPARE 'one'", "XA COMMIT 'one'"],
        ["CREATE TEMPORARY TABLE shop.scratch AS SELECT * FROM shop.orders", "INSERT INTO log.entries (text) SELECT note FROM shop.scratch"],
        ["CREATE TABLE log.copied AS SELECT * FROM shop.items", "RENAME TABLE log.copied TO shop.moved"],
        ["USE shop", "CREATE VIEW seen AS SELECT note FROM orders", "CREATE TRIGGER noted BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = UPPER(NEW.note)"],
        ["INSERT INTO shop.orders (note) VALUES ('by trigger')", "FLUSH BINARY LOGS"],
        ["BEGIN", "INSERT INTO log.entries (text) VALUES ('undone')", "ROLLBACK", "TRUNCATE log.entries"],
        ["DROP TABLE shop.moved", "CREATE DATABASE later", "CREATE TABLE later.t (i INT PRIMARY KEY)", "DROP DATABASE later"],
    ]  # fmt: skip
    seen = []
    for step in steps:
        sql.script(step)
        seen.append((points.position(), shop_and_log(points)))

    for point, expected in series([seen[4], seen[-1]], seen):
        found = await witness.look(await points.recover(point), "shop", "log")
        require_same(found, expected)


async def test_a_dropped_table_comes_back_alone(points):
    """P3: just before the DROP by its GTID; one table of it in place, and then the whole is as before."""
    sql = points.sql
    base = await points.backup()
    sql.script(["INSERT INTO shop.items (order_id, n) VALUES (1, 9)", "FLUSH BINARY LOGS"])
    expected = shop_and_log(points)
    sql.script(["DROP TABLE shop.items"])
    points.archive()
    gtid = points.last_gtid()

    recovered = await points.recover(Point(PointKind.BEFORE_GTID, gtid))
    await points.restore(recovered, tables=("shop.items",))

    assert recovered.recovered_from == base.backup_id
    assert recovered.position.prepared == 0
    # It is of the server that its base is of, and of all databases.
    assert recovered.server.server_id == base.server.server_id
    assert recovered.options.requested == ()
    require_same(shop_and_log(points), expected)
    # P11: what was restored in place is in the log, and a point behind it is what is there.
    again = await points.recover(points.position())
    assert again.recovered_from == recovered.backup_id


async def test_after_a_prune_what_is_left_of_the_window_is_what_was_there(points, witness):
    """P17: an older backup goes, and the log before the newer one with it; every later point is as before."""
    first = await points.backup()
    points.sql.script(["INSERT INTO shop.orders (note) VALUES ('early')", "FLUSH BINARY LOGS"])
    points.sql.script(["INSERT INTO shop.orders (note) VALUES ('late')", "FLUSH BINARY LOGS"])
    second = await points.backup()
    points.sql.script(["UPDATE shop.orders SET note = 'changed' WHERE id = 1", "FLUSH BINARY LOGS"])
    expected, point = shop_and_log(points), points.position()
    points.sql.script(["DELETE FROM shop.items"])
    points.archive()
    points.remove(first)

    kept = KeptLog(points.catalogue, SystemClock(), points.backups)
    reading = points.catalogue.read(anew=True)
    (log,) = kept.prune([item_in(reading, entry) for entry in reading.survey.entries])
    assert (log.error, log.segments >= 2) == (None, True)
    plan = await points.plan(point)
    assert plan.base.backup_id == second.backup_id
    recovered = await points.service.recover(plan)
    require_same(await witness.look(recovered, "shop", "log"), expected)


async def test_a_base_that_may_hold_a_later_definition_is_one_where_there_is_no_other(points):
    """A key that was added while it was made cannot be added again."""
    older, newer = await points.backup(), await points.backup()
    points.sql.run("ALTER TABLE shop.items ADD KEY by_n (n)")
    end = points.position()
    newer = replace(
        newer, position=replace(newer.position, end_file=end.file, end_position=end.position)
    )
    points.archive()
    (stream,) = open_streams(points.backups)
    request = RecoverRequest(points.position())

    plan = plan_recovery(stream, iter([newer, older]), request)

    assert plan.base == older
    ((backup_id, reason),) = plan.passed_over
    assert (backup_id, "definition was changed" in reason) == (newer.backup_id, True)
    alone = plan_recovery(stream, iter([newer]), request)
    assert (alone.base, alone.cut.transactions) == (newer, 1)


async def test_a_base_that_may_hold_a_definition_of_behind_the_point_is_none(points):
    """Nothing that is replayed would change it back: the recovery would succeed and be wrong."""
    base = await points.backup()
    points.sql.run("INSERT INTO shop.orders (note) VALUES ('four')")
    before = points.position()
    points.sql.run("CREATE OR REPLACE VIEW shop.seen AS SELECT 1 AS later")
    end = points.position()
    base = replace(
        base, position=replace(base.position, end_file=end.file, end_position=end.position)
    )
    points.archive()
    (stream,) = open_streams(points.backups)

    with pytest.raises(BaseUnfitError, match="a definition of behind that point"):
        plan_recovery(stream, iter([base]), RecoverRequest(before))
    assert plan_recovery(stream, iter([base]), RecoverRequest(end)).base == base


async def test_positions_are_borders(points):
    """P6: inside a transaction, before the base, beyond the end; and the base itself."""
    sql = points.sql
    early = points.position()
    await points.backup()
    at_base = points.position()
    sql.run("INSERT INTO shop.orders (note) VALUES ('four')")
    points.archive()
    service = points.service

    with pytest.raises(PointInsideTransactionError):
        await points.plan(points.moved(at_base, 50))
    with pytest.raises(PointNotCoveredError):
        await points.plan(points.moved(points.position(), 1))
    with pytest.raises(PointNotCoveredError):
        await points.plan(points.moved(early, -200))
    plan = await points.plan(at_base)
    assert (plan.cut.transactions, plan.cut.last) == (0, None)
    assert plan.cut.following is not None
    assert (await service.recover(plan)).rows_count == 7


async def test_times_that_run_backwards_are_cut_right(points):
    """P16: event times may be long ago; a moment that may be on either side of a commit is refused."""
    sql = points.sql
    await points.backup()
    moments = []
    for statements in (
        ["INSERT INTO shop.orders (note) VALUES ('a')"],
        [
            "SET timestamp = 978307200",
            "INSERT INTO shop.orders (note) VALUES ('in 2001')",
            "SET timestamp = DEFAULT",
        ],
        ["INSERT INTO shop.orders (note) VALUES ('b')"],
    ):
        moments.append(points.now())
        await asyncio.sleep(1.1)  # the log has whole seconds
        sql.script(statements)
        await asyncio.sleep(1.1)
    points.archive()

    first, *others = [Point(PointKind.TIME, at.isoformat(), at=at) for at in moments]
    cuts = [(await points.plan(first)).cut]
    if IS_MYSQL:  # it notes the commit itself
        cuts += [(await points.plan(point)).cut for point in others]
    else:  # all of it came later, so on which side of them one of 2001 lies nobody can say
        for point in others:
            with pytest.raises(PointNotCoveredError, match="its time in the log"):
                await points.plan(point)

    assert [cut.transactions for cut in cuts] == ([0, 1, 2] if IS_MYSQL else [0])
    assert all(cut.following is not None for cut in cuts)


async def test_a_base_with_prepared_transactions_is_unfit(points):
    """P9."""
    with closing(Sql(points.source.url)) as other:
        other.script([
            "XA START 'p'",
            "INSERT INTO log.entries (text) VALUES ('p')",
            "XA END 'p'",
            "XA PREPARE 'p'",
        ])
    await asyncio.sleep(0.2)
    await points.backup()
    points.sql.run("XA COMMIT 'p'")

    with pytest.raises(BaseUnfitError, match="XA"):
        await points.recover(points.position())


@pytest.mark.differs("mysql", reason="it does not log the end of one that it has not logged")
async def test_an_xa_transaction_whose_rows_are_in_no_log_ends_what_can_be_recovered(points):
    """As after a crash between preparing one and logging it; a dry run says so, and points before it can be had."""
    await points.backup()
    before = points.position()
    with closing(Sql(points.source.url)) as other:
        other.script([
            "SET SESSION sql_log_bin = 0",
            "XA START 'p'",
            "INSERT INTO log.entries (text) VALUES ('p')",
            "XA END 'p'",
            "XA PREPARE 'p'",
        ])
    await asyncio.sleep(0.2)
    points.sql.run("XA COMMIT 'p'")
    points.archive()

    with pytest.raises(BaseUnfitError, match="prepared in no log"):
        await points.plan(points.position())
    assert (await points.plan(before)).cut.transactions == 0
