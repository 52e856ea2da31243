"""Restores in place that are cancelled, lack rights, meet others, or are in the binary log."""

import asyncio
import subprocess
from typing import Any

import pytest

from app.domain.restores.journal import RestorePhase
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.swap.rename import hold_locks, is_locked
from app.errors import AlreadyRunningError, PermissionDeniedError
from app.services.restores import swap
from tests.fixtures.accounts import ROUTINE_RIGHT, account, as_account
from tests.fixtures.backstay import Backstay, client_arguments
from tests.fixtures.chosen_server import BINLOG, CLIENT, IS_MYSQL
from tests.fixtures.restored_shop import LATER, SHOP, drop, scratch, untouched
from tests.fixtures.series import some
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# MySQL tells that it guards an owner, as root is, only to whoever may name owners at all.
BESIDES = (
    ("SHOW_ROUTINE, SYSTEM_USER ON *.*",)
    if IS_MYSQL
    else (ROUTINE_RIGHT if " on " in ROUTINE_RIGHT else f"{ROUTINE_RIGHT} ON *.*",)
)
FENCE_RIGHT, LOG_STATUS = (
    ("SUPER", "SHOW BINARY LOG STATUS") if IS_MYSQL else ("READ_ONLY ADMIN", "SHOW MASTER STATUS")
)


# -- cancelled -------------------------------------------------------------------------------------


class Cancelling(Progress):
    """Cancels a task when a phase begins for the n-th time."""

    def __init__(self, phase: Phase, count: int) -> None:
        super().__init__()
        self.left = [phase] * count
        self.task: asyncio.Task[Any] | None = None

    def enter(self, phase: Phase) -> None:
        super().enter(phase)
        if self.left and phase is self.left[0]:
            self.left.pop()
            if not self.left and self.task:
                self.task.get_loop().call_soon_threadsafe(self.task.cancel)


PHASES = (
    (Phase.PREFLIGHT, 1),
    (Phase.VERIFY, 1),
    (Phase.RECOVERY_POINT, 1),
    (Phase.DUMP, 1),
    (Phase.LOAD, 1),
    (Phase.PROVE, 1),
    (Phase.SWAP, 1),
    (Phase.PROVE, 2),
)


@pytest.mark.long
@pytest.mark.parametrize(("phase", "count"), some(PHASES, 4))
async def test_a_restore_cancelled_in_any_phase_changes_nothing(phase, count, backstay, sql, shop):
    """Whenever a restore is cancelled, the database is exactly as before, and nothing is left."""
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    progress = Cancelling(phase, count)
    request = RestoreRequest(manifest.backup_id)
    with untouched(backstay, shop):
        progress.task = asyncio.create_task(
            backstay.recoveries.restore(await backstay.recoveries.plan(request), progress)
        )
        with pytest.raises(asyncio.CancelledError):
            await progress.task

    await backstay.restore(manifest)


# -- rights ----------------------------------------------------------------------------------------


async def test_missing_rights_are_named_and_the_hint_is_enough(own_server, tmp_path):
    """Missing rights are named before anything changes, and what the hint grants is enough."""
    with own_server("--skip-log-bin") as server, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE a_shop", "USE a_shop", *SHOP])
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("a_shop")
        sql.script(LATER)
        with account(sql, "ALL ON `a\\_shop`.*", *BESIDES) as name:
            async with as_account(backstay, name) as limited:
                with untouched(backstay, "a_shop"), pytest.raises(PermissionDeniedError) as caught:
                    await limited.restore(manifest)
            assert "`a\\_shop\\_\\_bk\\_%`.*" in caught.value.hint
            sql.script(statement for statement in caught.value.hint.split(";") if statement.strip())
            async with as_account(backstay, name) as limited:
                result = await limited.restore(manifest)
                assert result.fence == "none"
                assert any("may not set read_only" in warning for warning in result.warnings)
                await limited.prove(manifest.backup_id)
                undo = await limited.recoveries.undo(result.restore_id)
                assert undo.fence == "none"
            sql.run(f"GRANT {FENCE_RIGHT} ON *.* TO {name}@'%'")
            async with as_account(backstay, name) as limited:
                again = await limited.restore(manifest)
                assert again.fence == "read_only"
                assert not any("read_only" in warning for warning in again.warnings)
        await backstay.target.close()


# -- two at once -----------------------------------------------------------------------------------


async def test_of_two_restores_of_one_database_one_is_refused(backstay, sql, shop):
    """Of two restores of the same database at once, one is refused and the other is complete."""
    manifest = await backstay.backup(shop)
    before = snapshot(backstay.url, shop)
    sql.script(LATER)

    ends = await asyncio.gather(
        backstay.restore(manifest), backstay.restore(manifest), return_exceptions=True
    )

    errors = [end for end in ends if isinstance(end, BaseException)]
    assert [type(error) for error in errors] == [AlreadyRunningError]
    assert_same(before, snapshot(backstay.url, shop))


async def test_a_restore_leaves_one_that_waits_for_locks_alone(backstay, sql, shop, monkeypatch):
    """A restore that comes later leaves the one at work alone, and is refused."""
    monkeypatch.setattr(swap, "_MOST_LOCK_WAIT_SECONDS", 0)
    manifest = await backstay.backup(shop)
    copy = await backstay.copy(manifest)
    other = await backstay.backup(copy)
    waiting = asyncio.Event()

    def listener(progress):
        if progress.phase is Phase.SWAP:
            waiting.set()

    with Sql(backstay.url, shop) as holder:
        holder.script(["START TRANSACTION", "SELECT * FROM customer"])
        request = RestoreRequest(manifest.backup_id, create_backup=False)
        first = asyncio.create_task(
            backstay.recoveries.restore(
                await backstay.recoveries.plan(request), Progress(listener=listener)
            )
        )
        await waiting.wait()
        with pytest.raises(AlreadyRunningError):
            await backstay.restore(manifest)
        beside = await backstay.restore(other)
        holder.run("ROLLBACK")
    result = await first

    assert result.databases == (shop,)
    assert beside.databases == (copy,)
    phases = [
        journal.phase
        for journal in backstay.journals.all()
        if journal.phase is not RestorePhase.FORGOTTEN
    ]
    assert phases == [RestorePhase.DONE] * len(phases)
    drop(sql, copy)


# -- the binary log --------------------------------------------------------------------------------


async def test_a_restore_reaches_a_replica_wholly_or_not_at_all(own_server, tmp_path):
    """A restore, its undo and another restore reach a replica by the log; a skipped one leaves no trace."""
    with own_server() as server, own_server("--skip-log-bin") as spare, Sql(server.url) as sql:
        sql.script(["CREATE DATABASE shop", "USE shop", *SHOP])
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("shop")
        sql.script(LATER)
        result = await backstay.restore(manifest)
        undo = await backstay.recoveries.undo(result.restore_id)
        again = await backstay.restore(manifest, tables=("customer", "purchase"))
        live = snapshot(server.url, "shop")
        kept = scratch(sql)
        ((first, *_),) = sql.run("SHOW BINARY LOGS")
        await asyncio.to_thread(replay, server.url, spare.url, first)
        with Sql(spare.url) as replica:
            assert scratch(replica) == kept
        assert_same(live, snapshot(spare.url, "shop"))
        for name in kept:
            assert_same(snapshot(server.url, name), snapshot(spare.url, name))

        before = sql.run(LOG_STATUS)
        silent = await backstay.restore(manifest, skip_binlog=True)
        assert sql.run(LOG_STATUS) == before
        await backstay.recoveries.undo(silent.restore_id)
        assert sql.run(LOG_STATUS) == before
        assert_same(live, snapshot(server.url, "shop"))
        await backstay.target.close()

    assert [result.binary_log, again.binary_log] == ["written", "written"]
    assert undo.warnings == ()
    assert silent.binary_log == "skipped"
    assert any("not in the binary log" in warning for warning in silent.warnings)


def replay(source, target, first):
    """Run on one server what the binary log of another has from a file on."""
    read = [BINLOG, "--read-from-remote-server", *client_arguments(source)]
    log = subprocess.run([*read, "--to-last-log", first], capture_output=True, check=True)
    write = [CLIENT, "--no-defaults", "--binary-mode", *client_arguments(target)]
    done = subprocess.run(write, input=log.stdout, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]


async def test_locks_are_given_back_before_the_connection_ends(backstay, database):
    """Or the next restore would have to wait until the server has noticed that it is closed."""
    async with backstay.target.session() as session:
        async with hold_locks(session, [database]):
            assert await is_locked(session, database)
        assert not await is_locked(session, database)


# -- names that begin alike ------------------------------------------------------------------------


async def test_databases_whose_long_names_begin_alike_change_places_together(
    backstay, sql, database
):
    """What they have in common takes all the room in the names of their schemas; each has its own all the same."""
    names = [f"{database}_{'x' * 40}_{end}" for end in "abc"]
    for number, name in enumerate(names):
        sql.script([
            f"CREATE DATABASE {name}",
            f"CREATE TABLE {name}.t (id INT PRIMARY KEY)",
            f"INSERT INTO {name}.t VALUES ({number})",
        ])
    manifest = await backstay.backup(*names)
    backed_up = [snapshot(backstay.url, name) for name in names]
    sql.script(f"DELETE FROM {name}.t" for name in names)
    before = [snapshot(backstay.url, name) for name in names]

    await backstay.recoveries.drill(
        await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    )
    result = await backstay.restore(manifest)
    restored = [snapshot(backstay.url, name) for name in names]
    undo = await backstay.recoveries.undo(result.restore_id)
    undone = [snapshot(backstay.url, name) for name in names]
    await backstay.recoveries.undo(undo.restore_id)

    for name, found, now, then in zip(names, backed_up, restored, undone, strict=True):
        assert_same(found, now)
        assert_same(before[names.index(name)], then)
        assert_same(found, snapshot(backstay.url, name))
