"""Copies that schedules want, made by real runs on real files."""

import json
from dataclasses import replace
from typing import Any

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.bootstrap.directories import StoreCatalogues
from app.domain.alerts.alert import AlertKind
from app.domain.backups.manifest import Manifest
from app.domain.schedule import Frequency, Schedule, ScheduleOptions
from app.services.backups.copies import CopyService
from app.services.jobs import Jobs
from app.services.scheduled_copies import ScheduledCopies
from app.services.schedules import ScheduleService
from tests.fixtures.archives import NOON, forge, write_backup
from tests.fixtures.monitored_installation import MonitoredInstallation, damage


class Copying:
    """An installation whose schedules want copies in a store that is a directory."""

    def __init__(self, home) -> None:
        self.here = MonitoredInstallation(home)
        self.place = home / "store"
        self.place.mkdir()
        (home / "state").mkdir()
        text = f'[disk]\nkind = "local"\npath = {json.dumps(str(self.place))}\n'
        (home / "state" / "stores.toml").write_text(text)
        self.stores = StoreCatalogues(self.here.settings)
        here, catalogue = self.here, self.here.catalogue
        copies = CopyService(lambda name: self.stores.get(name) if name else catalogue)
        jobs = Jobs(here.settings, catalogue, here.backups, lambda: here.recoveries, None, copies)
        no_jobs: Any = None  # they are listed alone
        schedules = ScheduleService(here.schedules, no_jobs, here.clock)
        self.copies = ScheduledCopies(
            schedules=schedules,
            local=catalogue,
            copies=copies,
            jobs=jobs,
            runs=here.runs,
            clock=here.clock,
            alarm=here.alerts,
        )

    def plan(self, *names: str) -> None:
        """Have schedules of these names want copies, and no others."""
        options = ScheduleOptions(copies=("disk",))
        self.here.schedules.change(
            lambda _: tuple(
                Schedule(name, Frequency.DAILY, NOON, options=options) for name in names
            )
        )

    async def back_up(self, schedule: str, number: int) -> Manifest:
        """Make the n-th backup, of a schedule."""
        self.here.catalogue.directory.prepare()
        made = await write_backup(self.here.catalogue.directory, number)
        return forge(self.here.path, made, options=replace(made.options, schedule=schedule))

    async def run(self) -> list[tuple[str, str]]:
        """Make what is due; return each backup that was tried, with what was wrong."""
        return [
            (result.backup_id, result.failure.code if result.failure else "")
            for result in await self.copies.run_due()
        ]

    @property
    def told(self) -> list[str]:
        """What alerts are about."""
        return self.here.alerts.about(AlertKind.FAILURE)

    def has(self, manifest: Manifest) -> bool:
        """Tell whether the store has a backup."""
        return manifest.backup_id in {
            entry.backup_id for entry in Catalogue(self.stores.get("disk").directory).entries()
        }


@pytest.fixture
async def copying(tmp_path):
    """One without a backup yet."""
    made = Copying(tmp_path)
    yield made
    made.stores.close()
    await made.here.close()


async def test_what_cannot_be_copied_keeps_no_other_from_being_copied(copying):
    """Whose turn comes before it or after; it is told until it can be, or another one of its schedule."""
    copying.plan("a", "b")
    bad, good = await copying.back_up("a", 1), await copying.back_up("b", 2)
    damage(copying.here.path, bad)

    assert await copying.run() == [(bad.backup_id, "checksum-mismatch"), (good.backup_id, "")]
    assert copying.has(good)
    assert copying.told == ["copies to disk"]
    assert await copying.run() == []
    for number in range(3, 6):
        copying.here.clock.advance(minutes=20)
        newer = await copying.back_up("b", number)
        tried = await copying.run()
        assert (newer.backup_id, "") in tried
        assert copying.told == ["copies to disk"]
    mended = await copying.back_up("a", 9)
    copying.here.clock.advance(hours=2)
    assert await copying.run() == [(mended.backup_id, "")]
    assert copying.told == []


async def test_a_store_that_does_not_answer_is_asked_once_in_a_pause(copying):
    """For one schedule after the other, by turns; each is copied when it is there again."""
    copying.plan("a", "b")
    made = [await copying.back_up("a", 1), await copying.back_up("b", 2)]
    away = copying.place.rename(copying.place.with_name("away"))

    assert await copying.run() == [(made[0].backup_id, "storage-unavailable")]
    assert await copying.run() == []
    copying.here.clock.advance(seconds=61)
    assert await copying.run() == [(made[1].backup_id, "storage-unavailable")]
    assert copying.told == ["copies to disk"]

    away.rename(copying.place)
    copying.here.clock.advance(hours=2)
    assert sorted(await copying.run()) == sorted((each.backup_id, "") for each in made)
    assert copying.told == []
    assert await copying.run() == []


async def test_what_is_gone_is_not_called_copied(copying):
    """Nobody waits for it, and what was told stays told."""
    copying.plan("a")
    bad = await copying.back_up("a", 1)
    damage(copying.here.path, bad)
    assert await copying.run() == [(bad.backup_id, "checksum-mismatch")]

    (copying.here.path / bad.file).unlink()
    copying.here.clock.advance(hours=2)
    assert await copying.run() == []
    assert copying.told == ["copies to disk"]
