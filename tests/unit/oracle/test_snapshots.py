"""Tests of the oracle itself: it is blind to names and sees every other change."""

from contextlib import suppress

import pymysql
import pytest

from tests.corpora.session import PRELUDE
from tests.fixtures.chosen_server import DUMP, IS_MYSQL
from tests.fixtures.mysql_dialect import is_mariadbs_own
from tests.fixtures.servers import Server, Sql
from tests.oracle.rows import WHOLE_ROWS
from tests.oracle.snapshots import Snapshot, assert_same, snapshot
from tests.oracle.vendor_dump import outside_judge


# What MySQL has no types for.
ADDRESSES = "x char(36), n6 varchar(39)" if IS_MYSQL else "x uuid, n6 inet6"
EVERY_KIND = (
    *PRELUDE,
    "CREATE TABLE parent (id int auto_increment primary key, v varchar(20) default 'x', key v (v)) AUTO_INCREMENT=50",
    "INSERT INTO parent VALUES (1,'a'),(2,NULL),(3,''),(4,'a ')",
    (
        "CREATE TABLE vals (f float, d double, b blob, t text character set latin1, u varchar(20) character set utf8mb4, "
        "e enum('a',''), s set('x','y'), bt bit(7), ts timestamp(6) null, dt datetime(6), de decimal(65,30), "
        f"i int invisible, g int as (length(u)) stored, j json, p point, y year, {ADDRESSES})"
    ),
    (
        "INSERT INTO vals (f,d,b,t,u,e,s,bt,ts,dt,de,i,j,p,y,x,n6) VALUES (16777217,0.1,X'00FF',_latin1 X'E9','😀',2,3,5,"
        "'2020-01-01','2020-01-01',1.5,7,'{}',POINT(1,2),2000,'123e4567-e89b-12d3-a456-426655440000','::1')"
    ),
    "CREATE TABLE twice (a int)",
    "INSERT INTO twice VALUES (1),(1),(2),(2),(3)",
    "CREATE TABLE child (id int primary key, p int, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id), CONSTRAINT ck CHECK (p < 100))",
    "CREATE TABLE versioned_values (id int primary key, v int) WITH SYSTEM VERSIONING",
    "INSERT INTO versioned_values VALUES (1,1)",
    "UPDATE versioned_values SET v=2",
    "CREATE TABLE parts (id int) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
    "CREATE SEQUENCE seq",
    "CREATE VIEW seen AS SELECT id FROM parent",
    "CREATE TRIGGER first_one BEFORE INSERT ON parent FOR EACH ROW SET @a=1",
    "CREATE TRIGGER second_one BEFORE INSERT ON parent FOR EACH ROW SET @a=2",
    "CREATE PROCEDURE proc(a int) SELECT a",
    "CREATE FUNCTION func(a int) RETURNS int DETERMINISTIC RETURN a",
    "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DISABLE DO SELECT 1",
    "SET SESSION sql_mode='ORACLE'",
    "CREATE PACKAGE pack AS PROCEDURE p1; END",
    "CREATE PACKAGE BODY pack AS PROCEDURE p1 AS BEGIN SELECT 1; END; END",
    *PRELUDE,
)
CHANGES = (
    "UPDATE vals SET f=16777218",
    "UPDATE vals SET f=-1e-46",
    "UPDATE vals SET d=0.10000000000000002",
    "UPDATE vals SET b=X'00FE'",
    "UPDATE vals SET b=CONCAT(b,X'00')",
    "UPDATE vals SET t=_latin1 X'65'",
    "UPDATE vals SET u='😁'",
    "UPDATE vals SET u=NULL",
    "UPDATE vals SET u=''",
    "UPDATE vals SET e=0",
    "UPDATE vals SET s=1",
    "UPDATE vals SET bt=4",
    "UPDATE vals SET ts='2020-01-01 00:00:00.000001'",
    "UPDATE vals SET dt='2020-00-01'",
    "UPDATE vals SET de=de+0.000000000000000000000000000001",
    "UPDATE vals SET i=8",
    """UPDATE vals SET j='{"a": 1}'""",
    "UPDATE vals SET p=ST_GeomFromText('POINT(1 2)',4326)",
    "UPDATE vals SET y=2001",
    "UPDATE vals SET x=UUID()",
    "UPDATE vals SET n6='::2'",
    "UPDATE parent SET v='a' WHERE id=4",
    "UPDATE parent SET v='' WHERE id=2",
    "UPDATE parent SET v='A' WHERE id=1",
    "DELETE FROM parent WHERE id=1",
    "ALTER TABLE parent AUTO_INCREMENT=51",
    "ALTER TABLE parent COMMENT='x'",
    "ALTER TABLE parent ALTER v SET DEFAULT 'y'",
    "ALTER TABLE parent DROP KEY v",
    "ALTER TABLE parent RENAME KEY v TO w",
    "ALTER TABLE twice ENGINE=Aria",
    "ALTER TABLE vals MODIFY i int",
    "ALTER TABLE vals MODIFY t text character set latin1 collate latin1_bin",
    "INSERT INTO twice VALUES (1),(1)",
    "UPDATE twice SET a=2 WHERE a=1",
    "DELETE FROM twice WHERE a=1 LIMIT 1",
    "ALTER TABLE child DROP FOREIGN KEY fk",
    "ALTER TABLE child DROP CONSTRAINT ck",
    "ALTER TABLE child ADD CONSTRAINT ck2 CHECK (p < 101)",
    "ALTER TABLE child DROP FOREIGN KEY fk, ADD CONSTRAINT fk2 FOREIGN KEY (p) REFERENCES parent (id)",
    "DELETE HISTORY FROM versioned_values",
    "UPDATE versioned_values SET v=2",
    "ALTER TABLE parts DROP PARTITION p1",
    "SELECT NEXTVAL(seq)",
    "SELECT SETVAL(seq,5000)",
    "ALTER SEQUENCE seq INCREMENT BY 2",
    "DROP SEQUENCE seq",
    "DROP VIEW seen",
    "ALTER SQL SECURITY INVOKER VIEW seen AS SELECT id FROM parent",
    "ALTER VIEW seen AS SELECT id+1 AS id FROM parent",
    "DROP TRIGGER second_one",
    "CREATE OR REPLACE TRIGGER first_one BEFORE INSERT ON parent FOR EACH ROW FOLLOWS second_one SET @a=1",
    "CREATE OR REPLACE TRIGGER first_one BEFORE INSERT ON parent FOR EACH ROW SET @a=3",
    "DROP PROCEDURE proc",
    "ALTER PROCEDURE proc SQL SECURITY INVOKER",
    "CREATE OR REPLACE PROCEDURE proc(b int) SELECT b",
    "CREATE OR REPLACE FUNCTION func(a int) RETURNS bigint DETERMINISTIC RETURN a",
    "ALTER EVENT ev ENABLE",
    "ALTER EVENT ev ON SCHEDULE EVERY 2 DAY STARTS '2030-01-01'",
    "DROP EVENT ev",
    "DROP PACKAGE BODY pack",
    "DROP PACKAGE pack",
    "CREATE TABLE added (id int)",
    "DROP TABLE twice",
)


@pytest.fixture
def other(sql: Sql, database: str) -> str:
    """Name of a second empty database beside `database`; the test itself fills it, both end with the fixture."""
    name = f"{database}_other"
    sql.run(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    return name


@pytest.fixture(autouse=True)
def drop_other(sql: Sql, database: str):
    """Drop the second database after the test."""
    yield
    sql.run(f"DROP DATABASE IF EXISTS `{database}_other`")


def test_two_databases_of_different_names_compare_equal(
    sql: Sql, server: Server, database: str, other: str
) -> None:
    """The same statements under two names give equal snapshots and equal outside dumps, but for the times of history."""
    statements = [statement for statement in EVERY_KIND if "versioned_" not in statement]
    sql.script(statements)
    sql.script([f"USE `{other}`", *statements])
    assert_same(snapshot(server, database), snapshot(sql, other))
    outside_judge(server, database, other)


def test_every_change_is_seen(sql: Sql, server: Server, database: str) -> None:
    """Each change of one value or one object makes the comparison fail, and no two reads of one state do."""
    anew = [
        f"DROP DATABASE `{database}`",
        f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4",
        f"USE `{database}`",
    ]

    def is_seen(change: str, before: Snapshot) -> Snapshot | None:
        """Return what the oracle reads after a change, if that differs."""
        # Packages are known by name in this mode only.
        with suppress(pymysql.err.Error):
            sql.script(["SET SESSION sql_mode='ORACLE'"] if "PACKAGE" in change else [])
            sql.run(change)
            sql.script(PRELUDE)
        after = snapshot(server, database)
        try:
            assert_same(before, after)
        except AssertionError:
            return after
        return None

    unseen = []
    changes = [change for change in CHANGES if not (IS_MYSQL and is_mariadbs_own(change))]
    sql.script([*anew, *EVERY_KIND])
    state = snapshot(server, database)
    assert_same(state, snapshot(server, database))
    for change in changes:
        after = is_seen(change, state)
        if after is None:  # earlier changes may have taken away what it changes
            sql.script([*anew, *EVERY_KIND])
            state = snapshot(server, database)
            assert_same(state, snapshot(server, database))
            after = is_seen(change, state)
        if after is None:
            unseen.append(change)
        else:
            state = after
    assert unseen == []


def test_the_state_of_a_routine_session_is_seen(sql: Sql, server: Server, database: str) -> None:
    """The same text created under another sql_mode, character set or time zone is another object."""
    sql.script([*EVERY_KIND])
    before = snapshot(server, database)
    for setting in ("SET SESSION sql_mode='ANSI_QUOTES'", "SET NAMES latin1"):
        sql.script([setting, "CREATE OR REPLACE PROCEDURE proc(a int) SELECT a"])
        with pytest.raises(AssertionError, match="proc"):
            assert_same(before, snapshot(server, database))
        sql.script([*PRELUDE])
    sql.script(["CREATE OR REPLACE PROCEDURE proc(a int) SELECT a"])
    assert_same(before, snapshot(server, database))


def test_a_large_table_is_compared_by_digest(sql: Sql, server: Server, database: str) -> None:
    """One value among many rows, a swap between columns and a pair of duplicates all change the digest."""
    rows = WHOLE_ROWS + 10
    sql.script([*PRELUDE, "CREATE TABLE big (a varchar(9), b varchar(9), n int)"])
    sql.run(f"INSERT INTO big SELECT seq, REPEAT('x', seq % 5), NULL FROM seq_1_to_{rows}")
    before = snapshot(server, database)
    assert_same(before, snapshot(server, database))
    for change, back in (
        ("UPDATE big SET n=0 WHERE a='77'", "UPDATE big SET n=NULL WHERE a='77'"),
        (
            "UPDATE big SET a='77x', b='x' WHERE a='77'",
            "UPDATE big SET a='77', b='xx' WHERE a='77x'",
        ),
    ):
        sql.run(change)
        with pytest.raises(AssertionError, match="digest"):
            assert_same(before, snapshot(server, database))
        sql.run(back)
        assert_same(before, snapshot(server, database))


def test_the_report_is_short_and_names_the_row(sql: Sql, server: Server, database: str) -> None:
    """A failure shows the table, the side and the value."""
    sql.script([
        *PRELUDE,
        "CREATE TABLE t (id int primary key, v varchar(9))",
        "INSERT INTO t VALUES (1,'a'),(2,'b')",
    ])
    before = snapshot(server, database)
    sql.run("UPDATE t SET v='c' WHERE id=2")
    with pytest.raises(AssertionError) as caught:
        assert_same(before, snapshot(server, database))
    report = str(caught.value)
    assert "content.t.multiset: row only in the first:  \"id='2' v='62'\"" in report
    assert len(report) < 400


def test_a_large_value_is_compared_by_its_hash(sql: Sql, server: Server, database: str) -> None:
    """A value whose HEX would pass max_allowed_packet still compares, byte by byte."""
    sql.script([
        *PRELUDE,
        "CREATE TABLE t (b longblob)",
        "INSERT INTO t VALUES (REPEAT(X'00',9<<20))",
    ])
    before = snapshot(server, database)
    sql.run("UPDATE t SET b=INSERT(b, 5000000, 1, X'01')")
    with pytest.raises(AssertionError, match="sha256"):
        assert_same(before, snapshot(server, database))


def test_the_outside_judge_sees_a_difference(
    sql: Sql, server: Server, database: str, other: str
) -> None:
    """Two databases that differ in one value are told apart by mariadb-dump."""
    statements = [
        *PRELUDE,
        "CREATE TABLE t (id int primary key, v varchar(9))",
        "INSERT INTO t VALUES (1,'a')",
    ]
    sql.script([*statements, f"USE `{other}`", *statements])
    outside_judge(server, database, other)
    sql.run("UPDATE t SET v='b'")
    with pytest.raises(AssertionError, match=f"{DUMP} sees"):
        outside_judge(server, database, other)
