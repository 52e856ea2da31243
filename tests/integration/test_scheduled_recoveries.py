"""Recoveries by schedule: synthetic backups hold what the server holds now, and drills prove points in time."""

from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.binlog.archive.layout import root_of
from app.binlog.status import write_status
from app.bootstrap.monitoring import build_checks
from app.bootstrap.program import Program
from app.config import Settings
from app.domain.backups.retention import RetentionPolicy
from app.domain.checks import CheckResult
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Progress
from app.domain.schedule import Frequency, ScheduleChange, ScheduleKind, ScheduleOptions
from app.errors import BaseUnfitError, PointNotCoveredError
from app.services.backups.options import BackupOptions
from app.storage.local import LocalDirectory
from tests.fixtures.log_archive import archiving, caught_up
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


NO_OTHER_CHECKS: dict[str, Any] = {
    f"{check}_days": 0.0 for check in ("check_sizes", "check_hashes", "check_content", "drill")
}
NIGHTLY = ScheduleChange(
    "nightly",
    Frequency.DAILY,
    kind=ScheduleKind.SYNTHETIC,
    options=ScheduleOptions(level=1),
    retention=RetentionPolicy(count=1),
)


@pytest_asyncio.fixture
async def program(own_server, tmp_path):
    """An installation on a server with a shop; nobody archives yet."""
    url = own_server().url
    with Sql(url) as sql:
        sql.script([
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(60))",
            "INSERT INTO shop.orders (note) VALUES ('one'), ('two')",
        ])
    settings = Settings(
        database_url=SecretStr(url),
        backup_dir=tmp_path / "backups",
        state_dir=tmp_path / "state",
        **NO_OTHER_CHECKS,
    )
    settings.state_dir.mkdir()
    made = Program(settings)
    await made.control.prepare()  # without an audit nothing is pruned
    yield made
    await made.close()


async def run_nightly(program):
    """Run the schedule as cron does."""
    due = await program.schedules.due(name="nightly", force=True)
    await due.job.claim()
    return await due.job.work(Progress())


async def test_a_recovery_is_drilled_when_that_is_due(program):
    """With two backups that read the server, and the log between them; a synthetic one is none of them."""
    url = program.settings.database_url.get_secret_value()
    checks = build_checks(program)
    await program.schedules.set(NIGHTLY)
    with Sql(url) as sql:
        assert await checks.run_due() == ()
        async with archiving(url, program.settings.backup_dir) as archiver:
            await publish(program, archiver, sql)
            await program.jobs.backup(BackupOptions()).work(Progress())
            sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
            await publish(program, archiver, sql)
            await run_nightly(program)
            assert await checks.run_due() == ()
            second = await program.jobs.backup(BackupOptions()).work(Progress())
            await publish(program, archiver, sql)
        (found,) = await checks.run_due()
    again = await build_checks(program).run_due()

    assert found == CheckResult(second.backup_id, "recovery-drill")
    assert again == ()
    health = await program.health.read(anew=True)
    proofs = {backup.backup_id: backup.proofs for backup in health.stored}
    assert [(proof.by, proof.at) for proof in proofs[second.backup_id]] == [
        ("recovery-drill", health.recovery_proven_at)
    ]


async def publish(program, archiver, sql):
    """Tell other processes where the archiver is, as its service does."""
    await caught_up(archiver, sql)
    root = LocalDirectory(root_of(program.settings.backup_dir))
    write_status(root, archiver.status)


async def test_a_synthetic_backup_holds_what_the_server_holds_now(program):
    """It is of its schedule for retention, and the base of the next one; a quiet server is as good."""
    url = program.settings.database_url.get_secret_value()
    await program.schedules.set(NIGHTLY)
    with Sql(url) as sql:
        async with archiving(url, program.settings.backup_dir) as archiver:
            await publish(program, archiver, sql)
            with pytest.raises((BaseUnfitError, PointNotCoveredError)):
                await run_nightly(program)
            base = await program.jobs.backup(BackupOptions()).work(Progress())
            sql.run("INSERT INTO shop.orders (note) VALUES ('three')")
            await publish(program, archiver, sql)
            first = await run_nightly(program)
            expected = snapshot(sql, "shop")
            second = await run_nightly(program)
        with pytest.raises(PointNotCoveredError, match="nothing archives"):
            await run_nightly(program)

    assert (first.recovered_from, second.recovered_from) == (base.backup_id, first.backup_id)
    assert first.options.schedule == "nightly"
    assert (first.options.level, first.rows_count, second.rows_count) == (1, 3, 3)
    # One of the schedule is kept; the base is of none.
    kept = {entry.backup_id for entry in program.catalogue.entries()}
    assert kept == {base.backup_id, second.backup_id}
    (schedule,) = await program.schedules.list()
    assert (schedule.last_backup_id, schedule.last_error) == (
        second.backup_id,
        "point-not-covered",
    )
    request = RestoreRequest(second.backup_id, into="copy", create_backup=False)
    await program.recoveries.restore(await program.recoveries.plan(request))
    with Sql(url) as sql:
        assert_same(expected, snapshot(sql, "copy"))


async def test_a_synthetic_backup_of_everything_is_made_of_no_backup_of_less(program):
    """It would be short, and nobody looks: the databases of a restore's recovery point are all that it would hold."""
    url = program.settings.database_url.get_secret_value()
    await program.schedules.set(NIGHTLY)
    with Sql(url) as sql:
        sql.run("CREATE DATABASE log")
        async with archiving(url, program.settings.backup_dir) as archiver:
            await publish(program, archiver, sql)
            await program.jobs.backup(BackupOptions(databases=("log",))).work(Progress())
            await publish(program, archiver, sql)
            with pytest.raises(BaseUnfitError, match="it holds log alone"):
                await run_nightly(program)
            whole = await program.jobs.backup(BackupOptions()).work(Progress())
            await program.jobs.backup(BackupOptions(databases=("log",))).work(Progress())
            await publish(program, archiver, sql)
            assert (await run_nightly(program)).recovered_from == whole.backup_id
