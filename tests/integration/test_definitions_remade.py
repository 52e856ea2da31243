"""Definitions that no server makes again just as it printed them, and what CREATE takes and ALTER refuses."""

import pytest

from app.domain.backups.manifest import Manifest
from app.engine.sql.quoting import quote
from tests.fixtures.backstay import Backstay


# What must come back equal under another name, in place, and by hand.
TABLES = {
    "a spatial index between others, in a table that is indexed after its rows": [
        (
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, g POINT NOT NULL, b INT,"
            " KEY ka (a), SPATIAL KEY sg (g), KEY kb (b))"
        ),
        "INSERT INTO t SELECT seq, seq, POINT(seq, 1), seq FROM seq_1_to_10000",
    ],
    "a counter that is not the primary key, between indexes": [
        (
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, c INT NOT NULL AUTO_INCREMENT, b INT,"
            " UNIQUE KEY u (a, id), KEY ka (a), KEY kc (c), KEY kb (b), KEY kd (c, b))"
        ),
        "INSERT INTO t (id, a, b) SELECT seq, seq, seq FROM seq_1_to_10000",
    ],
    "a cascading foreign key on the base of a stored column": [
        "CREATE TABLE p (id INT PRIMARY KEY)",
        (
            "CREATE TABLE c (id INT PRIMARY KEY, pid INT, s VARCHAR(40) AS (CONCAT('p', pid)) STORED,"
            " KEY kp (pid), CONSTRAINT f FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE)"
        ),
        "INSERT INTO p VALUES (1)",
        "INSERT INTO c (id, pid) VALUES (1, 1)",
    ],
    "a table in memory that is larger than the server's limit": [
        "SET max_heap_table_size = 67108864",
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(2000)) ENGINE=MEMORY CHARSET=ascii",
        "INSERT INTO t SELECT seq, REPEAT('x', 15) FROM seq_1_to_9000",
        "SET max_heap_table_size = DEFAULT",
    ],
    "a counter that takes rows in ascending order only": [
        "INSTALL SONAME 'ha_archive'",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(600)) ENGINE=ARCHIVE",
        "INSERT INTO t SELECT 3 * seq, REPEAT(MD5(seq), 15) FROM seq_1_to_6000",
    ],
    "a counter that no row has taken yet": [
        "INSTALL SONAME 'ha_archive'",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=ARCHIVE AUTO_INCREMENT=1000",
    ],
    "document ids that are taken in ascending order only": [
        (
            "CREATE TABLE t (id INT PRIMARY KEY, FTS_DOC_ID BIGINT UNSIGNED NOT NULL, v TEXT,"
            " UNIQUE KEY FTS_DOC_ID_INDEX (FTS_DOC_ID), FULLTEXT KEY f (v))"
        ),
        "INSERT INTO t SELECT 9000 - seq, seq, REPEAT(CONCAT(MD5(seq), ' '), 60) FROM seq_1_to_3000",
    ],
    "a function and a procedure of one name, which use a view": [
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE PROCEDURE total() SELECT id FROM v",
        "CREATE FUNCTION total() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM v)",
        "CREATE VIEW w AS SELECT total() AS x",
        "INSERT INTO t VALUES (1)",
    ],
    "an aggregate function that names a view": [
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW s AS SELECT id FROM t",
        (
            "CREATE AGGREGATE FUNCTION total(x INT) RETURNS INT DETERMINISTIC BEGIN DECLARE s INT DEFAULT 0;"
            " DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END"
        ),
        "CREATE VIEW w AS SELECT total(id) AS x FROM s",
        "INSERT INTO t VALUES (1), (2)",
    ],
    "events that are over, and one that is not": [
        "SET timestamp = 1",
        "CREATE EVENT once ON SCHEDULE AT '2001-01-01 00:00:00' DISABLE DO SELECT 1",
        "CREATE EVENT kept ON SCHEDULE AT '2001-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO SELECT 1",
        (
            "CREATE EVENT ended ON SCHEDULE EVERY '1:2' HOUR_MINUTE STARTS '2001-01-01 00:00:00'"
            " ENDS '2002-01-01 00:00:00' DISABLE DO SELECT ' ENDS '"
        ),
        "SET timestamp = DEFAULT",
        "CREATE EVENT `AT '` ON SCHEDULE AT '2037-01-01 00:00:00' DO SELECT 1",
        "CREATE EVENT coming ON SCHEDULE EVERY 1 DAY ENDS '2037-01-01 00:00:00' DO SELECT 1",
    ],
}

# What the server prints otherwise, or makes only with a way around: the program restores it.
OTHERS = {
    "temporal columns of an old version": [
        "SET GLOBAL mysql56_temporal_format = OFF",
        "CREATE TABLE t (d DATETIME PRIMARY KEY, e TIMESTAMP(3) NULL, f TIME COMMENT ' /* no */')",
        "INSERT INTO t VALUES ('2020-02-02 02:02:02', NULL, '838:59:59')",
        "SET GLOBAL mysql56_temporal_format = ON",
    ],
    "options that no engine knows": [
        "SET sql_mode = 'IGNORE_BAD_TABLE_OPTIONS'",
        "CREATE TABLE t (a INT COMMENT 'x' foo='it''s', KEY k (a) bar=5) baz='q*/' COMMENT='/* c */'",
        "SET sql_mode = DEFAULT",
    ],
    "a foreign key whose child has lost its index": [
        "CREATE TABLE p (id INT PRIMARY KEY)",
        (
            "CREATE TABLE c (id INT PRIMARY KEY, pid INT, KEY kp (pid),"
            " CONSTRAINT f FOREIGN KEY (pid) REFERENCES p (id))"
        ),
        "SET foreign_key_checks = 0",
        "ALTER TABLE c DROP INDEX kp",
        "SET foreign_key_checks = 1",
    ],
    "foreign keys whose parent has lost its index": [
        "CREATE TABLE p (id INT PRIMARY KEY, k INT, l INT, KEY kk (k), KEY kl (l, k))",
        (
            "CREATE TABLE c (id INT PRIMARY KEY, a INT, b INT, KEY ka (a), KEY kb (b, a),"
            " CONSTRAINT f FOREIGN KEY (a) REFERENCES p (k) ON DELETE SET NULL,"
            " CONSTRAINT g FOREIGN KEY (b, a) REFERENCES p (l, k))"
        ),
        "SET foreign_key_checks = 0",
        "ALTER TABLE p DROP INDEX kk, DROP INDEX kl",
        "SET foreign_key_checks = 1",
    ],
}


# Of MariaDB alone, by the reason why MySQL has no such definitions.
NOT_OF_MYSQL = {
    "an aggregate function that names a view": "it has no aggregate functions of SQL",
    "a cascading foreign key on the base of a stored column": "it lets no cascade change a base of stored columns",
    "temporal columns of an old version": "it opens no temporal columns of old versions",
    "options that no engine knows": "it refuses options that no engine knows",
    "a foreign key whose child has lost its index": "it keeps the indexes that foreign keys need",
    "foreign keys whose parent has lost its index": "it keeps the indexes that foreign keys need",
}


def marked(kinds):
    """Return the statements of each kind, with the mark of those that MySQL has not."""
    marks = {
        name: pytest.mark.differs("mysql", reason=reason) for name, reason in NOT_OF_MYSQL.items()
    }
    return [
        pytest.param(statements, id=name, marks=marks.get(name, ()))
        for name, statements in kinds.items()
    ]


@pytest.mark.parametrize("statements", marked(TABLES))
async def test_a_definition_comes_back_with_its_meaning(backstay, sql, database, statements):
    """By a restore under another name, in place and undone, and loaded by hand."""
    sql.script(statements)
    manifest = await backstay.round_trip(database)

    await assert_restored_and_undone(backstay, manifest)


async def test_a_counter_that_rows_set_comes_back_without_them(backstay, sql, database):
    """A restore of the definitions alone, and the trial of them, ends with the number that comes next."""
    sql.script([
        "INSTALL SONAME 'ha_archive'",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=ARCHIVE",
        "INSERT INTO t VALUES (7), (9)",
    ])
    manifest = await backstay.backup(database)

    await backstay.restore(manifest, schema_only=True)

    sql.run("INSERT INTO t VALUES ()")
    assert sql.run("SELECT id FROM t") == [(10,)]


@pytest.mark.differs("mysql", reason="it takes no DATABASE() in such expressions")
async def test_a_backup_keeps_the_database_in_expressions(backstay, sql, database):
    """MariaDB opens a table with NULL for DATABASE() where none is chosen, and computes so for all users."""
    sql.script([
        "CREATE TABLE t (a INT, b VARCHAR(80) DEFAULT (CONCAT('in ', DATABASE())), c VARCHAR(80) AS (CONCAT(a, DATABASE())))",
        "FLUSH TABLES",
    ])
    manifest = await backstay.backup(database)
    sql.run("INSERT INTO t (a) VALUES (1)")

    assert sql.run("SELECT b, c FROM t") == [(f"in {database}", f"1{database}")]
    await assert_restored_and_undone(backstay, manifest)
    await backstay.restore(manifest)
    sql.run("INSERT INTO t (a) VALUES (2)")
    assert sql.run("SELECT b, c FROM t") == [(f"in {database}", f"2{database}")]


@pytest.mark.parametrize("statements", marked(OTHERS))
async def test_a_definition_that_is_printed_otherwise_comes_back(
    backstay, sql, database, statements
):
    """By hand as well; a remark of the server is none of the definition, and no missing index is made."""
    sql.script(statements)
    manifest = await backstay.backup(database)
    indexes = f"SELECT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = '{database}'"
    before = sorted(sql.run(indexes))

    await backstay.copy(manifest)
    by_hand = backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand} CHARACTER SET utf8mb4")
    backstay.plain_load(manifest, by_hand)
    await assert_restored_and_undone(backstay, manifest)

    assert sorted(sql.run(indexes)) == before


@pytest.mark.differs("mysql", reason="it names no foreign key longer than a name may be")
async def test_foreign_keys_come_back_that_the_server_named_too_long(backstay, sql, database):
    """Nobody could give them such a name, so the server gives it again."""
    child = "é" * 64
    sql.script([
        "CREATE TABLE p (id INT PRIMARY KEY)",
        (
            f"CREATE TABLE {child} (a INT, b INT, KEY (a), KEY (b), FOREIGN KEY (a) REFERENCES p (id),"
            " FOREIGN KEY (b) REFERENCES p (id) ON DELETE SET NULL)"
        ),
        "INSERT INTO p VALUES (1)",
        f"INSERT INTO {child} VALUES (1, NULL), (NULL, 1)",
    ])
    manifest = await backstay.round_trip(database, plain=False)

    await assert_restored_and_undone(backstay, manifest)


async def assert_restored_and_undone(backstay: Backstay, manifest: Manifest) -> None:
    """Restore in place, and take it back."""
    result = await backstay.restore(manifest)
    undone = await backstay.recoveries.undo(result.restore_id)

    assert result.verified
    assert undone.warnings == ()


@pytest.mark.differs("mysql", reason="it compresses no table by default")
async def test_what_a_session_has_by_default_is_not_added(backstay, sql, database):
    """Options that a server gives to all new tables are not those of restored ones."""
    sql.run("CREATE TABLE t (i INT PRIMARY KEY)")
    manifest = await backstay.backup(database)
    sql.run("SET GLOBAL innodb_compression_default = ON")
    try:
        copy = await backstay.copy(manifest)
    finally:
        sql.run("SET GLOBAL innodb_compression_default = OFF")

    assert "COMPRESSED" not in sql.run(f"SHOW CREATE TABLE {copy}.t")[0][1]


@pytest.mark.parametrize("name", ["once", "it's"])
async def test_an_event_whose_time_has_passed_is_made_and_not_enabled(
    backstay, sql, database, name
):
    """Enabled it would be executed at once, long after its time; a warning says so."""
    sql.script([
        "SET timestamp = 1",
        f"CREATE EVENT {quote(name)} ON SCHEDULE AT '2001-01-01 00:00:00' DO SELECT 1",
        "SET timestamp = DEFAULT",
    ])
    manifest = await backstay.backup(database)
    copy, by_hand = backstay.new_name(), backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand} CHARACTER SET utf8mb4")

    result = await backstay.restore(manifest, copy)
    again = await backstay.restore(manifest)
    backstay.plain_load(manifest, by_hand)

    assert result.verified
    assert result.warnings == (
        f"event {copy}.{name} was made, and not enabled: its last time has passed",
    )
    assert again.warnings == ()
    listed = "SELECT EVENT_SCHEMA, STATUS FROM information_schema.EVENTS"
    assert sorted(sql.run(listed)) == sorted([
        (copy, "DISABLED"),
        (by_hand, "DISABLED"),
        (database, "ENABLED"),
    ])


async def test_a_view_with_a_column_of_no_name_comes_back(backstay, sql, database):
    """Of an alias that is a control character servers leave nothing, and print a name that they refuse."""
    sql.script([
        "CREATE FUNCTION f(a VARCHAR(9)) RETURNS VARCHAR(9) DETERMINISTIC RETURN a",
        "CREATE VIEW v AS SELECT f('AS ``') AS `\x02`, 1 AS `\x1bAS ```` x`",
        "CREATE VIEW a AS SELECT * FROM (SELECT 'AS ``' AS x, 1 AS `y\x7f\tz`) AS s",
    ])

    assert next(row[0] for row in sql.run("SHOW COLUMNS FROM v")) == ""
    await backstay.round_trip(database)


INTERSECTIONS = {
    "other": "SELECT a FROM t INTERSECT SELECT 1 EXCEPT SELECT 2",
    "words": "SELECT a, '(`a` is not null) and (`a` is not null)' AS b FROM t WHERE (a = 1 OR b = 2)"
    " INTERSECT SELECT 1, 'x'",
    "several": "SELECT a, b FROM t WHERE a BETWEEN (0 + 1) AND (b + 1) INTERSECT SELECT 1, 2",
    "grouped": "SELECT COUNT(*) FROM t INTERSECT SELECT MAX(a) FROM t HAVING MAX(a) IS NOT NULL",
    "within": "SELECT a FROM t WHERE a IN (SELECT b FROM t INTERSECT SELECT 1)",
}


async def test_intersections_come_back_as_they_were(backstay, sql, database):
    """MySQL writes into such a view that a column is not NULL, once more each time that it is made."""
    sql.script([
        "CREATE TABLE t (a INT, b INT)",
        "INSERT INTO t VALUES (1, 2), (NULL, 3)",
        *(f"CREATE VIEW {name} AS {query}" for name, query in INTERSECTIONS.items()),
    ])
    manifest = await backstay.backup(database)
    before = {name: sql.run(f"SELECT * FROM {name}") for name in INTERSECTIONS}

    copy = await backstay.copy(manifest)
    again = await backstay.copy(await backstay.backup(copy))
    await backstay.restore(manifest)

    for place in (database, copy, again):
        assert {name: sql.run(f"SELECT * FROM {place}.{name}") for name in INTERSECTIONS} == before
