"""Tables of every kind change places, also with what had another kind."""

from collections.abc import Mapping, Sequence

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import ConflictError, TableNotFoundError, UndoExpiredError
from tests.corpora import objects
from tests.fixtures.chosen_server import IS_MYSQL, NO_SEQUENCES
from tests.fixtures.dry_runs import ends_as_foretold, left_over
from tests.fixtures.restored_shop import untouched
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# -- tables and views that change their kind -------------------------------------------------------


CHANGED_KIND = (
    "DROP TABLE journal",
    "CREATE VIEW journal AS SELECT id, name AS what FROM customer",
    "DROP VIEW sales",
    "CREATE TABLE sales (name INT PRIMARY KEY, total INT)",
    "INSERT INTO sales VALUES (1, 1)",
    "CREATE TRIGGER sold BEFORE INSERT ON sales FOR EACH ROW SET NEW.total = 0",
)


async def test_views_and_tables_take_each_others_place(backstay, sql, shop):
    """A whole restore makes tables of views and views of tables, and an undo makes it all undone."""
    manifest = await backstay.backup(shop)
    backed_up = snapshot(backstay.url, shop)
    sql.script(CHANGED_KIND)
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest)
    assert_same(backed_up, snapshot(backstay.url, shop))
    undo = await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, shop))
    await backstay.recoveries.undo(undo.restore_id)

    assert_same(backed_up, snapshot(backstay.url, shop))
    assert result.dropped_tables == (f"{shop}.sales",)


async def test_a_table_does_not_take_the_place_of_a_view(backstay, sql, shop):
    """One table is not restored in the place of a view; a table that was a view then is no table there."""
    manifest = await backstay.backup(shop)
    sql.script(CHANGED_KIND)
    with untouched(backstay, shop):
        with pytest.raises(ConflictError, match="journal is a view now"):
            await backstay.restore(manifest, tables=("journal",))
        with pytest.raises(TableNotFoundError):
            await backstay.restore(manifest, tables=("sales",))

    await backstay.restore(manifest, tables=("journal",), into=f"{shop}_copy")

    assert sql.run(f"SELECT COUNT(*) FROM {shop}_copy.journal") == [(2,)]


async def test_a_taken_trigger_name_refuses_the_table(backstay, sql, shop):
    """One table is not restored while another one owns the name of its trigger."""
    manifest = await backstay.backup(shop)
    sql.script([
        "DROP TRIGGER noted",
        "CREATE TRIGGER noted AFTER INSERT ON customer FOR EACH ROW SET @noted = 1",
    ])
    with (
        untouched(backstay, shop),
        pytest.raises(ConflictError, match="belongs to table 'customer'"),
    ):
        await backstay.restore(manifest, tables=("purchase",))

    await backstay.restore(manifest, tables=("purchase", "customer"))

    owners = sql.run(
        "SELECT EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
        f" WHERE TRIGGER_SCHEMA = '{shop}' AND TRIGGER_NAME = 'noted'"
    )
    assert owners == [("purchase",)]


# -- kinds of tables -------------------------------------------------------------------------------


def kinds(database: str) -> Mapping[str, Sequence[str | bytes]]:
    """Return the corpora whose tables are hard to move."""
    return {
        "sequences": objects.sequences(database),
        "versioned": objects.versioned_tables(),
        "partitions": objects.partitions(),
        "engines": objects.engines(),
        "names": objects.hostile_names(),
        "triggers": objects.triggers(),
    }


MOVED = [
    pytest.param(kind, marks=[NO_SEQUENCES] if kind == "sequences" else []) for kind in kinds("")
]


@pytest.mark.parametrize("kind", MOVED)
async def test_hard_tables_change_places(kind, backstay, sql, shop):
    """Tables of every kind come back by a restore in place, and those before by an undo."""
    sql.script(kinds(shop)[kind])
    manifest = await backstay.backup(shop)
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest)
    assert_same(before, snapshot(backstay.url, shop))
    await backstay.recoveries.undo(result.restore_id)

    assert_same(before, snapshot(backstay.url, shop))
    if kind == "engines":
        merged = sql.run("SELECT id, v FROM engine_merge ORDER BY id, v")
        assert merged == [(1, "a"), (1, "again"), (2, "b")]
    if kind == "sequences":
        check_sequences(sql, shop)


def check_sequences(sql: Sql, shop: str) -> None:
    """Assert that defaults of columns draw from the sequences beside them."""
    (before,) = sql.run("SELECT MAX(id), MAX(q) FROM sequence_default")
    # The third of them has run out.
    sql.run("INSERT INTO sequence_default (v, n) VALUES (7, 0)")
    (after,) = sql.run("SELECT id, q FROM sequence_default WHERE v = 7")
    assert after > before
    defaults = sql.run(
        "SELECT COLUMN_DEFAULT FROM information_schema.COLUMNS"
        f" WHERE TABLE_SCHEMA = '{shop}' AND COLUMN_DEFAULT LIKE '%nextval%'"
    )
    assert len(defaults) == 3
    assert all("__bk_" not in default for (default,) in defaults)


@NO_SEQUENCES
async def test_a_table_and_its_sequences_change_places_alone(backstay, sql, shop):
    """A table without its sequences, and a sequence without its tables, change places alone."""
    sql.script(kinds(shop)["sequences"])
    manifest = await backstay.backup(shop)
    before = snapshot(backstay.url, shop)
    sql.script(["DELETE FROM sequence_default", "SELECT SETVAL(sequence_plain, 9000)"])

    for tables in (("sequence_default",), ("sequence_plain",)):
        await backstay.restore(manifest, tables=tables)

    check_sequences(sql, shop)
    sql.script(["DELETE FROM sequence_default WHERE v = 7"])
    after = snapshot(backstay.url, shop)
    assert after["content"] == before["content"]


@pytest.mark.parametrize(
    "place", ["DATA DIRECTORY='{}'", "PARTITION BY HASH (id) (PARTITION p {})"]
)
@pytest.mark.differs("mysql", reason="a RENAME takes files in other directories along")
async def test_tables_in_directories_of_their_own_are_not_kept(
    place, backstay, sql, database, tmp_path
):
    """The server would lose them at its next start; the dry run says so, and nothing is left over."""
    outside = tmp_path / "outside"
    outside.mkdir()
    where = place.format(outside if "'" in place else f"DATA DIRECTORY='{outside}'")
    sql.script([f"CREATE TABLE t (id INT PRIMARY KEY) {where}", "INSERT INTO t VALUES (1)"])
    manifest = await backstay.backup(database)
    sql.run("INSERT INTO t VALUES (2)")

    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

    assert any("is not kept for an undo" in text for text in forecast.warnings)
    assert manifest.warnings == (
        f"1 tables have a DATA DIRECTORY or INDEX DIRECTORY, which a restore leaves out ({database}.t)",
    )
    assert set(manifest.warnings) < set(forecast.warnings)
    assert not [name for name in left_over(sql) if name.startswith(database)]
    assert not list(outside.rglob("*.ibd"))
    with pytest.raises(UndoExpiredError) as caught:
        await backstay.recoveries.undo(manifest.backup_id)
    assert "backstay restore run" in caught.value.hint


async def test_columns_of_views_are_described_as_before(backstay, sql, database):
    """In strict mode a conversion may be NULL; MySQL keeps that with a view, until a table beneath changes."""
    sql.script([
        "CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(9) NOT NULL DEFAULT 'x')",
        (
            "CREATE VIEW texts AS SELECT CAST(id AS CHAR) AS id, CONVERT(name USING latin1) AS name,"
            " LPAD(name, 3, '*') AS padded FROM parent"
        ),
        "CREATE VIEW joined AS SELECT t.id, CAST(p.id AS CHAR) AS p, UUID() AS u FROM texts t JOIN parent p",
        "CREATE VIEW years AS SELECT CAST('2020-01-01' AS DATE) AS d, 1 / 0 AS n, CAST('' AS SIGNED) AS e",
    ])
    before = _described(sql, database)
    manifest = await backstay.round_trip(database)
    by_hand = backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand} CHARACTER SET utf8mb4")
    backstay.plain_load(manifest, by_hand)

    assert _described(sql, await backstay.copy(manifest)) == before
    assert _described(sql, by_hand) == before
    if IS_MYSQL:  # and so it is with every table that somebody renames or alters
        assert {row[2] for row in before if row[0] == "texts"} == {"YES"}
        sql.script(["RENAME TABLE parent TO other", "RENAME TABLE other TO parent"])
        assert {row[2] for row in _described(sql, database) if row[0] == "texts"} == {"NO"}


def _described(sql, database):
    return sql.run(
        "SELECT TABLE_NAME, COLUMN_NAME, IS_NULLABLE, COLUMN_DEFAULT FROM information_schema.COLUMNS"
        f" WHERE TABLE_SCHEMA = '{database}' ORDER BY TABLE_NAME, ORDINAL_POSITION"
    )
