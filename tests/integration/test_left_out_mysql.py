"""What MySQL holds besides tables and objects: a backup says what of it is not in it."""

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.dry_runs import drop, ends_as_foretold


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


async def test_a_library_is_something_that_others_made(backstay, sql, database):
    """An undo leaves a database with one in it; rights on one are named, and end no load."""
    user = f"u_{database[-8:]}"
    copy = backstay.new_name()
    sql.script([
        "CREATE LIBRARY one LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }'",
        f"CREATE USER '{user}'@'%'",
        f"GRANT EXECUTE ON LIBRARY `{database}`.one TO '{user}'@'%'",
    ])
    try:
        manifest = await backstay.backup(database, accounts=True)
    finally:
        sql.run(f"DROP USER '{user}'@'%'")
    by_hand = backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand}")
    backstay.plain_load(manifest, by_hand)
    sql.run(f"DROP USER '{user}'@'%'")

    result = await backstay.restore(manifest, copy)
    sql.run(
        f"CREATE LIBRARY {copy}.two LANGUAGE JAVASCRIPT AS 'export function f(n) {{ return n }}'"
    )
    undo = await backstay.recoveries.undo(result.restore_id)

    assert (
        f"account {user}@%: its rights on libraries, which are not in the backup, are left out"
        in (manifest.warnings)
    )
    assert undo.warnings == (
        f"database {copy!r} was not dropped: it holds something that others made",
    )


ADDED = {
    "reference systems": (
        (
            'CREATE SPATIAL REFERENCE SYSTEM 990001 NAME \'of ours\' DEFINITION \'GEOGCS["X",DATUM["X",'
            'SPHEROID["X",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925],'
            'AXIS["Lat",NORTH],AXIS["Lon",EAST]]\''
        ),
        "CREATE TABLE t (p POINT NOT NULL SRID 990001)",
        "DROP SPATIAL REFERENCE SYSTEM 990001",
        "1 spatial reference systems (CREATE SPATIAL REFERENCE SYSTEM) (990001 of ours)",
        "no spatial reference system with SRID 990001",
    ),
    "libraries": (
        "CREATE LIBRARY one LANGUAGE JAVASCRIPT AS 'export function f(n) { return n }'",
        (
            "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC LANGUAGE JAVASCRIPT USING (one)"
            " AS $$ return one.f(a) $$"
        ),
        "DROP LIBRARY one",
        "1 libraries (CREATE LIBRARY) ({}.one)",
        "LIBRARY one does not exist",
    ),
    "loaded functions": (
        "CREATE FUNCTION service_get_read_locks RETURNS INT SONAME 'locking_service.so'",
        "CREATE VIEW v AS SELECT service_get_read_locks('a', 'b', 1) AS x",
        "DROP FUNCTION service_get_read_locks",
        "1 functions of libraries (CREATE FUNCTION ... SONAME) (service_get_read_locks)",
        "service_get_read_locks",
    ),
}


@pytest.mark.parametrize("kind", ADDED)
async def test_what_was_added_to_the_server_and_is_gone_is_missed_by_a_dry_run(
    kind, backstay, sql, database
):
    """On the server that was backed up; the backup has said that it is not in it."""
    make, use, take_away, left_out, missed = ADDED[kind]
    sql.script([make, use])
    try:
        manifest = await backstay.backup(database)
        there = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))
    finally:
        if kind == "reference systems":  # which no table may be of
            drop(sql, database)
        sql.run(take_away)
        drop(sql, database)

    gone = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

    assert manifest.warnings == (f"not in the backup: {left_out.format(database)}",)
    assert not there.problems
    assert missed in str(gone.problems[0])
