"""O: everything that is not rows survives a round backstay, in the eyes of two independent judges."""

import re
import uuid

import pytest

from app.errors import IncompatibleServerError
from tests.corpora import objects
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture
def other(sql):
    """A second database, for what crosses schemas."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    sql.run(f"CREATE DATABASE {name}")
    yield name
    sql.run("SET foreign_key_checks = 0")
    sql.run(f"DROP DATABASE {name}")


@pytest.mark.parametrize("code", ["O1", "O3", "O4", "O8", "O9", "O10"])
async def test_objects(code, backstay, sql, database):
    """What the corpus of this code holds comes back as it was defined."""
    sql.script(getattr(objects, code.lower())())

    await backstay.round_trip(database)


async def test_o2_views(backstay, sql, database, other):
    """Chains, cycles through a function, invalid views and other schemas come back."""
    sql.script(objects.o2(other))

    manifest = await backstay.backup(database)
    copy = await backstay.copy(manifest)

    before = snapshot(backstay.url, database, names={other: "<other>"})
    after = snapshot(backstay.url, copy, names={other: "<other>", database: "<db>"})
    for snap in (before, after):
        drop_invalid_views(snap, manifest)
    assert_same(before, after)
    assert any("cannot be used" in warning for warning in manifest.warnings)


def drop_invalid_views(snap, manifest):
    """Leave out views that the source server itself cannot use."""
    invalid = {one.name for one in manifest.databases[0].objects if not one.valid}
    for part in snap.values():
        if isinstance(part, dict):
            for key in [key for key in part if any(name in key for name in invalid)]:
                del part[key]


async def test_o5_events_do_not_fire(backstay, sql, database, other):
    """Events are disabled while a restore runs; the one that drops a database does not fire."""
    sql.script(objects.o5(other))

    await backstay.round_trip(database, plain=False)

    assert sql.run(f"SHOW DATABASES LIKE '{other}'")


async def test_o5_delimiters_in_events(backstay, sql, database):
    """Event bodies with delimiters come back; the vendor's dump program hangs on them."""
    sql.script(objects.o5_delimiters())

    await backstay.round_trip(database, judge=False)


async def test_o6_foreign_keys_across_schemas(backstay, sql, database, other):
    """Two schemas with keys in a circle restore in one run, from one file, by the client too."""
    sql.script(objects.o6(database, other))
    before = [snapshot(backstay.url, name) for name in (database, other)]

    manifest = await backstay.backup(database, other)
    drop(sql, database, other)
    await backstay.restore(manifest)
    restored = [snapshot(backstay.url, name) for name in (database, other)]
    drop(sql, database, other)
    backstay.plain_load(manifest)
    loaded = [snapshot(backstay.url, name) for name in (database, other)]

    for one, two, three in zip(before, restored, loaded, strict=True):
        assert_same(one, two)
        assert_same(one, three)


def drop(sql, *names):
    """Drop databases whatever points into them."""
    sql.run("SET foreign_key_checks = 0")
    for name in names:
        sql.run(f"DROP DATABASE {name}")


async def test_o7_sequences(backstay, sql, database):
    """Sequences continue where they were, also those that are a column's default."""
    sql.script(objects.o7(database))

    await backstay.round_trip(database, judge=False)


async def test_o11_accounts(backstay, sql, database):
    """Users, roles, proxies and odd names come back with their grants; accounts that exist stay."""
    prefix = f"o{uuid.uuid4().hex[:8]}"
    sql.script(objects.o11(prefix))
    try:
        before = accounts(sql, prefix)
        manifest = await backstay.backup(database, accounts=True)
        sql.script(objects.o11_cleanup(prefix))
        result = await backstay.restore(manifest, backstay.new_name(), accounts=True)
        assert accounts(sql, prefix) == before
        again = await backstay.restore(manifest, backstay.new_name(), accounts=True)
        assert accounts(sql, prefix) == before
    finally:
        sql.script(objects.o11_cleanup(prefix))

    assert not [warning for warning in result.warnings if prefix in warning]
    assert [warning for warning in again.warnings if prefix in warning]
    assert any("root@" in warning for warning in result.warnings)


def accounts(sql, prefix):
    """Read all that the server prints about the accounts of a prefix."""
    rows = sql.run(f"SELECT User, Host, is_role FROM mysql.user WHERE User LIKE '{prefix}%'")
    found = {}
    for user, host, role in sorted(rows):
        name = objects.account(user)
        full = name if role == "Y" else f"{name}@{objects.account(host)}"
        # The server lists the columns of one grant in the order of a hash.
        found[full] = sorted(
            re.sub(r"\((.*?)\)", lambda match: str(sorted(match[1].split(", "))), line)
            for (line,) in sql.run(f"SHOW GRANTS FOR {full}")
        )
        if role != "Y":
            found[full] += sql.run(f"SHOW CREATE USER {full}")
    return found


async def test_o12_missing_definer(backstay, sql, database):
    """Objects of an account that is gone come back with that account as their definer."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    sql.run("CREATE DEFINER=`nobody`@`nowhere` PROCEDURE p() SELECT 1")
    sql.run(
        "CREATE DEFINER=`nobody`@`nowhere` TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @x = 1"
    )

    manifest = await backstay.round_trip(database)

    assert {one.definer for one in manifest.databases[0].objects} == {"`nobody`@`nowhere`"}


async def test_o13_missing_engine_is_refused_before_any_change(backstay, sql, database, own_server):
    """A server without the engine refuses before it has created anything."""
    if not sql.run("SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'ARCHIVE'"):
        sql.run("INSTALL SONAME 'ha_archive'")
    sql.run("CREATE TABLE t (id INT) ENGINE=ARCHIVE")
    manifest = await backstay.backup(database)
    with own_server() as bare:
        there = type(backstay)(bare.url, backstay.directory)

        with pytest.raises(IncompatibleServerError, match="ARCHIVE"):
            await there.restore(manifest, "copy")

        with Sql(bare.url) as client:
            assert client.run("SHOW DATABASES LIKE 'copy'") == []
        await there.close()


async def test_bodies_that_name_their_own_database(backstay, sql, database):
    """Bodies keep the name of the database they came from, and are proven in one of another name."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    here = f"`{database}`.`t`"
    sql.run(f"CREATE PROCEDURE p() BEGIN -- don't\n SELECT * FROM {here}; END")
    sql.run(
        f"CREATE TRIGGER r BEFORE DELETE ON t FOR EACH ROW SET @x = (SELECT MAX(id) FROM {here})"
    )
    sql.run(f"CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO DELETE FROM {here}")
    sql.run(f"CREATE VIEW v AS SELECT * FROM {here}")
    sql.run(
        f"CREATE FUNCTION f() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM {database}.t)"
    )

    manifest = await backstay.backup(database)
    copy = await backstay.copy(manifest)

    assert_same(
        snapshot(backstay.url, database), snapshot(backstay.url, copy, names={database: "<db>"})
    )
