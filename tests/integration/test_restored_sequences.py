"""Tables numbered by a sequence, restored in place."""

import pytest

from tests.fixtures.chosen_server import NO_SEQUENCES
from tests.fixtures.forged import with_text
from tests.oracle.snapshots import assert_same, snapshot


pytestmark = NO_SEQUENCES


@pytest.mark.parametrize("tables", [(), ("numbered",), ("numbered", "ticket")])
async def test_a_view_on_a_numbered_table_is_no_table(backstay, sql, database, tables):
    """The server shows the default of a column in the columns of a view, which cannot be altered."""
    sql.script([
        "CREATE SEQUENCE ticket START WITH 10 CACHE 0",
        "CREATE TABLE numbered (id int DEFAULT nextval(ticket) PRIMARY KEY, v int)",
        "CREATE VIEW shown AS SELECT * FROM numbered",
        "INSERT INTO numbered (v) VALUES (1), (2)",
    ])
    manifest = await backstay.backup(database)
    then = snapshot(backstay.url, database)
    sql.run("DELETE FROM numbered")
    before = snapshot(backstay.url, database)

    result = await backstay.restore(manifest, tables=tables)

    assert_same(then, snapshot(backstay.url, database))
    await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, database))
    sql.run("INSERT INTO numbered (v) VALUES (3)")
    assert sql.run("SELECT id FROM shown") == [(12,)]


@pytest.mark.parametrize(
    "default",
    [
        "CONCAT('😀\u00e9''\\\\ nextval(', NEXTVAL(ticket))",
        "1 + NEXTVAL(ticket)",
        "NEXTVAL(ticket)",
    ],
)
async def test_a_default_keeps_its_text(default, backstay, sql, database):
    """The dictionary of the server has no emojis, and a text may look like a call."""
    sql.script([
        "CREATE SEQUENCE ticket",
        f"CREATE TABLE numbered (id int PRIMARY KEY, v varchar(50) DEFAULT ({default}) COMMENT 'x)', w int)",
        "INSERT INTO numbered (id) VALUES (1), (2)",
    ])
    manifest = await backstay.backup(database)
    then = snapshot(backstay.url, database)
    sql.run("DELETE FROM numbered")

    await backstay.restore(manifest)

    assert_same(then, snapshot(backstay.url, database))


ODD = (
    "CREATE SEQUENCE plain START WITH 5",
    "CREATE SEQUENCE back START WITH 100 INCREMENT BY -7 MINVALUE -50 MAXVALUE 100",
    "CREATE SEQUENCE `rest``arted` START WITH 50",
    "ALTER SEQUENCE `rest``arted` RESTART 3",
    "CREATE SEQUENCE again START WITH 8 MINVALUE 3 MAXVALUE 9 NOCACHE CYCLE",
    "DO NEXTVAL(again), NEXTVAL(again), NEXTVAL(again), NEXTVAL(again)",
    "CREATE SEQUENCE twice MINVALUE 1 MAXVALUE 2 NOCACHE CYCLE",
    "DO NEXTVAL(twice), NEXTVAL(twice), NEXTVAL(twice), NEXTVAL(twice), NEXTVAL(twice)",
)
OUT = ("CREATE SEQUENCE `out` MINVALUE 1 MAXVALUE 2 NOCACHE", "DO NEXTVAL(`out`), NEXTVAL(`out`)")


async def test_sequences_come_back_where_they_stood(backstay, sql, database):
    """Sent back, begun again, counted down or run out, and loaded by hand as well."""
    sql.script((*ODD, *OUT))

    await backstay.round_trip(database)


async def test_sequences_are_restored_where_the_binary_log_holds_statements(
    backstay, sql, database
):
    """It refuses rows of a sequence, and what a session does to one but to send it somewhere."""
    sql.script((*ODD, *OUT))
    manifest = await backstay.backup(database)
    sql.run("SET GLOBAL binlog_format = 'STATEMENT'")
    try:
        copy = await backstay.copy(manifest)
        result = await backstay.restore(manifest)
    finally:
        sql.run("SET GLOBAL binlog_format = 'ROW'")

    assert result.verified
    assert sql.run(f"SELECT * FROM {copy}.again") == sql.run("SELECT * FROM again")


async def test_a_position_written_by_an_earlier_version_is_proven(backstay, sql, database):
    """Their files hold the row of the sequence."""
    sql.script(ODD)
    manifest = await backstay.backup(database)
    row = ", ".join(map(str, sql.run("SELECT * FROM plain")[0]))

    old = await with_text(
        backstay,
        manifest,
        b"ALTER SEQUENCE `plain` RESTART 5;\n",
        f"INSERT INTO `plain` VALUES ({row});\n".encode(),
    )

    assert (await backstay.restore(old, backstay.new_name())).verified
