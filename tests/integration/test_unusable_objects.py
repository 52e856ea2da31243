"""Objects that the server keeps and cannot use: they are named, and the rest is backed up and restored."""

import uuid
from pathlib import Path

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.chosen_server import NO_HISTORY, NO_SEQUENCES
from tests.fixtures.dry_runs import ends_as_foretold
from tests.fixtures.servers import Sql


DICTIONARY = pytest.mark.differs("mysql", reason="its dictionary cannot be edited")
# Each makes a view `v` that SELECT refuses, by an error of its own.
VIEWS = {
    "collations do not mix (1267)": [
        "CREATE TABLE t (a INT, b VARCHAR(9), c VARCHAR(9)) COLLATE utf8mb4_general_ci",
        "CREATE VIEW v AS SELECT a FROM t WHERE b = c",
        "ALTER TABLE t MODIFY c VARCHAR(9) COLLATE utf8mb4_unicode_ci",
    ],
    "index of a hint is gone (1176)": [
        "CREATE TABLE t (a INT, KEY k (a))",
        "CREATE VIEW v AS SELECT a FROM t FORCE INDEX (k)",
        "ALTER TABLE t DROP KEY k",
    ],
    "a column of no name (1054)": [
        "CREATE VIEW u AS SELECT 1 AS `\x02`, 2 AS x",
        "CREATE VIEW v (a, b) AS SELECT * FROM u",
    ],
    "a column of no name in a query (1054)": ["CREATE VIEW v AS SELECT * FROM (SELECT '') AS q"],
    "partition is gone (1735)": [
        "CREATE TABLE t (a INT)",
        "ALTER TABLE t PARTITION BY LIST (a) (PARTITION p0 VALUES IN (0), PARTITION p1 VALUES IN (1))",
        "CREATE VIEW v AS SELECT a FROM t PARTITION (p1)",
        "ALTER TABLE t DROP PARTITION p1",
    ],
    "views go round in circles (1462)": [
        "CREATE TABLE t (a INT)",
        "CREATE VIEW u AS SELECT a FROM t",
        "CREATE VIEW v AS SELECT a FROM u",
        "DROP VIEW u",
        "RENAME TABLE v TO u",
        "CREATE VIEW v AS SELECT 1 AS a",
        "CREATE OR REPLACE VIEW x AS SELECT a FROM v",
        "DROP VIEW v",
        "RENAME TABLE x TO v",
    ],
    "no history any more (4124)": [
        "CREATE TABLE t (a INT) WITH SYSTEM VERSIONING",
        "CREATE VIEW v AS SELECT a FROM t FOR SYSTEM_TIME ALL",
        "ALTER TABLE t DROP SYSTEM VERSIONING",
    ],
    "times that are stored without their type (1525)": [
        "CREATE TABLE t (a INT) WITH SYSTEM VERSIONING",
        "CREATE VIEW v AS SELECT a FROM t FOR SYSTEM_TIME BETWEEN '2020-01-01' AND NOW()",
    ],
    "a table is a sequence now (1347)": [
        "CREATE TABLE t (a INT)",
        "CREATE SEQUENCE s",
        "CREATE VIEW v AS SELECT nextval(s) AS a FROM t",
        "DROP SEQUENCE s",
        "CREATE TABLE s (a INT)",
    ],
}


VIEWS_OF_ONE_VENDOR = {
    "no history any more (4124)": NO_HISTORY,
    "times that are stored without their type (1525)": NO_HISTORY,
    "a table is a sequence now (1347)": NO_SEQUENCES,
}


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(statements, id=name, marks=VIEWS_OF_ONE_VENDOR.get(name, ()))
        for name, statements in VIEWS.items()
    ],
)
async def test_a_view_that_the_server_cannot_use_is_named_and_kept(
    backstay, sql, database, statements
):
    """For whatever reason; a restore tries it, and says that it could not be used before either."""
    sql.script(statements)

    manifest = await backstay.backup(database)
    result = await backstay.restore(manifest, backstay.new_name())

    unusable = [entry.name for entry in manifest.databases[0].objects if not entry.valid]
    assert "v" in unusable
    for name in unusable:
        assert any(
            text.startswith(f"view {database}.{name} cannot be used") for text in manifest.warnings
        )
    assert result.verified


@pytest.fixture
def owner(sql):
    """A user that may do everything, and may not be there at the end."""
    name = f"u_{uuid.uuid4().hex[:12]}"
    sql.script([f"CREATE USER {name}@localhost", f"GRANT ALL ON *.* TO {name}@localhost"])
    yield f"{name}@localhost"
    with Sql(sql.url) as cleaner:
        cleaner.run(f"DROP USER {name}@localhost")


@pytest.mark.parametrize("reads", ["a", "f()"])
async def test_a_view_on_one_whose_owner_has_lost_rights_bars_no_restore(
    backstay, sql, database, owner, reads
):
    """No server makes it anew, though it describes it; all else comes back, also in place."""
    sql.script([
        "CREATE TABLE t (a INT)",
        "INSERT INTO t VALUES (1)",
        f"CREATE DEFINER = {owner} FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
        f"CREATE DEFINER = {owner} VIEW u AS SELECT {reads} AS b FROM t",
        "CREATE VIEW v AS SELECT b FROM u",
        "CREATE VIEW w AS SELECT b FROM v",
        f"REVOKE ALL ON *.* FROM {owner}",
    ])
    manifest = await backstay.backup(database)
    sql.run("DELETE FROM t")

    await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))
    copied = await backstay.restore(manifest, backstay.new_name())

    assert sql.run("SELECT a FROM t") == [(1,)]
    assert [name for (name,) in sql.run("SHOW TABLES")] == ["t", "u", "v", "w"]
    told = "".join((*manifest.warnings, *copied.warnings))
    for view in "vw":
        assert f"view {database}.{view} cannot be used on this server either" in told
        assert f".{view} could not be created" in told


@pytest.fixture
def unparsable(sql, database):
    """A trigger, an event and a routine with a word that an upgrade has reserved."""
    sql.script([
        "SET GLOBAL log_bin_trust_function_creators = 1",
        "CREATE TABLE t (a INT)",
        "CREATE TRIGGER good BEFORE UPDATE ON t FOR EACH ROW SET NEW.a = NEW.a + 2",
        "CREATE TRIGGER bad BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a + 1",
        "CREATE PROCEDURE p() SELECT 1",
        "CREATE PROCEDURE q() SELECT 2",
        "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
        f"UPDATE mysql.proc SET body = 'SELECT window OVER rows' WHERE db = '{database}' AND name = 'p'",
        f"UPDATE mysql.event SET body = 'SELECT window OVER rows' WHERE db = '{database}'",
        "FLUSH TABLES",
    ])
    file = Path(sql.run("SELECT @@datadir")[0][0]) / database / "t.TRG"
    file.write_bytes(
        file.read_bytes().replace(b"SET NEW.a = NEW.a + 1", b"SET NEW.a = window rows")
    )
    sql.run("FLUSH TABLES")
    yield database
    sql.run("SET GLOBAL log_bin_trust_function_creators = 0")


@DICTIONARY
async def test_what_the_server_cannot_parse_is_named_and_left_out(backstay, sql, unparsable):
    """No server would take it; the warnings show nothing of its text."""
    manifest = await backstay.backup(unparsable)
    copy = await backstay.copy(manifest)
    await backstay.restore(manifest)

    held = {(str(entry.kind), entry.name) for entry in manifest.databases[0].objects}
    assert held == {("trigger", "good"), ("procedure", "q")}
    left_out = sorted(text.partition(" cannot be opened")[0] for text in manifest.warnings)
    assert left_out == [
        f"event {unparsable}.e",
        f"procedure {unparsable}.p",
        f"trigger {unparsable}.bad",
    ]
    assert "window" not in str(manifest.warnings)
    assert sql.run(f"SHOW TRIGGERS FROM {copy}")[0][0] == "good"


@DICTIONARY
async def test_a_restore_over_what_cannot_be_parsed_can_be_undone(backstay, sql, unparsable):
    """The table comes back without the trigger that no server can make, and a warning names that."""
    manifest = await backstay.backup(unparsable)
    result = await backstay.restore(manifest)

    undone = await backstay.recoveries.undo(result.restore_id)

    assert "bad" in str(undone.warnings)
    assert {row[0] for row in sql.run("SHOW TRIGGERS")} == {"good"}
