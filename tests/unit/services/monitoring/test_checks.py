"""Checks of stored backups: what they find on real files, what they keep of it, and who hears of it."""

import asyncio
import logging
from datetime import timedelta
from itertools import pairwise

import pytest
import pytest_asyncio

from app.domain.alerts.alert import AlertKind
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.checks import CheckResult
from app.domain.runs.run import Origin, Run, RunKind, RunState
from app.errors import (
    BackupNotFoundError,
    ChecksumMismatchError,
    TruncatedFileError,
)
from app.services.runs.service import RunService
from app.storage.local import LocalDirectory
from app.storage.run_locks import Resource, RunLocks
from tests.fixtures.archives import NOON, write_backup
from tests.fixtures.kernels import CountingKernel
from tests.fixtures.monitored_installation import MonitoredInstallation, damage


DAMAGED = AlertKind.VERIFICATION


@pytest_asyncio.fixture
async def here(tmp_path):
    """An installation whose server is away; nothing is drilled."""
    made = MonitoredInstallation(tmp_path, drill_days=0)
    yield made
    await made.close()


def code(result: CheckResult) -> str:
    """Code of what was wrong; empty when nothing."""
    return result.failure.code if result.failure else ""


async def make(here: MonitoredInstallation, count: int = 1) -> list[Manifest]:
    """Make some backups."""
    here.catalogue.directory.prepare()
    return [await write_backup(here.catalogue.directory, number) for number in range(count)]


async def test_a_flipped_byte_is_found_when_bytes_are_due_and_raises_an_alert(here):
    """The pass goes on, the result stays with the backup, and a right size does not excuse it."""
    first, second = await make(here, 2)
    damage(here.path, first)
    here.clock.advance(days=1)
    assert [check.what for check in await here.checks.run_due()] == ["size", "size"]
    assert here.alerts.raised == {}

    here.clock.advance(days=7)
    found = await here.checks.run_due(everything=True)
    here.clock.advance(days=1)
    await here.checks.run_due()

    assert [(check.backup_id, check.what, code(check)) for check in found] == [
        (first.backup_id, "hashes", "checksum-mismatch"),
        (second.backup_id, "hashes", ""),
    ]
    assert here.alerts.about(DAMAGED) == [first.backup_id]
    assert "checksum-mismatch" in here.alerts.message(DAMAGED)
    noted = here.checks_of(first)
    assert (noted["hashes"].success, noted["hashes"].error) == (False, "checksum-mismatch")
    assert noted["hashes"].at == NOON + timedelta(days=8)
    assert noted["size"].success
    assert here.checks_of(second)["hashes"].success


async def test_what_was_put_back_is_whole_again_after_a_look_as_deep(here):
    """Access are told that it is."""
    (manifest,) = await make(here)
    damage(here.path, manifest)
    here.clock.advance(days=8)
    await here.checks.run_due()
    assert here.alerts.about(DAMAGED) == [manifest.backup_id]

    damage(here.path, manifest)
    here.clock.advance(days=30)
    found = await here.checks.run_due()

    assert [(check.what, code(check)) for check in found] == [("content", "")]
    assert here.alerts.raised == {}


async def test_a_truncated_backup_raises_an_alert_with_the_sizes(here):
    """It is not even listed any more; the others are looked at all the same."""
    first, second = await make(here, 2)
    file = here.path / first.file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    here.clock.advance(days=1)

    found = await here.checks.run_due()

    assert [(check.backup_id, check.what, code(check)) for check in found] == [
        (first.backup_id, "size", TruncatedFileError.code),
        (second.backup_id, "size", ""),
    ]
    assert here.alerts.about(DAMAGED) == [first.backup_id]
    assert not here.checks_of(first)["size"].success

    file.write_bytes(whole)
    here.clock.advance(days=1)
    await here.checks.run_due()
    assert here.alerts.raised == {}


@pytest.mark.parametrize("lost", ["data", "manifest"])
async def test_a_backup_that_lost_a_file_keeps_its_alert_until_it_is_gone(here, lost):
    """Whichever of the two it was; when the rest is deleted, there is nothing to tell any more."""
    (manifest,) = await make(here)
    ending = ".manifest.json" if lost == "manifest" else ""
    (here.path / f"{manifest.file}{ending}").unlink()

    await here.checks.run_due()
    assert here.alerts.about(DAMAGED) == [manifest.backup_id]

    for file in here.path.glob(f"{manifest.file}*"):
        file.unlink()
    await here.checks.run_due()
    assert here.alerts.raised == {}


async def test_a_restart_keeps_alerts_of_damage_and_resolves_what_is_over(here):
    """What is damaged lies beside the backups, and what rings is asked of the alarm."""
    first, second = await make(here, 2)
    for manifest in (first, second):
        damage(here.path, manifest)
    here.clock.advance(days=8)
    await here.checks.run_due(everything=True)
    assert here.alerts.about(DAMAGED) == [first.backup_id, second.backup_id]

    here.alerts.raised.clear()
    here.restart()
    await here.backup_monitor.check()
    assert here.alerts.about(DAMAGED) == [first.backup_id, second.backup_id]

    here.restart()
    here.catalogue.delete(first.backup_id)
    damage(here.path, second)
    here.clock.advance(seconds=1)
    await here.backups.verify(second.backup_id)
    await here.backup_monitor.check()
    assert here.alerts.raised == {}


async def test_a_directory_that_is_away_does_not_say_that_damage_is_over(here):
    """It may only not be mounted."""
    (manifest,) = await make(here)
    (here.path / manifest.file).write_bytes(b"")
    await here.backup_monitor.check()
    away = here.path.rename(here.path.with_name("away"))
    await here.backup_monitor.check()
    here.path.mkdir()
    await here.backup_monitor.check()

    assert here.alerts.about(DAMAGED) == [manifest.backup_id]
    here.path.rmdir()
    away.rename(here.path)


async def test_files_are_read_by_runs_and_sizes_are_not(here):
    """One after another, asked for by the checks."""
    await make(here, 3)
    here.clock.advance(days=1)
    await here.checks.run_due()
    assert here.recorder.runs == []

    here.clock.advance(days=30)
    await here.checks.run_due(everything=True)

    runs = here.recorder.runs
    assert [(run.kind, run.requested_by, run.origin) for run in runs] == (
        [(RunKind.VERIFICATION, "checks", Origin.SCHEDULE)] * 3
    )
    assert all(a.finished_at <= b.created_at for a, b in pairwise(runs))


async def test_a_pass_reads_its_share(here):
    """Seven passes read everything that became due at once, each a part."""
    await make(here, 10)
    here.clock.advance(days=7)
    counts = []
    for _ in range(7):
        found = await here.checks.run_due()
        counts.append(sum(check.what == "hashes" for check in found))
        here.clock.advance(days=1)

    assert counts == [2, 2, 2, 2, 2, 0, 0]


async def test_two_processes_share_a_pass(here, tmp_path):
    """No file is read twice, and nobody fails."""
    manifests = await make(here, 4)
    here.clock.advance(days=31)
    other = MonitoredInstallation(tmp_path, drill_days=0)
    other.clock.at = here.clock.at

    await asyncio.gather(
        here.checks.run_due(everything=True), other.checks.run_due(everything=True)
    )
    while not all("content" in here.checks_of(manifest) for manifest in manifests):
        await here.checks.run_due(everything=True)
    await other.close()

    read = [run.backup_id for run in (*here.recorder.runs, *other.recorder.runs)]
    assert sorted(read) == [manifest.backup_id for manifest in manifests]


async def test_a_pass_waits_for_the_next_time_when_it_is_in_the_way(here):
    """What is due stays due; a second pass in one process does nothing."""
    (manifest,) = await make(here)
    here.clock.advance(days=31)
    locks = RunLocks(here.settings.state_dir)
    held = await asyncio.to_thread(
        locks.acquire, "run_of_another_process", [Resource("checks", "the checks")]
    )

    assert await here.checks.run_due() == ()
    held.release()
    found, nothing = await asyncio.gather(here.checks.run_due(), here.checks.run_due())

    assert ([check.what for check in found], nothing) == (["content"], ())
    assert here.checks_of(manifest)["content"].success


async def test_a_service_that_stops_begins_no_more_checks(here):
    """What is under way ends as every run does; the pass is not an error."""
    await make(here, 2)
    here.clock.advance(days=31)
    await here.runs.close(0)

    assert await here.checks.run_due(everything=True) == ()


class Canceller:
    """A listener that cancels every run as it begins, as a person would."""

    runs: RunService

    async def begun(self, run: Run) -> None:
        """Cancel it."""
        await self.runs.cancel(run.run_id)

    async def ended(self, run: Run) -> None:
        """Hear nothing."""


class Begun:
    """A listener that tells when a run begins."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def begun(self, run: Run) -> None:
        """Tell."""
        self.event.set()

    async def ended(self, run: Run) -> None:
        """Hear nothing."""


async def test_a_check_that_somebody_cancels_does_not_end_the_pass(here):
    """It has shown nothing, and nothing is noted."""
    first, second = await make(here, 2)
    here.clock.advance(days=31)
    canceller = Canceller()
    here.runs._listeners = (canceller, here.recorder)
    canceller.runs = here.runs

    found = await here.checks.run_due(everything=True)

    assert found == ()
    assert [run.state for run in here.recorder.runs] == [RunState.CANCELLED] * 2
    assert here.checks_of(first) == here.checks_of(second) == {}


async def test_a_pass_that_is_cancelled_lets_everything_go(here):
    """The run is cancelled with it, no backup stays in use, and the next pass can begin."""
    await make(here, 3)
    here.clock.advance(days=31)
    task = asyncio.create_task(here.checks.run_due(everything=True))
    here.runs._listeners = (begun := Begun(), here.recorder)
    await begun.event.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(here.recorder.runs) <= 1
    assert len(await here.checks.run_due(everything=True)) >= 2
    assert all(
        "content" in here.catalogue.notes(entry.backup_id).checks
        for entry in here.catalogue.entries()
    )


class Faster:
    """A listener that verifies a backup by hand when another one has just been checked."""

    def __init__(self, here: MonitoredInstallation, manifest: Manifest) -> None:
        self._here = here
        self._manifest = manifest

    async def begun(self, run: Run) -> None:
        """Hear nothing."""

    async def ended(self, run: Run) -> None:
        """Be faster than the pass."""
        await self._here.backups.verify(self._manifest.backup_id)


async def test_a_check_asks_at_the_last_moment_whether_it_is_still_wanted(here):
    """Somebody who has verified the backup meanwhile has done its work."""
    first, second = await make(here, 2)
    here.clock.advance(days=31)
    here.runs._listeners = (Faster(here, second), here.recorder)

    found = await here.checks.run_due(everything=True)

    assert [check.backup_id for check in found] == [first.backup_id]
    assert [run.backup_id for run in here.recorder.runs] == [first.backup_id]
    assert "content" in here.checks_of(second)


async def test_without_a_directory_there_is_nothing_to_check(here):
    """Nothing is made, and nobody is told."""
    assert await here.checks.run_due() == ()
    assert not here.path.exists()
    assert here.alerts.raised == {}


async def test_checks_that_are_switched_off_do_not_look(tmp_path):
    """0 days = never, on every level."""
    made = MonitoredInstallation(
        tmp_path, drill_days=0, check_sizes_days=0, check_hashes_days=0, check_content_days=0
    )
    (manifest,) = await make(made)
    (made.path / manifest.file).write_bytes(b"")
    made.clock.advance(days=400)

    assert await made.checks.run_due() == ()
    await made.close()


# -- what a verification notes, whoever asks for it ------------------------------------------------


async def test_a_verification_by_hand_is_noted_as_well(here):
    """Success and failure, with level, time and error; it takes the place of the last one."""
    (manifest,) = await make(here)

    await here.backups.verify(manifest.backup_id)
    assert here.checks_of(manifest)["content"].success
    damage(here.path, manifest)
    with pytest.raises(ChecksumMismatchError):
        await here.backups.verify(manifest.backup_id, VerifyLevel.HASHES)

    noted = here.checks_of(manifest)
    assert (noted["content"].success, noted["hashes"].success) == (True, False)
    assert noted["hashes"].at == noted["content"].at == here.clock.at


async def test_a_damaged_manifest_is_noted(here):
    """Though nothing of the file could be looked at."""
    (manifest,) = await make(here)
    note = here.path / f"{manifest.file}.manifest.json"
    note.write_bytes(note.read_bytes().replace(b'"size"', b'"SIZE"', 1))

    with pytest.raises(ChecksumMismatchError):
        await here.backups.verify(manifest.backup_id)

    assert here.checks_of(manifest)["content"].error == "checksum-mismatch"


async def test_a_backup_that_is_not_there_gets_no_notes(here):
    """Nothing is written for a name that somebody made up."""
    await make(here)
    before = sorted(here.path.iterdir())

    with pytest.raises(BackupNotFoundError):
        await here.backups.verify("backup_65ba1f2f3d4e5")

    assert sorted(here.path.iterdir()) == before


class ReadOnlyKernel(CountingKernel):
    """A medium that can only be read."""

    def decide(self, number, name, call, args):
        if name == "write":
            raise OSError(30, "Read-only file system")
        return call(*args)


async def test_a_medium_that_cannot_be_written_hides_no_result(tmp_path, caplog):
    """A verification says what it found, and damage rings, though it cannot be noted."""
    await write_backup(_prepared(tmp_path))
    made = MonitoredInstallation(tmp_path, kernel=ReadOnlyKernel(), drill_days=0)
    manifest = made.catalogue.manifest(made.catalogue.entries()[0].backup_id)

    with caplog.at_level(logging.WARNING):
        await made.backups.verify(manifest.backup_id)
    assert "Check result could not be recorded" in caplog.text
    damage(made.path, manifest)
    made.clock.advance(days=8)
    await made.checks.run_due()
    assert made.alerts.about(DAMAGED) == [manifest.backup_id]
    damage(made.path, manifest)
    await made.checks.run_due()
    assert made.alerts.raised == {}
    await made.close()


def _prepared(home) -> LocalDirectory:
    directory = LocalDirectory(home / "backups")
    directory.prepare()
    return directory


async def test_notes_that_cannot_be_understood_raise_an_alert(here):
    """Nobody knows what is in them, such as a pin."""
    (manifest,) = await make(here)
    (here.path / f"{manifest.file}.notes.json").write_text("{")

    await here.checks.run_due()

    assert here.alerts.about(DAMAGED) == [manifest.backup_id]
    assert "notes.json" in here.alerts.message(DAMAGED)
