"""What MySQL holds besides tables and objects: a backup says what of it is not in it."""

import pytest


pytestmark = pytest.mark.differs(
    "mariadb", reason="MariaDB has no histograms by column, and no libraries"
)


async def test_histograms_and_libraries_are_counted(backstay, sql, database):
    """With their names; other databases have nothing to do with it."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)",
        "INSERT INTO t VALUES (1, 2, 3), (2, 2, 4)",
        "ANALYZE TABLE t UPDATE HISTOGRAM ON a, b WITH 4 BUCKETS",
        "CREATE LIBRARY one LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }'",
    ])

    warnings = (await backstay.backup(database)).warnings

    assert warnings == (
        f"not in the backup: 1 libraries (CREATE LIBRARY) ({database}.one)",
        (
            "not in the backup: 2 histograms (ANALYZE TABLE ... UPDATE HISTOGRAM)"
            f" ({database}.t.a, {database}.t.b)"
        ),
    )
