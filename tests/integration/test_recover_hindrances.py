"""What a replay would silently make something else of: refused when it is planned, and replayed from a later base."""

import pytest
import pytest_asyncio

from app.errors import BaseUnfitError
from tests.fixtures.point_in_time import PointsInTime
from tests.oracle.snapshots import assert_same, snapshot


STATEMENT = "SET SESSION binlog_format = 'STATEMENT'"
ONLY_MARIADB = pytest.mark.differs(
    "mysql", reason="it has no sequences, and logs what a REPLACE sets"
)


@pytest_asyncio.fixture
async def points(own_server, server_template, tmp_path):
    """A source with two databases of its owner, and a table of theirs in the system schema."""
    found = PointsInTime(own_server("--secure-file-priv="), tmp_path, server_template)
    found.sql.script([
        "CREATE DATABASE shop",
        "CREATE DATABASE log",
        "USE shop",
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60), b TEXT)",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        "CREATE TABLE log.l (id INT PRIMARY KEY)",
        "CREATE TABLE mysql.mine (id INT PRIMARY KEY)",
        "INSERT INTO t (note, b) VALUES ('one', 'b'), ('two', 'b')",
        "INSERT INTO mysql.mine VALUES (1)",
    ])
    yield found
    await found.close()


async def require_refused(points, statements, reason, databases=()):
    """Require that no base before some statements leads behind them, and one made after them does."""
    await points.backup()
    points.sql.script(statements)
    points.archive()
    with pytest.raises(BaseUnfitError, match=reason):
        await points.plan(points.position(), databases)
    later = await points.backup()
    points.archive()
    assert (await points.plan(points.position(), databases)).base == later


async def test_statements_on_the_system_schema_and_others_are_refused(points):
    """An applier passes over all of them, in silence, because of the one that it leaves out."""
    for statements in (
        ["RENAME TABLE mysql.mine TO shop.mine"],
        ["RENAME TABLE shop.mine TO mysql.mine"],
        ["CREATE TABLE mysql.other (id INT)", "DROP TABLE mysql.other, shop.u"],
        [STATEMENT, "UPDATE shop.t, mysql.mine SET t.note = 'both' WHERE t.id = mine.id"],
        ["USE mysql", "INSERT INTO shop.t (note) SELECT user FROM user", "USE shop"],
    ):
        await require_refused(points, statements, "names a table of mysql")


async def test_a_table_that_enters_from_a_database_that_is_left_out_is_refused(points):
    """MariaDB looks at the first name alone; so the table would be missing, in silence."""
    statements = ["ALTER TABLE log.l RENAME TO shop.l"]
    behind_a_comment = ["-- don't\nALTER TABLE shop.l RENAME TO log.l"]

    await require_refused(points, statements, "names a table of log", ["shop"])
    await require_refused(points, behind_a_comment, "names a table of log", ["shop"])


async def test_what_a_restore_in_place_did_is_recovered_from_one_database_alone(points):
    """Its RENAME names the schemas that it loaded beside that: they go with it."""
    points.sql.script([
        "CREATE TABLE shop.v (id INT PRIMARY KEY, t_id INT, CONSTRAINT v_t FOREIGN KEY (t_id) REFERENCES t (id))",
        "INSERT INTO shop.v VALUES (1, 1)",
    ])
    base = await points.backup(databases=("shop",))
    points.sql.run("UPDATE shop.t SET note = 'changed'")
    older = await points.backup()
    points.sql.run("INSERT INTO shop.t (note) VALUES ('lost by the restore')")
    await points.restore(older, databases=("shop",))
    points.sql.run("INSERT INTO shop.t (note) VALUES ('after it')")
    expected, point = snapshot(points.sql, "shop"), points.position()
    points.remove(older)

    recovered = await points.recover(point, ["shop"])
    points.sql.run("DROP DATABASE shop")
    await points.restore(recovered)

    assert recovered.recovered_from == base.backup_id
    assert_same(snapshot(points.sql, "shop"), expected)


async def test_what_was_kept_for_an_undo_before_the_base_is_in_none(points):
    """No backup holds it: what moves tables out of there needs an older base, what drops it does not."""
    kept = "shop__bk_old_0123456789ab"
    points.sql.script([
        f"CREATE DATABASE {kept}",
        f"CREATE TABLE {kept}.t (id INT)",
        f"CREATE TABLE {kept}.w (id INT)",
    ])
    for databases in (["shop"], []):
        base = await points.backup()
        points.sql.run(f"DROP TABLE IF EXISTS {kept}.t")
        points.archive()
        assert (await points.plan(points.position(), databases)).base == base
        assert (await points.recover(points.position(), databases)).recovered_from == base.backup_id

    statements = [f"RENAME TABLE shop.u TO {kept}.u, {kept}.w TO shop.u"]
    await require_refused(points, statements, "made before the backup", ["shop"])


async def test_statements_that_compute_something_else_each_time_are_refused(points):
    """Where the server was told to log them all the same."""
    reason = "computes others when it is executed again"

    for statements in (
        ["INSERT INTO shop.t (note) VALUES (UUID())"],
        ["INSERT INTO shop.t (note, b) VALUES (\"it's\", UUID()), ('x', 'y')"],
        ["INSERT INTO shop.t (note, b) # it's\n VALUES ('/*', UUID()), ('*/', 'x')"],
        ["SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'", "INSERT INTO shop.t (note, b) VALUES ('\\', UUID()), ('x', 'y')"],
        [f"/* {'x' * 5000} */ INSERT INTO shop.t (note) VALUES (UUID())"],
    ):  # fmt: skip
        await require_refused(points, [STATEMENT, *statements], reason)


async def test_rows_that_are_numbered_in_an_order_that_no_backup_keeps_are_refused(points):
    """Without a primary key it is that in which they came, the log has that of the commits."""
    points.sql.run("CREATE TABLE shop.k (a INT)")
    add = "ADD COLUMN number INT AUTO_INCREMENT, ADD UNIQUE (number)"
    base = await points.backup()
    points.sql.run(f"ALTER TABLE shop.u {add}")
    points.archive()
    assert (await points.plan(points.position())).base == base

    by_variable = "UPDATE shop.k SET a = (@r := @r + 1)"
    for statements in ([f"ALTER TABLE shop.k {add}"], [STATEMENT, "SET @r = 0", by_variable]):
        await require_refused(points, statements, "numbers the rows of shop.k")


@pytest.mark.parametrize(
    ("code", "statement"),
    [
        ("CREATE TRIGGER log.x AFTER INSERT ON log.l FOR EACH ROW INSERT INTO shop.u VALUES (1)", "INSERT INTO log.l VALUES (1)"),
        ("CREATE VIEW log.x AS SELECT id FROM shop.u", "INSERT INTO log.x VALUES (1)"),
        ("CREATE FUNCTION shop.x() RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO shop.u VALUES (1); RETURN 1; END", "INSERT INTO log.l VALUES (shop.x())"),
    ],
    ids=["a trigger", "a view", "a function"],
)  # fmt: skip
async def test_a_statement_on_a_database_that_is_left_out_is_refused_where_it_may_change_others(
    points, code, statement
):
    """It is passed over, and what it changes of others is in no event; one on a chosen database is executed."""
    points.sql.script([code, STATEMENT])
    base = await points.backup()
    points.sql.run("INSERT INTO shop.u VALUES (9)")
    points.archive()
    assert (await points.plan(points.position(), ["shop"])).base == base

    await require_refused(points, [statement], "a trigger, a view or a routine", ["shop"])


async def test_temporary_tables_are_refused_where_a_replay_may_not_have_them(points):
    """One that was there at the base and hides a real one: the real one would be changed in its place."""
    points.sql.script([STATEMENT, "CREATE TEMPORARY TABLE t (id INT, note VARCHAR(60), b TEXT)"])
    points.sql.run("SELECT 5, 6, 7 INTO OUTFILE 'rows.txt'")

    for statement in (
        "INSERT INTO t VALUES (9, 'temporary', '')",
        "TRUNCATE TABLE t",
        "CREATE TABLE log.made AS SELECT * FROM t",
        "LOAD DATA INFILE 'rows.txt' INTO TABLE t",
    ):
        await require_refused(points, [statement], "may be older than the backup")


async def test_temporary_tables_made_since_the_base_or_by_a_later_connection_are_replayed(
    points, own_server
):
    """A server that was started again has none of before."""
    await points.backup()
    points.sql.script([
        STATEMENT,
        "CREATE TEMPORARY TABLE kept (id INT)",
        "INSERT INTO kept VALUES (7)",
        "INSERT INTO u SELECT id FROM kept",
    ])
    later = PointsInTime(points.source, points.backups.parent)
    later.sql.script(["USE shop", STATEMENT, "CREATE TEMPORARY TABLE kept (id INT)"])
    later.sql.run("INSERT INTO t (note) VALUES (CONNECTION_ID() * 0)")
    await later.close()
    expected = snapshot(points.source.url, "shop")["content"]

    recovered = await points.recover(points.position())
    await points.restore(recovered, databases=("shop",), into="copy")

    assert snapshot(points.source.url, "copy")["content"] == expected


async def test_a_key_into_the_system_schema_is_refused(points):
    """What it changes with the row that it refers to stands in no event."""
    points.sql.run(
        "CREATE TABLE shop.k (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES mysql.mine (id) ON DELETE CASCADE)"
    )
    await points.backup()
    points.sql.run("DELETE FROM mysql.mine")

    with pytest.raises(Exception, match=r"refers to (database ')?mysql"):
        await points.recover(points.position())


@ONLY_MARIADB
async def test_what_mariadb_passes_over_or_does_not_log_is_refused(points):
    """ALTER SEQUENCE where anything is left out, and what a REPLACE sets where rows are not logged whole."""
    points.sql.run("CREATE SEQUENCE s")
    replace = [
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "REPLACE INTO t (id, note) VALUES (1, 'x')",
    ]

    fill = [
        "ALTER TABLE u ADD n INT DEFAULT NEXTVAL(s)",
        "ALTER TABLE u ADD x CHAR(36) DEFAULT (UUID())",
    ]
    settings = "SET STATEMENT lock_wait_timeout = 5 FOR"
    move = [f"{settings} RENAME TABLE mysql.mine TO shop.mine"]

    for prefix in ("", settings):
        await require_refused(
            points, [f"{prefix} ALTER SEQUENCE s RESTART 50"], "alters a sequence"
        )
    await require_refused(points, move, "names a table of mysql")
    for statement in fill:
        await require_refused(points, [statement], "computes others when it is executed again")
    await require_refused(points, replace, "binlog_row_image")


@pytest.mark.differs("mysql", reason="its appliers tell databases by their case")
@pytest.mark.parametrize("name", ["MySQL", "mýsql"])
async def test_a_database_that_is_called_like_the_system_schema_is_refused(points, name):
    """MariaDB compares what it leaves out in any case and without accents, and would leave this out in silence."""
    reason = "called mysql in other letters"
    await points.backup()
    points.sql.run(f"CREATE DATABASE `{name}`")
    points.archive()
    with pytest.raises(BaseUnfitError, match=reason):
        await points.plan(points.position())
    points.sql.run(f"CREATE TABLE `{name}`.t (id INT PRIMARY KEY)")

    later = await points.backup()
    points.archive()

    with pytest.raises(BaseUnfitError, match=reason):
        await points.plan(points.position())
    assert (await points.plan(points.position(), ["shop"])).base == later


@ONLY_MARIADB
async def test_rows_without_what_is_computed_are_whole(points):
    """MariaDB 11 leaves generated columns out of the rows that it logs, whatever `binlog_row_image` says."""
    points.sql.script([
        "CREATE TABLE shop.g (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, s INT AS (a + 2) STORED, b TEXT)",
        "INSERT INTO shop.g (id, a, b) VALUES (1, 1, 'b'), (2, 2, 'b')",
    ])
    await points.backup()
    points.sql.script(["UPDATE shop.g SET a = 7 WHERE id = 1", "UPDATE shop.g SET b = 'c'"])
    expected = snapshot(points.sql, "shop")

    recovered = await points.recover(points.position())
    points.sql.run("DROP DATABASE shop")
    await points.restore(recovered)

    assert_same(snapshot(points.sql, "shop"), expected)


@pytest.mark.differs(
    "mysql", reason="it takes no directory that it was not told of when it started"
)
async def test_a_table_in_a_directory_of_the_source_is_refused(points, tmp_path):
    """Here that directory may be another server's, and a replay would write into it."""
    made = f"CREATE TABLE elsewhere (id INT PRIMARY KEY) DATA DIRECTORY = '{tmp_path}'"

    await require_refused(points, [made, "DROP TABLE elsewhere"], "in a directory")
