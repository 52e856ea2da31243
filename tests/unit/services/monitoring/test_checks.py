"""Checks of stored backups: what they find on real files, what they keep of it, and who hears of it."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from app.domain.alerts.alert import AlertKind
from app.domain.backups.manifest import Manifest
from app.domain.checks import CheckResult
from app.domain.runs.run import Origin, Run, RunKind, RunState
from app.errors import (
    TruncatedFileError,
)
from app.services.runs.service import RunService
from app.storage.run_locks import Resource, RunLocks
from tests.fixtures.archives import NOON
from tests.fixtures.monitored_installation import MonitoredInstallation, damage


DAMAGED = AlertKind.VERIFICATION


def code(result: CheckResult) -> str:
    """Code of what was wrong; empty when nothing."""
    return result.failure.code if result.failure else ""


async def test_a_flipped_byte_is_found_when_bytes_are_due_and_raises_an_alert(installation):
    """The pass goes on, the result stays with the backup, and a right size does not excuse it."""
    first, second = await installation.write_backups(2)
    damage(installation.path, first)
    installation.clock.advance(days=1)
    assert [check.what for check in await installation.checks.run_due()] == ["size", "size"]
    assert installation.alerts.raised == {}

    installation.clock.advance(days=7)
    found = await installation.checks.run_due(everything=True)
    installation.clock.advance(days=1)
    await installation.checks.run_due()

    assert [(check.backup_id, check.what, code(check)) for check in found] == [
        (first.backup_id, "hashes", "checksum-mismatch"),
        (second.backup_id, "hashes", ""),
    ]
    assert installation.alerts.about(DAMAGED) == [first.backup_id]
    assert "checksum-mismatch" in installation.alerts.message(DAMAGED)
    noted = installation.checks_of(first)
    assert (noted["hashes"].success, noted["hashes"].error) == (False, "checksum-mismatch")
    assert noted["hashes"].at == NOON + timedelta(days=8)
    assert noted["size"].success
    assert installation.checks_of(second)["hashes"].success


async def test_checks_of_a_clock_that_was_ahead_hide_no_damage(installation):
    """Also after a restart; a look as deep ends it."""
    (manifest,) = await installation.write_backups()
    installation.clock.advance(days=400)
    (found,) = await installation.checks.run_due(everything=True)
    assert found.what == "content"
    installation.clock.advance(days=-392)
    damage(installation.path, manifest)

    found = await installation.checks.run_due(everything=True)
    assert {(check.what, code(check)) for check in found} == {("hashes", "checksum-mismatch")}
    assert installation.catalogue.notes(manifest.backup_id).is_damaged
    installation.restart()
    await installation.backup_monitor.check()
    assert installation.alerts.about(DAMAGED) == [manifest.backup_id]

    damage(installation.path, manifest)
    installation.clock.advance(days=31)
    await installation.checks.run_due(everything=True)
    assert installation.alerts.about(DAMAGED) == []


async def test_what_was_put_back_is_whole_again_after_a_look_as_deep(installation):
    """Access are told that it is."""
    (manifest,) = await installation.write_backups()
    damage(installation.path, manifest)
    installation.clock.advance(days=8)
    await installation.checks.run_due()
    assert installation.alerts.about(DAMAGED) == [manifest.backup_id]

    damage(installation.path, manifest)
    installation.clock.advance(days=30)
    found = await installation.checks.run_due()

    assert [(check.what, code(check)) for check in found] == [("content", "")]
    assert installation.alerts.raised == {}


async def test_a_truncated_backup_raises_an_alert_with_the_sizes(installation):
    """It is not even listed any more; the others are looked at all the same."""
    first, second = await installation.write_backups(2)
    file = installation.path / first.file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    installation.clock.advance(days=1)

    found = await installation.checks.run_due()

    assert [(check.backup_id, check.what, code(check)) for check in found] == [
        (first.backup_id, "size", TruncatedFileError.code),
        (second.backup_id, "size", ""),
    ]
    assert installation.alerts.about(DAMAGED) == [first.backup_id]
    assert not installation.checks_of(first)["size"].success

    file.write_bytes(whole)
    installation.clock.advance(days=1)
    await installation.checks.run_due()
    assert installation.alerts.raised == {}


@pytest.mark.parametrize("lost", ["data", "manifest"])
async def test_a_backup_that_lost_a_file_keeps_its_alert_until_it_is_gone(installation, lost):
    """Whichever of the two it was; when the rest is deleted, there is nothing to tell any more."""
    (manifest,) = await installation.write_backups()
    ending = ".manifest.json" if lost == "manifest" else ""
    (installation.path / f"{manifest.file}{ending}").unlink()

    await installation.checks.run_due()
    assert installation.alerts.about(DAMAGED) == [manifest.backup_id]

    for file in installation.path.glob(f"{manifest.file}*"):
        file.unlink()
    await installation.checks.run_due()
    assert installation.alerts.raised == {}


async def test_a_restart_keeps_alerts_of_damage_and_resolves_what_is_over(installation):
    """What is damaged lies beside the backups, and what is raised is asked of the alarm."""
    first, second = await installation.write_backups(2)
    for manifest in (first, second):
        damage(installation.path, manifest)
    installation.clock.advance(days=8)
    await installation.checks.run_due(everything=True)
    assert installation.alerts.about(DAMAGED) == [first.backup_id, second.backup_id]

    installation.alerts.raised.clear()
    installation.restart()
    await installation.backup_monitor.check()
    assert installation.alerts.about(DAMAGED) == [first.backup_id, second.backup_id]

    installation.restart()
    installation.catalogue.delete(first.backup_id)
    damage(installation.path, second)
    installation.clock.advance(seconds=1)
    await installation.backups.verify(second.backup_id)
    await installation.backup_monitor.check()
    assert installation.alerts.raised == {}


async def test_a_directory_that_is_away_does_not_say_that_damage_is_over(installation):
    """It may only not be mounted."""
    (manifest,) = await installation.write_backups()
    (installation.path / manifest.file).write_bytes(b"")
    await installation.backup_monitor.check()
    away = installation.path.rename(installation.path.with_name("away"))
    await installation.backup_monitor.check()
    installation.path.mkdir()
    await installation.backup_monitor.check()

    assert installation.alerts.about(DAMAGED) == [manifest.backup_id]
    installation.path.rmdir()
    away.rename(installation.path)


async def test_files_are_read_by_runs_and_sizes_are_not(installation):
    """One after another, asked for by the checks."""
    await installation.write_backups(3)
    installation.clock.advance(days=1)
    await installation.checks.run_due()
    assert installation.recorder.runs == []

    installation.clock.advance(days=30)
    await installation.checks.run_due(everything=True)

    runs = installation.recorder.runs
    assert [(run.kind, run.requested_by, run.origin) for run in runs] == (
        [(RunKind.VERIFICATION, "checks", Origin.SCHEDULE)] * 3
    )
    assert all(a.finished_at <= b.created_at for a, b in pairwise(runs))


async def test_a_pass_reads_its_share(installation):
    """Seven passes read everything that became due at once, each a part."""
    await installation.write_backups(10)
    installation.clock.advance(days=7)
    counts = []
    for _ in range(7):
        found = await installation.checks.run_due()
        counts.append(sum(check.what == "hashes" for check in found))
        installation.clock.advance(days=1)

    assert counts == [2, 2, 2, 2, 2, 0, 0]


async def test_two_processes_share_a_pass(installation, tmp_path):
    """No file is read twice, and nobody fails."""
    manifests = await installation.write_backups(4)
    installation.clock.advance(days=31)
    other = MonitoredInstallation(tmp_path, drill_days=0)
    other.clock.at = installation.clock.at

    await asyncio.gather(
        installation.checks.run_due(everything=True), other.checks.run_due(everything=True)
    )
    while not all("content" in installation.checks_of(manifest) for manifest in manifests):
        await installation.checks.run_due(everything=True)
    await other.close()

    read = [run.backup_id for run in (*installation.recorder.runs, *other.recorder.runs)]
    assert sorted(read) == [manifest.backup_id for manifest in manifests]


async def test_a_pass_waits_for_the_next_time_when_it_is_in_the_way(installation):
    """What is due stays due; a second pass in one process does nothing."""
    (manifest,) = await installation.write_backups()
    installation.clock.advance(days=31)
    locks = RunLocks(installation.settings.state_dir)
    held = await asyncio.to_thread(
        locks.acquire, "run_of_another_process", [Resource("checks", "the checks")]
    )

    assert await installation.checks.run_due() == ()
    held.release()
    found, nothing = await asyncio.gather(
        installation.checks.run_due(), installation.checks.run_due()
    )

    assert ([check.what for check in found], nothing) == (["content"], ())
    assert installation.checks_of(manifest)["content"].success


async def test_a_service_that_stops_begins_no_more_checks(installation):
    """What is under way ends as every run does; the pass is not an error."""
    await installation.write_backups(2)
    installation.clock.advance(days=31)
    await installation.runs.close(0)

    assert await installation.checks.run_due(everything=True) == ()


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


async def test_a_check_that_somebody_cancels_does_not_end_the_pass(installation):
    """It has shown nothing, and nothing is noted."""
    first, second = await installation.write_backups(2)
    installation.clock.advance(days=31)
    canceller = Canceller()
    installation.runs.listeners._listeners = (canceller, installation.recorder)
    canceller.runs = installation.runs

    found = await installation.checks.run_due(everything=True)

    assert found == ()
    assert [run.state for run in installation.recorder.runs] == [RunState.CANCELLED] * 2
    assert installation.checks_of(first) == installation.checks_of(second) == {}


async def test_a_pass_that_is_cancelled_lets_everything_go(installation):
    """The run is cancelled with it, no backup stays in use, and the next pass can begin."""
    await installation.write_backups(3)
    installation.clock.advance(days=31)
    task = asyncio.create_task(installation.checks.run_due(everything=True))
    installation.runs.listeners._listeners = (begun := Begun(), installation.recorder)
    await begun.event.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(installation.recorder.runs) <= 1
    assert len(await installation.checks.run_due(everything=True)) >= 2
    assert all(
        "content" in installation.catalogue.notes(entry.backup_id).checks
        for entry in installation.catalogue.entries()
    )


class Faster:
    """A listener that verifies a backup by hand when another one has just been checked."""

    def __init__(self, installation: MonitoredInstallation, manifest: Manifest) -> None:
        self._here = installation
        self._manifest = manifest

    async def begun(self, run: Run) -> None:
        """Hear nothing."""

    async def ended(self, run: Run) -> None:
        """Be faster than the pass."""
        await self._here.backups.verify(self._manifest.backup_id)


async def test_a_check_asks_at_the_last_moment_whether_it_is_still_wanted(installation):
    """Somebody who has verified the backup meanwhile has done its work."""
    first, second = await installation.write_backups(2)
    installation.clock.advance(days=31)
    installation.runs.listeners._listeners = (Faster(installation, second), installation.recorder)

    found = await installation.checks.run_due(everything=True)

    assert [check.backup_id for check in found] == [first.backup_id]
    assert [run.backup_id for run in installation.recorder.runs] == [first.backup_id]
    assert "content" in installation.checks_of(second)


async def test_without_a_directory_there_is_nothing_to_check(installation):
    """Nothing is made, and nobody is told."""
    assert await installation.checks.run_due() == ()
    assert not installation.path.exists()
    assert installation.alerts.raised == {}


async def test_checks_that_are_switched_off_do_not_look(tmp_path):
    """0 days = never, on every level."""
    made = MonitoredInstallation(
        tmp_path, drill_days=0, check_sizes_days=0, check_hashes_days=0, check_content_days=0
    )
    (manifest,) = await made.write_backups()
    (made.path / manifest.file).write_bytes(b"")
    made.clock.advance(days=400)

    assert await made.checks.run_due() == ()
    await made.close()
