"""Drills: a backup is restored beside the live data, proven and dropped; what was shown stays with it."""

import asyncio
from concurrent.futures import Future
from contextlib import contextmanager

import pytest
import pytest_asyncio

from app.domain.backups.manifest import Manifest
from app.domain.restores.proofs import Proof, proven_at
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.errors import (
    ChecksumMismatchError,
    InvalidRequestError,
    PermissionDeniedError,
    RestoreNotFoundError,
    UndoExpiredError,
)
from tests.fixtures.accounts import ALWAYS, account, as_account
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL, NO_SEQUENCES
from tests.fixtures.dry_runs import disk, drop, left_over, schemas, written
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


RIGHTS = (
    "SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "TRIGGER", "CREATE VIEW",
    "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT",
)  # fmt: skip


@pytest_asyncio.fixture
async def here(server, tmp_path, database):
    """The services; what restores kept is dropped."""
    made = Backstay(server.url, tmp_path / "backups")
    yield made
    with Sql(server.url) as cleaner:  # its foreign keys would hold what close() drops
        drop(cleaner, database)
    await made.close()


@contextmanager
def untouched(backstay, sql, *databases):
    """Fail unless a block leaves databases, journals and the list of schemas as they were."""
    before = [snapshot(backstay.url, name) for name in databases]
    names = schemas(sql)
    yield
    assert schemas(sql) == names
    assert not [name for name in disk(backstay) if name.endswith(".json") and "restore_" in name]
    for name, state in zip(databases, before, strict=True):
        assert_same(state, snapshot(backstay.url, name))


SILENCE = "SESSION_VARIABLES_ADMIN" if IS_MYSQL else "BINLOG ADMIN"
GTIDS = f"SELECT @@GLOBAL.{'gtid_executed' if IS_MYSQL else 'gtid_binlog_pos'}"


def _shop(sql):
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(99), KEY (s))",
        "INSERT INTO t SELECT seq, SHA2(seq, 256) FROM seq_1_to_1000",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + 1",
        "CREATE PROCEDURE p() SELECT COUNT(*) FROM t",
        "CREATE TABLE s (id INT)" if IS_MYSQL else "CREATE SEQUENCE s",
    ])


def _damage(backstay, manifest):
    file = backstay.file(manifest)
    data = file.read_bytes()
    member = next(member for member in manifest.members if member.kind == "data")
    place = member.offset + member.size // 2
    file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


def _proofs(backstay: Backstay, manifest: Manifest) -> tuple[Proof, ...]:
    return backstay.catalogue.proofs(manifest.backup_id)


async def test_a_drill_proves_and_leaves_only_its_proof(here, sql, database):
    """All tables, rows and objects are shown to come back; the live data, changed since, is not touched."""
    _shop(sql)
    manifest = await here.backup(database, chunk_bytes=1 << 14)
    sql.script(["DELETE FROM t WHERE id < 900", "DROP VIEW v", "CREATE TABLE later (id INT)"])
    files = disk(here).keys()

    with untouched(here, sql, database):
        result = await here.recoveries.drill(
            await here.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
        )

    (proof,) = _proofs(here, manifest)
    assert (result.tables_count, result.rows_count, result.databases) == (2, 1000, (database,))
    assert result.warnings == ()
    new = {name.rpartition("/")[2] for name in disk(here).keys() - files} - ALWAYS
    assert {name for name in new if not name.startswith(".spare-")} == {
        f"{manifest.file}.proofs.json"
    }
    assert (proof.by, proof.success, proof.whole, proof.error) == ("drill", True, True, "")
    assert (proof.tables, proof.rows, proof.seconds) == (2, 1000, result.duration)


async def test_the_estimate_is_that_of_the_last_drill(here, sql, database):
    """Before any drill a typical rate is used, afterwards what was measured."""
    _shop(sql)
    manifest = await here.backup(database)
    request = RestoreRequest(manifest.backup_id)

    before = (await here.recoveries.dry_run(await here.recoveries.plan(request))).estimate
    drill = await here.recoveries.drill(await here.recoveries.plan_drill(request))
    after = (await here.recoveries.dry_run(await here.recoveries.plan(request))).estimate
    await here.recoveries.restore(await here.recoveries.plan(request))
    last = (await here.recoveries.options(manifest.backup_id)).estimate

    assert (before.by, after.by, last.by) == ("typical rate", "drill", "restore")
    assert after.seconds == round(drill.duration, 1)


async def test_a_drill_of_some_tables_proves_less_than_the_backup(here, sql, database):
    """Its proof says so, and the backup does not count as proven; nor does one of definitions alone."""
    _shop(sql)
    manifest = await here.backup(database)

    await here.recoveries.drill(
        await here.recoveries.plan_drill(RestoreRequest(manifest.backup_id, tables=("t",)))
    )
    await here.recoveries.drill(
        await here.recoveries.plan_drill(RestoreRequest(manifest.backup_id, schema_only=True))
    )

    assert [(proof.success, proof.whole) for proof in _proofs(here, manifest)] == [
        (True, False)
    ] * 2
    assert proven_at(_proofs(here, manifest)) is None


@NO_SEQUENCES
async def test_a_drill_without_a_sequence_that_a_table_needs_shows_nothing(here, sql, database):
    """It is refused before it begins, with what to choose as well, and says nothing against the backup."""
    sql.script([
        "CREATE SEQUENCE s",
        "CREATE TABLE t (id INT DEFAULT nextval(s) PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
    ])
    manifest = await here.backup(database)

    async def drill(*tables):
        request = RestoreRequest(manifest.backup_id, tables=tables)
        return await here.recoveries.drill(await here.recoveries.plan_drill(request))

    with untouched(here, sql, database), pytest.raises(InvalidRequestError) as caught:
        await drill("t")

    assert str(caught.value).endswith(f"{database}.s, which was not chosen")
    assert f"--table {database}.s" in caught.value.hint
    assert _proofs(here, manifest) == ()
    assert (await drill("t", f"{database}.s")).rows_count == 1


async def test_a_drill_always_reads_back(here, sql, database):
    """Who asks for a drill without the proof gets the proof."""
    _shop(sql)
    manifest = await here.backup(database)

    await here.recoveries.drill(
        await here.recoveries.plan_drill(RestoreRequest(manifest.backup_id, verify_after=False))
    )

    assert proven_at(_proofs(here, manifest)) is not None


async def test_a_drill_of_a_damaged_backup_is_remembered_as_failed(here, sql, database):
    """Its code is kept; an older proof of the same backup still says when it was whole."""
    _shop(sql)
    manifest = await here.backup(database)
    await here.recoveries.drill(
        await here.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    )
    proven = proven_at(_proofs(here, manifest))
    _damage(here, manifest)

    for verify in (True, False):
        with untouched(here, sql, database), pytest.raises(ChecksumMismatchError):
            await here.recoveries.drill(
                await here.recoveries.plan_drill(
                    RestoreRequest(manifest.backup_id, verify_before=verify)
                )
            )

    proofs = _proofs(here, manifest)
    assert [proof.error for proof in proofs] == ["checksum-mismatch", "checksum-mismatch", ""]
    assert [proof.success for proof in proofs] == [False, False, True]
    assert proven_at(proofs) == proven


async def test_a_drill_needs_no_right_on_the_live_database(here, sql, database):
    """The GRANTs in the hint are for the scratch schemas, and they are enough for every next drill."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await here.backup(database)
    request = RestoreRequest(manifest.backup_id)
    with account(sql) as name:
        async with as_account(here, name) as limited:
            with pytest.raises(PermissionDeniedError) as caught:
                await limited.recoveries.drill(await limited.recoveries.plan_drill(request))
            sql.script([
                f"{statement};"
                for statement in caught.value.hint.split(";")
                if "GRANT" in statement
            ])
            for _ in range(2):
                await limited.recoveries.drill(await limited.recoveries.plan_drill(request))
        assert f"`{database}`.*" not in str(sql.run(f"SHOW GRANTS FOR {name}@'%'"))

    assert [proof.error for proof in _proofs(here, manifest)] == ["", "", "permission-denied"]


@pytest.mark.parametrize("phase", [Phase.VERIFY, Phase.LOAD, Phase.INDEX, Phase.PROVE])
async def test_a_cancelled_drill_leaves_nothing_and_proves_nothing(phase, here, sql, database):
    """Whenever it is stopped, its schemas are gone, and no proof was written."""
    _shop(sql)
    manifest = await here.backup(database, chunk_bytes=1 << 14)
    task: asyncio.Task[object]
    loop = asyncio.get_running_loop()

    def stop(progress: Progress) -> None:
        if progress.phase is phase:
            loop.call_soon_threadsafe(task.cancel)

    with untouched(here, sql, database):
        request = RestoreRequest(manifest.backup_id)
        task = asyncio.create_task(
            here.recoveries.drill(
                await here.recoveries.plan_drill(request), Progress(listener=stop)
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task

    assert _proofs(here, manifest) == ()


async def test_events_do_not_fire_in_a_drill(here, sql, database):
    """An event of every second that writes into a live table runs from the live database only."""
    sql.script([
        "CREATE TABLE seen (at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), who VARCHAR(64))",
        "CREATE TABLE ballast (id INT PRIMARY KEY, s CHAR(64), t TEXT, KEY (s))",
        "INSERT INTO ballast SELECT seq, SHA2(seq, 256), REPEAT(seq, 50) FROM seq_1_to_20000",
        (
            "CREATE EVENT every_second ON SCHEDULE EVERY 1 SECOND DO"
            f" INSERT INTO {database}.seen (who) VALUES (DATABASE())"
        ),
    ])
    manifest = await here.backup(database, chunk_bytes=1 << 14)
    sql.run("DROP EVENT every_second")
    (scheduler,) = sql.run("SELECT @@GLOBAL.event_scheduler")
    sql.script(["TRUNCATE seen", "SET GLOBAL event_scheduler = ON"])
    try:
        with written(sql) as statements:
            await here.recoveries.drill(
                await here.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
            )
            await asyncio.sleep(1.2)
        fired = sql.run("SELECT COUNT(*) FROM seen")
    finally:
        sql.run(f"SET GLOBAL event_scheduler = {scheduler[0]}")

    assert fired == [(0,)]
    created = [
        statement
        for statement in statements
        if "EVENT" in statement.upper() and "CREATE" in statement.upper()
    ]
    assert created
    assert proven_at(_proofs(here, manifest)) is not None


async def test_a_drill_stays_out_of_the_binary_log_where_it_may(here, sql, database):
    """With the right for it nothing of it is logged; without, all of it, which replicas then drop again."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await here.backup(database)
    rights = f"{', '.join(RIGHTS)} ON *.*"
    sizes = []
    for grants in ((rights, f"{SILENCE} ON *.*"), (rights,)):
        with account(sql, *grants) as name:
            async with as_account(here, name) as limited:
                before = sql.run(GTIDS)
                await limited.recoveries.drill(
                    await limited.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
                )
                sizes.append(sql.run(GTIDS) == before)

    assert sizes == [True, False]
    assert left_over(sql) == []


async def test_foreign_keys_on_other_databases_do_not_bind_them_in_a_drill(here, sql, database):
    """They are reported as left out; two databases of one backup are drilled together."""
    other = here.new_name()
    sql.script([
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.parent (id INT PRIMARY KEY)",
        f"INSERT INTO {other}.parent VALUES (1), (2)",
        (
            "CREATE TABLE child (id INT PRIMARY KEY,"
            f" CONSTRAINT far FOREIGN KEY (id) REFERENCES {other}.parent (id))"
        ),
        "INSERT INTO child VALUES (1)",
    ])
    alone, both = await here.backup(database), await here.backup(database, other)

    def release(progress: Progress) -> None:  # would fail, or wait, if a key bound the live parent
        if progress.phase is Phase.PROVE:
            with Sql(here.url) as client:
                client.run("SET lock_wait_timeout = 3")
                client.run(f"DELETE FROM {other}.parent WHERE id = 2")
                client.run(f"INSERT INTO {other}.parent VALUES (2)")

    progress = Progress(listener=release)
    with untouched(here, sql, database, other):
        first = await here.recoveries.drill(
            await here.recoveries.plan_drill(RestoreRequest(alone.backup_id)), progress
        )
        second = await here.recoveries.drill(
            await here.recoveries.plan_drill(RestoreRequest(both.backup_id)), progress
        )

    assert first.warnings == (
        f"foreign key far of child on {other}.parent was left out of the drill",
    )
    assert set(second.databases) == {database, other}
    assert second.rows_count == 3


async def test_a_drill_runs_beside_a_restore_of_the_same_database(here, sql, database):
    """Neither waits for, nor refuses, the other; both are proven."""
    _shop(sql)
    manifest = await here.backup(database, chunk_bytes=1 << 14)
    request = RestoreRequest(manifest.backup_id)
    drills: list[Future[object]] = []
    loop = asyncio.get_running_loop()

    async def drill() -> object:
        return await here.recoveries.drill(await here.recoveries.plan_drill(request))

    def begin(progress: Progress) -> None:
        if progress.phase is Phase.LOAD and not drills:
            drills.append(asyncio.run_coroutine_threadsafe(drill(), loop))

    restored = await here.recoveries.restore(
        await here.recoveries.plan(request), Progress(listener=begin)
    )
    await asyncio.wrap_future(drills[0])

    assert restored.verified
    assert sorted(proof.by for proof in _proofs(here, manifest)) == ["drill", "restore"]
    assert [name for name in left_over(sql) if "__bk_new_" in name] == []


async def test_options_tell_what_a_backup_can_do_here(here, sql, database):
    """Tables, disk, proofs, problems; a restore can be undone until it was."""
    _shop(sql)
    manifest = await here.backup(database)
    fresh = await here.recoveries.options(manifest.backup_id)
    restored = await here.restore(manifest)
    after = await here.recoveries.options(manifest.backup_id)
    undone = await here.recoveries.undo(manifest.backup_id)
    last = await here.recoveries.options(manifest.backup_id)

    assert (fresh.problems, fresh.proofs, fresh.undoable) == ((), (), ())
    assert fresh.space.free is not None
    assert fresh.space.needed > sum(table.raw_size for table in manifest.databases[0].tables)
    assert [undoable.restore_id for undoable in after.undoable] == [restored.restore_id]
    assert [proof.by for proof in after.proofs] == ["restore"]
    assert last.undoable == ()
    with pytest.raises(UndoExpiredError) as caught:
        await here.recoveries.undo(manifest.backup_id)
    assert f"restore undo {undone.restore_id}" in caught.value.hint
    with pytest.raises(RestoreNotFoundError):
        await here.recoveries.undo("restore_0123456789ab")


async def test_options_tell_what_is_in_the_way(here, sql, database):
    """A full restore that would be refused is told with its reason."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await here.backup(database, include_data=False)

    options = await here.recoveries.options(manifest.backup_id)

    assert [problem.code for problem in options.problems] == ["incompatible-server"]
