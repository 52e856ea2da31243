"""The health of backups on a real server: drills, what is unusual, rights that are gone, room."""

import pytest
import pytest_asyncio

from app.domain.alerts.alert import AlertKind
from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Codec, Manifest
from app.domain.checks import CheckResult
from app.domain.places.sizes import size
from app.domain.restores.proofs import proven_at
from app.domain.runs.run import Origin, Requester, RunKind, RunState
from app.domain.schedule import Frequency, Schedule, ScheduleOptions
from app.errors import StorageFullError
from app.services.backups.options import BackupOptions
from tests.fixtures.accounts import READER, account, login, refused_login
from tests.fixtures.cli import Frozen
from tests.fixtures.clocks import SystemClock
from tests.fixtures.dry_runs import left_over
from tests.fixtures.kernels import FreeSpaceKernel
from tests.fixtures.monitored_installation import MonitoredInstallation, damage


ANN = Requester("ann", Origin.API)


@pytest_asyncio.fixture
async def here(server, tmp_path, sql, database):
    """An installation with a database of one table; only drills are due."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(99))",
        "INSERT INTO t SELECT seq, SHA2(seq, 256) FROM seq_1_to_1000",
        "ANALYZE TABLE t",  # the server's estimates are up to date, as they are sooner or later
    ])
    made = MonitoredInstallation(
        tmp_path, server.url, check_sizes_days=0, check_hashes_days=0, check_content_days=0
    )
    made.clock.at = SystemClock().now()
    yield made
    await made.close()


def code(result: CheckResult) -> str:
    """Code of what was wrong; empty when nothing."""
    return result.failure.code if result.failure else ""


async def back_up(here: MonitoredInstallation, database: str, **options) -> Manifest:
    """Make a backup as a run, a second after the last one."""
    here.clock.advance(seconds=1)
    job = here.jobs.backup(BackupOptions(databases=(database,), **options))
    return await here.runs.perform(job, ANN)


# -- drills ----------------------------------------------------------------------------------------


async def test_the_newest_backup_is_drilled_when_that_is_due(here, sql, database):
    """Once in the interval; it is proven then, and nothing of the drill is left on the server."""
    old = await back_up(here, database)
    new = await back_up(here, database)
    await back_up(here, database, recovery_point=True)

    found = await here.checks.run_due()
    again = await here.checks.run_due()
    here.clock.advance(days=31)
    later = await here.checks.run_due()

    assert [(check.backup_id, check.what, code(check)) for check in found] == [
        (new.backup_id, "drill", "")
    ]
    assert (again, len(later)) == ((), 1)
    assert proven_at(here.catalogue.proofs(new.backup_id)) == here.clock.at
    assert here.catalogue.proofs(old.backup_id) == ()
    run = here.recorder.runs[-1]
    assert (run.kind, run.state, run.requested_by) == (RunKind.DRILL, RunState.SUCCEEDED, "checks")
    assert left_over(sql) == []
    assert here.alerts.raised == {}
    health = await here.backup_monitor.health.read()
    assert health.proven_at == here.clock.at


async def test_a_drill_that_fails_raises_an_alert_until_one_succeeds(here, database):
    """Also one of a newer backup; it is not tried again before its time."""
    manifest = await back_up(here, database)
    damage(here.path, manifest)

    found = await here.checks.run_due()
    assert [(check.what, code(check)) for check in found] == [("drill", "checksum-mismatch")]
    assert here.alerts.about(AlertKind.DRILL) == [manifest.backup_id]
    assert "checksum-mismatch" in here.alerts.message(AlertKind.DRILL)
    here.clock.advance(days=1)
    assert await here.checks.run_due() == ()

    await back_up(here, database)
    here.restart()
    here.clock.advance(days=30)
    assert [code(check) for check in await here.checks.run_due()] == [""]
    assert here.alerts.about(AlertKind.DRILL) == []


async def test_a_drill_without_its_server_is_tried_again_in_the_next_pass(here, database, tmp_path):
    """It has shown nothing of the backup; the alert is about the server."""
    await back_up(here, database)
    away = MonitoredInstallation(tmp_path)
    away.clock.at = here.clock.at

    assert [code(check) for check in await away.checks.run_due()] == ["connection-failed"]
    assert away.alerts.raised == {}
    assert [code(check) for check in await here.checks.run_due()] == [""]
    await away.close()


# -- what is unusual -------------------------------------------------------------------------------


async def test_a_backup_far_from_those_before_it_raises_an_alert(here, sql, database):
    """By its schedule, until one is as usual again; what was asked for by hand is another story."""
    for _ in range(3):
        await back_up(here, database, schedule="nightly")
        await back_up(here, database)
    assert here.alerts.raised == {}
    sql.run("DELETE FROM t WHERE id > 100")

    short = await back_up(here, database, schedule="nightly")
    assert here.alerts.about(AlertKind.UNUSUAL) == ["nightly"]
    message = here.alerts.message(AlertKind.UNUSUAL)
    assert short.backup_id in message
    assert "100 rows instead of about 1000" in message

    await back_up(here, database)
    assert here.alerts.about(AlertKind.UNUSUAL) == ["manual", "nightly"]
    sql.run("INSERT INTO t SELECT seq, SHA2(seq, 256) FROM seq_101_to_1000")
    await back_up(here, database, schedule="nightly")
    assert here.alerts.about(AlertKind.UNUSUAL) == ["manual"]


async def test_a_backup_of_something_else_is_not_compared(here, sql, database):
    """Other tables, or no rows: fewer are what was asked for."""
    for _ in range(3):
        await back_up(here, database, schedule="nightly")

    await back_up(here, database, schedule="nightly", include_data=False)
    sql.run("CREATE TABLE small (id INT PRIMARY KEY)")
    await back_up(here, database, schedule="nightly", tables=("small",))

    assert here.alerts.raised == {}


# -- rights and the server -------------------------------------------------------------------------


async def test_a_right_that_is_taken_away_raises_an_alert(here, sql, database, tmp_path):
    """With its name and the GRANT; it is quiet again with the next look after it is back."""
    grants = [f"{right} ON `{database}`.*" for right in READER]
    with account(sql, *grants, "SHOW DATABASES ON *.*") as name:
        limited = MonitoredInstallation(tmp_path, f"{login(here_url(here), name)}{database}")
        monitor = limited.environment_monitor()
        await monitor.check()
        assert limited.alerts.about(AlertKind.CREDENTIAL) == []

        sql.run(f"REVOKE TRIGGER ON `{database}`.* FROM {name}@'%'")
        await monitor.check()
        assert f"TRIGGER on `{database}`" in limited.alerts.message(AlertKind.CREDENTIAL)
        (alert,) = limited.alerts.raised.values()
        assert alert.hint.startswith("GRANT TRIGGER ON")

        sql.run(f"GRANT TRIGGER ON `{database}`.* TO {name}@'%'")
        await monitor.check()
        assert limited.alerts.raised == {}
        await limited.close()


def here_url(here: MonitoredInstallation) -> str:
    """The address of the server."""
    return here.settings.database_url.get_secret_value()


async def test_rights_are_those_that_the_schedules_need(here, sql, database, tmp_path):
    """One that asks for single tables needs less; one whose database is gone asks for no right."""
    grants = [
        f"SELECT ON `{database}`.t",
        f"TRIGGER ON `{database}`.t",
        f"SHOW VIEW ON `{database}`.t",
    ]
    with account(sql, *grants) as name:
        limited = MonitoredInstallation(tmp_path, login(here_url(here), name))
        monitor = limited.environment_monitor()
        options = ScheduleOptions(databases=(database,), tables=("t",))
        single = Schedule("single", Frequency.DAILY, limited.clock.at, options=options)
        gone = ScheduleOptions(databases=("no_such_database",))
        lost = Schedule("lost", Frequency.DAILY, limited.clock.at, options=gone)
        limited.schedules.change(lambda _: (single, lost))
        await monitor.check()
        assert limited.alerts.about(AlertKind.CREDENTIAL) == []

        whole = Schedule(
            "whole", Frequency.DAILY, limited.clock.at, options=ScheduleOptions((database,))
        )
        limited.schedules.change(lambda _: (single, whole))
        await monitor.check()
        assert "EVENT" in limited.alerts.message(AlertKind.CREDENTIAL)
        await limited.close()


async def test_a_wrong_password_raises_an_alert_and_is_not_shown(sql, tmp_path):
    """The user is named."""
    wrong = MonitoredInstallation(tmp_path, refused_login(sql, "hunter2"))
    await wrong.environment_monitor().check()

    message = wrong.alerts.message(AlertKind.CREDENTIAL)
    assert "access denied for 'root'" in message
    assert "hunter2" not in message
    await wrong.close()


async def test_a_server_that_hangs_raises_an_alert_in_time(own_server, tmp_path):
    """The monitor does not wait with it, which would be for ever."""
    server = own_server()
    here = MonitoredInstallation(tmp_path, server.url, timeout=2)
    here.server.timeout_seconds = 2
    with Frozen(server.pid):
        await here.environment_monitor().check()
    assert here.alerts.about(AlertKind.CREDENTIAL) == ["server"]
    await here.close()


# -- room ------------------------------------------------------------------------------------------


async def test_a_backup_that_would_fill_the_disk_does_not_begin(server, tmp_path, here, database):
    """By the last one that was asked for and compressed in the same way; both numbers are told."""
    kernel = FreeSpaceKernel(1 << 40)
    small = MonitoredInstallation(tmp_path / "small", server.url, kernel=kernel)
    request = BackupRequest(databases=(database,), codec=Codec.NONE)
    last = await small.backups.create(request)
    before = sorted(path.name for path in small.path.iterdir())
    kernel.free = last.size

    with pytest.raises(StorageFullError) as caught:
        await small.backups.create(request)

    assert caught.value.title == "Insufficient disk space"
    assert f"{size(last.size)} are free" in str(caught.value)
    assert last.backup_id in str(caught.value)
    assert size(1.2 * last.size) in str(caught.value)
    assert sorted(path.name for path in small.path.iterdir()) == before
    await small.backups.create(BackupRequest(databases=(database,), codec=Codec.ZSTD))
    await small.backups.create(
        BackupRequest(databases=(database,), codec=Codec.NONE, include_data=False)
    )
    kernel.free = round(1.2 * last.size) + 1
    await small.backups.create(request)
    await small.close()


async def test_a_database_that_has_shrunk_needs_less(server, sql, tmp_path, here, database):
    """What was deleted since the last backup does not keep the next one from being made."""
    sql.run("INSERT INTO t SELECT seq, REPEAT('x', 99) FROM seq_1001_to_100000")
    kernel = FreeSpaceKernel(1 << 40)
    small = MonitoredInstallation(tmp_path / "small", server.url, kernel=kernel)
    request = BackupRequest(databases=(database,), codec=Codec.NONE)
    last = await small.backups.create(request)
    sql.script(["TRUNCATE t", "INSERT INTO t VALUES (1, 'one')", "ANALYZE TABLE t"])
    kernel.free = last.size // 10

    made = await small.backups.create(request)
    await small.close()

    assert made.size < last.size // 10


async def test_a_backup_of_a_large_database_without_any_before_it_asks_the_server(
    server, sql, tmp_path, here, database
):
    """No codec makes typical SQL smaller than a tenth; definitions alone need no such room."""
    sql.script([
        "INSERT INTO t SELECT seq, REPEAT('x', 99) FROM seq_1001_to_50000",
        "ANALYZE TABLE t",
    ])
    small = MonitoredInstallation(tmp_path / "small", server.url, kernel=FreeSpaceKernel(100_000))

    with pytest.raises(StorageFullError, match="of data"):
        await small.backups.create(BackupRequest(databases=(database,)))
    await small.backups.create(BackupRequest(databases=(database,), include_data=False))
    await small.close()
