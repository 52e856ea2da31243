"""What a verification notes beside a backup, whoever asks for it."""

import logging

import pytest

from app.domain.alerts.alert import AlertKind
from app.domain.backups.check_notes import VerifyLevel
from app.errors import (
    BackupNotFoundError,
    ChecksumMismatchError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archives import write_backup
from tests.fixtures.kernels import CountingKernel
from tests.fixtures.monitored_installation import MonitoredInstallation, damage


DAMAGED = AlertKind.VERIFICATION


async def test_a_verification_by_hand_is_noted_as_well(installation):
    """Success and failure, with level, time and error; it takes the place of the last one."""
    (manifest,) = await installation.write_backups()

    await installation.backups.verify(manifest.backup_id)
    assert installation.checks_of(manifest)["content"].success
    damage(installation.path, manifest)
    with pytest.raises(ChecksumMismatchError):
        await installation.backups.verify(manifest.backup_id, VerifyLevel.HASHES)

    noted = installation.checks_of(manifest)
    assert (noted["content"].success, noted["hashes"].success) == (True, False)
    assert noted["hashes"].at == noted["content"].at == installation.clock.at


async def test_a_damaged_manifest_is_noted(installation):
    """Though nothing of the file could be looked at."""
    (manifest,) = await installation.write_backups()
    note = installation.path / f"{manifest.file}.manifest.json"
    note.write_bytes(note.read_bytes().replace(b'"size"', b'"SIZE"', 1))

    with pytest.raises(ChecksumMismatchError):
        await installation.backups.verify(manifest.backup_id)

    assert installation.checks_of(manifest)["content"].error == "checksum-mismatch"


async def test_a_backup_that_is_not_there_gets_no_notes(installation):
    """Nothing is written for a name that somebody made up."""
    await installation.write_backups()
    before = sorted(installation.path.iterdir())

    with pytest.raises(BackupNotFoundError):
        await installation.backups.verify("backup_65ba1f2f3d4e5")

    assert sorted(installation.path.iterdir()) == before


async def test_sizes_that_are_right_take_one_file(installation):
    """However many there are; what is wrong is noted beside its backup, until it is right again."""
    first, second = await installation.write_backups(2)
    installation.clock.advance(days=1)
    await installation.checks.run_due()
    assert [path.name for path in installation.path.glob("*.notes.json")] == []
    assert installation.checks_of(first)["size"].success

    file = installation.path / second.file
    whole = file.read_bytes()
    file.write_bytes(whole[1:])
    installation.clock.advance(days=1)
    await installation.checks.run_due()
    assert [path.name for path in installation.path.glob("*.notes.json")] == [
        f"{second.file}.notes.json"
    ]
    assert not installation.checks_of(second)["size"].success

    file.write_bytes(whole)
    installation.clock.advance(days=1)
    await installation.checks.run_due()
    assert installation.checks_of(second)["size"].success
    assert installation.alerts.raised == {}


async def test_a_clock_that_was_ahead_hides_no_later_look(installation):
    """What was wrong while it was is over with the first look that finds it right, by the clock as it is."""
    (manifest,) = await installation.write_backups()
    file = installation.path / manifest.file
    whole = file.read_bytes()
    file.write_bytes(whole[1:])
    installation.clock.advance(days=365)
    await installation.checks.run_due()
    assert installation.alerts.about(DAMAGED) == [manifest.backup_id]

    file.write_bytes(whole)
    installation.clock.advance(days=-364)
    await installation.checks.run_due()
    assert installation.checks_of(manifest)["size"].at == installation.clock.at
    assert installation.checks_of(manifest)["size"].success
    assert installation.alerts.raised == {}


class ReadOnlyKernel(CountingKernel):
    """A medium that can only be read."""

    def decide(self, number, name, call, args):
        if name == "write":
            raise OSError(30, "Read-only file system")
        return call(*args)


async def test_a_medium_that_cannot_be_written_hides_no_result(tmp_path, caplog):
    """A verification says what it found, and damage raises an alert, though it cannot be noted."""
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


async def test_notes_that_cannot_be_understood_raise_an_alert(installation):
    """Nobody knows what is in them, such as a pin."""
    (manifest,) = await installation.write_backups()
    (installation.path / f"{manifest.file}.notes.json").write_text("{")

    await installation.checks.run_due()

    assert installation.alerts.about(DAMAGED) == [manifest.backup_id]
    assert "notes.json" in installation.alerts.message(DAMAGED)
