"""What is noted beside a backup: kept whole, and gone with it."""

from dataclasses import replace

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.check_notes import Check, Notes, Pin
from app.errors import (
    BackupInUseError,
    BackupNotFoundError,
    BackupPinnedError,
    ChecksumMismatchError,
)
from tests.fixtures.archives import NOON, backup_id_of, leftovers, make_backup


PIN = Pin(NOON, "ann", "for ever")
CHECK = Check(NOON, success=True, seconds=1.5)


def test_what_is_noted_is_there_for_the_next_process(tmp_path):
    """Whoever notes one thing leaves the others."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.change_notes(manifest.backup_id, lambda notes: replace(notes, pin=PIN))
    catalogue.change_notes(
        manifest.backup_id, lambda notes: replace(notes, checks={**notes.checks, "hashes": CHECK})
    )

    assert Catalogue(tmp_path).notes(manifest.backup_id) == Notes(PIN, {"hashes": CHECK})


def test_notes_of_what_is_not_there_are_empty_and_cannot_be_made(tmp_path):
    """Also where there is no directory."""
    for path in (tmp_path, tmp_path / "none"):
        catalogue = Catalogue(path)
        assert catalogue.notes(backup_id_of(1)) == Notes()
        with pytest.raises(BackupNotFoundError):
            catalogue.change_notes(backup_id_of(1), lambda notes: notes)


def test_damaged_notes_are_told_and_stay(tmp_path):
    """Nobody writes over what might be a pin."""
    catalogue, manifest = make_backup(tmp_path)
    notes = tmp_path / f"{manifest.file}.notes.json"
    notes.write_bytes(b"[]")
    for use in (
        lambda: catalogue.notes(manifest.backup_id),
        lambda: catalogue.change_notes(manifest.backup_id, lambda notes: notes),
        lambda: catalogue.delete(manifest.backup_id),
    ):
        with pytest.raises(ChecksumMismatchError):
            use()
    assert notes.read_bytes() == b"[]"


def test_a_deletion_takes_the_notes_along(tmp_path):
    """Unless the backup is pinned, or read by somebody; both change nothing."""
    catalogue, manifest = make_backup(tmp_path)
    name = manifest.backup_id
    catalogue.change_notes(name, lambda notes: replace(notes, pin=PIN))
    before = leftovers(tmp_path)
    with pytest.raises(BackupPinnedError, match="by ann: for ever"):
        catalogue.delete(name)
    catalogue.change_notes(name, lambda notes: replace(notes, pin=None))
    with catalogue.open(name):
        assert catalogue.in_use([manifest.file]) == {manifest.file}
        with pytest.raises(BackupInUseError):
            catalogue.delete(name)
    assert catalogue.in_use([manifest.file, "gone"]) == set()
    assert leftovers(tmp_path) == before

    catalogue.delete(name)
    assert leftovers(tmp_path) == []


def test_a_deletion_because_of_another_backup_needs_that_one(tmp_path):
    """With its file, at that moment."""
    catalogue, old = make_backup(tmp_path, 1)
    _, new = make_backup(tmp_path, 2)
    (tmp_path / new.file).rename(tmp_path / "aside")
    with pytest.raises(BackupNotFoundError, match=new.backup_id):
        catalogue.delete(old.backup_id, covered_by=new.backup_id)
    with pytest.raises(BackupNotFoundError):
        catalogue.delete(old.backup_id, covered_by=backup_id_of(3))
    (tmp_path / "aside").rename(tmp_path / new.file)
    catalogue.delete(old.backup_id, covered_by=new.backup_id)

    assert [entry.backup_id for entry in catalogue.entries()] == [new.backup_id]
