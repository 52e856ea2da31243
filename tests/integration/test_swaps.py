"""Tables change places with live ones, everything around them follows, and it can be undone (hazards 90, 92 and 93)."""

import asyncio
import threading
import time

import pytest

from app.domain.restores.journal import RestorePhase
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.swap.rename import LOCK_SECONDS
from app.errors import TablesInUseError, UndoExpiredError
from app.services.restores import swap
from tests.fixtures.backstay import Backstay
from tests.fixtures.restored_shop import LATER, drop, errno, scratch, untouched
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, outside_judge, snapshot


CHILD_WITHOUT_PARENT = 1452
PARENT_WITH_CHILDREN = 1451


# -- others hold locks -----------------------------------------------------------------------------


def test_all_tries_end_within_a_bound():
    """All tries for the locks and all pauses between them take less than 45 seconds."""
    tries = len(swap._PAUSES) + 1

    assert sum(swap._PAUSES) + tries * LOCK_SECONDS < 45


@pytest.mark.parametrize(
    "statements",
    [
        ["START TRANSACTION", "INSERT INTO purchase VALUES (7, 1, 1)"],
        ["START TRANSACTION", "SELECT * FROM customer"],
        ["LOCK TABLES journal READ"],
    ],
    ids=["wrote", "read", "locked"],
)
async def test_tables_in_use_stay_as_they_are(statements, backstay, sql, shop, monkeypatch):
    """Whoever does not let go of a table makes a restore give up, and everything is as it was."""
    monkeypatch.setattr(swap, "_PAUSES", (0.1,))
    monkeypatch.setattr(swap, "LOCK_SECONDS", 1)
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    with Sql(backstay.url, shop) as holder:
        holder.script(statements)
        with untouched(backstay, shop):
            with pytest.raises(TablesInUseError) as caught:
                await backstay.restore(manifest, create_backup=False)
            assert "PROCESSLIST" in caught.value.hint
        holder.script(["ROLLBACK", "UNLOCK TABLES"])
    await backstay.restore(manifest)
    await backstay.prove(manifest.backup_id)


async def test_a_transaction_that_ends_in_time_is_waited_for(backstay, sql, shop):
    """A restore waits for a transaction that ends soon, and keeps what it has written."""
    manifest = await backstay.backup(shop)
    with Sql(backstay.url, shop) as holder:
        holder.script(["START TRANSACTION", "INSERT INTO purchase VALUES (7, 1, 1)"])
        timer = threading.Timer(0.7, holder.run, ["COMMIT"])

        def listener(progress: Progress) -> None:
            if progress.phase is Phase.SWAP and not timer.ident:
                timer.start()

        request = RestoreRequest(manifest.backup_id, create_backup=False)
        result = await backstay.recoveries.restore(
            await backstay.recoveries.plan(request), Progress(listener=listener)
        )
        timer.join()

    (kept,) = scratch(sql, shop)
    assert sql.run(f"SELECT amount FROM {kept}.purchase WHERE id = 7") == [(1,)]
    assert sql.run("SELECT COUNT(*) FROM purchase") == [(2,)]
    assert result.duration >= 0.7
    assert sql.run("SELECT @@GLOBAL.read_only") == [(0,)]


async def test_an_undo_of_tables_in_use_changes_nothing(backstay, sql, shop, monkeypatch):
    """An undo that does not get the tables changes nothing, and can be tried again."""
    monkeypatch.setattr(swap, "_PAUSES", ())
    monkeypatch.setattr(swap, "LOCK_SECONDS", 1)
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)
    result = await backstay.restore(manifest)
    with Sql(backstay.url, shop) as holder:
        holder.script(["START TRANSACTION", "SELECT * FROM customer"])
        with untouched(backstay, shop), pytest.raises(TablesInUseError):
            await backstay.recoveries.undo(result.restore_id)

    await backstay.recoveries.undo(result.restore_id)

    assert_same(before, snapshot(backstay.url, shop))


# -- what is around the tables ---------------------------------------------------------------------


@pytest.fixture
def abroad(sql, shop):
    """A second database with keys into the shop and out of it."""
    name = f"{shop}_x"
    sql.script([
        f"CREATE DATABASE {name}",
        f"CREATE TABLE {name}.club (id INT PRIMARY KEY)",
        (
            f"CREATE TABLE {name}.member (id INT PRIMARY KEY, customer INT, CONSTRAINT belongs"
            f" FOREIGN KEY (customer) REFERENCES {shop}.customer (id) ON DELETE RESTRICT)"
        ),
        f"INSERT INTO {name}.club VALUES (1), (2)",
        f"INSERT INTO {name}.member VALUES (1, 1)",
        "ALTER TABLE customer ADD club INT",
        f"ALTER TABLE customer ADD CONSTRAINT joins FOREIGN KEY (club) REFERENCES {name}.club (id)",
        "UPDATE customer SET club = 1 WHERE id = 1",
    ])
    yield name
    drop(sql, name, shop)


def check_bonds(sql: Sql, shop: str, abroad: str) -> None:
    """Assert that keys bind the live tables of both databases, triggers fire and the view reads them."""
    assert errno(sql, f"INSERT INTO {abroad}.member VALUES (90, 77)") == CHILD_WITHOUT_PARENT
    assert errno(sql, "DELETE FROM customer WHERE id = 1") == PARENT_WITH_CHILDREN
    assert errno(sql, f"DELETE FROM {abroad}.club WHERE id = 1") == PARENT_WITH_CHILDREN
    assert errno(sql, "INSERT INTO purchase VALUES (90, 77, 1)") == CHILD_WITHOUT_PARENT
    assert errno(sql, "UPDATE customer SET club = 9 WHERE id = 2") == CHILD_WITHOUT_PARENT
    keys = sql.run(
        "SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA"
        " FROM information_schema.REFERENTIAL_CONSTRAINTS"
        f" WHERE CONSTRAINT_SCHEMA IN ('{shop}', '{abroad}')"
    )
    assert set(keys) == {
        (shop, "buys", shop),
        (shop, "joins", abroad),
        (abroad, "belongs", shop),
    }
    sql.run("INSERT INTO purchase VALUES (91, 2, -5)")
    assert sql.run("SELECT amount FROM purchase WHERE id = 91") == [(0,)]
    assert sql.run("SELECT COUNT(*) FROM journal WHERE what = 'purchase 91'") == [(1,)]
    total = sql.run("SELECT SUM(amount) FROM purchase")
    assert sql.run("SELECT SUM(total) FROM sales") == sql.run("SELECT turnover()") == total
    sql.script([
        "DELETE FROM purchase WHERE id = 91",
        "DELETE FROM journal WHERE what = 'purchase 91'",
    ])


MAKERS = frozenset({
    f"Com_{verb}_{kind}"
    for verb in ("create", "drop", "alter")
    for kind in ("view", "procedure", "function", "spfunction", "event")
})


def definitions_made(sql: Sql, *, gates: int = 0, questions: int = 0) -> dict[str, int]:
    """
    Count the statements that made or dropped views, routines and events.

    Not counted are gates of a RENAME, and questions about owners, which make nothing.
    """
    rows = sql.run("SHOW GLOBAL STATUS LIKE 'Com\\_%'")
    made = {name: int(count) for name, count in rows if name in MAKERS}
    for statement in ("Com_create_view", "Com_drop_view"):
        made[statement] -= gates
    made["Com_create_procedure"] -= questions
    return made


@pytest.mark.parametrize("tables", [(), ("customer",), ("purchase",), ("customer", "purchase")])
async def test_keys_triggers_and_views_go_on_working(tables, backstay, sql, shop, abroad):
    """Keys from and to tables that stay, triggers and views go on working after a restore and an undo."""
    manifest = await backstay.backup(shop)
    sql.script([
        "INSERT INTO purchase VALUES (60, 1, 600)",
        "UPDATE customer SET club = 2 WHERE id = 2",
    ])
    before = [snapshot(backstay.url, name)["content"] for name in (shop, abroad)]
    made = definitions_made(sql)

    result = await backstay.restore(manifest, tables=tables)

    check_bonds(sql, shop, abroad)
    if "purchase" in tables or not tables:
        assert sql.run("SELECT turnover()") == [(30,)]
    if "customer" in tables or not tables:
        # Only a row that is kept refers to it.
        assert sql.run(f"DELETE FROM {abroad}.club WHERE id = 2") == []
        sql.run(f"INSERT INTO {abroad}.club VALUES (2)")
    assert result.fence == "read_only"
    assert result.warnings == ()
    await backstay.recoveries.undo(result.restore_id)
    check_bonds(sql, shop, abroad)
    assert [snapshot(backstay.url, name)["content"] for name in (shop, abroad)] == before
    assert definitions_made(sql, gates=2, questions=int(tables != ("customer",))) == made
    assert sql.run("SELECT @@GLOBAL.read_only") == [(0,)]


async def test_equal_objects_are_not_made_again(backstay, sql, shop):
    """Views, routines and events that are as in the backup are not even dropped for a moment."""
    manifest = await backstay.backup(shop)
    sql.script(["CREATE PROCEDURE more() SELECT 1", "DELETE FROM journal"])
    query = (
        "SELECT ROUTINE_NAME, CREATED, LAST_ALTERED FROM information_schema.ROUTINES"
        f" WHERE ROUTINE_SCHEMA = '{shop}' AND ROUTINE_NAME <> 'more'"
        " UNION ALL SELECT EVENT_NAME, CREATED, LAST_ALTERED FROM information_schema.EVENTS"
        f" WHERE EVENT_SCHEMA = '{shop}' ORDER BY 1"
    )
    before = sql.run(query)
    await asyncio.sleep(1.1)  # the server keeps these times in seconds

    await backstay.restore(manifest)

    assert [row[0] for row in before] == ["nightly", "tidy", "turnover"]
    assert sql.run(query) == before
    assert errno(sql, "CALL more()")


async def test_events_keep_firing(backstay, sql, shop):
    """An event fires after a restore and after an undo as it did before."""
    sql.script([
        "CREATE TABLE ticks (id INT AUTO_INCREMENT PRIMARY KEY)",
        "CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks () VALUES ()",
        "SET @scheduler = @@GLOBAL.event_scheduler",
        "SET GLOBAL event_scheduler = 1",
    ])
    try:
        manifest = await backstay.backup(shop)
        result = await backstay.restore(manifest)
        await ticks(sql)
        await backstay.recoveries.undo(result.restore_id)
        await ticks(sql)
    finally:
        sql.run("SET GLOBAL event_scheduler = @scheduler")


async def ticks(sql: Sql) -> None:
    """Wait until a row comes by itself."""
    before = sql.run("SELECT MAX(id) FROM ticks")
    deadline = time.monotonic() + 60
    while sql.run("SELECT MAX(id) FROM ticks") == before:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


# -- undo ------------------------------------------------------------------------------------------


async def test_an_undo_and_its_undo_are_exact(backstay, sql, shop):
    """An undo returns exactly the old state, its undo the restored one, in the eyes of two judges."""
    manifest = await backstay.backup(shop)
    backed_up = await backstay.copy(manifest)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)
    copy = await backstay.copy(await backstay.backup(shop))

    result = await backstay.restore(manifest)
    restored = snapshot(backstay.url, shop)
    outside_judge(backstay.url, backed_up, shop)
    undo = await backstay.recoveries.undo(result.restore_id)
    assert_same(before, snapshot(backstay.url, shop))
    outside_judge(backstay.url, copy, shop)
    redo = await backstay.recoveries.undo(undo.restore_id)
    assert_same(restored, snapshot(backstay.url, shop))
    outside_judge(backstay.url, backed_up, shop)
    await backstay.recoveries.undo(redo.restore_id)

    assert_same(before, snapshot(backstay.url, shop))
    assert len(scratch(sql, shop)) == 1
    assert undo.restored_tables == tuple(
        f"{shop}.{name}" for name in ("customer", "extra", "journal", "purchase")
    )


async def test_an_undo_takes_away_what_was_written_since(backstay, sql, shop):
    """An undo takes what was written since away, and its own undo brings that back."""
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)
    result = await backstay.restore(manifest)
    sql.script([
        "INSERT INTO customer VALUES (70, 'new')",
        "INSERT INTO purchase VALUES (70, 70, 70)",
        "CREATE TABLE fresh (id INT)",
        "CREATE TRIGGER since BEFORE DELETE ON customer FOR EACH ROW SET @x = 1",
    ])
    since = snapshot(backstay.url, shop)

    undo = await backstay.recoveries.undo(manifest.backup_id)  # its newest restore is meant
    assert sql.run("SELECT COUNT(*) FROM customer WHERE id = 70") == [(0,)]
    sql.run("DROP TABLE fresh")  # a table of others is none of the restore's business
    assert_same(before, snapshot(backstay.url, shop))
    await backstay.recoveries.undo(undo.restore_id)

    sql.run("CREATE TABLE fresh (id INT)")
    assert_same(since, snapshot(backstay.url, shop))
    assert result.recovery_point == undo.recovery_point


async def test_without_a_time_to_undo_in_nothing_is_kept(server, tmp_path, sql, shop):
    """Without a time to undo in, nothing is kept, and the hint of an undo names the recovery point."""
    backstay = Backstay(server.url, tmp_path / "backups", undo_minutes=0)
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)

    result = await backstay.restore(manifest)

    assert result.undo_until is None
    assert scratch(sql, shop) == set()
    with untouched(backstay, shop), pytest.raises(UndoExpiredError) as caught:
        await backstay.recoveries.undo(result.restore_id)
    assert result.recovery_point in caught.value.hint
    await backstay.recoveries.restore(
        await backstay.recoveries.plan(RestoreRequest(result.recovery_point))
    )
    assert_same(before, snapshot(backstay.url, shop))
    await backstay.close()


async def test_an_undo_without_its_tables_is_refused(backstay, sql, shop):
    """An undo without its tables is refused before it has changed anything."""
    manifest = await backstay.backup(shop)
    result = await backstay.restore(manifest)
    (kept,) = scratch(sql, shop)
    for statement in (f"DROP TABLE {kept}.journal", f"DROP DATABASE {kept}"):
        sql.run(statement)
        with untouched(backstay, shop), pytest.raises(UndoExpiredError) as caught:
            await backstay.recoveries.undo(result.restore_id)
        assert result.recovery_point in caught.value.hint


async def test_tables_whose_time_is_over_are_dropped(server, tmp_path, sql, shop):
    """Old tables whose time is over are dropped; those whose time is not are kept."""
    soon = Backstay(server.url, tmp_path / "backups", undo_minutes=0.3 / 60)
    later = Backstay(server.url, tmp_path / "backups")
    manifest = await soon.backup(shop)
    first = await soon.restore(manifest)
    (gone,) = scratch(sql, shop)
    second = await later.restore(manifest)
    await asyncio.sleep(0.4)

    forgotten = await later.recoveries.drop_expired()

    # The second was late itself when it dropped the first one's tables.
    assert [repair.outcome for repair in forgotten] in (["forgotten"], [])
    phases = {journal.restore_id: journal.phase for journal in later.journals.all()}
    assert phases == {
        first.restore_id: RestorePhase.FORGOTTEN,
        second.restore_id: RestorePhase.DONE,
    }
    assert gone not in scratch(sql, shop)
    assert await later.recoveries.drop_expired() == []
    await later.recoveries.undo(second.restore_id)
    for backstay in (soon, later):
        await backstay.target.close()
