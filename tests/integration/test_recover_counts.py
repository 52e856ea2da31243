"""Every transaction of a replay is accounted for, also where a server gives them no GTIDs."""

import struct
import zlib
from dataclasses import replace

import pytest
import pytest_asyncio

from app.binlog.archive.reading import open_streams
from app.domain.runs.progress import Progress
from app.engine.replay.applier import RelayPlace
from app.errors import RecoverMismatchError, ReplayFailedError
from app.services.point_in_time.relay_logs import lay_relay_logs
from app.services.point_in_time.replay import replay
from app.services.point_in_time.scratch import ScratchPlace, scratch_for
from app.services.point_in_time.standing import place_of
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.clocks import SystemClock
from tests.fixtures.point_in_time import PointsInTime
from tests.oracle.snapshots import assert_same, snapshot


NAMED, UNNAMED = ["--gtid-mode=ON"] if IS_MYSQL else ["--gtid-strict-mode=0"], ["--gtid-mode=OFF"]
MODES = [NAMED, UNNAMED] if IS_MYSQL else [NAMED]
IDS = ["with GTIDs", "without"][: len(MODES)]
ALWAYS_NAMED = pytest.mark.differs("mariadb", reason="each of its transactions has a GTID")
# Of any event: time, type, server, size, its end in the file, flags.
HEADER = struct.Struct("<IBIIIH")
# Appliers pass over an event of this kind with this flag.
IGNORABLE, MAY_BE_IGNORED = 28, 0x80
CHANGES = [
    "INSERT INTO shop.orders (note) VALUES ('three')",
    "BEGIN",
    "UPDATE shop.orders SET note = 'changed' WHERE id = 1",
    "INSERT INTO log.entries (text) VALUES ('changed')",
    "COMMIT",
    "CREATE TABLE shop.copied AS SELECT * FROM shop.orders",
    "XA START 'one'",
    "INSERT INTO shop.orders (note) VALUES ('prepared')",
    "XA END 'one'",
    "XA PREPARE 'one'",
    "XA COMMIT 'one'",
    # What the scratch server leaves out, and what changes nothing.
    "CREATE USER 'reader'@'%' IDENTIFIED BY 'Passw0rd-of-a-reader'",
    "DROP TABLE IF EXISTS shop.nothing",
    # Ends like what MySQL makes of CREATE TABLE ... SELECT.
    "ALTER TABLE shop.orders ADD COLUMN extra INT -- START TRANSACTION",
    "FLUSH BINARY LOGS",
    "DELETE FROM shop.orders WHERE id = 2",
]


@pytest_asyncio.fixture
async def source(own_server, server_template, tmp_path):
    """Start a source that is set up as told, with two databases; give what recovers it."""
    started = []

    def start(options):
        found = PointsInTime(own_server(*options), tmp_path, server_template)
        started.append(found)
        found.sql.script([
            "CREATE DATABASE shop",
            "CREATE DATABASE log",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60))",
            "CREATE TABLE log.entries (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(60))",
            "INSERT INTO shop.orders (note) VALUES ('one'), ('two')",
        ])
        return found

    yield start
    for found in started:
        await found.close()


@pytest.mark.parametrize("options", MODES, ids=IDS)
async def test_every_transaction_counts(source, options):
    """Also one that changes nothing, or nothing that is replayed; the recovered backup is a base in its turn."""
    points = source(options)
    await points.backup()
    points.sql.script(CHANGES)
    expected = snapshot(points.sql, "shop")
    points.archive()
    plan = await points.plan(points.position())
    assert bool(plan.cut.position.gtid) == (options == NAMED)

    recovered = await points.service.recover(plan)
    await points.restore(recovered, databases=("shop",), into="copy")

    assert_same(snapshot(points.sql, "copy"), expected)
    again = await points.recover(points.position())
    assert again.recovered_from == recovered.backup_id


@pytest.mark.parametrize("options", MODES, ids=IDS)
async def test_some_databases_are_counted_like_all(source, options):
    """A transaction of which nothing is replayed counts, too."""
    points = source(options)
    await points.backup()
    # MySQL does not take XA where databases are chosen.
    points.sql.script(statement for statement in CHANGES if not statement.startswith("XA"))
    expected = snapshot(points.sql, "log")

    recovered = await points.recover(points.position(), ["log"])
    await points.restore(recovered, into="copy")

    assert_same(snapshot(points.sql, "copy"), expected)


@ALWAYS_NAMED
async def test_a_server_that_begins_to_give_gtids_is_recovered_through_that(source):
    """Before, between and after: what has one keeps it, what has none is counted."""
    points = source(UNNAMED)
    await points.backup()
    for number, mode in enumerate(("OFF_PERMISSIVE", "ON_PERMISSIVE", "ON")):
        points.sql.run(f"INSERT INTO shop.orders (note) VALUES ('{number}')")
        points.sql.run(f"SET GLOBAL gtid_mode = {mode}")
    points.sql.run("INSERT INTO shop.orders (note) VALUES ('last')")
    expected = snapshot(points.sql, "shop")

    recovered = await points.recover(points.position())
    await points.restore(recovered, databases=("shop",), into="copy")

    assert_same(snapshot(points.sql, "copy"), expected)
    assert recovered.position.gtid.endswith(":1-2")


@pytest.mark.parametrize("options", MODES, ids=IDS)
async def test_a_transaction_that_is_not_taken_is_named(source, options):
    """By its GTID or by its place, and by what it did."""
    points = source(options)
    await points.backup()
    points.sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
    points.sql.script([
        "SET sql_log_bin = 0",
        "INSERT INTO shop.orders (note) VALUES ('unlogged')",
        "SET sql_log_bin = 1",
    ])
    place = points.position()
    points.sql.run("DELETE FROM shop.orders WHERE note = 'unlogged'")

    with pytest.raises(ReplayFailedError, match=rf"transaction .*at {place.text} .*1032"):
        await points.recover(points.position())


def without_the_last(data, start, spans):
    """Cut a relay log before its last transaction."""
    name, _ = start.relay_end
    end = spans[-1][0]
    with (data / name).open("rb+") as file:
        file.truncate(end)
    return replace(start, relay_end=RelayPlace(name, end))


def without_one(data, start, spans):
    """Let appliers pass over a transaction in the middle; all positions stay as they are."""
    begin, end = spans[len(spans) // 2]
    name, _ = start.relay_end
    with (data / name).open("rb+") as file:
        file.seek(begin)
        moment, _, server, _, _, _ = HEADER.unpack(file.read(HEADER.size))
        file.seek(end - 4)
        body = bytes(end - begin - HEADER.size - 4)
        header = HEADER.pack(moment, IGNORABLE, server, end - begin, 0, MAY_BE_IGNORED)
        file.seek(begin)
        file.write(header + body + zlib.crc32(header + body).to_bytes(4, "little"))
    return start


@pytest.mark.parametrize("fault", [without_the_last, without_one])
@pytest.mark.parametrize("options", MODES, ids=IDS)
async def test_a_transaction_that_is_lost_is_noticed(source, server_template, options, fault):
    """The applier ends well and at the right place; only what it has applied tells."""
    points = source(options)
    base = await points.backup()
    for number in range(5):
        points.sql.run(f"INSERT INTO shop.orders (note) VALUES ('{number}')")
    points.archive()
    plan = await points.plan(points.position())
    (stream,) = open_streams(points.backups)
    place = ScratchPlace(points.state / "scratch", None, "", 60.0, server_template)

    async with scratch_for(plan, stream, place) as scratch:
        await scratch.restore(plan, points.catalogue, SystemClock(), Progress())
        begin = place_of(stream, base)
        assert begin is not None
        start = lay_relay_logs(stream, begin, plan.cut.place, scratch.data)
        moved = start.relay_position - base.position.binlog_position
        spans = [
            (found.start + moved, found.end + moved)
            for found in stream.transactions()
            if found.start >= base.position.binlog_position
        ]
        assert len(spans) == plan.cut.transactions == 5
        start = fault(scratch.data, start, spans)
        with pytest.raises(RecoverMismatchError):
            await replay(scratch.server, start, plan.cut, Progress(), lambda *_: "")
