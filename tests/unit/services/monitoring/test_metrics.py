"""Numbers for monitoring, from a history and a directory that are really there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.api.exposition import exposition
from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.keys import NO_KEYS
from app.bootstrap.directories import StoreCatalogues
from app.config import Settings
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.backups.manifest import Codec
from app.domain.ids import parse_backup_id
from app.domain.runs.run import Origin, RunKind, RunState
from app.domain.schedule import Frequency, Schedule
from app.services.monitoring.health import HealthService
from app.services.monitoring.metrics import MetricsService
from app.services.schedules import ScheduleService
from app.services.stores.history import StoreHistory
from app.services.stores.run_alerts import StoreRunMonitor
from app.services.stores.service import StoreService
from app.services.stores.watch import StoreWatch
from app.storage.layout import BackupName
from app.storage.schedules import ScheduleFile, encode_schedules
from tests.fixtures.archives import disk_of, write_backup
from tests.fixtures.clocks import SetClock
from tests.fixtures.control import furnish
from tests.fixtures.monitored_installation import RaisedAlerts
from tests.fixtures.records import run


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class MeasuredInstallation:
    """A service of numbers, and what it looks at."""

    def __init__(self, catalogue: Catalogue, runs: RunRecords) -> None:
        self.clock = SetClock()
        self.runs = runs
        self.catalogue = catalogue
        self.file = ScheduleFile(disk_of(catalogue))
        self.lag = 0.0
        self.asked = 0
        self.home = disk_of(catalogue).path.parent
        self.alerts = RaisedAlerts()
        stores = StoreService(self.home / "state", "", lambda _: None, self.clock)
        self.catalogues = StoreCatalogues(
            Settings(state_dir=self.home / "state", backup_dir=self.home / "none"), NO_KEYS
        )
        self.watch = StoreWatch(
            stores,
            lambda name: self.catalogues.get(name) if name else catalogue,
            self.clock,
            self.alerts,
            StoreHistory(runs, lambda: "host:1"),
            StoreRunMonitor(self.alerts, self.alerts.raised_about),
        )
        self.service = MetricsService(
            runs=runs,
            health=HealthService(catalogue),
            store_watch=self.watch,
            schedules=ScheduleService(self.file, None, self.clock),  # type: ignore[arg-type]  # makes no job
            clock=self.clock,
            overdue_after=timedelta(minutes=90),
            disk_floor_bytes=12345,
            lag_seconds=lambda: self.lag,
            count_open_alerts=self._alerts,
        )

    async def _alerts(self) -> int:
        self.asked += 1
        return 3

    async def numbers(self) -> dict[str, str]:
        """Return all numbers as they are told, by name and labels."""
        self.clock.advance(seconds=5)
        lines = exposition(await self.service.gather(), ()).decode().splitlines()
        return dict(
            line.removeprefix("backstay_").rsplit(" ", 1) for line in lines if line[0] != "#"
        )

    def schedule(self, *schedules: Schedule) -> None:
        """Write `schedule.json`."""
        self.catalogue.directory.prepare()
        self.catalogue.directory.replace("schedule.json", encode_schedules(schedules))

    async def ran(self, number: int, **changes) -> None:
        """Write a run down that has succeeded and took a minute."""
        ended = {"started_at": NOON, "finished_at": NOON + timedelta(minutes=1)}
        made = run(number, state=RunState.SUCCEEDED, created_at=NOON, **ended)
        await self.runs.add(replace(made, **changes))


@pytest.fixture
async def installation(tmp_path):
    """An empty one."""
    furnish(tmp_path / "state")
    control = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path}/state/control.db", tmp_path)
    await control.prepare()
    yield MeasuredInstallation(Catalogue(tmp_path / "backups"), RunRecords(control))
    await control.close()


DAILY = Schedule("nightly", Frequency.DAILY, NOON - timedelta(days=9))


async def test_a_schedule_is_overdue_when_people_have_waited_long_enough(installation):
    """Not at its due time, but so many minutes later; never when it is not enabled."""
    served = NOON.replace(hour=2) - timedelta(days=1)  # the due time of yesterday
    paused = replace(DAILY, name="paused", enabled=False)
    installation.schedule(replace(DAILY, last_success_at=served), paused)
    installation.clock.at = NOON.replace(hour=3, minute=29)
    early = await installation.numbers()
    installation.clock.at = NOON.replace(hour=3, minute=31)
    late = await installation.numbers()

    assert early['schedule_overdue{schedule="nightly"}'] == "0.0"
    assert late['schedule_overdue{schedule="nightly"}'] == "1.0"
    due = NOON.replace(hour=2).timestamp()
    assert float(late['schedule_next_due_timestamp_seconds{schedule="nightly"}']) == due
    assert late['schedule_overdue{schedule="paused"}'] == "0.0"
    assert 'schedule_next_due_timestamp_seconds{schedule="paused"}' not in late


async def test_a_schedule_that_never_ran_has_no_age(installation):
    """What is not known is missing; what failed or was missed is told."""
    failed = replace(DAILY, name="failed", last_run_at=NOON, last_error="storage-full", missed=7)
    installation.schedule(DAILY, failed)
    found = await installation.numbers()

    assert 'schedule_last_success_age_seconds{schedule="nightly"}' not in found
    assert 'schedule_last_run_success{schedule="nightly"}' not in found
    assert found['schedule_last_run_success{schedule="failed"}'] == "0.0"
    assert found['schedule_missed_total{schedule="failed"}'] == "7.0"
    assert found['schedule_enabled{schedule="nightly"}'] == "1.0"


async def test_runs_are_counted_by_kind_and_result_whoever_asked(installation):
    """Origins are one; what is not over is in progress."""
    await installation.ran(1)
    await installation.ran(2, origin=Origin.SCHEDULE, finished_at=NOON + timedelta(minutes=3))
    await installation.ran(3, state=RunState.RUNNING, finished_at=None)
    await installation.ran(4, state=RunState.QUEUED, started_at=None, finished_at=None)
    installation.schedule()
    found = await installation.numbers()

    labels = '{kind="backup",result="succeeded"}'
    assert found[f"runs_total{labels}"] == "2.0"
    assert float(found[f"run_duration_seconds_sum{labels}"]) == pytest.approx(240, abs=0.01)
    last = (NOON + timedelta(minutes=3)).timestamp()
    assert float(found[f"run_last_finished_timestamp_seconds{labels}"]) == last
    assert found['runs_total{kind="backup",result="failed"}'] == "0.0"
    assert found['runs_in_progress{kind="backup"}'] == "2.0"
    assert found['runs_in_progress{kind="drill"}'] == "0.0"


async def test_a_proof_outlives_its_backup(installation):
    """The newest drill of a whole backup counts, also when that was deleted since."""
    at = NOON - timedelta(days=1)
    await installation.ran(
        1, kind=RunKind.DRILL, finished_at=at, request={"databases": [], "tables": []}
    )
    await installation.ran(2, kind=RunKind.DRILL, finished_at=NOON, request={"tables": ["orders"]})
    await installation.ran(3, kind=RunKind.DRILL, state=RunState.FAILED)
    await installation.ran(4, kind=RunKind.RECOVERY_DRILL, state=RunState.FAILED)
    await installation.ran(5, kind=RunKind.RECOVERY_DRILL, finished_at=at + timedelta(hours=1))
    found = await installation.numbers()

    assert float(found["last_proven_restore_timestamp_seconds"]) == at.timestamp()
    recovered = float(found["last_proven_recovery_timestamp_seconds"])
    assert recovered == at.timestamp() + 3600


async def test_a_directory_that_is_gone_is_not_an_empty_one(installation):
    """Where there were backups, no directory means no numbers of it, and says so."""
    first = await installation.numbers()
    await installation.ran(1)
    gone = await installation.numbers()
    installation.schedule(DAILY)
    there = await installation.numbers()

    sources = ["history", "catalogue", "schedules", "disk"]
    up = [
        [numbers[f'source_up{{source="{name}"}}'] for name in sources]
        for numbers in (first, gone, there)
    ]
    assert up == [["1.0"] * 4, ["1.0", "0.0", "0.0", "1.0"], ["1.0"] * 4]
    assert first["catalogue_backups"] == "0.0"
    assert "catalogue_backups" not in gone
    assert float(gone["disk_free_bytes"]) > 0
    assert gone["disk_floor_bytes"] == "12345.0"


async def test_data_without_a_manifest_is_damage(installation):
    """As a check that failed is."""
    installation.schedule()
    name = BackupName(parse_backup_id("backup_65ba1f2f3d4e5"), Codec.GZIP)
    (installation.catalogue.directory.path / name.file).write_bytes(b"half")

    assert (await installation.numbers())["catalogue_damaged"] == "1.0"


async def test_numbers_are_gathered_once_in_two_seconds(installation):
    """However many scrapers there are."""
    await installation.numbers()
    installation.lag = 7.5
    for _ in range(5):
        installation.clock.advance(seconds=0.4)
        assert (await installation.service.gather()).lag_seconds == 0.0
    installation.clock.advance(seconds=0.4)

    assert (await installation.service.gather()).lag_seconds == 7.5
    assert installation.asked == 2
    assert (await installation.numbers())["alerts_open"] == "3.0"


async def test_a_store_has_numbers_as_of_its_last_look(installation):
    """None before that; and of one that is away those of then, and that it is."""
    place = installation.home / "store"
    place.mkdir()
    (installation.home / "state" / "stores.toml").write_text(
        f'[disk]\nkind = "local"\npath = "{place}"\n'
    )
    assert not [name for name in await installation.numbers() if name.startswith("store_")]
    directory = installation.catalogues.get("disk").directory
    directory.prepare()
    made = await write_backup(directory)
    await installation.watch.refresh()
    numbers = await installation.numbers()

    assert numbers["copies"] == "2.0"
    assert numbers["copies_offsite"] == "0.0"
    assert numbers['store_up{store="disk"}'] == "1.0"
    assert numbers['store_backups{store="disk"}'] == "1.0"
    assert float(numbers['store_stored_bytes{store="disk"}']) == made.size
    assert float(numbers['store_free_bytes{store="disk"}']) > 0
    assert numbers['store_lag_seconds{store="disk"}'] == "0.0"
    place.rename(place.with_name("away"))
    installation.clock.advance(minutes=16)
    await installation.watch.refresh()
    numbers = await installation.numbers()
    assert numbers['store_up{store="disk"}'] == "0.0"
    assert numbers['store_backups{store="disk"}'] == "1.0"
    assert numbers["copies"] == "1.0"
