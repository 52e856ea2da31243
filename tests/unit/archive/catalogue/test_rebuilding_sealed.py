"""Manifests of encrypted backups that are made again, and for whom they are not."""

import asyncio
from dataclasses import replace
from threading import Event

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import rewrap_archive
from app.errors import (
    InvalidRequestError,
    UnknownSignerError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.archives import leftovers, write_backup
from tests.fixtures.sealed_backups import (
    MINE,
    SAFE,
    STRANGER,
    note_of,
)


def test_a_lost_manifest_is_made_again_only_for_whoever_says_that_the_file_is_theirs(
    backup, place, state
):
    """Else somebody else's file would get our signature."""
    catalogue, manifest = backup
    note_of(place, manifest).unlink()
    report = catalogue.rebuild()
    assert (report.rebuilt, [type(problem.error) for problem in report.problems]) == (
        (),
        [UnknownSignerError],
    )
    report = catalogue.rebuild(unsigned=True)
    assert report.rebuilt == (manifest.backup_id,)
    assert catalogue.manifest(manifest.backup_id) == replace(
        manifest, duration=catalogue.manifest(manifest.backup_id).duration
    )


def test_a_damaged_manifest_is_not_made_again_unasked(backup, place, state):
    """Also where it is there, and only its checksum is wrong."""
    catalogue, manifest = backup
    note = note_of(place, manifest)
    note.write_bytes(note.read_bytes()[:-5])
    assert [type(problem.error) for problem in catalogue.rebuild().problems] == [UnknownSignerError]
    assert catalogue.rebuild(unsigned=True).rebuilt == (manifest.backup_id,)


def test_a_manifest_is_not_made_again_for_others_than_its_file(backup, place, state, tmp_path):
    """Else neither of both could restore alone; nor for nobody, nor of a copy that was rewrapped."""
    catalogue, manifest = backup
    note_of(place, manifest).unlink()
    for keys in (keys_of(state, STRANGER, reader=MINE), keys_of(state, reader=MINE)):
        report = Catalogue(place, keys).rebuild(unsigned=True)
        assert [type(problem.error) for problem in report.problems] == [InvalidRequestError]
    assert catalogue.rebuild(unsigned=True).rebuilt == (manifest.backup_id,)

    target = LocalDirectory(tmp_path / "copies")
    target.prepare()
    new = keys_of(state, STRANGER, reader=MINE)
    with catalogue.stored(manifest.backup_id) as archive:
        rewrap_archive(archive, catalogue.manifest(manifest.backup_id), target, new, stop=Event())
    note_of(target, manifest).unlink()
    mixed = Catalogue(target, keys_of(state, MINE, SAFE, reader=STRANGER))
    assert [type(problem.error) for problem in mixed.rebuild(unsigned=True).problems] == [
        InvalidRequestError
    ]
    assert leftovers(target.path) == [manifest.file]


def test_a_plain_manifest_is_made_again_where_others_are_encrypted(place, state):
    """For whom new backups are encrypted says nothing of one that was made before."""
    manifest = asyncio.run(write_backup(place))
    note_of(place, manifest).unlink()
    catalogue = Catalogue(place, keys_of(state, MINE, reader=MINE))
    assert catalogue.rebuild().rebuilt == (manifest.backup_id,)
    assert catalogue.manifest(manifest.backup_id).checksum == manifest.checksum
