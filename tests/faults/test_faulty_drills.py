"""Drills and checks while something around them fails: nothing false is held against a backup."""

import asyncio
import os
import sqlite3
from contextlib import closing

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.domain.alerts.alert import AlertKind
from app.domain.backups.backup import BackupRequest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.errors import ConnectionFailedError, ConnectionLostError, StorageUnavailableError
from app.services.backups.service import BackupService
from app.services.restores.service import RecoveryService
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.faults.test_server_faults import ROWS, Killer, fill
from tests.fixtures.backstay import Backstay
from tests.fixtures.cli import Cli
from tests.fixtures.clocks import SystemClock
from tests.fixtures.dry_runs import left_over
from tests.fixtures.kernels import CountingKernel, FullKernel, KillingKernel
from tests.fixtures.monitored_installation import MonitoredInstallation
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


@pytest.mark.parametrize(("phase", "event"), [(Phase.LOAD, 2), (Phase.PROVE, 1)])
async def test_a_server_that_dies_in_a_drill_proves_nothing(phase, event, own_server, tmp_path):
    """The first error is told with what a repair will do; the backup is as good as before."""
    with own_server() as server:
        with Sql(server.url) as sql:
            fill(sql)
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d", chunk_bytes=1 << 16)
        before = snapshot(server.url, "d")
        plan = await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))

        with pytest.raises((ConnectionLostError, ConnectionFailedError)) as caught:
            await backstay.recoveries.drill(plan, Progress(listener=Killer(server, phase, event)))

        assert "doctor --repair" in caught.value.hint
        assert backstay.catalogue.proofs(manifest.backup_id) == ()
        server.start()
        again = Backstay(server.url, backstay.directory)
        await again.recoveries.repair()
        with Sql(server.url) as sql:
            assert left_over(sql) == []
        assert_same(before, snapshot(server.url, "d"))
        plan = await again.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
        assert (await again.recoveries.drill(plan)).rows_count == ROWS
        for services in (backstay, again):
            await services.target.close()


class AwayStore(LocalStore):
    """A directory as a store, of which nothing can be read while it is away."""

    is_away = False

    def read(self, name, offset, size):
        if self.is_away:
            raise StorageUnavailableError(f"{name}: no answer")
        return super().read(name, offset, size)


async def test_a_store_that_goes_away_in_a_drill_proves_nothing(backstay, sql, database, tmp_path):
    """It says no more of the backup than a server does; when it is there again the drill passes."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    place = tmp_path / "store"
    place.mkdir()
    store = AwayStore(place)
    directory = StoreDirectory("offsite", str(place), store, LocalDirectory(tmp_path / "locks"))
    catalogue = Catalogue(directory)
    backups = BackupService(backstay.target, catalogue, SystemClock())
    recoveries = RecoveryService(
        server=backstay.target,
        catalogue=catalogue,
        clock=SystemClock(),
        journals=backstay.journals,
        backups=backups,
        undo_minutes=0,
    )
    manifest = await backups.create(BackupRequest((database,)))
    plan = await recoveries.plan_drill(RestoreRequest(manifest.backup_id))

    store.is_away = True
    with pytest.raises(StorageUnavailableError):
        await recoveries.drill(plan)
    store.is_away = False

    assert catalogue.proofs(manifest.backup_id) == ()
    assert left_over(sql) == []
    plan = await recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    assert (await recoveries.drill(plan)).rows_count == 2
    (proof,) = catalogue.proofs(manifest.backup_id)
    assert proof.success


async def test_a_drill_passes_though_its_proof_finds_no_room(backstay, sql, database):
    """What it has shown is told, with a warning; nothing half written is left."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    manifest = await backstay.backup(database)
    files = sorted(backstay.directory.iterdir())
    plan = await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    backstay.catalogue.directory.kernel = FullKernel(0)

    result = await backstay.recoveries.drill(plan)

    assert result.rows_count == 2
    (warning,) = result.warnings
    assert "could not be kept with the backup" in warning
    assert sorted(backstay.directory.iterdir()) == files
    assert backstay.catalogue.proofs(manifest.backup_id) == ()


def test_drills_and_checks_need_no_control_database(server, sql, database, tmp_path):
    """It is locked by others: both are done, noted with the backup, and in the history later."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    cli = Cli(server.url, tmp_path)
    backup_id = cli.json("backup", "create", "--database", database, "--no-verify")["backup_id"]
    file = tmp_path / "state" / "control.db"
    impatient = f"sqlite:///{file}?timeout=0.5"
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        drilled = cli.json("restore", "run", backup_id, "--drill", CONTROL_URL=impatient)
        checked = cli.json(
            "backup",
            "check",
            "--all-due",
            DRILL_DAYS="0",
            CHECK_CONTENT_DAYS="1e-6",
            CONTROL_URL=impatient,
        )
        kept = list((tmp_path / "state" / "ends").glob("run_*.json"))
        other.rollback()
        cli.json("backup", "create", "--database", database)
        runs = other.execute("SELECT kind, state FROM runs WHERE kind NOT IN ('backup')").fetchall()

    assert drilled["rows_count"] == 2
    assert [check["success"] for check in checked["checks"]] == [True]
    assert cli.json("backup", "info", backup_id)["proven_at"]
    assert len(kept) == 2
    assert sorted(runs) == [("drill", "succeeded"), ("verification", "succeeded")]


def to_check(home, kernel, *, count=0):
    """Make an installation whose backups are due, with so many new ones."""
    installation = MonitoredInstallation(home, kernel=kernel, drill_days=0)
    if count:
        asyncio.run(installation.write_backups(count))
    installation.clock.advance(days=30)
    return installation


async def checked(installation):
    """Check all that is due."""
    results = await installation.checks.run_due(everything=True)
    await installation.close()
    return results


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_checks_killed_anywhere_are_due_again(tmp_path):
    """Kill -9 after system calls all over them: what is noted was found, and the next pass does the rest."""
    kernel = CountingKernel()
    whole = to_check(tmp_path / "count", kernel, count=3)
    begin = kernel.count
    assert len(asyncio.run(checked(whole))) == 3
    left = set()
    for at in range(1, kernel.count - begin, series(20, 7)):
        home = tmp_path / str(at)
        to_check(home, CountingKernel(), count=3)
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(checked(to_check(home, KillingKernel(at))))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        again = to_check(home, CountingKernel())
        results = asyncio.run(checked(again))
        assert all(result.failure is None for result in results)
        assert again.alerts.about(AlertKind.VERIFICATION) == []
        left.add(len(results))

    assert left == {0, 1, 2, 3}
