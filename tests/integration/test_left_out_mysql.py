"""What MySQL holds besides tables and objects: a backup says what of it is not in it (hazard 154)."""

import pytest


pytestmark = pytest.mark.differs(
    "mariadb", reason="MariaDB has no histograms by column, and no libraries"
)


async def test_libraries_and_histograms_are_counted(backstay, sql, database):
    """With how to get them back; of tables that are not in the backup nothing is said."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)",
        "CREATE TABLE other (id INT PRIMARY KEY, a INT)",
        "INSERT INTO t VALUES (1, 2, 3), (2, 2, 4)",
        "ANALYZE TABLE t UPDATE HISTOGRAM ON a, b WITH 4 BUCKETS",
        "ANALYZE TABLE other UPDATE HISTOGRAM ON a WITH 4 BUCKETS",
        "CREATE LIBRARY one LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }'",
        "CREATE LIBRARY two LANGUAGE JAVASCRIPT AS 'export function g(n) { return n }'",
        f"ALTER DATABASE {database} DEFAULT ENCRYPTION = 'Y'",
    ])

    whole = await backstay.backup(database)
    some = await backstay.backup(database, tables=("t",))

    beginning = f"not in the backup: of {database},"
    assert [text.partition(";")[0] for text in whole.warnings] == [
        f"{beginning} 3 histograms of columns",
        f"{beginning} the default encryption of new tables",
        f"{beginning} 2 libraries of routines",
    ]
    assert [text.partition(";")[0] for text in some.warnings] == [
        f"{beginning} 2 histograms of columns"
    ]


async def test_where_there_is_nothing_nothing_is_said(backstay, sql, database):
    """Whatever other databases hold."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")

    assert (await backstay.backup(database)).warnings == ()
