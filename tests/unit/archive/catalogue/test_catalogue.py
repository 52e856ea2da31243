"""What a directory holds, and how the catalogue survives damage."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.metadata import decode_metadata, encode_metadata
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec
from app.domain.backups.seal import to_json
from app.errors import (
    BackupNotFoundError,
    ChecksumMismatchError,
    ManifestError,
    StorageUnavailableError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archives import (
    backup_id_of,
    disk_of,
    leftovers,
    make_backup,
    write_backup,
)
from tests.fixtures.kernels import CountingKernel, FailingKernel


class ReadCounter(CountingKernel):
    """Remember which files were opened."""

    def __init__(self):
        super().__init__()
        self.opened: list[str] = []

    def decide(self, number, name, call, args):
        if name == "open":
            self.opened.append(Path(args[0]).name)
        return call(*args)


def note_of(path: Path, manifest) -> Path:
    return path / f"{manifest.file}.manifest.json"


def test_entries_come_newest_first_and_say_what_the_manifest_says(tmp_path):
    """Whatever the order of their making."""
    directory = LocalDirectory(tmp_path)
    directory.prepare()
    manifests = [asyncio.run(write_backup(directory, number)) for number in (2, 1, 3)]
    expected = [
        CatalogueEntry.of(manifest, str(tmp_path / manifest.file)) for manifest in manifests
    ]

    catalogue = Catalogue(tmp_path)
    fresh, cached = catalogue.entries(), catalogue.entries()

    assert list(fresh) == sorted(expected, key=lambda entry: entry.backup_id, reverse=True)
    assert cached == fresh
    assert catalogue.newest_id() == backup_id_of(3)


def test_metadata_json_has_the_documented_shape(tmp_path):
    """First the keys of docs/format.md in their order, then more facts of the manifest."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.entries()

    values = json.loads((tmp_path / "metadata.json").read_bytes())

    value = values[manifest.backup_id]
    assert list(value)[:9] == [
        "backup_id", "file", "full_path", "size", "created_at", "duration", "options",
        "tables_count", "checksum",
    ]  # fmt: skip
    assert value["created_at"] == "2026-01-31 12:00:00"
    assert value["full_path"] == str(tmp_path / manifest.file)
    assert list(value["options"]) == ["include_data", "compress", "verify", "description"]
    assert value["rows_count"] == 8


def test_an_unchanged_manifest_is_not_read_again(tmp_path):
    """A thousand backups are listed without opening a thousand files."""
    kernel = ReadCounter()
    catalogue, _ = make_backup(tmp_path, kernel=kernel)
    catalogue.entries()
    kernel.opened.clear()

    assert len(catalogue.entries()) == 1
    assert kernel.opened == ["metadata.json"]


def test_what_an_earlier_program_has_not_recorded_is_looked_for_once(tmp_path):
    """Such as the server of a backup; a manifest that does not note it says so."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.entries()
    file = tmp_path / "metadata.json"
    noted = decode_metadata(file.read_bytes()).entries.values()
    older = [replace(each, entry=replace(each.entry, server_id=None)) for each in noted]
    file.write_bytes(encode_metadata(older))

    for is_read in (True, False):
        kernel = ReadCounter()
        (entry,) = Catalogue(LocalDirectory(tmp_path, kernel)).entries()
        assert entry.server_id == manifest.server.server_id
        assert (note_of(tmp_path, manifest).name in kernel.opened) is is_read


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"backup_1": 1}', b'{"x": {"seal": null}}'],
)
def test_damaged_metadata_is_silently_made_again(tmp_path, damage):
    """It is a cache: nothing is lost with it."""
    catalogue, _ = make_backup(tmp_path)
    before = catalogue.entries()
    good = (tmp_path / "metadata.json").read_bytes()
    (tmp_path / "metadata.json").write_bytes(damage)

    assert catalogue.entries() == before
    assert (tmp_path / "metadata.json").read_bytes() == good


@pytest.mark.parametrize("key", ["size", "checksum", "rows_count", "created_at", "seal"])
def test_a_lie_in_metadata_is_not_believed(tmp_path, key):
    """Not even a plausible one."""
    catalogue, _ = make_backup(tmp_path)
    before = catalogue.entries()
    path = tmp_path / "metadata.json"
    values = json.loads(path.read_bytes())
    for value in values.values():
        value[key] = 1
    path.write_text(json.dumps(values))

    assert catalogue.entries() == before


def test_a_moved_directory_tells_its_new_path(tmp_path):
    """Nothing that is stored depends on where it is stored."""
    make_backup(tmp_path / "old")[0].entries()
    (tmp_path / "old").rename(tmp_path / "new")

    entry = Catalogue(tmp_path / "new").entries()[0]

    assert entry.full_path == str(tmp_path / "new" / entry.file)


def test_a_read_only_directory_can_be_listed(tmp_path):
    """The cache cannot be written; the list is right."""
    _, manifest = make_backup(tmp_path)

    class ReadOnly(CountingKernel):
        def decide(self, number, name, call, args):
            if name == "open" and args[1] & (os.O_WRONLY | os.O_RDWR):
                raise PermissionError(13, "permission denied")
            return call(*args)

    catalogue = Catalogue(LocalDirectory(tmp_path, ReadOnly()))

    assert [entry.backup_id for entry in catalogue.entries()] == [manifest.backup_id]


def test_a_missing_directory_is_an_error(tmp_path):
    """Not an empty list."""
    with pytest.raises(StorageUnavailableError):
        Catalogue(tmp_path / "absent").entries()


def test_one_damaged_manifest_hides_nothing_else(tmp_path):
    """It is a problem with a name; the others are listed."""
    catalogue, first = make_backup(tmp_path, 1)
    second = asyncio.run(write_backup(catalogue.directory, 2))
    note_of(tmp_path, first).write_bytes(b"{}")

    survey = catalogue.survey()

    assert [entry.backup_id for entry in survey.entries] == [second.backup_id]
    assert [problem.file for problem in survey.problems] == [first.file]
    assert isinstance(survey.problems[0].error, ChecksumMismatchError)


def test_a_manifest_without_its_file_is_a_problem(tmp_path):
    """It can be put back, or deleted."""
    catalogue, manifest = make_backup(tmp_path)
    (tmp_path / manifest.file).unlink()

    assert isinstance(catalogue.problems()[0].error, BackupNotFoundError)
    with pytest.raises(BackupNotFoundError):
        catalogue.open(manifest.backup_id)
    catalogue.delete(manifest.backup_id)
    assert leftovers(tmp_path) == []


def test_a_manifest_of_another_backup_is_a_problem(tmp_path):
    """Copied beside the wrong file, whole as it may be; rebuilding makes it right."""
    catalogue, first = make_backup(tmp_path, 1)
    second = asyncio.run(write_backup(catalogue.directory, 2))
    note_of(tmp_path, first).write_bytes(note_of(tmp_path, second).read_bytes())

    assert isinstance(catalogue.problems()[0].error, ManifestError)
    with pytest.raises(ManifestError):
        catalogue.manifest(first.backup_id)
    assert catalogue.rebuild().rebuilt == (first.backup_id,)
    assert len(catalogue.entries()) == 2


def test_a_manifest_of_a_newer_format_is_kept(tmp_path):
    """It is listed as a problem; a rebuild that cannot read the footer either changes nothing."""
    catalogue, manifest = make_backup(tmp_path)
    newer = to_json(replace(manifest, format_version=4))
    note_of(tmp_path, manifest).write_bytes(newer)
    data = (tmp_path / manifest.file).read_bytes()
    (tmp_path / manifest.file).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    assert "newer" in str(catalogue.problems()[0].error)
    assert len(catalogue.rebuild().problems) == 1
    assert note_of(tmp_path, manifest).read_bytes() == newer


@pytest.mark.parametrize("codec", Codec)
def test_a_lost_manifest_is_made_again_from_the_file(tmp_path, codec):
    """The same manifest, byte for byte of the index, and the backup verifies to the last row."""
    catalogue, manifest = make_backup(tmp_path, codec=codec)
    note_of(tmp_path, manifest).unlink()

    assert catalogue.orphans() == (manifest.file,)
    assert catalogue.entries() == ()
    assert catalogue.sweep() == ()
    assert catalogue.rebuild().rebuilt == (manifest.backup_id,)
    assert catalogue.manifest(manifest.backup_id) == manifest
    with catalogue.open(manifest.backup_id) as reader:
        assert asyncio.run(reader.verify(VerifyLevel.CONTENT)).rows == 8


def test_a_renamed_file_is_not_rebuilt_under_its_new_name(tmp_path):
    """The footer knows which backup it is."""
    catalogue, manifest = make_backup(tmp_path, 1)
    other = manifest.file.replace("12-00-01", "12-00-02").replace(
        manifest.backup_id, backup_id_of(2)
    )
    (tmp_path / manifest.file).rename(tmp_path / other)
    note_of(tmp_path, manifest).unlink()

    report = catalogue.rebuild()

    assert report.rebuilt == ()
    assert isinstance(report.problems[0].error, ManifestError)


@pytest.mark.parametrize("content", [b"", b"plain text\n", b"\x1f\x8b\x08\0" * 5])
def test_a_foreign_file_under_our_name_is_reported(tmp_path, content):
    """It stays where it is."""
    _, manifest = make_backup(tmp_path / "other")
    for name in (manifest.file, manifest.file.removesuffix(".gz")):
        (tmp_path / name).write_bytes(content)
    catalogue = Catalogue(tmp_path)

    report = catalogue.rebuild()

    assert len(report.problems) == 2
    assert len(catalogue.orphans()) == 2


def test_the_sweep_removes_only_what_is_ours(tmp_path):
    """A partial of another program, a note, a directory: all of it stays."""
    catalogue, manifest = make_backup(tmp_path, 1)
    ghost = manifest.file.replace("12-00-01", "12-00-02").replace(
        manifest.backup_id, backup_id_of(2)
    )
    garbage = [f"{ghost}.partial", f"{ghost}.manifest.json.rebuild", "metadata.json.partial"]
    for name in (*garbage, "notes.partial", "x.sql.gz"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / f"{ghost.removesuffix('.gz')}.partial").mkdir()

    assert sorted(catalogue.sweep()) == sorted(garbage)
    assert catalogue.sweep() == ()
    assert (tmp_path / "notes.partial").exists()
    assert len(catalogue.entries()) == 1


def test_an_owned_rebuild_or_tombstone_is_left_alone(tmp_path):
    """Its lock is held by somebody who lives."""
    catalogue, manifest = make_backup(tmp_path)
    for ending in (".manifest.json.rebuild", ".manifest.json.partial"):
        with disk_of(catalogue).create(manifest.file + ending):
            assert catalogue.sweep() == ()
    (tmp_path / f"{manifest.file}.manifest.json").rename(
        tmp_path / f"{manifest.file}.manifest.json.partial"
    )
    with catalogue.directory.open(manifest.file):
        assert catalogue.sweep() == ()
    assert len(catalogue.sweep()) == 2


def test_the_newest_id_counts_unfinished_backups(tmp_path):
    """So that no id is given twice."""
    catalogue, manifest = make_backup(tmp_path, 1)
    assert Catalogue(tmp_path).newest_id() == manifest.backup_id
    (tmp_path / manifest.file).unlink()
    note_of(tmp_path, manifest).rename(tmp_path / f"{manifest.file}.partial")

    assert catalogue.newest_id() == manifest.backup_id
    (tmp_path / f"{manifest.file}.partial").unlink()
    assert catalogue.newest_id() is None


def test_an_unreadable_metadata_file_is_no_obstacle(tmp_path):
    """It cannot be opened: the manifests are read."""
    _, manifest = make_backup(tmp_path)
    Catalogue(tmp_path).entries()
    catalogue = Catalogue(LocalDirectory(tmp_path, FailingKernel(2, 5)))

    assert [entry.backup_id for entry in catalogue.entries()] == [manifest.backup_id]


def test_a_catalogue_that_has_looked_before_sees_what_was_done_to_its_cache(tmp_path):
    """What it remembers of `metadata.json` counts only for the bytes that are there."""
    catalogue, _ = make_backup(tmp_path)
    metadata = tmp_path / "metadata.json"
    (entry,) = catalogue.entries()
    good = metadata.read_bytes()

    for damage in (b"", b"{}", good[:-20]):
        catalogue.entries()
        metadata.write_bytes(damage)
        assert catalogue.entries() == (entry,)
        assert metadata.read_bytes() == good


def test_what_was_just_written_is_believed_only_when_its_bytes_are_there(tmp_path):
    """A refresh does not decode the manifest of the writer, but notices a flipped bit in it."""
    directory = LocalDirectory(tmp_path)
    directory.prepare()
    manifest = asyncio.run(write_backup(directory, 1))
    catalogue = Catalogue(tmp_path)

    catalogue.refresh(manifest)
    assert list(catalogue.entries()) == [CatalogueEntry.of(manifest, str(tmp_path / manifest.file))]

    (tmp_path / "metadata.json").unlink()
    note = note_of(tmp_path, manifest)
    data = bytearray(note.read_bytes())
    data[100] ^= 1
    note.write_bytes(data)
    catalogue.refresh(manifest)
    (problem,) = catalogue.problems()
    assert isinstance(problem.error, ChecksumMismatchError)
