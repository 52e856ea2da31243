"""Time zones by their names, which a server has in tables of its own, are in a replay what they were on the source."""

import pytest_asyncio

from app.sandbox.zones import zone_statements
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.point_in_time import PointsInTime
from tests.oracle.snapshots import assert_same, snapshot


BERLIN = "CONVERT_TZ('2024-05-05 10:00:00', 'Europe/Berlin', 'UTC')"
IN_PLACE_OF_ROWS = "STATEMENT" if IS_MYSQL else "MIXED"  # as MariaDB does by default


@pytest_asyncio.fixture
async def points(own_server, server_template, tmp_path):
    """A source with a database."""
    found = PointsInTime(own_server(), tmp_path, server_template)
    found.sql.run("CREATE DATABASE shop")
    yield found
    await found.close()


async def require_same(points):
    """Change the source by zones, and require that a recovery gives the same."""
    points.sql.script([
        "CREATE TABLE shop.kept (d DATETIME, b DATETIME AS (CONVERT_TZ(d, 'UTC', 'Asia/Tokyo')) STORED)",
        "INSERT INTO shop.kept (d) VALUES ('2024-05-05 01:02:03')",
    ])
    await points.backup()
    points.sql.script([
        "INSERT INTO shop.kept (d) VALUES ('2024-06-07 08:09:10')",
        f"SET SESSION binlog_format = '{IN_PLACE_OF_ROWS}'",
        "CREATE TABLE shop.moments (id INT PRIMARY KEY, d DATETIME)",
        f"INSERT INTO shop.moments VALUES (1, {BERLIN})",
        f"ALTER TABLE shop.moments ADD x DATETIME DEFAULT ({BERLIN})",
    ])
    expected = snapshot(points.sql, "shop")

    recovered = await points.recover(points.position())
    points.sql.run("DROP DATABASE shop")
    await points.restore(recovered)

    assert_same(snapshot(points.sql, "shop"), expected)


async def test_what_computes_by_named_zones_gives_what_it_gave(points):
    """Without them it is NULL, and nobody is told: in statements, in definitions, in stored columns."""
    points.sql.run("USE mysql")
    points.sql.script(zone_statements())
    points.sql.script([
        "SET time_zone = 'Asia/Tokyo'",
        "CREATE TABLE shop.stamps (id INT PRIMARY KEY, t TIMESTAMP NULL)",
        "INSERT INTO shop.stamps VALUES (1, '2024-05-06 07:08:09')",
        "SET time_zone = DEFAULT",
    ])

    await require_same(points)
    assert points.sql.run("SELECT COUNT(d) FROM shop.moments") == [(1,)]


async def test_what_computes_by_zones_that_the_source_did_not_know_gives_nothing(points):
    """As it did there."""
    await require_same(points)
    assert points.sql.run("SELECT COUNT(d) FROM shop.moments") == [(0,)]
