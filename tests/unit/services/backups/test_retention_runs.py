"""Prunes as runs: what stops one, what it excludes, and what is told."""

import asyncio

import pytest

from app.documents.retention import Pruned
from app.domain.alerts.alert import AlertKind
from app.domain.runs.progress import Progress
from app.domain.runs.run import RunKind
from app.errors import (
    ControlUnavailableError,
    StorageUnavailableError,
)
from app.services.access.audit import AuditService
from app.services.jobs import Jobs
from app.storage.kernel import Kernel
from app.storage.run_locks import RunLocks
from tests.fixtures.backup_store import BackupStore
from tests.fixtures.monitored_installation import MonitoredInstallation


async def test_where_the_audit_cannot_be_written_nothing_more_goes(backup_store):
    """One deletion at most is missing in it; an alert is raised, and the backup that was made stays."""

    class Refusing(AuditService):
        async def record(self, event):
            raise ControlUnavailableError("the control database does not answer")

    await backup_store.days(5)
    audit = backup_store.audit
    backup_store.audit = Refusing(audit._store, audit._heads, audit._keys)
    await backup_store.retention.after_backup(await backup_store.make())
    assert len(backup_store.ids()) == 5
    assert backup_store.alerts.about(AlertKind.FAILURE) == ["old backups"]

    backup_store.audit = audit
    await backup_store.retention.after_backup(await backup_store.make())
    assert len(backup_store.ids()) == 3  # the two newest, and that of the day before
    assert backup_store.alerts.raised == {}


async def test_without_an_audit_nothing_goes_by_itself(backup_store):
    """Who asks for it sees what has gone; nobody else would."""
    made = await backup_store.days(4)
    backup_store.audit = None
    await backup_store.retention.after_backup(made[0])
    assert len(backup_store.ids()) == 4
    assert "audit" in backup_store.alerts.message(AlertKind.FAILURE)

    assert len((await backup_store.retention.prune("os:ann")).deleted) == 2


async def test_two_prunes_never_run_at_once(backup_store):
    """What a backup brings waits for the next one; nothing is wrong."""
    made = await backup_store.days(4)
    held = RunLocks(backup_store.state).acquire(
        "run_1f6a0c9d2b7e4f83", (backup_store.retention.resource,)
    )
    await backup_store.retention.after_backup(made[0])
    assert len(backup_store.ids()) == 4
    held.release()
    await backup_store.retention.after_backup(made[0])

    assert len(backup_store.ids()) == 2
    assert backup_store.alerts.raises == []
    assert [path.name for path in (backup_store.state / "runs").glob("prune_*")] == []


async def test_a_prune_that_cannot_even_look_never_fails_the_backup(backup_store):
    """It is logged, and an alert is raised."""
    made = await backup_store.days(3)
    (backup_store.path / "schedule.json").write_bytes(b"{")
    await backup_store.retention.after_backup(made[0])

    assert len(backup_store.ids()) == 3
    assert "schedule.json" in backup_store.alerts.message(AlertKind.FAILURE)


async def test_a_prune_is_a_run_that_excludes_others(tmp_path):
    """Its job has the lock, and its document is that of the command."""
    there = MonitoredInstallation(tmp_path)
    backup_store = BackupStore(tmp_path, max_backups=1)
    await backup_store.days(2)
    jobs = Jobs(
        backup_store.settings,
        backup_store.catalogue,
        there.backups,
        lambda: there.recoveries,
        lambda _store: backup_store.retention,
    )
    job = await jobs.prune("os:ann")

    assert (job.kind, job.resources) == (RunKind.PRUNE, (backup_store.retention.resource,))
    assert job.document(await job.work(Progress())).model_dump()["kept"] == 1
    await there.close()


async def test_a_cancelled_prune_ends_after_a_whole_deletion(backup_store):
    """Nothing is half deleted, and what is gone is in the audit."""
    begun = asyncio.Event()

    class Telling(AuditService):
        async def record(self, event):
            await super().record(event)
            begun.set()

    await backup_store.days(12)
    backup_store.audit = Telling(
        backup_store.audit._store, backup_store.audit._heads, backup_store.audit._keys
    )
    task = asyncio.create_task(backup_store.retention.prune())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert 2 < len(backup_store.ids()) < 12
    assert len(backup_store.ids()) + len(await backup_store.audited()) == 12
    assert backup_store.catalogue.sweep() == ()


async def test_a_medium_that_refuses_ends_the_prune(backup_store):
    """
    It is told with the backup, and nothing more is tried.

    Its manifest has gone first: it is no backup any more, which the audit says, and swept later.
    """

    class Refusing(Kernel):
        def unlink(self, path):
            raise OSError(5, "Input/output error")

    made = await backup_store.days(5)
    backup_store.kernel = Refusing()
    result = await backup_store.retention.prune()

    assert [type(error) for _, error in result.failed] == [StorageUnavailableError]
    assert Pruned.of(result).model_dump()["success"] is False
    assert [verdict.item.backup_id for verdict in result.deleted] == [made[4].backup_id]
    assert backup_store.ids() == [manifest.backup_id for manifest in made[:4]]
    told = ("retention", "delete_backup", made[4].backup_id, "storage-unavailable")
    assert await backup_store.audited() == [told]
    assert made[4].file in backup_store.catalogue.sweep()
