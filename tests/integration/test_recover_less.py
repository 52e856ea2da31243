"""Recoveries where less is there than was asked for, or something else of that name: none is taken for what was meant."""

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio

from app.binlog.archive.reading import open_streams
from app.domain.restores.points import Point, PointKind, RecoverRequest
from app.errors import BaseUnfitError, DatabaseNotFoundError, RecoverMismatchError
from app.services.point_in_time.plan import plan_recovery
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.log_archive import RESET, archiving, caught_up, until
from tests.fixtures.point_in_time import PointsInTime


GTIDS = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"] if IS_MYSQL else []


@pytest_asyncio.fixture
async def points(own_server, server_template, tmp_path):
    """A source with two databases."""
    found = PointsInTime(own_server(*GTIDS), tmp_path, server_template)
    found.sql.script([
        "CREATE DATABASE shop",
        "CREATE DATABASE log",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY)",
        "CREATE TABLE log.entries (id INT PRIMARY KEY)",
        "INSERT INTO log.entries VALUES (1)",
    ])
    yield found
    await found.close()


async def test_a_database_that_is_gone_at_the_point_is_no_backup_of_all(points):
    """One without any database counts as whole: as the next base it would lose all others, in silence."""
    await points.backup()
    points.sql.script(["USE log", "DROP DATABASE shop"])

    with pytest.raises(DatabaseNotFoundError, match="no database 'shop' any more"):
        await points.recover(points.position(), ["shop"])

    assert len(points.catalogue.entries()) == 1
    both = await points.recover(points.position(), ["shop", "log"])
    assert [database.name for database in both.databases] == ["log"]
    assert both.options.requested == ("log",)


async def test_a_backup_of_one_database_stands_for_others_after_all_that_hold_them(points):
    """Also after one during which a definition was changed."""
    whole = await points.backup()
    points.sql.run("ALTER TABLE shop.orders ADD KEY by_id (id)")
    end = points.position()
    position = replace(whole.position, end_file=end.file, end_position=end.position)
    whole = replace(whole, position=position)
    less = await points.backup(databases=("log",))
    points.archive()
    (stream,) = open_streams(points.backups)
    request = RecoverRequest(points.position())

    plan = plan_recovery(stream, iter([whole, less]), request)

    assert (plan.base, plan.databases) == (whole, ())
    alone = plan_recovery(stream, iter([less]), request)
    assert (alone.base, alone.databases) == (less, ("log",))


async def test_a_drill_of_everything_needs_a_base_of_everything(points):
    """From another one it would accuse the source of what the base lacks."""
    await points.backup(databases=("log",))
    await points.backup()
    points.archive()

    with pytest.raises(BaseUnfitError, match="it holds log alone"):
        await points.service.plan_drill()


async def archived_insert(points, archiver):
    """Archive an INSERT behind a backup; return the backup, and what names the place behind the INSERT."""
    await caught_up(archiver, points.sql)
    base = await points.backup()
    points.sql.run("INSERT INTO shop.orders VALUES (1)")
    await caught_up(archiver, points.sql)
    gtid = points.last_gtid()
    return base, [
        points.position(),
        *(Point(kind, gtid) for kind in (PointKind.GTID, PointKind.BEFORE_GTID)),
    ]


async def another_stream(points, archiver, older):
    """Wait until another stream than one has all that is logged."""
    await until(lambda: archiver.status.stream not in {"", older}, "another stream")
    await caught_up(archiver, points.sql)


async def test_a_name_of_two_histories_means_the_newer_one(points):
    """A log that was reset counts from one again: what the older one has of that name is something else."""
    points.sql.run(RESET)
    async with archiving(points.source.url, points.backups) as archiver:
        _, named = await archived_insert(points, archiver)
        older = archiver.status.stream
    await asyncio.sleep(1.1)  # files are told apart by the second in which they were begun
    points.sql.script([RESET, "INSERT INTO shop.orders VALUES (2)"])
    async with archiving(points.source.url, points.backups) as archiver:
        await another_stream(points, archiver, older)

    for point in named:
        with pytest.raises(BaseUnfitError, match="before this archive of the binary log began"):
            await points.plan(point)


async def test_a_file_of_two_streams_is_one_history(points):
    """A stream that ended in the middle of a file, and one that begins with it: what is before leads back to the base."""
    async with archiving(points.source.url, points.backups) as archiver:
        base, named = await archived_insert(points, archiver)
        older = archiver.status.stream
    points.sql.run("SET GLOBAL default_storage_engine = 'MyISAM'")
    async with archiving(points.source.url, points.backups) as archiver:
        await another_stream(points, archiver, older)

    plans = [await points.plan(point) for point in named]

    assert [(plan.base, plan.stream) for plan in plans] == [(base, older)] * len(named)


async def test_a_drill_finds_databases_that_were_changed_past_the_log(points):
    """One that is gone, one that is new and empty, one whose tables get another character set."""
    points.sql.script(["CREATE DATABASE old", "CREATE DATABASE made CHARACTER SET utf8mb4"])
    await points.backup()
    points.sql.script([
        "SET sql_log_bin = 0",
        "DROP DATABASE old",
        "CREATE DATABASE new",
        "ALTER DATABASE made CHARACTER SET latin1",
        "SET sql_log_bin = 1",
        "INSERT INTO shop.orders VALUES (1)",
    ])
    await points.backup()
    points.archive()

    with pytest.raises(RecoverMismatchError, match="database made, database new, database old"):
        await points.service.drill(await points.service.plan_drill())
