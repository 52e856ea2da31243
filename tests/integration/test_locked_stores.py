"""Object lock and the rules of a store: what stays is locked on, by a real server of S3."""

from datetime import datetime, timedelta

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.retention import RetentionPolicy
from app.domain.store_trial import StoreFacts
from app.services.backups.retention import RetentionService
from app.services.backups.retention_rules import StoreRules
from app.storage.clock_witness import BootClock, ClockWitness
from app.storage.local import LocalDirectory
from app.storage.remote.approved_rules import ApprovedRules
from app.storage.remote.directory import StoreDirectory
from app.storage.run_locks import RunLocks
from app.storage.schedules import ScheduleFile
from tests.fixtures.archives import disk_of, write_backup
from tests.fixtures.backup_store import BackupStore
from tests.fixtures.clocks import SystemClock
from tests.fixtures.store_programs import LOCKED_BUCKET, s3_client


LOCK_DAYS = 2


@pytest.fixture
def locked(store_servers, tmp_path):
    """A store that locks for two days, as a backup directory."""
    definition = store_servers.definition("s3", bucket=LOCKED_BUCKET, object_lock_days=LOCK_DAYS)
    store = store_servers.open(definition)
    locks = LocalDirectory(tmp_path / "locks")
    made = StoreDirectory("locked", definition.place, store, locks, lock_days=LOCK_DAYS)
    made.prepare()
    yield made, definition
    made.close()


def retention_of(here, directory, definition):
    """Make what prunes there, on the clock of the test."""
    facts = StoreFacts(
        "locked", "s3", definition.place, append_only=False, object_lock_days=LOCK_DAYS,
        retention=RetentionPolicy(count=1),
    )  # fmt: skip
    schedules = ScheduleFile(disk_of(here.catalogue))
    approved = ApprovedRules(here.state)
    return RetentionService(
        catalogue=Catalogue(directory),
        rules=StoreRules("locked", lambda _: facts, here.settings, schedules, approved),
        clock=here.clock,
        witness=ClockWitness(here.state, here.clock.now, BootClock(lambda: "b", lambda: here.up)),
        locks=RunLocks(here.state),
        alarm=here.alerts,
        audit=None,
    )


async def test_a_prune_locks_on_what_stays_and_nothing_else(locked, store_servers, tmp_path):
    """Data and manifest, before less than half of the lock is left; what goes keeps the lock it has."""
    directory, definition = locked
    here = BackupStore(tmp_path)
    await write_backup(directory, 0)
    manifest = await write_backup(directory, 1)
    here.clock.at = SystemClock().now()
    client = s3_client(store_servers.s3)

    def locked_until(name) -> datetime:
        key = f"{definition.prefix}/{name}"
        found = client.get_object_retention(Bucket=LOCKED_BUCKET, Key=key)["Retention"]
        until: datetime = found["RetainUntilDate"]
        return until

    names = (manifest.file, f"{manifest.file}.manifest.json")
    before = [locked_until(name) for name in names]
    here.passes(days=5)
    result = await retention_of(here, directory, definition).prune(accept_clock=True)

    assert result.error is None
    for name, until in zip(names, before, strict=True):
        left = locked_until(name) - here.clock.now()
        assert timedelta(days=LOCK_DAYS) / 2 <= left <= timedelta(days=LOCK_DAYS) * 3 / 2
        assert locked_until(name) > until
    assert not here.alerts.raised
