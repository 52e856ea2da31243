"""A table is looked for by what the server knows it by, never taken for another of its name (hazard 131)."""

import pytest

from app.domain.restores.journal import RestorePhase, SchemaSwap
from app.engine.schema.marks import with_identities
from app.engine.swap.rename import Move, find_standing
from tests.fixtures.backstay import Backstay
from tests.fixtures.killed_restores import ForkedRestores
from tests.fixtures.restored_shop import drop, scratch
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture
def schemas(sql, database):
    """Live tables, others of their names that wait, and a schema for what goes."""
    names = [f"{database}_{word}" for word in ("new", "old")]
    for name in (database, *names):
        sql.run(f"CREATE DATABASE IF NOT EXISTS {name}")
    for name in (database, names[0]):
        sql.script([f"CREATE TABLE {name}.a (i INT)", f"CREATE TABLE {name}.b (i INT)"])
    yield SchemaSwap(database, names[0], names[1], ("a", "b"), ("a", "b"))
    drop(sql, *names)


async def stand(backstay: Backstay, swap: SchemaSwap):
    """Ask where the tables are."""
    async with backstay.target.session() as session:
        return await find_standing(session, [swap])


async def noted(backstay: Backstay, swap: SchemaSwap) -> SchemaSwap:
    """Write down what the tables are known by."""
    async with backstay.target.session() as session:
        return await with_identities(session, swap)


def rename(sql: Sql, swap: SchemaSwap, *names: str) -> None:
    """Let tables change places."""
    parts = [f"{swap.target}.{name} TO {swap.kept}.{name}" for name in names]
    parts += [f"{swap.source}.{name} TO {swap.target}.{name}" for name in names]
    sql.run(f"RENAME TABLE {', '.join(parts)}")


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "names"])
async def test_before_the_rename_nothing_was_made(ids, backstay, sql, schemas):
    """All moves are left, by ids and by the names of an older journal."""
    swap = await noted(backstay, schemas) if ids else schemas

    found = await stand(backstay, swap)

    assert (len(found.left), found.made, found.lost) == (4, 0, [])


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "names"])
async def test_after_the_rename_nothing_is_left(ids, backstay, sql, schemas):
    """No move is left, by ids and by names."""
    swap = await noted(backstay, schemas) if ids else schemas
    rename(sql, swap, "a", "b")

    found = await stand(backstay, swap)

    assert (found.left, found.made, found.lost) == ([], 4, [])


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "names"])
async def test_half_a_rename_is_seen_as_one(ids, backstay, sql, schemas):
    """A server without atomic DDL may have moved some of the tables."""
    swap = await noted(backstay, schemas) if ids else schemas
    rename(sql, swap, "a")

    found = await stand(backstay, swap)

    wanted = [Move(swap.target, "b", swap.kept), Move(swap.source, "b", swap.target)]
    assert (found.left, found.made, found.lost) == (wanted, 2, [])


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "names"])
async def test_a_table_that_was_dropped_has_not_moved(ids, backstay, sql, schemas):
    """A table that is not where it waited is lost, not live."""
    swap = await noted(backstay, schemas) if ids else schemas
    sql.run(f"DROP TABLE {swap.source}.a")

    found = await stand(backstay, swap)

    assert found.made == 0
    assert found.lost == [f"{swap.target}.a"]


async def test_a_forged_table_in_its_place_is_none_of_ours(backstay, sql, schemas):
    """Before and after the RENAME another table of the name is told from the one that was noted."""
    swap = await noted(backstay, schemas)
    sql.script([f"DROP TABLE {swap.source}.a", f"CREATE TABLE {swap.source}.a (i INT)"])
    waiting = await stand(backstay, swap)
    rename(sql, swap, "a", "b")
    came = await stand(backstay, swap)

    assert (waiting.made, waiting.lost) == (0, [f"{swap.target}.a"])
    assert came.lost == [f"{swap.target}.a"]
    assert came.made == 3


async def test_a_table_that_came_is_known_beside_a_forged_one_that_waits(backstay, sql, schemas):
    """Another table of the name in the staging schema does not bring the RENAME into doubt."""
    swap = await noted(backstay, schemas)
    rename(sql, swap, "a", "b")
    sql.run(f"CREATE TABLE {swap.source}.a (i INT)")

    found = await stand(backstay, swap)

    assert (found.left, found.made, found.lost) == ([], 4, [])


# -- after a crash ---------------------------------------------------------------------------------


FORGE = ("DROP TABLE {t}", "CREATE TABLE {t} (id INT PRIMARY KEY, amount INT)")


@pytest.fixture
def shop(sql, database):
    """Two tables, dropped with all that restores keep of them."""
    for name in ("a", "b"):
        sql.script([
            f"CREATE TABLE {name} (id INT PRIMARY KEY, amount INT)",
            f"INSERT INTO {name} VALUES (1, 10), (2, 20)",
        ])
    yield database
    drop(sql, database)


async def test_a_forged_table_after_a_lost_answer_is_swapped_back(backstay, sql, shop):
    """Killed with the RENAME sent, and a table replaced before the next start: all is as before."""
    manifest = await backstay.backup(shop)
    sql.run("UPDATE a SET amount = 0")
    before = snapshot(backstay.url, shop)
    drive = ForkedRestores(backstay)
    end = drive("restore", manifest.backup_id, at=1, statements=("RENAME",), sent=True)
    assert end.killed
    wait_for_rename(sql, shop)
    sql.script([statement.format(t="a") for statement in FORGE])

    results = await backstay.recoveries.repair()

    assert [result.outcome for result in results] == ["undone"]
    assert_same(before, snapshot(backstay.url, shop))
    assert scratch(sql, shop) == set()
    assert sql.run("SELECT @@GLOBAL.read_only") == [(0,)]


async def test_a_staging_table_that_was_dropped_after_a_crash_is_no_swap(backstay, sql, shop):
    """Killed before the RENAME, and a table dropped before the next start: all is as before."""
    manifest = await backstay.backup(shop)
    sql.run("UPDATE a SET amount = 0")
    before = snapshot(backstay.url, shop)
    drive = ForkedRestores(backstay)
    assert drive("restore", manifest.backup_id, at=1, statements=("RENAME",)).killed
    (journal,) = backstay.journals.all()
    assert journal.phase is RestorePhase.SWAPPING
    sql.run(f"DROP TABLE {journal.swaps[0].source}.a")

    results = await backstay.recoveries.repair()

    assert [result.outcome for result in results] == ["undone"]
    assert_same(before, snapshot(backstay.url, shop))
    assert scratch(sql, shop) == set()


async def test_what_came_whole_is_finished_after_a_crash(backstay, sql, shop):
    """Killed with the RENAME sent, nothing replaced: the next start finishes it."""
    before = snapshot(backstay.url, shop)
    manifest = await backstay.backup(shop)
    sql.run("UPDATE a SET amount = 0")
    drive = ForkedRestores(backstay)
    assert drive("restore", manifest.backup_id, at=1, statements=("RENAME",), sent=True).killed
    wait_for_rename(sql, shop)

    results = await backstay.recoveries.repair()

    assert [result.outcome for result in results] == ["finished"]
    assert_same(before, snapshot(backstay.url, shop))
    assert {name for name in scratch(sql, shop) if "__bk_new_" in name} == set()


def wait_for_rename(sql: Sql, shop: str) -> None:
    """Wait until what was sent has happened: nobody holds its gate any more."""
    for _ in range(500):
        rows = sql.run(
            "SELECT COUNT(*) FROM information_schema.TABLES"
            f" WHERE TABLE_SCHEMA LIKE '{shop}\\_\\_bk\\_old%' AND TABLE_NAME = 'a'"
        )
        if rows == [(1,)]:
            return
    raise AssertionError("the RENAME did not happen")
