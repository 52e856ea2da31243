"""Mutations of what was restored: whatever is damaged once, the proof must see it."""

import asyncio
import uuid
from contextlib import contextmanager

import pytest

from app.errors import ProofFailedError, StatementError
from tests.corpora.session import PRELUDE
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.forged import with_rows_twice
from tests.fixtures.series import some
from tests.fixtures.servers import Sql


OBJECTS = (
    *PRELUDE,
    "CREATE TABLE parent (id INT PRIMARY KEY, v INT)",
    (
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT NOT NULL DEFAULT 5, b VARCHAR(20) COLLATE utf8mb4_bin"
        " DEFAULT 'it''s' COMMENT 'b', c INT, g INT AS (a + 1) STORED, KEY ka (a, b), UNIQUE ub (b), CONSTRAINT small"
        " CHECK (a < 100), CONSTRAINT fk FOREIGN KEY (c) REFERENCES parent (id) ON DELETE CASCADE) COMMENT 'table'"
    ),
    "INSERT INTO parent VALUES (1, 1)",
    "INSERT INTO t (a, b, c) VALUES (1, 'x', 1), (2, 'y', NULL)",
    "CREATE TABLE log (id INT)",
    "CREATE TABLE numbered (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT 50",
    "CREATE TABLE other (id INT PRIMARY KEY)",
    "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (9), PARTITION b VALUES LESS THAN (99))",
    "CREATE SEQUENCE s START WITH 10",
    "CREATE VIEW v AS SELECT id, a FROM t",
    "CREATE TRIGGER r1 BEFORE INSERT ON t FOR EACH ROW SET NEW.c = 1",
    "CREATE TRIGGER r2 BEFORE INSERT ON t FOR EACH ROW FOLLOWS r1 SET NEW.c = 2",
    "CREATE PROCEDURE q() COMMENT 'q' SELECT 1",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO SELECT 1",
    "SET sql_mode = 'ORACLE'",
    "CREATE PACKAGE k AS PROCEDURE x; END",
    "CREATE PACKAGE BODY k AS PROCEDURE x AS BEGIN SELECT 1; END; END",
    *PRELUDE,
)
ORACLE = "SET sql_mode = 'ORACLE'"
DAMAGE = {
    "table gone": ["DROP TABLE log"],
    "database comment": ["ALTER DATABASE COMMENT 'other'"],
    "next number": ["ALTER TABLE numbered AUTO_INCREMENT 40"],
    "table comment": ["ALTER TABLE t COMMENT 'other'"],
    "table engine": ["ALTER TABLE log ENGINE=MyISAM"],
    "table character set": ["ALTER TABLE t CHARACTER SET latin1"],
    "table row format": ["ALTER TABLE log ROW_FORMAT=COMPRESSED"],
    "column gone": ["ALTER TABLE t DROP FOREIGN KEY fk, DROP c"],
    "column more": ["ALTER TABLE log ADD more INT"],
    "column type": ["ALTER TABLE log MODIFY id BIGINT"],
    "column order": ["ALTER TABLE parent MODIFY v INT FIRST"],
    "column null": ["ALTER TABLE log MODIFY id INT NOT NULL"],
    "column collation": ["ALTER TABLE t MODIFY b VARCHAR(20) COLLATE utf8mb4_general_ci DEFAULT 'it''s' COMMENT 'b'"],
    "column comment": ["ALTER TABLE t MODIFY b VARCHAR(20) COLLATE utf8mb4_bin DEFAULT 'it''s'"],
    "column default": ["ALTER TABLE t ALTER a SET DEFAULT 6"],
    "column default gone": ["ALTER TABLE t ALTER b DROP DEFAULT"],
    "column invisible": ["ALTER TABLE parent MODIFY v INT INVISIBLE"],
    "column generated otherwise": ["ALTER TABLE t MODIFY g INT AS (a + 2) STORED"],
    "column not counting": ["ALTER TABLE t MODIFY id INT"],
    "index gone": ["ALTER TABLE t DROP KEY ka"],
    "index more": ["ALTER TABLE log ADD KEY (id)"],
    "index of other columns": ["ALTER TABLE t DROP KEY ka, ADD KEY ka (b, a)"],
    "index not unique": ["ALTER TABLE t DROP KEY ub, ADD KEY ub (b)"],
    "index ignored": [f"ALTER TABLE t ALTER INDEX ka {'INVISIBLE' if IS_MYSQL else 'IGNORED'}"],
    "primary key gone": ["ALTER TABLE other DROP PRIMARY KEY"],
    "foreign key gone": ["ALTER TABLE t DROP FOREIGN KEY fk"],
    "foreign key rule": [
        "ALTER TABLE t DROP FOREIGN KEY fk",
        "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (c) REFERENCES parent (id) ON DELETE SET NULL",
    ],
    "check gone": ["ALTER TABLE t DROP CONSTRAINT small"],
    "check other": ["ALTER TABLE t DROP CONSTRAINT small, ADD CONSTRAINT small CHECK (a < 101)"],
    "partition gone": ["ALTER TABLE p DROP PARTITION b"],
    "partition bound": ["ALTER TABLE p REORGANIZE PARTITION b INTO (PARTITION b VALUES LESS THAN (100))"],
    "sequence gone": ["DROP SEQUENCE s"],
    "sequence step": ["ALTER SEQUENCE s INCREMENT 7"],
    "sequence position": ["SELECT SETVAL(s, 5000)"],
    "view gone": ["DROP VIEW v"],
    "view query": ["CREATE OR REPLACE VIEW v AS SELECT id, a FROM t WHERE id > 0"],
    "view column": ["CREATE OR REPLACE VIEW v AS SELECT id, a AS b FROM t"],
    "view security": ["ALTER SQL SECURITY INVOKER VIEW v AS SELECT id, a FROM t"],
    "view definer": ["ALTER DEFINER=`nobody`@`nowhere` VIEW v AS SELECT id, a FROM t"],
    "trigger gone": ["DROP TRIGGER r2"],
    "trigger body": ["CREATE OR REPLACE TRIGGER r1 BEFORE INSERT ON t FOR EACH ROW PRECEDES r2 SET NEW.c = 3"],
    "trigger time": ["CREATE OR REPLACE TRIGGER r2 BEFORE UPDATE ON t FOR EACH ROW SET NEW.c = 2"],
    "trigger order": ["CREATE OR REPLACE TRIGGER r2 BEFORE INSERT ON t FOR EACH ROW PRECEDES r1 SET NEW.c = 2"],
    "trigger mode": [
        "SET sql_mode = 'STRICT_ALL_TABLES'",
        "CREATE OR REPLACE TRIGGER r2 BEFORE INSERT ON t FOR EACH ROW FOLLOWS r1 SET NEW.c = 2",
    ],
    "procedure gone": ["DROP PROCEDURE q"],
    "procedure body": ["CREATE OR REPLACE PROCEDURE q() COMMENT 'q' SELECT 2"],
    "procedure parameter": ["CREATE OR REPLACE PROCEDURE q(a INT) COMMENT 'q' SELECT 1"],
    "procedure comment": ["ALTER PROCEDURE q COMMENT 'other'"],
    "procedure security": ["ALTER PROCEDURE q SQL SECURITY INVOKER"],
    "procedure mode": ["SET sql_mode = 'ANSI_QUOTES'", "CREATE OR REPLACE PROCEDURE q() COMMENT 'q' SELECT 1"],
    "procedure character set": ["SET NAMES latin1", "CREATE OR REPLACE PROCEDURE q() COMMENT 'q' SELECT 1"],
    "function gone": ["DROP FUNCTION f"],
    "function result": ["CREATE OR REPLACE FUNCTION f() RETURNS BIGINT DETERMINISTIC RETURN 1"],
    "function body": ["CREATE OR REPLACE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 2"],
    "function nature": ["CREATE OR REPLACE FUNCTION f() RETURNS INT NO SQL RETURN 1"],
    "package gone": [ORACLE, "DROP PACKAGE k"],
    "package body gone": [ORACLE, "DROP PACKAGE BODY k"],
    "package other": [ORACLE, "CREATE OR REPLACE PACKAGE k AS PROCEDURE x; PROCEDURE y; END"],
    "package body other": [ORACLE, "CREATE OR REPLACE PACKAGE BODY k AS PROCEDURE x AS BEGIN SELECT 2; END; END"],
    "event gone": ["DROP EVENT e"],
    "event disabled": ["ALTER EVENT e DISABLE"],
    "event body": ["ALTER EVENT e DO SELECT 2"],
    "event schedule": ["ALTER EVENT e ON SCHEDULE EVERY 2 DAY STARTS '2030-01-01 00:00:00'"],
    "event end": ["ALTER EVENT e ON COMPLETION PRESERVE"],
    "event zone": ["SET time_zone = '+05:00'", "ALTER EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 05:00:00'"],
    "database character set": ["ALTER DATABASE CHARACTER SET cp932"],
}  # fmt: skip


@contextmanager
def backed_up(url, home, statements, **options):
    """Make a database for a block and back it up; all tests of a module restore the one backup."""
    name = f"m_{uuid.uuid4().hex[:12]}"

    async def back_up():
        backstay = Backstay(url, home / "backups")
        manifest = await backstay.backup(name, **options)
        copy = backstay.new_name()
        await backstay.restore(manifest, copy, verify_after=False)
        assert await backstay.prove(manifest.backup_id, copy) == []
        await backstay.close()
        return backstay.directory, manifest

    with Sql(url) as sql:
        sql.script([f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}", *statements])
        try:
            yield asyncio.run(back_up())
        finally:
            sql.run(f"DROP DATABASE {name}")


async def is_damage_refused(url, backup, statements):
    """Restore a copy without a proof, damage it, and tell whether the proof fails."""
    directory, manifest = backup
    backstay = Backstay(url, directory)
    copy = backstay.new_name()
    await backstay.restore(manifest, copy, verify_after=False)
    with Sql(url, copy) as client:
        client.script(statements)
    refused = await is_refused(backstay, manifest, copy)
    await backstay.close()
    return refused


async def restored(backstay, database):
    """Restore a copy without a proof, and prove it."""
    manifest = await backstay.backup(database)
    name = backstay.new_name()
    await backstay.restore(manifest, name, verify_after=False)
    assert await backstay.prove(manifest.backup_id, name) == []
    return manifest, name


# By the reason why MySQL has none.
OF_MARIADB = {
    "it has no sequences": ("sequence ",),
    "it has no packages": ("package ",),
    "its databases have no comment": ("database comment",),
}


def damages():
    """Every kind, marked where a server has nothing that could be damaged so."""
    for kind in DAMAGE:
        reasons = [reason for reason, names in OF_MARIADB.items() if kind.startswith(names)]
        yield pytest.param(
            kind, marks=[pytest.mark.differs("mysql", reason=reason) for reason in reasons]
        )


@pytest.fixture(scope="module")
def objects(server, tmp_path_factory):
    """The backup of every kind of object."""
    with backed_up(server.url, tmp_path_factory.mktemp("objects"), OBJECTS) as backup:
        yield backup


@pytest.mark.long
@pytest.mark.parametrize("kind", some(list(damages()), 22))
async def test_a_damaged_object_fails_the_proof(kind, server, objects):
    """An object that is gone, or is defined otherwise, fails the proof."""
    assert await is_damage_refused(server.url, objects, [*PRELUDE, *DAMAGE[kind]])


# Type, the value backed up, and values that are nearly the same.
VALUES: tuple[tuple[str, ...], ...] = (
    ("TINYINT", "0", "1", "NULL"),
    ("SMALLINT UNSIGNED", "65535", "65534"),
    ("MEDIUMINT", "-1", "1"),
    ("INT ZEROFILL", "7", "8"),
    ("BIGINT", "9223372036854775807", "9223372036854775806"),
    ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
    ("DECIMAL(65,30)", "0.000000000000000000000000000001", "0.000000000000000000000000000002", "0"),
    ("FLOAT", "16777216", "16777215", "16777200"),
    ("FLOAT", "0", "-1e-46"),
    ("FLOAT(7,3)", "0.001", "0.002"),
    ("DOUBLE", "0.1", "0.10000000000000002"),
    ("DOUBLE", "0", "5e-324"),
    ("BIT(64)", "18446744073709551615", "9223372036854775807"),
    ("BIT(1)", "1", "0"),
    ("YEAR", "0", "2000", "NULL"),
    ("DATE", "'0000-00-00'", "'2020-02-31'", "NULL"),
    ("DATETIME(6)", "'2020-01-01 00:00:00.000000'", "'2020-01-01 00:00:00.000001'"),
    ("TIMESTAMP(6) NULL", "'2020-01-01 00:00:00.5'", "'2020-01-01 00:00:00.500001'", "NULL"),
    ("TIME(6)", "'-838:59:58.999999'", "'-838:59:58.999998'"),
    ("TIME", "'00:00:01'", "'-00:00:01'"),
    ("CHAR(9)", "'a'", "'A'", "'á'", "''"),
    ("VARCHAR(9)", "'a'", "'a '", "'A'"),
    ("VARCHAR(9)", "'NULL'", "NULL"),
    ("VARCHAR(9)", "''", "NULL", "' '"),
    ("TEXT", "'é'", "'e\u0301'", "'e'"),
    ("LONGTEXT", "'a\\r\\nb'", "'a\\nb'", "'a\\rb'"),
    ("TEXT CHARACTER SET latin1", "_latin1 X'80'", "_latin1 X'81'"),
    ("TEXT CHARACTER SET ascii", "_ascii X'80'", "_ascii X'81'", "_ascii X'00'"),
    ("TEXT CHARACTER SET utf8mb4", "'😀'", "'😁'", "'?'"),
    ("TEXT CHARACTER SET sjis", "_sjis X'815C'", "_sjis X'815D'"),
    ("TEXT CHARACTER SET utf16", "'a'", "'b'"),
    ("ENUM('a','','b')", "''", "0", "1"),
    ("SET('a','b','c')", "'a,c'", "'a,b'", "''"),
    ("BINARY(4)", "'a'", "'a '"),
    ("VARBINARY(9)", "X'00'", "X''", "X'0000'"),
    ("LONGBLOB", "X'5C27'", "X'5C26'", "NULL"),
    ("JSON", '\'{"a":1}\'', '\'{"a":2}\'', *(() if IS_MYSQL else ('\'{"a": 1}\'',))),
    ("POINT", "ST_GeomFromText('POINT(1 2)', 4326)", "ST_GeomFromText('POINT(1 2)', 0)", "ST_GeomFromText('POINT(2 1)', 4326)"),
    ("GEOMETRY", "ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('MULTIPOINT(1 2)')"),
    ("UUID", "'123e4567-e89b-12d3-a456-426655440000'", "'123e4567-e89b-12d3-a456-426655440001'"),
    ("INET4", "'10.0.0.1'", "'10.0.0.2'"),
    ("INET6", "'::1'", "'::2'"),
)  # fmt: skip
# Types that MySQL has not, and what it takes into no column.
NOT_IN_MYSQL = ("UUID", "INET4", "INET6", "TEXT CHARACTER SET ascii")
if IS_MYSQL:
    VALUES = tuple(value for value in VALUES if value[0] not in NOT_IN_MYSQL)


# A proof reads all tables, so they are some at a time.
SOME = 14


@pytest.mark.parametrize("first", range(0, len(VALUES), SOME))
@pytest.mark.parametrize("key", ["PRIMARY KEY", ""], ids=["key", "stream"])
async def test_a_damaged_value_fails_the_proof(key, first, backstay, sql, database):
    """One value that is nearly the one of the backup fails the proof, whatever its type."""
    sql.script(PRELUDE)
    values = VALUES[first : first + SOME]
    for number, (kind, value, *_) in enumerate(values):
        sql.run(f"CREATE TABLE t{number} (id INT {key}, v {kind}, w INT)")
        sql.run(f"INSERT INTO t{number} VALUES (1, {value}, 1), (2, NULL, 2), (3, {value}, 3)")
    manifest, copy = await restored(backstay, database)

    unseen = []
    with Sql(backstay.url, copy) as client:
        client.script(PRELUDE)
        for number, (kind, value, *others) in enumerate(values):
            for other in others:
                client.run(f"UPDATE t{number} SET v = {other} WHERE id = 3")
                if not await is_refused(backstay, manifest, copy):
                    unseen.append((kind, value, other))
            client.run(f"UPDATE t{number} SET v = {value} WHERE id = 3")

    assert unseen == []
    assert await backstay.prove(manifest.backup_id, copy) == []


async def is_refused(backstay, manifest, copy):
    """Tell whether the proof fails."""
    try:
        await backstay.prove(manifest.backup_id, copy)
    except ProofFailedError:
        return True
    return False


ROWS = {
    "gone": "DELETE FROM {} WHERE id = 500",
    "first gone": "DELETE FROM {} WHERE id = 1",
    "last gone": "DELETE FROM {} WHERE id = 1000",
    "all gone": "TRUNCATE {}",
    "more at the end": "INSERT INTO {} VALUES (2000, 'x')",
    "more at the beginning": "INSERT INTO {} VALUES (-1, 'x')",
    "moved": "UPDATE {} SET id = 5000 WHERE id = 500",
    "one for another": "UPDATE {0} AS a JOIN {0} AS b SET a.v = b.v WHERE a.id = 7 AND b.id = 8",
    "large one": "UPDATE {} SET v = INSERT(v, 90000, 1, 'y') WHERE id = 1000",
    "large one shorter": "UPDATE {} SET v = 'x' WHERE id = 1000",
}  # fmt: skip


@pytest.fixture(scope="module", params=["PRIMARY KEY", "NOT NULL"], ids=["key", "stream"])
def rows(request, server, tmp_path_factory):
    """The backup of a thousand rows, the last of them sliced, with a key and without."""
    statements = (
        f"CREATE TABLE t (id INT {request.param}, v LONGTEXT)",
        "INSERT INTO t SELECT seq, CONCAT('row ', seq) FROM seq_1_to_999",
        "INSERT INTO t VALUES (1000, REPEAT('é', 300000))",
    )
    home = tmp_path_factory.mktemp("rows")
    with backed_up(server.url, home, statements, chunk_bytes=1000) as backup:
        yield backup


@pytest.mark.long
@pytest.mark.parametrize("what", some(list(ROWS), 7))
async def test_damaged_rows_fail_the_proof(what, server, rows):
    """A row too few, one too many, one in another place, and one byte of a sliced one fail the proof."""
    assert await is_damage_refused(server.url, rows, [ROWS[what].format("t")])


async def test_a_miscount_of_equal_rows_fails_the_proof(backstay, sql, database):
    """One more, or one less, of equal rows without a key fails the proof."""
    sql.run("CREATE TABLE t (v VARCHAR(9))")
    sql.run("INSERT INTO t VALUES ('x'), ('x'), ('x')")
    manifest, copy = await restored(backstay, database)

    sql.run(f"INSERT INTO {copy}.t VALUES ('x')")
    assert await is_refused(backstay, manifest, copy)
    sql.run(f"DELETE FROM {copy}.t LIMIT 2")
    assert await is_refused(backstay, manifest, copy)


@pytest.mark.differs("mysql", reason="it has no system versioning")
async def test_a_damaged_past_fails_the_proof(backstay, sql, database):
    """A row version of the past that is gone fails the proof."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING",
        "INSERT INTO t VALUES (1, 1), (2, 1)",
        "UPDATE t SET v = 2",
    ])
    manifest, copy = await restored(backstay, database)

    sql.run(f"DELETE HISTORY FROM {copy}.t")

    assert await is_refused(backstay, manifest, copy)


@pytest.mark.parametrize(
    ("key", "error"), [("PRIMARY KEY", StatementError), ("NOT NULL", ProofFailedError)]
)
async def test_rows_twice_in_a_backup_are_refused(key, error, backstay, sql, database):
    """A backup whose every hash is right, but with rows twice in it, is refused and leaves nothing."""
    sql.run(f"CREATE TABLE t (id INT {key}, v INT)")
    sql.run("INSERT INTO t SELECT seq, seq FROM seq_1_to_100")
    manifest = await backstay.backup(database)
    forged = await with_rows_twice(backstay, manifest)
    name = backstay.new_name()

    with pytest.raises(error):
        await backstay.restore(forged, name)

    assert sql.run(f"SHOW DATABASES LIKE '{name}'") == []
