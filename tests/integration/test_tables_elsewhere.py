"""Tables whose rows another server has: that one may be gone, and stops nothing here."""

from urllib.parse import urlsplit

import pytest

from tests.fixtures.chosen_server import IS_MYSQL


@pytest.fixture
def elsewhere(sql, server, database):
    """A database with a table of its own, and one whose other server has lost what it shows."""
    there = f"mysql://{database}@127.0.0.1:{urlsplit(server.url).port}/{database}/remote"
    sql.script([
        "INSTALL SONAME 'ha_federatedx'",
        f"CREATE USER {database}@'%'",
        f"GRANT ALL ON {database}.* TO {database}@'%'",
        "CREATE TABLE remote (i INT PRIMARY KEY)",
        f"CREATE TABLE far (i INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='{there}'",
        "CREATE TABLE near (i INT PRIMARY KEY)",
        "INSERT INTO near VALUES (1)",
        "DROP TABLE remote",
        "FLUSH TABLES",
    ])
    yield database
    sql.script([
        "DROP TABLE IF EXISTS far",
        f"DROP USER IF EXISTS {database}@'%'",
        "UNINSTALL SONAME 'ha_federatedx'",
    ])


async def test_a_server_that_is_gone_stops_no_backup(backstay, elsewhere):
    """Of its table the definition is kept, or nothing when that is not wanted."""
    manifest = await backstay.backup(elsewhere)
    without = await backstay.backup(elsewhere, exclude_tables=("far",))

    tables = {table.name: table.rows for table in manifest.databases[0].tables}
    assert tables == {"far": 0, "near": 1}
    assert [table.name for table in without.databases[0].tables] == ["near"]


async def test_a_server_that_is_gone_stops_no_restore_beside_it(backstay, sql, elsewhere):
    """All databases have foreign keys on others, so their tables are looked at; not this one."""
    other = backstay.new_name()
    sql.script([f"CREATE DATABASE {other}", f"CREATE TABLE {other}.t (i INT PRIMARY KEY)"])
    manifest = await backstay.backup(other)

    assert (await backstay.restore(manifest)).verified


async def test_a_table_that_cannot_be_made_without_its_server_is_left_out(backstay, sql, elsewhere):
    """The other tables are restored, and a warning says which is not; MySQL makes it without asking its server."""
    manifest = await backstay.backup(elsewhere)
    sql.run(f"DROP USER {elsewhere}@'%'")

    copy = backstay.new_name()
    result = await backstay.restore(manifest, copy)

    assert result.verified
    left_out = any(f"{copy}.far was left out: " in warning for warning in result.warnings)
    assert left_out is not IS_MYSQL
    made = [("near",)] if left_out else [("far",), ("near",)]
    assert sql.run(f"SHOW TABLES FROM {copy}") == made
