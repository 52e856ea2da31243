"""Recoveries of sources that are set up otherwise, of some databases, and of what was changed past the log."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.domain.restores.proofs import proven_at, recovery_proven_at
from app.errors import (
    BaseUnfitError,
    BinlogDamagedError,
    RecoverMismatchError,
    ReplayFailedError,
    ScratchUnavailableError,
)
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.point_in_time import PointsInTime, Witness
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


ZONE = "Europe/Moscow"
ENGINE = "MyISAM" if IS_MYSQL else "Aria"


@pytest_asyncio.fixture
async def moscow(own_server, server_template, tmp_path, monkeypatch) -> AsyncIterator[PointsInTime]:
    """A source in another time zone, with another engine by default and an ordinary server id."""
    monkeypatch.setenv("TZ", ZONE)
    source = own_server(
        f"--default-storage-engine={ENGINE}", "--character-set-server=latin1", "--server-id=1"
    )
    monkeypatch.delenv("TZ")
    found = PointsInTime(source, tmp_path, server_template, zone=ZONE)
    yield found
    await found.close()


@pytest_asyncio.fixture
async def points(own_server, server_template, tmp_path) -> AsyncIterator[PointsInTime]:
    """A source with two databases."""
    found = PointsInTime(own_server(), tmp_path, server_template)
    found.sql.script([
        "CREATE DATABASE shop",
        "CREATE DATABASE log",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60))",
        "CREATE TABLE log.entries (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(60))",
        "INSERT INTO shop.orders (note) VALUES ('one'), ('two')",
    ])
    yield found
    await found.close()


async def test_another_zone_engine_charset_and_the_same_server_id_change_nothing(
    moscow, own_server
):
    """P7, P8, P12: what the log does not say is as on the source; events keep status and definer."""
    sql = moscow.sql
    sql.script([
        "CREATE DATABASE shop",
        "USE shop",
        "CREATE USER 'definer'@'%' IDENTIFIED BY 'Passw0rd-of-a-definer'",
        "CREATE EVENT old ON SCHEDULE EVERY 1 DAY DO DO 1",
        "CREATE EVENT kept ON SCHEDULE EVERY 1 DAY DISABLE DO DO 2",
    ])
    await moscow.backup()
    sql.script([
        "SET time_zone = 'SYSTEM'",
        "CREATE TABLE moments (id INT PRIMARY KEY AUTO_INCREMENT, d DATETIME, t TIMESTAMP NULL, name VARCHAR(20))",
        "INSERT INTO moments (d, t, name) VALUES (NOW(), NOW(), 'ä')",
        "SET binlog_format = 'STATEMENT'",
        "SET timestamp = 1700000000",
        "INSERT INTO moments (d, t) VALUES (FROM_UNIXTIME(1700000000), '2024-05-06 07:08:09')",
        "SET timestamp = DEFAULT",
        "ALTER TABLE moments ADD COLUMN made DATETIME DEFAULT '2020-01-01 00:00:00'",
        "CREATE DEFINER = 'definer'@'%' EVENT fires ON SCHEDULE EVERY 1 HOUR DO DO 3",
        "CREATE EVENT silent ON SCHEDULE EVERY 1 HOUR DISABLE COMMENT 'ENABLE' DO DO 4",
        "ALTER EVENT old DISABLE",
        f"{'' if IS_MYSQL else 'SET STATEMENT lock_wait_timeout = 5 FOR'} ALTER EVENT kept ENABLE",
        "ALTER EVENT silent RENAME TO still",
    ])
    expected = snapshot(sql, "shop")

    recovered = await moscow.recover(moscow.position())

    witness = Witness(own_server(f"--default-storage-engine={ENGINE}"), moscow)
    try:
        # The zone of the witness is another one: what it shows of TIMESTAMPs is in UTC.
        found = await witness.look(recovered, "shop")
        assert_same(found["shop"], expected)
    finally:
        await witness.close()


async def test_what_statements_compute_and_which_engine_they_make_is_as_on_the_source(
    own_server, server_template, tmp_path
):
    """MariaDB logs some statements in place of rows by default, and no log has the settings by which they compute."""
    source = own_server(
        "--div-precision-increment=9",
        "--group-concat-max-len=40",
        "--default-week-format=3",
        "--innodb-ft-min-token-size=1",
        "--innodb-ft-enable-stopword=OFF",
    )
    points = PointsInTime(source, tmp_path, server_template)
    sql = points.sql
    sql.script([
        "CREATE DATABASE shop",
        f"CREATE TABLE shop.old (id INT PRIMARY KEY) ENGINE = {ENGINE}",
        "CREATE TABLE shop.words (id INT PRIMARY KEY, word VARCHAR(40))",
        "INSERT INTO shop.words VALUES (1, REPEAT('a', 30)), (2, REPEAT('b', 30))",
        "CREATE TABLE shop.found (id INT PRIMARY KEY, text TEXT, FULLTEXT (text)) ENGINE = InnoDB",
        "INSERT INTO shop.found VALUES (1, 'ab cd'), (2, 'the end'), (3, 'other words')",
    ])
    if not IS_MYSQL:
        sql.run("SET GLOBAL enforce_storage_engine = InnoDB")
    await points.backup()
    with Sql(source.url) as other:
        other.script([
            "SET sql_mode = ''",
            "SET binlog_format = 'STATEMENT'",
            f"CREATE TABLE shop.sums (id INT PRIMARY KEY, q VARCHAR(60), w INT, g VARCHAR(90)) ENGINE = {ENGINE}",
            "INSERT INTO shop.sums SELECT 1, 1 / 3, WEEK('2024-01-01'), GROUP_CONCAT(word ORDER BY id) FROM shop.words",
            "DELETE FROM shop.found WHERE MATCH (text) AGAINST ('ab the')",
        ])
    assert sql.run("SELECT id FROM shop.found") == [(3,)]
    expected = snapshot(sql, "shop")

    witness = Witness(own_server(), points)
    try:
        found = await witness.look(await points.recover(points.position()), "shop")
        assert_same(found["shop"], expected)
    finally:
        await witness.close()
        await points.close()


async def test_definitions_are_made_by_settings_that_no_log_has(
    own_server, server_template, tmp_path
):
    """What MariaDB takes utf8 for and how it stores a DATETIME, what a session made that InnoDB would refuse, room."""
    odd = () if IS_MYSQL else ("--old-mode=", "--mysql56-temporal-format=OFF")
    source = own_server("--max-heap-table-size=64M", *odd)
    points = PointsInTime(source, tmp_path, server_template)
    sql = points.sql
    sql.script(["CREATE DATABASE shop", "CREATE DATABASE old"])
    await points.backup()
    sql.script([
        "SET SESSION innodb_strict_mode = OFF",
        "CREATE TABLE shop.words (word VARCHAR(40) CHARACTER SET utf8)",
        "CREATE TABLE shop.loose (id INT PRIMARY KEY) ROW_FORMAT = DYNAMIC KEY_BLOCK_SIZE = 8",
        "CREATE TABLE old.moments (d DATETIME(2))",
        "INSERT INTO old.moments VALUES ('2024-01-01 01:02:03.25')",
        "CREATE TABLE old.fast (id INT PRIMARY KEY AUTO_INCREMENT, b CHAR(250) CHARACTER SET latin1) ENGINE = MEMORY",
        "INSERT INTO old.fast (b) VALUES ('x')",
        *["INSERT INTO old.fast (b) SELECT b FROM old.fast"] * 17,
    ])
    expected = snapshot(sql, "shop")

    recovered = await points.recover(points.position())
    await points.restore(recovered, databases=("shop",), into="copy")

    assert_same(snapshot(sql, "copy"), expected)
    assert recovered.rows_count == 1 + 2**17
    await points.close()


async def test_what_acts_by_the_rights_of_others_is_replayed(points):
    """Of accounts that no recovery brings back: by triggers for statements, by views for those on top of them."""
    sql = points.sql
    sql.script([
        "CREATE USER app@'%' IDENTIFIED BY 'Passw0rd-of-an-owner'",
        "GRANT ALL ON *.* TO app@'%'",
        "USE shop",
        "CREATE DEFINER=app@'%' VIEW seen AS SELECT note FROM orders",
        "CREATE PROCEDURE log.note(t TEXT) INSERT INTO log.entries (text) VALUES (t)",
    ])
    if not IS_MYSQL:
        sql.script(["CREATE ROLE keeper", "GRANT ALL ON *.* TO keeper", "SET ROLE keeper"])
        sql.run(
            "CREATE DEFINER=CURRENT_ROLE TRIGGER gone AFTER DELETE ON orders FOR EACH ROW"
            " INSERT INTO log.entries (text) VALUES (OLD.note)"
        )
    await points.backup()
    sql.script([
        "SET SESSION binlog_format = 'MIXED'",
        "CREATE VIEW twice AS SELECT note FROM seen",
        "CREATE DEFINER=app@'%' TRIGGER noted AFTER INSERT ON orders FOR EACH ROW CALL log.note(NEW.note)",
        "INSERT INTO orders (note) VALUES ('three')",
        "INSERT INTO log.entries (text) SELECT note FROM twice WHERE note = 'one'",
        "DELETE FROM orders WHERE note = 'two'",
    ])
    expected = {name: snapshot(sql, name) for name in ("shop", "log")}

    recovered = await points.recover(points.position())
    await points.restore(recovered)

    for name, there in expected.items():
        assert_same(snapshot(sql, name), there)


async def test_a_zone_that_nobody_named_is_refused(moscow):
    """A wrong guess would change values in silence."""
    await moscow.backup()
    moscow.sql.run("CREATE DATABASE shop")
    nameless = PointsInTime(moscow.source, moscow.backups.parent)
    try:
        with pytest.raises(ScratchUnavailableError, match="time zone"):
            await nameless.recover(nameless.position())
    finally:
        await nameless.close()


async def test_a_recovery_point_of_one_database_stands_for_no_other(points):
    """A restore of one database leaves its recovery point behind; what is lost of another comes back all the same."""
    sql = points.sql
    whole = await points.backup()
    sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
    point = await points.backup(databases=("log",), recovery_point=True)
    expected, end = snapshot(sql, "shop"), points.position()

    recovered = await points.recover(end, ["shop"])
    everything, its_own = await points.plan(end), await points.plan(end, ["log"])
    await points.restore(recovered, into="copy")

    assert_same(snapshot(sql, "copy"), expected)
    assert (everything.base.backup_id, everything.databases) == (whole.backup_id, ())
    assert its_own.base.backup_id == point.backup_id
    for other in (whole, recovered):
        points.remove(other)
    assert (await points.plan(end)).databases == ("log",)


async def test_one_database_is_recovered_alone(points):
    """P15: statements in and on the others change nothing of it; a key that leaves it is refused."""
    sql = points.sql
    await points.backup()
    sql.script([
        "USE log",
        "INSERT INTO shop.orders (note) VALUES ('three')",
        "INSERT INTO log.entries (text) VALUES ('x')",
        "CREATE DATABASE other",
        "USE other",
        "UPDATE shop.orders SET note = 'changed' WHERE id = 1",
        "CREATE TABLE shop.more AS SELECT * FROM shop.orders",
        "DROP DATABASE other",
        "USE log",
    ])
    expected = snapshot(sql, "shop")

    recovered = await points.recover(points.position(), ["shop"])
    await points.restore(recovered, into="copy")

    assert [database.name for database in recovered.databases] == ["shop"]
    assert_same(snapshot(sql, "copy"), expected)

    sql.run(
        "CREATE TABLE shop.child (id INT PRIMARY KEY,"
        " FOREIGN KEY (id) REFERENCES log.entries (id) ON DELETE CASCADE)"
    )
    await points.backup()
    with pytest.raises(BaseUnfitError, match="log"):
        await points.recover(points.position(), ["shop"])


@pytest.mark.differs("mariadb", reason="it replays them all the same")
@pytest.mark.parametrize("compressed", ["OFF", "ON"])
async def test_xa_of_a_database_that_is_left_out_is_refused_before_anything_begins(
    points, compressed
):
    """MySQL ends a replay there (error 3898); that of the databases that are recovered is none of its concern."""
    await points.backup()
    points.sql.run(f"SET SESSION binlog_transaction_compression = {compressed}")

    def prepare(name, statement):
        points.sql.script([
            f"XA START '{name}'", statement, f"XA END '{name}'", f"XA PREPARE '{name}'", f"XA COMMIT '{name}'"
        ])  # fmt: skip

    prepare("one", "INSERT INTO shop.orders (note) VALUES ('xa')")
    recovered = await points.recover(points.position(), ["shop"])
    assert recovered.rows_count == 3
    points.remove(recovered)
    prepare("two", "INSERT INTO log.entries (text) VALUES ('xa')")
    points.archive()
    plan = await points.plan(points.position(), ["shop"])
    with pytest.raises(BaseUnfitError, match="changes log"):
        plan.require_possible()
    assert (await points.recover(points.position())).rows_count == 4


async def test_a_drill_finds_what_was_changed_past_the_log(points):
    """P10: equal without it, refused with it, and named."""
    sql = points.sql
    await points.backup()
    sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
    second = await points.backup()
    points.archive()
    service = points.service

    plan = await service.plan_drill()
    shown = await service.drill(plan)
    assert (shown.backup_id, shown.transactions, shown.tables_count) == (second.backup_id, 1, 2)
    # It says that points in time are right, not that this backup can be restored.
    proofs = points.catalogue.proofs(second.backup_id)
    assert (proven_at(proofs), recovery_proven_at(proofs) is None) == (None, False)

    sql.script([
        "SET sql_log_bin = 0",
        "INSERT INTO shop.orders (note) VALUES ('unlogged')",
        "SET sql_log_bin = 1",
    ])
    third = await points.backup()
    points.archive()
    with pytest.raises(RecoverMismatchError, match=r"shop\.orders"):
        await service.drill(await service.plan_drill(third.backup_id))
    (proof,) = points.catalogue.proofs(third.backup_id)
    assert (proof.by, proof.error, proof.success) == ("recovery-drill", "recover-mismatch", False)

    # A transaction that needs it is named without any value, and nothing is published.
    sql.run("UPDATE shop.orders SET note = 'secret' WHERE note = 'unlogged'")
    points.remove(third)
    points.archive()
    gtid = points.last_gtid()
    with pytest.raises(ReplayFailedError, match=f"{gtid} .*error 1032") as caught:
        await points.recover(points.position())
    assert "secret" not in str(caught.value)
    assert "unlogged" not in str(caught.value)
    assert len(points.catalogue.entries()) == 2


@pytest.mark.differs("mariadb", reason="it prints a definition in one way")
async def test_a_drill_finds_nothing_in_how_a_column_was_made(points):
    """MySQL prints what CREATE TABLE ... SELECT has made otherwise than what the log makes of it."""
    await points.backup()
    points.sql.run("CREATE TABLE shop.made AS SELECT UUID() AS id, User, Host FROM mysql.user")
    second = await points.backup()
    points.archive()

    shown = await points.service.drill(await points.service.plan_drill())

    assert (shown.backup_id, shown.tables_count) == (second.backup_id, 3)


async def test_a_break_needs_a_later_base(points):
    """What was kept out of the log is named; a backup made since then is a base."""
    sql = points.sql
    await points.backup()
    points.note_break("restore kept out of the binary log")
    sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
    points.archive()
    with pytest.raises(BaseUnfitError, match="kept out"):
        await points.plan(points.position())

    later = await points.backup()
    sql.run("INSERT INTO shop.orders (note) VALUES ('four')")
    points.archive()
    assert (await points.plan(points.position())).base == later


async def test_a_restore_past_the_log_is_a_break(points):
    """`--skip-binlog` notes it before and after; a logged one notes nothing."""
    sql = points.sql
    manifest = await points.backup()
    points.archive()
    await points.restore(manifest)
    assert points.take_breaks() == []
    sql.run("INSERT INTO shop.orders (note) VALUES ('lost')")
    await points.restore(manifest, skip_binlog=True)
    reasons = points.take_breaks()
    assert [reason.partition("_")[0] for reason in reasons] == ["restore restore"] * 2
    sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
    points.archive()
    with pytest.raises(BaseUnfitError, match="restore restore_"):
        await points.plan(points.position())


async def test_a_damaged_archive_is_refused(points):
    """P5: a byte that is not what was archived ends the planning, before any server starts."""
    await points.backup()
    points.sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
    points.archive()
    (tail,) = points.backups.glob("binlog/*/*.tail")
    data = bytearray(tail.read_bytes())
    data[-40] ^= 1
    tail.write_bytes(data)

    with pytest.raises(BinlogDamagedError):
        await points.plan(points.position())

    assert not (points.state / "scratch").exists()
