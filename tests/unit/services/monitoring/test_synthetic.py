"""Whether anything shows that backups are right which do not read the server."""

import pytest

from app.domain.alerts.alert import AlertKind
from app.domain.restores.proofs import RECOVERY_DRILL, Proof
from app.domain.schedule import Frequency, Schedule, ScheduleKind
from app.services.monitoring.health import HealthService
from app.services.monitoring.synthetic import ABOUT, SyntheticMonitor
from tests.fixtures.backup_store import BackupStore


@pytest.fixture
def store(tmp_path):
    """A directory of backups."""
    return BackupStore(tmp_path)


async def told(store, *, drill_days=30.0, kind=ScheduleKind.SYNTHETIC, began=None):
    """Look once; returns what people are told."""

    async def schedules():
        return [Schedule("nightly", Frequency.DAILY, began or store.clock.now(), kind=kind)]

    monitor = SyntheticMonitor(
        schedules, HealthService(store.catalogue), store.alerts, store.clock, drill_days=drill_days
    )
    await monitor.check()
    alert = store.alerts.raised.get((AlertKind.BINLOG, ABOUT))
    return alert.message if alert else ""


async def recover(store, base):
    """Make a backup of the schedule from another one."""
    return await store.make(recovered_from=base.backup_id, schedule="nightly")


async def test_synthetic_backups_rest_on_one_that_was_read_lately(store):
    """However many were made of each other since then; the next one that reads the server ends it."""
    made = await store.make()
    for _ in range(7):
        store.passes(days=5)
        made = await recover(store, made)
        assert await told(store) == ""
    store.passes(days=1)
    assert "36 days ago" in await told(store)
    assert await told(store, kind=ScheduleKind.BACKUP) == ""
    await store.make(tables=("shop.orders",))
    assert "36 days ago" in await told(store)
    await store.make()
    assert await told(store) == ""


async def test_synthetic_backups_whose_base_has_gone_rest_on_nothing(store):
    """Retention may delete it: the newer ones hold the same."""
    base = await store.make()
    await recover(store, base)
    store.catalogue.delete(base.backup_id)

    assert "any more" in await told(store)


async def test_a_log_that_no_drill_proves_is_told(store):
    """Two intervals after the last one at the latest, where drills are wanted at all."""
    began = store.clock.now()
    base = await store.make()
    await recover(store, base)
    store.passes(days=61)
    newest = await store.make()
    await recover(store, newest)

    assert "no drill has ever" in await told(store, began=began)
    assert await told(store, began=began, drill_days=0) == ""
    assert await told(store) == ""
    proof = Proof(store.clock.now(), RECOVERY_DRILL, True, 1.0, "mariadb", 1, 1, 0, False)
    store.catalogue.add_proof(newest.backup_id, proof)
    assert await told(store, began=began) == ""
    store.passes(days=61)
    await store.make()
    assert "61 days ago" in await told(store, began=began)
