"""What a definition names as its own schema never leads a drill, a restore or a loaded file out of its target."""

import gzip
from typing import Any

import pytest

from app.domain.restores.restore import RestoreRequest
from app.engine.flavor import flavor_of
from app.engine.schema.databases import scratch_pattern
from app.errors import UnsupportedObjectError
from tests.corpora.qualified import qualified
from tests.fixtures.accounts import account, as_account
from tests.fixtures.backstay import Backstay
from tests.fixtures.forged import with_old_headers, with_text
from tests.fixtures.grants import granted, printed
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


pytestmark = pytest.mark.differs("mysql", reason="its SQL is MariaDB's from end to end")
# Those of docs/production.md, and what MERGE tables need.
DOCUMENTED = ", ".join(
    right
    for right, scope in granted(printed("MariaDB: backups and restores", "x"))
    if "bk" in scope
)
GLOBALS = (
    "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES"
    " WHERE VARIABLE_NAME NOT LIKE 'GTID%' AND VARIABLE_NAME NOT LIKE 'BINLOG%POS'"
    " ORDER BY VARIABLE_NAME"
)


@pytest.fixture
def live(sql, database):
    """A database with one of everything, that names itself wherever it can."""
    sql.run("SET GLOBAL log_bin_trust_function_creators = 1")
    sql.script(qualified(database))
    yield database
    sql.run("SET GLOBAL log_bin_trust_function_creators = 0")


def whole_server(backstay: Backstay, sql: Sql) -> dict[str, Any]:
    """Everything that somebody could notice: databases with all they hold, accounts, global variables."""
    names = [name for (name,) in sql.run("SHOW DATABASES")]
    system = {"information_schema", "performance_schema", "sys", "mysql"}
    return {
        "databases": {
            name: snapshot(backstay.url, name) for name in names if name not in system
        },
        "grants": [
            sorted(map(str, sql.run(f"SELECT * FROM mysql.{table}")))
            for table in ("global_priv", "db", "tables_priv", "columns_priv", "procs_priv")
        ],
        "globals": sql.run(GLOBALS),
        "events": sql.run("SELECT EVENT_SCHEMA, EVENT_NAME, STATUS, LAST_ALTERED FROM information_schema.EVENTS"),
        "triggers": sql.run("SELECT TRIGGER_SCHEMA, TRIGGER_NAME, CREATED FROM information_schema.TRIGGERS"),
        "routines": sql.run("SELECT db, name, type, created, modified FROM mysql.proc ORDER BY 1, 2, 3"),
    }  # fmt: skip


def assert_untouched(before: Any, after: Any, *made: str) -> None:
    """Fail unless the server is as it was but for the databases that were made."""
    for name in made:
        after["databases"].pop(name)
    for kind in ("events", "triggers", "routines"):
        after[kind] = [row for row in after[kind] if row[0] not in made]
    assert_same(before["databases"], after["databases"])
    assert {**before, "databases": {}} == {**after, "databases": {}}


async def drill(backstay: Backstay, backup_id: str):
    """Drill a backup."""
    return await backstay.recoveries.drill(
        await backstay.recoveries.plan_drill(RestoreRequest(backup_id))
    )


@pytest.mark.parametrize("rights", ["ALL", f"{DOCUMENTED}, UPDATE, DELETE"])
async def test_a_drill_needs_nothing_outside_of_its_scratch_schemas(backstay, sql, live, rights):
    """A user whose rights end there drills every kind of object, and never tries elsewhere."""
    manifest = await backstay.backup(live)
    bodies = flavor_of(sql.run("SELECT VERSION()")[0][0]).routine_right
    grants = (f"{rights} ON `{scratch_pattern(live)}`.*", "SET USER ON *.*", bodies)
    with account(sql, *grants) as name:
        async with as_account(backstay, name) as limited:
            result = await drill(limited, manifest.backup_id)
        assert f"ON `{live}`.*" not in str(sql.run(f"SHOW GRANTS FOR {name}@'%'"))

    assert result.warnings == ()


async def test_a_drill_leaves_the_whole_server_as_it_was(backstay, sql, live):
    """All databases, grants, events, sequences, counters and global variables."""
    manifest = await backstay.backup(live)
    before = whole_server(backstay, sql)

    await drill(backstay, manifest.backup_id)

    assert_untouched(before, whole_server(backstay, sql))


@pytest.mark.parametrize("kept", [True, False])
async def test_a_copy_leaves_all_other_databases_as_they_were(backstay, sql, live, kept):
    """Restored under another name everything is in the copy, whether or not the original is there."""
    manifest = await backstay.backup(live)
    original = snapshot(backstay.url, live)
    if not kept:
        sql.script([f"DROP DATABASE {live}", f"CREATE DATABASE {live} CHARACTER SET utf8mb4"])
    before = whole_server(backstay, sql)

    copy = await backstay.copy(manifest)

    restored = snapshot(backstay.url, copy, names={live: "<db>"})
    assert_same_objects(original, restored)
    assert names_outside_of_bodies(sql, copy, live) == []
    assert_untouched(before, whole_server(backstay, sql), copy)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_file_loaded_by_hand_goes_where_it_is_told(backstay, sql, live, kept):
    """`zcat FILE | mariadb other` makes everything in `other`, whether or not the original is there."""
    manifest = await backstay.backup(live)
    original = snapshot(backstay.url, live)
    if not kept:
        sql.script([f"DROP DATABASE {live}", f"CREATE DATABASE {live} CHARACTER SET utf8mb4"])
    other = backstay.new_name()
    sql.run(f"CREATE DATABASE {other} CHARACTER SET utf8mb4")
    before = whole_server(backstay, sql)

    backstay.plain_load(manifest, other, "--binary-mode")

    restored = snapshot(backstay.url, other, names={live: "<db>"})
    assert_same_objects(original, restored)
    assert names_outside_of_bodies(sql, other, live) == []
    before["databases"].pop(other)
    assert_untouched(before, whole_server(backstay, sql), other)


async def test_in_place_and_back_all_is_as_it_was(backstay, sql, live):
    """A restore in place and its undo leave every trigger on its table, the qualified ones too."""
    manifest = await backstay.backup(live)
    before = snapshot(backstay.url, live)
    sql.script([
        f"DROP TRIGGER {live}.plain",
        f"DROP TABLE {live}.log",
        f"DELETE FROM {live}.`we.ird ``on`",
    ])
    changed = snapshot(backstay.url, live)

    done = await backstay.restore(manifest)
    assert_same_objects(before, snapshot(backstay.url, live))
    await backstay.recoveries.undo(done.restore_id)

    assert_same_objects(changed, snapshot(backstay.url, live))


async def test_the_file_names_its_own_schema_in_bodies_alone(backstay, live):
    """No header of the file does, whatever was typed."""
    manifest = await backstay.backup(live)
    text = gzip.decompress(backstay.file(manifest).read_bytes()).decode()

    headers = [line for line in text.splitlines() if " TRIGGER " in line and "CREATE" in line]
    assert len(headers) > 10
    assert not [
        line
        for line in headers
        if f"{live}`." in line.lower().partition(" for each ")[0]
        or f"{live}." in line.lower().partition(" for each ")[0]
    ]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_backup_of_an_earlier_version_stays_in_its_target(backstay, sql, live, kept):
    """Its headers name the live database; drills, copies and restores in place end well all the same."""
    manifest = await with_old_headers(backstay, await backstay.backup(live), sql)
    assert f"TRIGGER {live}.plain" in gzip.decompress(backstay.file(manifest).read_bytes()).decode()
    original = snapshot(backstay.url, live)
    if not kept:
        sql.script([f"DROP DATABASE {live}", f"CREATE DATABASE {live} CHARACTER SET utf8mb4"])
    before = whole_server(backstay, sql)

    await drill(backstay, manifest.backup_id)
    copy = await backstay.copy(manifest)
    assert_untouched(before, whole_server(backstay, sql), copy)
    assert_same_objects(original, snapshot(backstay.url, copy, names={live: "<db>"}))
    assert (await backstay.restore(manifest)).verified


async def test_names_in_any_case_stay_where_they_are_kept_in_lower_case(own_server, tmp_path):
    """On such a server `SHOP.T` and `ShOp.t` are one table, and a header may spell it in either way."""
    options = ("--lower-case-table-names=1", "--log-bin-trust-function-creators=1")
    with own_server(*options) as server, Sql(server.url) as sql:
        backstay = Backstay(server.url, tmp_path / "backups")
        sql.script([
            "CREATE DATABASE Shop",
            "CREATE TABLE SHOP.T (id INT PRIMARY KEY)",
            "CREATE SEQUENCE SHOP.Q",
            "CREATE TABLE SHOP.D (id INT DEFAULT nextval(SHOP.Q))",
            "CREATE FUNCTION SHOP.F() RETURNS INT DETERMINISTIC RETURN 1",
            "CREATE VIEW ShOp.V AS SELECT SHOP.F() AS x, SHOP.T.id FROM SHOP.T",
            "CREATE TRIGGER SHOP.R BEFORE INSERT ON ShOp.T FOR EACH ROW SET @x = 1",
            "CREATE EVENT SHOP.E ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        ])
        manifest = await backstay.backup("shop")
        before = whole_server(backstay, sql)

        await drill(backstay, manifest.backup_id)
        copy = await backstay.copy(manifest)

        assert names_outside_of_bodies(sql, copy, "shop") == []
        assert_untouched(before, whole_server(backstay, sql), copy)
        await backstay.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SET SESSION sql_mode = ''", "SET GLOBAL sql_mode = ''"),
        ("DROP FUNCTION IF EXISTS `f`", "DROP DATABASE `live`"),
        ("VIEW `v` AS SELECT 1 AS", "VIEW `live`.`v` AS SELECT 1 AS"),
        ("TRIGGER `spaced`", "TRIGGER a.b.`spaced`"),
        ("FUNCTION `named`(a INT)", "FUNCTION `named` RETURNS INT SONAME 'x.so'; --"),
        ("ON COMPLETION NOT PRESERVE DISABLE", "ON COMPLETION NOT PRESERVE ENABLE"),
    ],
)
async def test_an_edited_statement_is_refused_before_anything_begins(backstay, sql, live, old, new):
    """A backup whose digests are right, and that would change, name or enable what is not its own."""
    manifest = await backstay.backup(live)
    edited = await with_text(backstay, manifest, old.encode(), new.encode())
    before = whole_server(backstay, sql)

    with pytest.raises(UnsupportedObjectError):
        await drill(backstay, edited.backup_id)
    with pytest.raises(UnsupportedObjectError):
        await backstay.copy(edited)
    plan = await backstay.recoveries.plan(RestoreRequest(edited.backup_id))
    forecast = await backstay.recoveries.dry_run(plan)

    assert UnsupportedObjectError in map(type, forecast.problems)
    assert_untouched(before, whole_server(backstay, sql))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("`n` int(11) DEFAULT NULL\n", "`n` int(11) REFERENCES live.t (id)\n"),
        ("`n` int(11) DEFAULT NULL\n) ENGINE=InnoDB", "`n` int(11)) SELECT 1 AS n -- "),
        ("CREATE SEQUENCE `seq` ", "CREATE SEQUENCE `live`.`seq` "),
        ("ALTER SEQUENCE `seq` RESTART ", "ALTER SEQUENCE `live`.`seq` RESTART "),
        ("ALTER SEQUENCE `seq` RESTART ", "INSERT INTO `seq` SELECT setval(live.seq, 9), "),
    ],
)
async def test_an_edited_table_is_refused_where_nobody_reads(backstay, sql, live, old, new):
    """Before its statement is executed, in a scratch schema that is dropped."""
    manifest = await backstay.backup(live)
    edited = await with_text(backstay, manifest, old.encode(), new.encode())
    assert edited.raw_size != manifest.raw_size
    before = whole_server(backstay, sql)

    with pytest.raises(UnsupportedObjectError):
        await backstay.restore(edited)

    assert_untouched(before, whole_server(backstay, sql))


def assert_same_objects(first: Any, second: Any) -> None:
    """Compare two databases: triggers by what they do and where, views without their own schema's name."""
    for side in (first, second):
        for view in side["views"].values():
            view["VIEW_DEFINITION"] = view["VIEW_DEFINITION"].replace("<db>.", "")
        for key, made in side["definition"].items():
            if key.startswith("TRIGGER "):
                text = made["SQL Original Statement"].lower()
                made["SQL Original Statement"] = text.partition("for each row")[2]
            if key.startswith("VIEW "):
                made["Create View"] = made["Create View"].replace("<db>.", "")
    assert_same(first, second)


def names_outside_of_bodies(sql: Sql, database: str, name: str) -> list[str]:
    """Find what is resolved or executed at once, and names another database."""
    views = sql.run(
        f"SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{database}'"
    )
    defaults = sql.run(
        f"SELECT COLUMN_DEFAULT FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{database}'"
    )
    return [text for (text,) in (*views, *defaults) if f"`{name}`" in (text or "")]
