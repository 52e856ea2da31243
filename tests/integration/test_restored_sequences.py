"""Tables numbered by a sequence, restored in place."""

import pytest

from tests.oracle.snapshots import assert_same, snapshot


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
