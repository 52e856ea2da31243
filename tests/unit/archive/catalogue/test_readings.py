"""Readings: the same object as long as nothing is another one, so that what is made of it can be kept."""

from dataclasses import replace

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.check_notes import Pin, SizeCheck
from tests.fixtures.archives import NOON, make_backup


def test_a_reading_of_the_same_is_the_same(tmp_path):
    """However often it is taken anew, with notes and sizes beside the backups."""
    catalogue, manifest = make_backup(tmp_path, 1)
    make_backup(tmp_path, 2)
    catalogue.change_notes(manifest.backup_id, lambda notes: replace(notes, pin=Pin(NOON, "ann")))
    measured = catalogue.check_size(manifest.backup_id)
    check = SizeCheck(NOON, 0.5, measured.size, measured.manifest)
    catalogue.add_size_checks({catalogue.find(manifest.backup_id): check})
    catalogue.refresh()
    reader = Catalogue(tmp_path)
    first = reader.read(anew=True)

    assert reader.read(anew=True) is first
    assert first.beside[manifest.backup_id] == catalogue.beside(manifest.backup_id)


def test_whatever_changes_makes_another_one(tmp_path):
    """A pin, a check of a size, a backup more, and one less."""
    catalogue, manifest = make_backup(tmp_path, 1)
    catalogue.refresh()
    reader = Catalogue(tmp_path)
    seen = [reader.read(anew=True)]

    def pin() -> None:
        catalogue.change_notes(
            manifest.backup_id, lambda notes: replace(notes, pin=Pin(NOON, "ann"))
        )

    def check() -> None:
        measured = catalogue.check_size(manifest.backup_id)
        size = SizeCheck(NOON, 0.5, measured.size, measured.manifest)
        catalogue.add_size_checks({catalogue.find(manifest.backup_id): size})

    def delete() -> None:
        catalogue.change_notes(manifest.backup_id, lambda notes: replace(notes, pin=None))
        catalogue.delete(manifest.backup_id)

    for change in (pin, check, lambda: make_backup(tmp_path, 2), delete):
        change()
        found = reader.read(anew=True)
        assert found == Catalogue(tmp_path).read(anew=True)
        assert not any(found is before for before in seen)
        seen.append(found)
