"""Restores that fail when they are done already have succeeded, and say what failed."""

import errno
import os

from pydantic import SecretStr

from app.config import Settings
from app.domain.restores.journal import RestorePhase
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Progress
from app.services.jobs import Jobs
from app.services.restores.service import RecoveryService
from app.storage.journals import Journals
from app.storage.kernel import Kernel
from tests.fixtures.clocks import SystemClock
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
