"""Retention of the copied binary log, on real files: no base in the store ever loses what follows it there."""

import random
from threading import Event

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive
from app.binlog.archive.keys import PLAIN
from app.binlog.archive.layout import FOLDER
from app.binlog.archive.reading import open_streams
from app.binlog.copied import copied_streams
from app.binlog.copying import StreamCopy
from app.binlog.fetching import fetch_streams
from app.domain.backups.retention import RetentionPolicy
from app.domain.store_trial import StoreFacts
from app.services.backups.retention import RetentionService
from app.services.backups.retention_rules import StoreRules
from app.services.log_retention.kept_copies import KeptCopies
from app.services.point_in_time.standing import unfit_in
from app.storage.clock_witness import BootClock, ClockWitness
from app.storage.local import LocalDirectory
from app.storage.remote.approved_rules import ApprovedRules
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from app.storage.run_locks import RunLocks
from app.storage.schedules import ScheduleFile
from tests.fixtures.archives import disk_of
from tests.fixtures.logged_installation import LoggedInstallation
from tests.fixtures.series import series


class CopiedInstallation:
    """An installation whose backups and log are copied to a store with rules of its own."""

    def __init__(self, home, *, here, there, days=0):
        self.home = home
        self.made = LoggedInstallation(home, max_backups=here, binlog_days=days)
        self.place = home / "store"
        self.place.mkdir()
        self.facts = StoreFacts(
            "offsite", "local", str(self.place), append_only=False, object_lock_days=0,
            retention=RetentionPolicy(count=there),
        )  # fmt: skip
        self.log_days: float | None = days
        store, locks = LocalStore(self.place), LocalDirectory(home / "locks")
        self.directory = StoreDirectory("offsite", str(self.place), store, locks)
        self.directory.prepare()
        self.catalogue = Catalogue(self.directory)

    @property
    def retention(self):
        """Make that of the store."""
        store = self.made.store
        return RetentionService(
            catalogue=self.catalogue,
            rules=StoreRules(
                "offsite", lambda _: self.facts, store.settings,
                ScheduleFile(disk_of(store.catalogue)), ApprovedRules(store.state), self.log_days,
            ),
            clock=store.clock,
            witness=ClockWitness(store.state, store.clock.now, BootClock(lambda: "b", lambda: store.up)),
            locks=RunLocks(store.state),
            alarm=store.alerts,
            audit=store.audit,
            log=KeptCopies(
                lambda: LocalStore(self.place), self.catalogue, store.clock, store.path,
                days=self.made.store.settings.binlog_days,
            ),
        )  # fmt: skip

    async def back_up(self, day, *, copies=True, **options):
        """Make a backup, and copy it and the log."""
        manifest = await self.made.back_up(day, **options)
        if copies:
            with self.made.store.catalogue.stored(manifest.backup_id) as archive:
                copy_archive(archive, self.directory, stop=Event())
        self.copy_log()
        return manifest

    def copy_log(self):
        """Copy the log as it is."""
        copy = StreamCopy(self.made.directory, append_only=False)
        assert copy.run(LocalStore(self.place), lambda: None, Event())

    def fetched(self, name, *, is_whole=True):
        """Bring the log back elsewhere, proven."""
        home = self.home / name
        fetch_streams(
            LocalStore(self.place), LocalDirectory(home / FOLDER), PLAIN, is_whole=is_whole
        )
        (stream,) = open_streams(home)
        stream.verify()
        return stream

    def manifests(self):
        """Read all that is in the store."""
        return [self.catalogue.manifest(entry.backup_id) for entry in self.catalogue.entries()]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(series(5, 60)))
async def test_every_base_that_a_store_keeps_has_its_log_there(tmp_path, seed):
    """Whatever is made, copied and pruned, here and there: what is fetched whole begins early enough for each."""
    draw = random.Random(seed)  # noqa: S311 - of a test
    days = draw.choice([0, 1, 3])
    both = CopiedInstallation(
        tmp_path, here=draw.randint(1, 2), there=draw.randint(1, 4), days=days
    )
    segments = []
    for day in range(len(both.made.borders)):
        if draw.random() < 0.8:
            await both.back_up(day, copies=draw.random() < 0.7)
        await both.made.store.retention.prune()
        both.copy_log()
        assert (await both.retention.prune()).error is None
        stream = both.fetched(f"day {day}")
        if days:  # older ones are bases no more
            both.fetched(f"as here, {day}", is_whole=False)
        else:
            assert [unfit_in(stream, manifest) for manifest in both.manifests()] == [""] * len(
                both.manifests()
            )
        (copied,) = copied_streams(LocalStore(both.place))
        segments.append(len(copied.data))
        both.made.store.passes(days=1)
    assert segments[-1] < len(both.made.borders)


async def test_a_window_keeps_its_base_there_with_its_reason(tmp_path):
    """Whatever the rules of the store say of backups; the log goes back to that."""
    both = CopiedInstallation(tmp_path, here=1, there=1, days=3)
    for day in range(6):
        await both.back_up(day)
        both.made.store.passes(days=1)
    await both.made.store.retention.prune()
    both.copy_log()
    plan = await both.retention.plan()
    reasons = {decision.item.backup_id: decision.reason for decision in plan.kept}

    assert reasons[min(reasons)] == "base of the points in time of the last 3 days"
    (log,) = plan.log
    assert log.segments > 0
    done = await both.retention.prune()
    assert done.log == plan.log
    stream = both.fetched("back")
    assert f"{stream.files[0].name}:{stream.files[0].start}" == log.begins_at
    kept = {manifest.backup_id: manifest for manifest in both.manifests()}
    assert unfit_in(stream, kept[min(reasons)]) == ""


@pytest.fixture
async def audited(tmp_path):
    """One that has an audit, and keeps a backup in each place."""
    both = CopiedInstallation(tmp_path, here=1, there=1)
    await both.made.store.open()
    yield both
    await both.made.store.close()


async def test_copies_of_the_log_go_by_themselves_only_after_somebody_has_let_them(audited):
    """Rules that were let when only backups were in them, too; a dry run tells what would go."""
    both = audited
    both.log_days = None  # as before the log was kept by rules
    await both.back_up(0)
    await both.retention.prune()
    both.log_days = 0
    for day in range(1, 5):
        await both.back_up(day, copies=False)
        both.made.store.passes(days=1)
    await both.made.store.retention.prune()
    await both.back_up(5)
    (copied,) = copied_streams(LocalStore(both.place))
    await both.retention.by_itself()

    assert copied_streams(LocalStore(both.place)) == (copied,)
    assert "binary log" in both.made.store.alerts.raises[-1].message
    plan = await both.retention.plan()
    assert plan.log[0].segments > 0
    assert (await both.retention.prune()).log == plan.log
    (now,) = copied_streams(LocalStore(both.place))
    assert len(now.data) == len(copied.data) - plan.log[0].segments
    await both.retention.by_itself()
    assert not both.made.store.alerts.raised


async def test_a_stream_of_somebody_else_stays_and_one_that_ended_goes_whole(tmp_path):
    """When it is not here any more, and no backup there needs it."""
    both = CopiedInstallation(tmp_path, here=1, there=1)
    both.copy_log()
    gone = both.made.directory.path.rename(tmp_path / "gone")
    assert (await both.retention.prune()).log == ()
    gone.rename(both.made.directory.path)
    both.made.end()
    both.copy_log()
    both.made.directory.path.rename(gone)
    assert (await both.retention.prune()).log == ()
    both.made.store.passes(days=2)
    (log,) = (await both.retention.prune()).log
    assert log.is_whole
    assert copied_streams(LocalStore(both.place)) == ()
