"""Only what was proven comes: others who write where tables wait are noticed (hazards 129 to 134)."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Collection

import pymysql
import pytest

from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.swap import gate
from app.engine.swap.plan import plan_swaps
from app.errors import StagingChangedError, UndoExpiredError
from app.services.restores import restore as restorer
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import NO_ARIA
from tests.fixtures.restored_shop import scratch, untouched
from tests.fixtures.series import series, some
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


ENGINES = ("InnoDB", "Aria", "MyISAM")
ATTACKS = {
    "drop": ["DROP TABLE {t}"],
    "truncate": ["TRUNCATE {t}"],
    "update": ["UPDATE {t} SET amount = amount + 1 WHERE id = 2"],
    "insert": ["INSERT INTO {t} VALUES (99, 99)"],
    "replace": [
        "CREATE TABLE {t}_x LIKE {t}",
        "INSERT INTO {t}_x SELECT id, amount + 1 FROM {t}",
        "DROP TABLE {t}",
        "RENAME TABLE {t}_x TO {t}",
    ],
    "add a column": ["ALTER TABLE {t} ADD note INT"],
    "add an index": ["ALTER TABLE {t} ADD INDEX (amount)"],
    "change a default": ["ALTER TABLE {t} ALTER amount SET DEFAULT 7"],
    "rename": ["RENAME TABLE {t} TO {t}_x"],
    "change places": [
        "CREATE TABLE {t}_x LIKE {t}",
        "RENAME TABLE {t} TO {t}_y, {t}_x TO {t}",
        "DROP TABLE {t}_y",
    ],
}


def cases(*lists: Collection[str]):
    """Combine engines, the first list, with others; each case has the mark of what not every server has."""
    return [
        pytest.param(*case, marks=[NO_ARIA] * (case[0] == "Aria"))
        for case in itertools.product(*lists)
    ]


# Half of the attacks on InnoDB, and on the other engines what their files tell differently.
ATTACKED = series(
    [*cases(ENGINES[:1], [*ATTACKS][::2]), *cases(ENGINES[1:], ("replace",))],
    cases(ENGINES, ATTACKS),
)
# Later they are found by the same looks, which see rows, definitions and names.
ATTACKED_LATER = series(
    [
        *cases(ENGINES[:1], ("drop", "replace", "add an index")),
        *cases(ENGINES[1:2], ("update",)),
    ],
    cases(ENGINES, ATTACKS),
)
# A RENAME that waits holds the locks of the tables before the one it waits for: `b`.
ATTACKED_IN_THE_RENAME = series(
    [("a", "update"), ("b", "replace"), ("c", "drop")],
    [*itertools.product("abc", ("update", "replace", "drop", "change a default"))],
)


@pytest.fixture
def make(sql, database):
    """A function that makes a database of some tables."""

    def make_tables(engine: str) -> None:
        for name in ("a", "b", "c"):
            sql.script([
                f"CREATE TABLE {name} (id INT PRIMARY KEY, amount INT) ENGINE={engine}",
                f"INSERT INTO {name} VALUES (1, 10), (2, 20), (3, 30)",
            ])

    yield make_tables
    for name in scratch(sql, database):
        sql.run(f"DROP DATABASE IF EXISTS `{name}`")


def change(sql: Sql) -> None:
    """Make the live data another one than the backup's."""
    sql.script(["UPDATE a SET amount = 0", "DELETE FROM b WHERE id = 1", "CREATE TABLE d (i INT)"])


@pytest.fixture
def changed(backstay, sql, database, make):
    """A function that makes a database, backs it up, and changes it; it returns the manifest."""

    async def back_up_and_change(engine: str):
        make(engine)
        manifest = await backstay.backup(database)
        change(sql)
        return manifest

    return back_up_and_change


def attack(url: str, kind: str, schema: str, table: str = "b") -> None:
    """Do something to a table where it waits."""
    with Sql(url) as other:
        other.script([statement.format(t=f"`{schema}`.{table}") for statement in ATTACKS[kind]])


def waiting(url: str, database: str) -> str:
    """Name the schema where tables wait."""
    with Sql(url) as other:
        (name,) = [name for name in scratch(other, database) if "__bk_new_" in name]
    return name


def in_swap(work) -> Progress:
    """Run something once when all is proven and the swap begins."""
    done: list[bool] = []

    def listener(progress: Progress) -> None:
        if progress.phase is Phase.SWAP and not done:
            done.append(True)
            work()

    return Progress(listener=listener)


async def restore(backstay: Backstay, backup_id: str, progress: Progress):
    """Restore over the live data, without a recovery point."""
    request = RestoreRequest(backup_id, create_backup=False)
    return await backstay.recoveries.restore(await backstay.recoveries.plan(request), progress)


def before_rename(monkeypatch, work):
    """Run something once between the last look and the RENAME."""
    original = gate.Gate.rename
    done: list[bool] = []

    async def rename(self, *arguments, **options):
        if not done:
            done.append(True)
            await asyncio.to_thread(work)
        return await original(self, *arguments, **options)

    monkeypatch.setattr(gate.Gate, "rename", rename)


@pytest.mark.long
@pytest.mark.parametrize(("engine", "kind"), ATTACKED)
async def test_what_changes_after_the_proof_is_refused(kind, engine, backstay, database, changed):
    """Whatever is done to a table that waits: nothing live is touched, and the error says so."""
    manifest = await changed(engine)

    with untouched(backstay, database), pytest.raises(StagingChangedError) as caught:
        await restore(
            backstay,
            manifest.backup_id,
            in_swap(lambda: attack(backstay.url, kind, waiting(backstay.url, database))),
        )

    assert "The live data is as it was" in caught.value.hint


@pytest.mark.long
@pytest.mark.parametrize(("engine", "kind"), ATTACKED_LATER)
async def test_what_changes_right_before_the_rename_does_not_stay(
    kind, engine, backstay, database, changed, monkeypatch
):
    """What slips in between the last look and the RENAME is found after it, and goes again."""
    manifest = await changed(engine)
    before_rename(monkeypatch, lambda: attack(backstay.url, kind, waiting(backstay.url, database)))

    with untouched(backstay, database), pytest.raises(StagingChangedError):
        await restore(backstay, manifest.backup_id, Progress())


@pytest.mark.parametrize("planned", [False, True], ids=["after the plan", "before the plan"])
async def test_a_table_that_others_add_does_not_come(
    planned, backstay, sql, database, changed, monkeypatch
):
    """A table that others put beside those that wait would come with them."""
    manifest = await changed("InnoDB")

    def add() -> None:
        sql.run(f"CREATE TABLE {waiting(backstay.url, database)}.z (i INT)")

    async def plan_later(session, drafts):
        await asyncio.to_thread(add)
        return await plan_swaps(session, drafts)

    if planned:
        monkeypatch.setattr(restorer, "plan_swaps", plan_later)
    progress = Progress() if planned else in_swap(add)
    with untouched(backstay, database), pytest.raises(StagingChangedError, match="put there"):
        await restore(backstay, manifest.backup_id, progress)


@pytest.mark.long
@pytest.mark.parametrize(("table", "kind"), ATTACKED_IN_THE_RENAME)
async def test_what_changes_while_the_rename_waits_does_not_stay(
    kind, table, backstay, database, changed
):
    """While others hold a lock on a live table, those that wait can be changed; it is found."""
    manifest = await changed("InnoDB")
    holder = Sql(backstay.url, database)

    def strike() -> None:
        with contextlib.closing(holder), Sql(backstay.url) as look:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not any(
                row[7] and row[7].startswith("RENAME") for row in look.run("SHOW PROCESSLIST")
            ):
                time.sleep(0.005)
            attack(backstay.url, kind, waiting(backstay.url, database), table)

    thread = threading.Thread(target=strike)

    def begin() -> None:
        holder.script(["START TRANSACTION", "SELECT * FROM b"])
        thread.start()

    with untouched(backstay, database), pytest.raises(StagingChangedError):
        await restore(backstay, manifest.backup_id, in_swap(begin))
    thread.join()


async def test_a_writer_who_waits_longer_than_the_rename_does_not_win(
    backstay, database, changed, monkeypatch
):
    """Who was kept waiting by a lock on a table writes before the RENAME, and is found all the same."""
    manifest = await changed("InnoDB")
    threads: list[threading.Thread] = []

    def begin() -> None:
        place = waiting(backstay.url, database)
        locker = Sql(backstay.url, place)
        locker.run("LOCK TABLES b READ, c READ")

        def write() -> None:
            with Sql(backstay.url, place) as other, contextlib.suppress(pymysql.MySQLError):
                other.run("INSERT INTO c VALUES (77, 77)")

        threads.append(threading.Thread(target=write))
        threads.append(threading.Timer(0.5, locker.close))
        for thread in threads:
            thread.start()

    before_rename(monkeypatch, begin)
    with untouched(backstay, database), pytest.raises(StagingChangedError):
        await restore(backstay, manifest.backup_id, Progress())
    for thread in threads:
        thread.join()


async def test_what_the_application_writes_at_once_is_no_forgery(backstay, sql, database, make):
    """An application that writes before the last look neither fails a restore nor loses a row."""
    make("InnoDB")
    manifest = await backstay.backup(database)
    before = snapshot(backstay.url, database)
    change(sql)
    over = threading.Event()
    written: list[int] = []

    def write() -> None:
        with Sql(backstay.url, database) as application:
            number = 1000
            while not over.is_set():
                number += 1
                with contextlib.suppress(pymysql.MySQLError):
                    application.run(f"INSERT INTO c VALUES ({number}, 0)")
                    written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        result = await restore(backstay, manifest.backup_id, Progress())
    finally:
        over.set()
        thread.join()

    assert result.warnings == ()
    assert len(written) > 10
    assert sql.run("SELECT COUNT(*) FROM c WHERE id > 1000")[0][0] > 0
    sql.run("DELETE FROM c WHERE id > 1000")
    assert_same(before, snapshot(backstay.url, database))


@pytest.mark.long
@pytest.mark.parametrize(("engine", "kind"), ATTACKED_LATER)
async def test_kept_tables_that_changed_are_not_brought_back(
    kind, engine, backstay, sql, database, changed
):
    """An undo refuses tables that others wrote to while they were kept."""
    manifest = await changed(engine)
    result = await restore(backstay, manifest.backup_id, Progress())
    (kept,) = scratch(sql, database)
    await asyncio.sleep(1.1)  # the server counts writes by seconds
    attack(backstay.url, kind, kept)

    with untouched(backstay, database), pytest.raises((StagingChangedError, UndoExpiredError)):
        await backstay.recoveries.undo(result.restore_id)


@pytest.mark.parametrize("engine", cases(ENGINES))
async def test_an_undo_brings_back_what_was_kept(engine, backstay, database, changed):
    """What nobody touched comes back, without a warning, on every engine."""
    manifest = await changed(engine)
    before = snapshot(backstay.url, database)
    result = await restore(backstay, manifest.backup_id, Progress())

    undo = await backstay.recoveries.undo(result.restore_id)

    assert (result.warnings, undo.warnings) == ((), ())
    assert_same(before, snapshot(backstay.url, database))


@pytest.mark.long
@pytest.mark.parametrize("kind", some(["drop", "update", "replace", "add an index", "rename"], 3))
async def test_kept_tables_that_change_right_before_the_rename_do_not_stay(
    kind, backstay, sql, database, changed, monkeypatch
):
    """What slips in between the last look of an undo and its RENAME is found after it."""
    manifest = await changed("InnoDB")
    result = await restore(backstay, manifest.backup_id, Progress())
    (kept,) = scratch(sql, database)
    before_rename(monkeypatch, lambda: attack(backstay.url, kind, kept))

    live = snapshot(backstay.url, database)
    with pytest.raises(StagingChangedError):
        await backstay.recoveries.undo(result.restore_id)

    assert_same(live, snapshot(backstay.url, database))


@pytest.mark.long
@pytest.mark.parametrize("kind", some(["drop", "update", "replace", "add an index"], 2))
async def test_a_drill_whose_tables_changed_shows_nothing(
    kind, backstay, sql, database, make, monkeypatch
):
    """A drill ends with an error when others change its tables before it has looked at all."""
    make("InnoDB")
    manifest = await backstay.backup(database)
    original = backstay.recoveries._drills._make_objects

    async def make_objects(held, state):
        await original(held, state)
        await asyncio.sleep(1.1)  # the server counts writes by seconds
        await asyncio.to_thread(attack, backstay.url, kind, waiting(backstay.url, database))

    monkeypatch.setattr(backstay.recoveries._drills, "_make_objects", make_objects)
    plan = await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    with untouched(backstay, database), pytest.raises(StagingChangedError):
        await backstay.recoveries.drill(plan)
