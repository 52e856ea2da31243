"""Databases whose objects need those of others: of the same backup, of the target, or of neither."""

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.chosen_server import IS_MYSQL, NO_SEQUENCES
from tests.fixtures.dry_runs import ends_as_foretold
from tests.fixtures.servers import Sql


# Numbers from 100 on, by a sequence of the other database where there are sequences.
NUMBERED = (
    ("AUTO_INCREMENT UNIQUE", "AUTO_INCREMENT = 100")
    if IS_MYSQL
    else ("DEFAULT (NEXTVAL({}.s))", "")
)


@pytest.fixture
def pair(sql, database):
    """Two databases; the first in the alphabet needs the second."""
    other = f"{database}_b"
    sql.script([
        "SET GLOBAL log_bin_trust_function_creators = 1",
        f"CREATE DATABASE {other} CHARACTER SET utf8mb4",
        f"CREATE TABLE {other}.t (i INT PRIMARY KEY)",
        f"CREATE SEQUENCE {other}.s START WITH 100 NOCACHE",
        f"CREATE FUNCTION {other}.f(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
        f"CREATE VIEW {other}.w AS SELECT {other}.f(i) AS i FROM {other}.t",
        f"CREATE TABLE own (i INT {NUMBERED[0].format(other)}, j INT) {NUMBERED[1]}",
        "INSERT INTO own (j) VALUES (1), (2)",
        f"CREATE VIEW v AS SELECT o.i, w.i AS f FROM own o JOIN {other}.w ON {other}.f(o.j) = w.i",
        "CREATE VIEW u AS SELECT EXTRACT(YEAR FROM n.d) AS y FROM (SELECT NOW() AS d FROM own) n",
        "CREATE VIEW on_view AS SELECT i FROM v",
    ])
    yield database, other
    sql.script([
        "SET GLOBAL log_bin_trust_function_creators = 0",
        f"DROP DATABASE IF EXISTS {other}",
    ])


def dropped(sql: Sql, *databases: str) -> None:
    """Drop databases."""
    sql.script(f"DROP DATABASE IF EXISTS {name}" for name in databases)


async def test_databases_that_need_each_other_come_back_together(backstay, sql, pair):
    """Where neither is there, by the program and by hand; defaults go on to use the restored sequence."""
    manifest = await backstay.backup(*pair)
    dropped(sql, *pair)
    result = await backstay.restore(manifest)
    sql.run(f"INSERT INTO {pair[0]}.own (j) VALUES (3)")

    assert result.verified
    assert result.warnings == ()
    assert sql.run(f"SELECT i FROM {pair[0]}.own ORDER BY i") == [(100,), (101,), (102,)]
    assert "__bk_" not in sql.run(f"SHOW CREATE TABLE {pair[0]}.own")[0][1]

    dropped(sql, *pair)
    backstay.plain_load(manifest)
    assert sql.run(f"SELECT COUNT(*) FROM {pair[0]}.on_view") == [(0,)]


@pytest.mark.parametrize("are_there", [True, False])
async def test_a_drill_uses_its_own_databases_and_not_the_live_ones(backstay, sql, pair, are_there):
    """Where the live ones are gone, or have changed in a way that nothing of the backup fits any more."""
    sql.run(f"CREATE VIEW alias AS SELECT {pair[1]}.i FROM own {pair[1]} JOIN {pair[1]}.t")
    manifest = await backstay.backup(*pair)
    dropped(sql, *pair)
    if are_there:
        sql.script([f"CREATE DATABASE {name}" for name in pair])

    result = await backstay.recoveries.drill(
        await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    )

    assert result.warnings == ()
    assert [name for (name,) in sql.run("SHOW DATABASES") if "__bk_" in name] == []


async def test_what_needs_an_absent_database_is_left_out_and_named(backstay, sql, pair):
    """The dry run says the same; views that need nothing else are made."""
    sql.run(f"ALTER TABLE {pair[0]}.own MODIFY i INT")
    manifest = await backstay.backup(pair[0])
    dropped(sql, *pair)

    plan = await backstay.recoveries.plan(RestoreRequest(manifest.backup_id))
    forecast = await backstay.recoveries.dry_run(plan)
    result = await backstay.restore(manifest)

    assert forecast.problems == ()
    told = [text for text in forecast.warnings if "cannot be made here" in text]
    assert [text.split()[1] for text in told] == [f"{pair[0]}.on_view", f"{pair[0]}.v"]
    assert set(told) <= set(result.warnings)
    assert result.verified
    views = f"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{pair[0]}'"
    assert sql.run(views) == [("u",)]


@NO_SEQUENCES
@pytest.mark.parametrize("tables", [(), ("own",)])
async def test_a_default_of_an_absent_sequence_is_refused_before_anything_begins(
    backstay, sql, pair, tables
):
    """Of another database, or of its own that is not chosen; where the sequence is there, it is used."""
    sql.script([
        f"USE {pair[0]}",
        "CREATE SEQUENCE chosen_not",
        "ALTER TABLE own ADD k INT DEFAULT (NEXTVAL(chosen_not))",
    ])
    manifest = await backstay.backup(pair[0])
    dropped(sql, pair[0])
    if not tables:
        dropped(sql, pair[1])
    request = RestoreRequest(manifest.backup_id, tables=tables)

    forecast = await ends_as_foretold(backstay, request)

    (problem,) = forecast.problems
    lacking = (
        f"{pair[0]}.chosen_not, which was not chosen"
        if tables
        else f"{pair[1]}.s, which is neither in the backup nor on this server"
    )
    assert f"table {pair[0]}.own needs sequence {lacking}" in str(problem)
    if tables:
        sql.script([f"CREATE DATABASE {pair[0]}", f"CREATE SEQUENCE {pair[0]}.chosen_not"])
        assert not (await ends_as_foretold(backstay, request)).problems


async def test_what_needs_a_table_that_was_excluded_is_left_out_and_named(backstay, sql, database):
    """A backup without it holds the view all the same."""
    sql.script([
        "CREATE TABLE a (i INT)",
        "CREATE TABLE b (i INT)",
        "CREATE VIEW v AS SELECT i FROM b",
    ])
    manifest = await backstay.backup(database, exclude_tables=("b",))

    result = await backstay.restore(manifest, backstay.new_name())

    assert result.verified
    assert any(".v cannot be made here: it needs " in text for text in result.warnings)


async def test_views_on_what_an_absent_account_owns_are_left_out_and_named(backstay, sql, database):
    """The server makes a function of such an owner, and no view on it; the dry run says so, too."""
    owner = f"o_{database}"
    sql.script([
        f"CREATE USER {owner}@'%'",
        f"GRANT ALL ON {database}.* TO {owner}@'%'",
        "CREATE TABLE t (id INT)",
        f"CREATE DEFINER={owner}@'%' FUNCTION f(n INT) RETURNS INT DETERMINISTIC RETURN n",
        f"CREATE DEFINER={owner}@'%' VIEW plain AS SELECT id FROM t",
        "CREATE VIEW calls AS SELECT f(id) AS n FROM t",
        "CREATE VIEW rereads AS SELECT n FROM calls",
        "CREATE VIEW over_plain AS SELECT id FROM plain",
        "CREATE VIEW free AS SELECT id FROM t",
    ])
    manifest = await backstay.backup(database)
    sql.script([f"DROP USER {owner}@'%'", f"DROP DATABASE {database}"])

    plan = await backstay.recoveries.plan(RestoreRequest(manifest.backup_id))
    forecast = await backstay.recoveries.dry_run(plan)
    result = await backstay.restore(manifest)

    there = {
        name
        for (name,) in sql.run(
            f"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{database}'"
        )
    }
    assert forecast.problems == ()
    assert there == {"free", "plain"}
    for name in ("calls", "rereads", "over_plain"):
        label = f"view {database}.{name} cannot be made here"
        assert any(label in warning for warning in forecast.warnings)
        assert any(label in warning for warning in result.warnings)


async def test_a_foreign_key_on_an_absent_database(backstay, sql, database):
    """MariaDB makes it all the same, MySQL is found to refuse it; a drill leaves it out, an empty database is enough."""
    gone = backstay.new_name()
    sql.script([
        "SET foreign_key_checks = 0",
        f"CREATE TABLE t (a INT, CONSTRAINT f FOREIGN KEY (a) REFERENCES {gone}.p (id))",
    ])
    manifest = await backstay.backup(database)
    request = RestoreRequest(manifest.backup_id)

    await backstay.recoveries.drill(await backstay.recoveries.plan_drill(request))
    forecast = await ends_as_foretold(backstay, request)
    sql.run(f"CREATE DATABASE {gone}")
    result = await backstay.restore(manifest)

    found = [str(problem).partition(" (")[0] for problem in forecast.problems]
    said = f"foreign key f of {database}.t refers to database {gone!r}, which is not on this server"
    assert found == ([said] if IS_MYSQL else [])
    assert result.verified


@pytest.fixture
def merged(sql, database):
    """A table of MERGE on one of its own database and one of another; both databases are of the test."""
    other = f"{database}_b"
    sql.script([
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.t (i INT) ENGINE=MyISAM",
        "CREATE TABLE own (i INT) ENGINE=MyISAM",
        f"CREATE TABLE m (i INT) ENGINE=MERGE UNION=(own, {other}.t) INSERT_METHOD=LAST",
        f"INSERT INTO {other}.t VALUES (1)",
        "INSERT INTO own VALUES (2)",
    ])
    yield database, other
    sql.run(f"DROP DATABASE IF EXISTS {other}")


async def test_a_merge_without_a_table_below_it_is_refused_before_anything_begins(
    backstay, sql, merged
):
    """Not chosen, of a database that comes with it and is not there yet, or nowhere."""
    both = await backstay.backup(*merged)
    alone = await backstay.backup(merged[0])
    chosen = await ends_as_foretold(backstay, RestoreRequest(both.backup_id, tables=("m",)))
    dropped(sql, *merged)
    together = await ends_as_foretold(backstay, RestoreRequest(both.backup_id))
    nowhere = await ends_as_foretold(backstay, RestoreRequest(alone.backup_id))

    needs = f"table {merged[0]}.m needs table "
    told = [str(found.problems[0]) for found in (chosen, together, nowhere)]
    assert told == [
        f"{needs}{merged[0]}.own of its UNION, which does not come with it",
        f"{needs}{merged[1]}.t of its UNION, which does not come with it",
        f"{needs}{merged[1]}.t of its UNION, which is neither in the backup nor on this server",
    ]


async def test_a_merge_comes_back_with_the_tables_below_it(backstay, sql, merged):
    """Chosen with it, and where what is of another database was restored before."""
    manifest = await backstay.backup(*merged)
    await backstay.restore(manifest, tables=("m", "own"))
    assert sql.run("SELECT i FROM m ORDER BY i") == [(1,), (2,)]

    dropped(sql, *merged)
    await backstay.restore(manifest, databases=(merged[1],))
    await backstay.restore(manifest, databases=(merged[0],))

    assert sql.run(f"SELECT i FROM {merged[0]}.m ORDER BY i") == [(1,), (2,)]
