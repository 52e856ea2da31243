"""Stored generated columns come back with the values they had, or not at all (hazard 160)."""

import pytest

from app.domain.restores.restore import RestoreRequest
from app.engine.rows.stored import Repeatable
from app.errors import IncompatibleServerError, ProofFailedError
from tests.fixtures.backstay import Backstay
from tests.fixtures.dry_runs import ends_as_foretold
from tests.fixtures.forged import with_old_columns
from tests.fixtures.series import some
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


VISITS = (
    "CREATE TABLE visits (id int AUTO_INCREMENT PRIMARY KEY, usr int, ts timestamp NOT NULL,"
    " d date AS (date(ts)) STORED, note varchar(20), UNIQUE KEY once (usr, d), KEY day (d)){tail}"
)
# In UTC both are of one day.
ROWS = (
    "INSERT INTO visits (usr, ts, note) VALUES"
    " (2, '2021-03-01 23:30:00', 'a'), (2, '2021-03-02 10:00:00', 'it''s')"
)
SESSIONS = {
    "west": ("time_zone = '-08:00'", VISITS.format(tail=""), ROWS),
    "India": (
        "time_zone = '+05:30'",
        VISITS.format(tail=""),
        ROWS.replace("23:30", "10:30").replace("10:00", "01:30"),
    ),
    "MyISAM": ("time_zone = '-08:00'", VISITS.format(tail=" ENGINE=MyISAM"), ROWS),
    "partitions": (
        "time_zone = '-08:00'",
        VISITS.format(tail="").replace("UNIQUE KEY once (usr, d)", "KEY once (usr, d)")
        + " PARTITION BY HASH (id) PARTITIONS 3",
        ROWS,
    ),
    "no key": (
        "time_zone = '-08:00'",
        "CREATE TABLE visits (ts timestamp NOT NULL, d date AS (date(ts)) STORED)",
        "INSERT INTO visits (ts) VALUES ('2021-03-01 23:30:00'), ('2021-03-02 10:00:00')",
    ),
    "key over it alone": (
        "time_zone = '-08:00'",
        "CREATE TABLE visits (ts timestamp NOT NULL, d date AS (date(ts)) STORED, UNIQUE (d))",
        "INSERT INTO visits (ts) VALUES ('2021-03-01 23:30:00'), ('2021-03-02 10:00:00')",
    ),
    "division": (
        "div_precision_increment = 12",
        (
            "CREATE TABLE visits (id int PRIMARY KEY, a int, b int, c varchar(40) AS (a / b) STORED,"
            " x decimal(30,12) AS (a / b) STORED)"
        ),
        "INSERT INTO visits (id, a, b) VALUES (1, 1, 3), (2, 2, 7), (3, NULL, 1)",
    ),
    "zone and division": (
        "time_zone = '+09:00', div_precision_increment = 8",
        (
            "CREATE TABLE visits (id int PRIMARY KEY, ts timestamp NOT NULL, h int AS (hour(ts)) STORED,"
            " c decimal(30,12) AS (id / 7) STORED)"
        ),
        "INSERT INTO visits (id, ts) VALUES (1, '2021-03-01 23:30:00'), (3, '2021-07-01 03:30:00')",
    ),
    "history": (
        "time_zone = '-08:00'",
        (
            "CREATE TABLE visits (id int PRIMARY KEY, ts timestamp NOT NULL, d date AS (date(ts)) STORED)"
            " WITH SYSTEM VERSIONING"
        ),
        "INSERT INTO visits (id, ts) VALUES (1, '2021-03-01 23:30:00')",
    ),
}


NAMES = [
    *(name for name in SESSIONS if name != "history"),
    pytest.param(
        "history", marks=pytest.mark.differs("mysql", reason="it has no system versioning")
    ),
]


@pytest.mark.long
@pytest.mark.parametrize("name", some(NAMES, 5))
async def test_they_are_computed_by_the_session_they_are_of(name, backstay, sql, database):
    """Whatever session wrote the rows, a restore and a load by hand bring their values back."""
    setting, table, rows = SESSIONS[name]
    sql.run(table)
    sql.run(f"SET SESSION {setting}")
    sql.run(rows)
    if name == "history":
        sql.run("UPDATE visits SET ts = '2021-03-05 23:30:00'")
    manifest = await backstay.round_trip(database, judge=False, plain=name != "history")

    assert manifest.warnings == ()
    assert manifest.databases[0].tables[0].session
    before = snapshot(backstay.url, database)
    await backstay.restore(manifest)
    assert_same(before, snapshot(backstay.url, database))


@pytest.mark.differs("mariadb", reason="it stores no column that asks a mode for padding")
async def test_columns_that_need_a_mode_each_come_back(backstay, sql, database):
    """One is computed only where a difference may be below 0, the other only of padded texts."""
    sql.script([
        "SET SESSION sql_mode = 'NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH'",
        (
            "CREATE TABLE t (id INT PRIMARY KEY, a INT UNSIGNED, c CHAR(5), below BIGINT AS (a - 5) STORED,"
            " padded VARCHAR(10) AS (CONCAT(c, '|')) STORED)"
        ),
        "INSERT INTO t (id, a, c) VALUES (1, 1, 'x'), (2, 9, 'yy')",
        "SET SESSION sql_mode = DEFAULT",
    ])
    manifest = await backstay.round_trip(database, judge=False)

    assert (await backstay.restore(manifest)).verified


async def test_rows_of_summer_and_winter_are_of_one_zone(own_server, tmp_path, monkeypatch):
    """The zone of the server, whose offset changes, and its other settings are tried first."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    with own_server("--div-precision-increment=12") as server, Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE seasons",
            "USE seasons",
            VISITS.format(tail=""),
            "CREATE TABLE parts (a int PRIMARY KEY, b double AS (a / 7) STORED)",
            (
                "INSERT INTO visits (usr, ts) VALUES (1, '2021-01-01 16:30:00'), (1, '2021-07-01 16:30:00'),"
                " (2, '2021-07-01 17:30:00'), (1, '2021-11-07 01:30:00')"
            ),
            "INSERT INTO parts (a) VALUES (1), (2), (3)",
        ])
        made = Backstay(server.url, tmp_path / "backups")
        manifest = await made.backup("seasons")
        parts, visits = manifest.databases[0].tables
        assert parts.session == (("div_precision_increment", "12"),)
        assert dict(visits.session)["time_zone"] == "SYSTEM"
        before = snapshot(server.url, "seasons")
        copy = await made.copy(manifest)
        assert_same(before, snapshot(server.url, copy))
        await made.close()


@pytest.fixture
def mixed(sql, database):
    """A table with rows of two sessions, which no one session computes."""
    sql.run(VISITS.format(tail=""))
    for zone, instant in (("-08:00", "2021-03-01 23:30:00"), ("+09:00", "2021-03-02 00:30:00")):
        sql.run(f"SET SESSION time_zone = '{zone}'")
        sql.run(f"INSERT INTO visits (usr, ts) VALUES ({zone[2]}, '{instant}')")
    return database


async def test_values_of_two_sessions_are_refused_before_anything_is_loaded(mixed, backstay, sql):
    """The backup says it, a dry run does, and a restore is refused before it begins."""
    manifest = await backstay.backup(mixed)
    assert ".visits: the stored generated column 'd' holds values" in manifest.warnings[0]
    before = snapshot(backstay.url, mixed)
    request = RestoreRequest(manifest.backup_id)

    forecast = await backstay.recoveries.dry_run(await backstay.recoveries.plan(request))
    assert "no one session computes again" in str(forecast.problems[0])
    with pytest.raises(IncompatibleServerError, match="no one session computes again"):
        await backstay.restore(manifest)

    assert_same(before, snapshot(backstay.url, mixed))
    result = await backstay.restore(manifest, verify_after=False)
    assert not result.verified
    assert sql.run("SELECT COUNT(*) FROM visits") == [(2,)]


@pytest.mark.parametrize("table", ["visits", "no key", "large"])
async def test_another_value_fails_the_proof(table, backstay, sql, database, monkeypatch):
    """Where the session of the backup is not to be had, nothing is kept of a restore."""
    if table == "large":
        sql.script([
            (
                "CREATE TABLE visits (id int PRIMARY KEY, ts timestamp NOT NULL, big longblob,"
                " d date AS (date(ts)) STORED)"
            ),
            "SET SESSION time_zone = '-08:00'",
            "INSERT INTO visits (id, ts, big) VALUES (1, '2021-03-01 23:30:00', REPEAT('x', 9000000))",
        ])
    else:
        _, create, rows = SESSIONS["no key" if table == "no key" else "west"]
        sql.script([create.replace("UNIQUE KEY", "KEY"), "SET SESSION time_zone = '-08:00'", rows])
    monkeypatch.setattr("app.engine.dump.dump.find_session", _find_nothing)
    manifest = await backstay.backup(database)
    before = snapshot(backstay.url, database)

    with pytest.raises(ProofFailedError, match="other values for the stored generated columns"):
        await backstay.restore(manifest)
    assert_same(before, snapshot(backstay.url, database))


async def test_a_time_zone_that_is_not_known_here_is_refused_before_anything(
    backstay, sql, database, monkeypatch
):
    """It is named, with what brings it."""

    async def find(*_):
        return Repeatable((("time_zone", "Mars/Base"),))

    monkeypatch.setattr("app.engine.dump.dump.find_session", find)
    sql.run(VISITS.format(tail=""))
    manifest = await backstay.backup(database)
    with pytest.raises(IncompatibleServerError, match="does not know the time zone 'Mars/Base'"):
        await backstay.restore(manifest)


async def _find_nothing(*_):
    return Repeatable()


async def test_expressions_may_warn_of_the_rows(backstay, sql, database):
    """A text that is no number is no damaged row."""
    sql.script([
        "SET SESSION sql_mode = ''",
        (
            "CREATE TABLE meta (id int PRIMARY KEY, v varchar(20), n int AS (CAST(v AS unsigned)) STORED,"
            " x int AS (CAST(v AS unsigned)) VIRTUAL, KEY (n), KEY (x))"
        ),
        "INSERT INTO meta (id, v) VALUES (1, '12abc'), (2, ''), (3, NULL)",
    ])
    manifest = await backstay.round_trip(database, judge=False)
    assert manifest.databases[0].tables[0].session == ()


async def test_a_backup_of_an_earlier_version_says_what_it_does_not_prove(backstay, sql, database):
    """Its rows come back, with a warning that names what is not proven."""
    _, create, rows = SESSIONS["west"]
    sql.script([create.replace("UNIQUE KEY", "KEY"), rows])
    manifest = await with_old_columns(backstay, await backstay.backup(database))

    result = await backstay.restore(manifest)

    assert any("values of generated columns" in warning for warning in result.warnings)


@pytest.mark.parametrize("key", ["KEY", "UNIQUE KEY"])
async def test_an_index_on_a_virtual_column_finds_what_it_found(key, backstay, sql, database):
    """An index holds what the session of a row's writer computed, whatever the column is read as."""
    found = "SELECT v FROM visits FORCE INDEX (day) ORDER BY v"
    sql.script([
        (
            "CREATE TABLE visits (id int PRIMARY KEY, ts timestamp NULL, v date AS (date(ts)) VIRTUAL,"
            f" {key} day (v), KEY (ts))"
        ),
        "SET SESSION time_zone = '-08:00'",
        "INSERT INTO visits (id, ts) VALUES (1, '2021-03-01 23:30:00'), (2, '2021-03-02 10:00:00'), (3, NULL)",
    ])
    then = sql.run(found)
    manifest = await backstay.round_trip(database, judge=False)

    await backstay.restore(manifest)

    assert len(set(then)) == 3
    assert sql.run(found) == then


@pytest.mark.differs(
    "mariadb", reason="it loads without asking CHECKs, and has no keys of expressions"
)
async def test_rules_that_rows_keep_in_one_time_zone_are_named_and_refused(backstay, sql, database):
    """By the backup, and before anything begins; rules that all rows keep stay out of it."""
    sql.script([
        "SET time_zone = '+08:00'",
        (
            "CREATE TABLE t (id INT PRIMARY KEY, ts TIMESTAMP, CONSTRAINT new CHECK (ts >= '2020-01-01'),"
            " CONSTRAINT fine CHECK (id > 0), CONSTRAINT off CHECK (id > 9) NOT ENFORCED,"
            " UNIQUE KEY by_day ((DATE(ts))), UNIQUE KEY by_id ((id + 1)))"
        ),
        "INSERT INTO t VALUES (1, '2020-01-01 01:00:00'), (2, '2020-03-01 07:00:00')",
        "INSERT INTO t VALUES (3, '2020-03-02 07:00:00'), (4, '2020-02-29 09:00:00')",
        "SET time_zone = '+00:00'",
    ])

    manifest = await backstay.backup(database)
    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

    assert manifest.databases[0].tables[0].unrepeatable == ("UNIQUE KEY `by_day`", "CHECK `new`")
    assert len(manifest.warnings) == len(manifest.databases[0].tables[0].unrepeatable)
    (problem,) = forecast.problems
    assert "CHECK `new` of" in str(problem)
    assert "UNIQUE KEY `by_day` of" in str(problem)


@pytest.mark.differs(
    "mariadb", reason="it loads without asking CHECKs, and has no keys of expressions"
)
async def test_rules_that_ask_other_variables_are_named_and_refused(backstay, sql, database):
    """Rules over no TIMESTAMP may ask a session too: its language, time zone, digits."""
    sql.script([
        "SET lc_time_names = 'de_DE', time_zone = '+08:00', div_precision_increment = 0",
        (
            "CREATE TABLE t (id INT PRIMARY KEY, d DATE, n INT, CONSTRAINT day CHECK (DAYNAME(d) = 'Mittwoch'),"
            " CONSTRAINT at CHECK (FROM_UNIXTIME(n) >= '2020-01-01'), CONSTRAINT part CHECK (id / 3 = 0))"
        ),
        "INSERT INTO t VALUES (1, '2020-01-01', UNIX_TIMESTAMP('2020-01-01'))",
        "SET lc_time_names = 'en_US', time_zone = '+00:00', div_precision_increment = 4",
    ])

    manifest = await backstay.backup(database)
    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

    assert manifest.databases[0].tables[0].unrepeatable == (
        "CHECK `at`",
        "CHECK `day`",
        "CHECK `part`",
    )
    assert len(manifest.warnings) == len(manifest.databases[0].tables[0].unrepeatable)
    assert "CHECK `day` of" in str(forecast.problems[0])


@pytest.mark.differs("mariadb", reason="it reads a definition as its author did")
async def test_texts_that_another_mode_reads_otherwise_are_named_and_refused(
    backstay, sql, database
):
    """A backslash in an expression is two under NO_BACKSLASH_ESCAPES; what has none to lose is restored."""
    sql.script([
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
        (
            "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), g VARCHAR(30) AS (CONCAT(a, '\\x')) STORED,"
            " i VARCHAR(30) AS (CONCAT(a, '\\y')) VIRTUAL, KEY (i), h VARCHAR(30) AS (CONCAT(a, 'x')) STORED,"
            " CONSTRAINT barred CHECK (a <> '\\'), CONSTRAINT fine CHECK (a <> '\\z'),"
            " UNIQUE KEY slashed (id, (REPLACE(a, '\\', '/'))), UNIQUE KEY first ((REPLACE(a, '\\', '/')), a(3) DESC))"
        ),
        "CREATE TABLE u (id INT PRIMARY KEY, a VARCHAR(20), UNIQUE KEY same ((REPLACE(a, '\\', '/'))))",
        "CREATE TABLE v (a VARCHAR(20), CONSTRAINT of_v CHECK (a <> '\\z'), g VARCHAR(30) AS (CONCAT(a, '!')) STORED)",
        "INSERT INTO t (id, a) VALUES (1, '\\'), (2, 'a/b')",
        "INSERT INTO u VALUES (1, 'a\\b'), (2, 'a/b')",
        "INSERT INTO v (a) VALUES ('\\')",
        "SET sql_mode = DEFAULT",
    ])

    manifest = await backstay.backup(database)
    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))
    fine = RestoreRequest(manifest.backup_id, tables=("v",))

    assert {table.name: table.unrepeatable for table in manifest.databases[0].tables} == {
        "t": ("g", "i", "CHECK `barred`"),
        "u": ("UNIQUE KEY `same`",),
        "v": (),
    }
    assert "CHECK `barred` of" in str(forecast.problems[0])
    assert not (await ends_as_foretold(backstay, fine)).problems
