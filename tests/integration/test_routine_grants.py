"""Grants on routines outlive a restore in place and its undo (hazard 161)."""

import pytest

from app.engine.schema.routine_grants import ensure_grants
from app.errors import StatementError
from tests.fixtures.chosen_server import NO_PACKAGES
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture
def office(sql, database):
    """Procedures and functions that accounts, a role and everybody may call; accounts are dropped afterwards."""
    user, role = f"u_{database[-8:]}", f"r {database[-8:]}"
    sql.script([
        f"CREATE USER '{user}'@'%'",
        f"CREATE ROLE `{role}`",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE PROCEDURE stays() SELECT 1",
        "CREATE PROCEDURE changes() SELECT 1",
        "CREATE FUNCTION counted() RETURNS INT READS SQL DATA RETURN (SELECT MAX(n) FROM v)",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS n",
        "CREATE OR REPLACE VIEW w AS SELECT counted() AS n",
        f"GRANT EXECUTE ON PROCEDURE `{database}`.stays TO '{user}'@'%' WITH GRANT OPTION",
        *on_changing(database, user, role),
        f"GRANT SELECT (id), INSERT ON `{database}`.t TO '{user}'@'%'",
        f"GRANT SELECT ON `{database}`.v TO `{role}`",
    ])
    yield user
    sql.script([f"DROP USER '{user}'@'%'", f"DROP ROLE `{role}`"])


def on_changing(database, user, role):
    """Grants on routines that are replaced; MySQL has no other way to that than DROP, which takes them away."""
    return [
        f"GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `{database}`.changes TO `{role}`",
        f"GRANT EXECUTE ON FUNCTION `{database}`.counted TO '{user}'@'%'",
    ]


def changed(sql, database, user):
    """Change routines after a backup, and grant what is on a new one."""
    sql.script([
        "CREATE OR REPLACE PROCEDURE changes() SELECT '#', 2",
        "CREATE OR REPLACE FUNCTION counted() RETURNS INT READS SQL DATA RETURN (SELECT MIN(n) FROM v)",
        "CREATE PROCEDURE added() SELECT 3",
        *on_changing(database, user, user.replace("u_", "r ")),
        f"GRANT EXECUTE ON PROCEDURE `{database}`.added TO '{user}'@'%'",
    ])


async def test_they_stay_and_come_back(office, backstay, sql, database):
    """A routine that is replaced keeps its grants; one that is removed gets them back by the undo."""
    manifest = await backstay.backup(database)
    then = snapshot(backstay.url, database, grants=True)
    changed(sql, database, office)
    before = snapshot(backstay.url, database, grants=True)
    assert then["grants"] != before["grants"]

    result = await backstay.restore(manifest)
    assert_same(then, snapshot(backstay.url, database, grants=True))

    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database, grants=True))


async def test_a_failure_loses_none(office, backstay, sql, database, monkeypatch):
    """They are in the journal before anything is dropped."""
    manifest = await backstay.backup(database)
    changed(sql, database, office)
    before = snapshot(backstay.url, database, grants=True)
    calls = []

    async def fail_once(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise StatementError("the server is gone", errno=2013)
        return await ensure_grants(*arguments)

    monkeypatch.setattr("app.engine.load.objects.ensure_grants", fail_once)
    with pytest.raises(StatementError):
        await backstay.restore(manifest)

    assert len(calls) > 1
    assert_same(before, snapshot(backstay.url, database, grants=True))


@NO_PACKAGES
async def test_a_package_that_is_not_in_the_backup_goes_and_comes_back(backstay, sql, database):
    """MariaDB before 11.4 drops one in the mode of Oracle only."""
    sql.run("CREATE TABLE t (a INT)")
    manifest = await backstay.backup(database)
    sql.script([
        "SET sql_mode = 'ORACLE'",
        "CREATE PACKAGE `k``'` AS PROCEDURE x; END",
        "CREATE PACKAGE BODY `k``'` AS PROCEDURE x AS BEGIN SELECT 1; END; END",
    ])
    full = await backstay.backup(database)
    before = snapshot(backstay.url, database)

    emptied = await backstay.restore(manifest)
    assert sql.run(f"SELECT name FROM mysql.proc WHERE db = '{database}'") == []
    filled = await backstay.restore(full)
    assert_same(before, snapshot(backstay.url, database))
    for result in (filled, emptied):
        await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database))


@NO_PACKAGES
async def test_a_package_is_replaced_with_its_body(backstay, sql, database, office):
    """The server drops the body with the package, and the grants on both."""
    sql.script([
        "SET sql_mode = 'ORACLE'",
        "CREATE PACKAGE k AS PROCEDURE x; END",
        "CREATE PACKAGE BODY k AS PROCEDURE x AS BEGIN SELECT 1; END; END",
        f"GRANT EXECUTE ON PACKAGE k TO '{office}'@'%' WITH GRANT OPTION",
        f"GRANT EXECUTE ON PACKAGE BODY k TO '{office}'@'%'",
    ])
    manifest = await backstay.backup(database)
    then = snapshot(backstay.url, database, grants=True)
    sql.script([
        "CREATE OR REPLACE PACKAGE k AS PROCEDURE x; PROCEDURE y; END",
        (
            "CREATE OR REPLACE PACKAGE BODY k AS PROCEDURE x AS BEGIN SELECT 1; END;"
            " PROCEDURE y AS BEGIN SELECT 1; END; END"
        ),
    ])
    before = snapshot(backstay.url, database, grants=True)

    result = await backstay.restore(manifest)
    assert result.warnings == ()
    assert_same(then, snapshot(backstay.url, database, grants=True))
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database, grants=True))


async def test_an_account_that_is_gone_stays_gone(backstay, sql, database):
    """What it could call is put back by an undo, its rights are not: MariaDB would make it, without a password."""
    user = f"u_{database[-8:]}"
    sql.script([
        "CREATE PROCEDURE called() SELECT 1",
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'",
        f"GRANT EXECUTE ON PROCEDURE `{database}`.called TO '{user}'@'%'",
    ])
    result = await backstay.restore(await backstay.backup(database))
    sql.run(f"DROP USER '{user}'@'%'")

    undo = await backstay.recoveries.undo(result.restore_id)

    assert sql.run(f"SELECT User FROM mysql.user WHERE User = '{user}'") == []
    (warning,) = undo.warnings
    assert warning.startswith(f"procedure {database}.called: the grant to {user}@% is gone")
