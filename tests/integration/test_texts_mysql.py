"""MySQL's own texts: those that its SHOW CREATE spoils, and those it takes back otherwise than it holds them."""

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.servers import Sql


pytestmark = pytest.mark.differs("mariadb", reason="MySQL prints other texts wrongly")

# Every member by its number, whatever the server prints.
MEMBERS = (
    "WITH RECURSIVE m (n, label) AS (SELECT 0, t.{} FROM (SELECT 1) AS o LEFT JOIN t ON FALSE"
    " UNION ALL SELECT n + 1, {} FROM m WHERE n < {})"
    " SELECT /*+ SET_VAR(cte_max_recursion_depth = 9999) */ CONVERT(label USING utf8mb4) FROM m WHERE n > 0"
)


def members(sql: Sql, column: str, count: int) -> list[str]:
    """Return the labels of a column of `t`; of a SET where its name begins with s."""
    following = "1 << n" if column.startswith("s") else "n + 1"
    return [row[0] for row in sql.run(MEMBERS.format(column, following, count))]


async def test_labels_beyond_the_basic_plane_survive(backstay, sql, database):
    """Used or not, in any character set that has them, many of them, beside real question marks (hazard 150)."""
    many = [f"{number}😀" for number in range(2000)]
    bits = [f"s{number}👍" for number in range(64)]
    listed = [", ".join(f"'{label}'" for label in labels) for labels in (many, bits)]
    sql.run(
        "CREATE TABLE t (id INT PRIMARY KEY, e ENUM('😀', '?', '😁😂', 'it''s 👎') DEFAULT '😁😂',"
        " wide ENUM('😀', 'b') CHARACTER SET utf16, chinese ENUM('😁') CHARACTER SET gb18030,"
        f" many ENUM({listed[0]}), s SET({listed[1]}) NOT NULL)"
    )
    sql.run("INSERT INTO t VALUES (1, '😁😂', 1, 1, 2000, 1 << 63), (2, '?', NULL, 1, 7, 5)")

    manifest = await backstay.round_trip(database)

    with Sql(backstay.url, await backstay.copy(manifest)) as copy:
        assert members(copy, "e", 4) == ["😀", "?", "😁😂", "it's 👎"]
        assert members(copy, "wide", 2) == ["😀", "b"]
        assert members(copy, "chinese", 1) == ["😁"]
        assert members(copy, "many", 2000) == many
        assert members(copy, "s", 64) == bits
        copy.run("INSERT INTO t (id, s) VALUES (3, '')")
        assert copy.run("SELECT e FROM t WHERE id = 3") == [("😁😂",)]


async def test_expressions_keep_their_texts(backstay, sql, database):
    """In defaults, generated columns, checks, indexes and partitions, of any character set (hazard 151)."""
    sql.run(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20) DEFAULT ('x😀?'),"
        " g VARCHAR(30) AS (CONCAT(a, '👍')), h VARCHAR(9) DEFAULT (_latin1 X'E93F'),"
        " j VARCHAR(9) DEFAULT (_ucs2 X'00E9'), k VARCHAR(9) DEFAULT (_sjis X'955C'),"
        " CHECK (a <> '👎'), KEY ((CONCAT(a, '😁'))))"
    )
    sql.run(
        "CREATE TABLE p (a VARCHAR(9)) PARTITION BY LIST COLUMNS (a)"
        " (PARTITION p0 VALUES IN ('😀', '?'), PARTITION p1 VALUES IN ('é'))"
    )
    sql.script(["INSERT INTO t (id) VALUES (1)", "INSERT INTO p VALUES ('😀'), ('?'), ('é')"])
    before = sql.run("SELECT * FROM t")

    manifest = await backstay.round_trip(database)

    with Sql(backstay.url, await backstay.copy(manifest)) as copy:
        copy.script(["DELETE FROM t", "INSERT INTO t (id) VALUES (1)"])
        assert copy.run("SELECT * FROM t") == before
        with pytest.raises(Exception, match="3819"):
            copy.run("INSERT INTO t (id, a) VALUES (2, '👎')")


# What JSON may hold, and the text that the server gives back once it was loaded.
VALUES = {
    "JSON_OBJECT('p', 1.10, 'q', 'x')": '{"p": 1.1, "q": "x"}',
    "JSON_ARRAY(0.0000001, -12345678901234567890.123)": "[0.0000001, -1.2345678901234567e19]",
    "CAST(123456789012345678901234567890 AS JSON)": "1.2345678901234568e29",
    "JSON_OBJECT('d', DATE'2020-01-01', 't', TIME'10:00:00.5')": (
        '{"d": "2020-01-01", "t": "10:00:00.500000"}'
    ),
    "JSON_OBJECT('b', X'FF')": '{"b": "base64:type15:/w=="}',
    """'{"a": [1.5, -0.0, 1e300, "1.10", 18446744073709551615], "é": "😀"}'""": (
        '{"a": [1.5, -0.0, 1e300, "1.10", 18446744073709551615], "é": "😀"}'
    ),
    "'[]'": "[]",
    "NULL": None,
}
LOST = 5


@pytest.mark.parametrize("key", ["id INT PRIMARY KEY", "id INT"])
@pytest.mark.parametrize("size", [1, 2_000_000])
async def test_json_is_dumped_as_it_is_once_it_was_loaded(size, key, backstay, sql, database):
    """With a key and without one, small and in slices; how many rows lose something is said (hazard 152)."""
    filling = f"REPEAT('z', {size})"
    sql.run(f"CREATE TABLE t ({key}, price DECIMAL(9,2), j JSON)")
    sql.run("CREATE TABLE plain (id INT PRIMARY KEY, j JSON)")
    sql.run("""INSERT INTO plain VALUES (1, '{"a": 1.5, "b": "2020-01-01T00:00:00"}')""")
    for number, value in enumerate(VALUES):
        sql.run(f"INSERT INTO t VALUES ({number}, 1.10, {value})")
    sql.run(f"INSERT INTO t VALUES (99, 0, JSON_ARRAY({filling}, 2.20))")

    manifest = await backstay.backup(database)
    copy = await backstay.copy(manifest)

    with Sql(backstay.url, copy) as reader:
        found = {row[0]: row[1] for row in reader.run("SELECT id, j FROM t")}
        types = reader.run("SELECT JSON_TYPE(j->'$[1]') FROM t WHERE id = 99")
    assert [found[number] for number in range(len(VALUES))] == list(VALUES.values())
    assert found[99] == f'["{"z" * size}", 2.2]'
    assert types == [("DOUBLE",)]
    (warning,) = manifest.warnings
    assert warning.startswith(f"{database}.t: {LOST + 1} rows hold JSON")
    plan = await backstay.recoveries.plan(RestoreRequest(manifest.backup_id))
    forecast = await backstay.recoveries.dry_run(plan)
    assert [table.chunks_changed for table in forecast.tables] == [0, 0]


async def test_a_collation_that_is_said_only_when_it_was_told(backstay, sql, database):
    """Of a column that CREATE TABLE ... SELECT has made of a function, beside one whose collation is another."""
    sql.run(
        "CREATE TABLE t (other VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_general_ci)"
        " AS SELECT UUID() AS id, USER() AS who, VERSION() AS release_name, 'x' AS other"
    )
    rows = sql.run("SELECT * FROM t")

    place = await backstay.copy(await backstay.backup(database))

    assert sql.run(f"SELECT * FROM {place}.t") == rows
