"""Restores and recoveries that fail, or are cancelled, when they are done already have succeeded."""

import asyncio
import errno
import os

from pydantic import SecretStr

from app.config import Settings
from app.domain.restores.journal import RestorePhase
from app.domain.restores.points import RecoverRequest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Progress
from app.services.jobs import Jobs
from app.services.point_in_time.jobs import RecoveryJobs
from app.services.restores.service import RecoveryService
from app.storage.journals import Journals
from app.storage.kernel import Kernel
from tests.fixtures.clocks import SystemClock
from tests.fixtures.point_in_time import PointsInTime
from tests.fixtures.restored_shop import LATER
from tests.oracle.snapshots import assert_same, snapshot


class FullAtTheEnd(Kernel):
    """A disk that is full when the last state of a restore is to be written."""

    def write(self, fd, data):
        """Write anything else."""
        if b'"forgotten"' in bytes(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)


async def test_a_restore_that_is_done_has_succeeded_whatever_comes_after(backstay, sql, shop):
    """Nothing is kept for an undo, and the disk is full when that is to be written down."""
    manifest = await backstay.backup(shop)
    before = snapshot(backstay.url, shop)
    sql.script(LATER)
    journals = Journals(backstay.directory.parent / "state", FullAtTheEnd())
    recoveries = RecoveryService(
        server=backstay.target,
        catalogue=backstay.catalogue,
        clock=SystemClock(),
        journals=journals,
        backups=backstay.backups,
        undo_minutes=0,
    )
    settings = Settings(database_url=SecretStr(backstay.url))
    jobs = Jobs(settings, backstay.catalogue, backstay.backups, lambda: recoveries)
    job = await jobs.restore(RestoreRequest(manifest.backup_id, create_backup=False))

    result = await job.work(Progress())

    assert result.restore_id == job.restore_id
    assert any("no space left" in warning for warning in result.warnings)
    assert_same(before, snapshot(backstay.url, shop))
    (journal,) = journals.all()
    assert journal.phase is RestorePhase.DONE


async def test_a_recovery_that_is_cancelled_when_it_has_published_has_succeeded(
    own_server, server_template, tmp_path
):
    """Its scratch server is still ended; the backup is there, so nobody calls the run cancelled."""
    points = PointsInTime(own_server(), tmp_path, server_template)
    points.sql.script(["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"])
    base = await points.backup()
    points.sql.run("INSERT INTO shop.t VALUES (1)")
    points.archive()
    job = RecoveryJobs(points.service).recovery(RecoverRequest(points.position()))
    work = asyncio.ensure_future(job.work(Progress()))
    listed = points.backups / "metadata.json"
    while listed.read_text().count('"checksum"') < 2:  # it is published, and nothing takes it back
        assert not work.done(), work.exception()
        await asyncio.sleep(0.001)  # the least that lets others work

    work.cancel()
    made = await work

    assert made.recovered_from == base.backup_id
    assert points.catalogue.manifest(made.backup_id) == made
    assert not list((points.state / "scratch").glob("*"))
    await points.close()
