"""Sizes of many backups, noted in one file: what it says, and that nothing is believed because of it."""

import hashlib
import os
from dataclasses import replace
from datetime import timedelta

import pytest

from app.archive.catalogue import readings
from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.check_notes import Check, SizeCheck
from app.domain.backups.seal import to_json
from app.errors import (
    AppError,
    BackupNotFoundError,
    ChecksumMismatchError,
    ManifestError,
    StorageError,
    TruncatedFileError,
)
from tests.fixtures.archives import NOON, make_backup


def _noted(catalogue: Catalogue, backup_id: str, at=NOON) -> SizeCheck:
    measured = catalogue.check_size(backup_id)
    check = SizeCheck(at, 0.5, measured.size, measured.manifest)
    catalogue.add_size_checks({catalogue.find(backup_id): check})
    return check


def test_what_was_found_is_among_the_notes_of_each(tmp_path):
    """For the next process as well, and beside what is noted of the backup alone."""
    catalogue, first = make_backup(tmp_path, 1)
    _, second = make_backup(tmp_path, 2)
    hashes = Check(NOON, success=True, seconds=1.0)
    catalogue.change_notes(
        second.backup_id, lambda notes: replace(notes, checks={"hashes": hashes})
    )
    for manifest in (first, second):
        assert (
            _noted(catalogue, manifest.backup_id).manifest
            == hashlib.sha256(
                (tmp_path / f"{manifest.file}.manifest.json").read_bytes()
            ).hexdigest()
        )

    size = Check(NOON, success=True, seconds=0.5)
    for reader in (catalogue, Catalogue(tmp_path)):
        assert reader.notes(first.backup_id).checks == {"size": size}
        assert reader.notes(second.backup_id).checks == {"hashes": hashes, "size": size}
        beside = reader.read(anew=True).beside
        assert beside[second.backup_id] == reader.beside(second.backup_id)
        assert beside[second.backup_id].notes == reader.notes(second.backup_id)
    assert not (tmp_path / f"{first.file}.notes.json").exists()


def test_what_is_gone_is_forgotten_with_the_next_look(tmp_path):
    """The file grows with what is there."""
    catalogue, first = make_backup(tmp_path, 1)
    _, second = make_backup(tmp_path, 2)
    _noted(catalogue, first.backup_id)
    catalogue.delete(first.backup_id)
    _noted(catalogue, second.backup_id)
    assert list(catalogue.size_checks()) == [second.backup_id]


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"\x00\xff"])
def test_a_damaged_file_costs_nothing_but_what_it_said(tmp_path, text):
    """All are due again, and it is written anew."""
    catalogue, manifest = make_backup(tmp_path)
    _noted(catalogue, manifest.backup_id)
    (tmp_path / "sizes.json").write_bytes(text)
    assert Catalogue(tmp_path).notes(manifest.backup_id).checks == {}
    later = _noted(catalogue, manifest.backup_id, NOON + timedelta(days=1))
    assert Catalogue(tmp_path).size_checks() == {manifest.backup_id: later}


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_something_else_of_its_name_is_not_followed(tmp_path, kind):
    """Nothing is known then, and nothing can be noted."""
    catalogue, manifest = make_backup(tmp_path / "backups")
    check = SizeCheck(NOON, 0.5, manifest.size)
    file = tmp_path / "backups" / "sizes.json"
    (tmp_path / "elsewhere").write_bytes(b"{}")
    file.symlink_to(tmp_path / "elsewhere") if kind == "link" else file.mkdir()
    assert catalogue.size_checks() == {}
    if kind == "link":  # its name is taken by the file
        catalogue.add_size_checks({manifest.backup_id: check})
        assert (tmp_path / "elsewhere").read_bytes() == b"{}"
    else:
        with pytest.raises(StorageError):
            catalogue.add_size_checks({manifest.backup_id: check})


def _cut(path, manifest):
    os.truncate(path / manifest.file, manifest.size - 1)


def _lose(path, manifest):
    (path / manifest.file).unlink()


def _link(path, manifest):
    (path / manifest.file).rename(path / "elsewhere")
    (path / manifest.file).symlink_to(path / "elsewhere")


def _flip(path, manifest):
    file = path / f"{manifest.file}.manifest.json"
    file.write_bytes(file.read_bytes().replace(b'"rows":', b'"r0ws":', 1))


def _contradict(path, manifest):
    forged = replace(manifest, raw_size=manifest.raw_size + 1)
    (path / f"{manifest.file}.manifest.json").write_bytes(to_json(forged))


@pytest.mark.parametrize(
    ("damage", "error"),
    [(_cut, TruncatedFileError), (_lose, BackupNotFoundError), (_link, StorageError),
     (_flip, ChecksumMismatchError), (_contradict, ManifestError)],
)  # fmt: skip
@pytest.mark.parametrize("knows", [False, True])
def test_what_is_wrong_is_found_whatever_was_found_before(tmp_path, damage, error, knows):
    """Each look reads the manifest, and opens the file."""
    catalogue, manifest = make_backup(tmp_path)
    known = _noted(catalogue, manifest.backup_id) if knows else None
    assert catalogue.check_size(manifest.backup_id, known).size == manifest.size
    damage(tmp_path, manifest)
    with pytest.raises(error):
        catalogue.check_size(manifest.backup_id, known)


def test_a_backup_that_is_not_there_has_no_size(tmp_path):
    """Nor a path; and nothing is made where nothing is to be noted."""
    for name in ("backup_65ba1f2f3d4e5", "../x"):
        with pytest.raises(BackupNotFoundError):
            Catalogue(tmp_path / "none").check_size(name)
    Catalogue(tmp_path / "none").add_size_checks({})
    assert not (tmp_path / "none").exists()
    assert issubclass(BackupNotFoundError, AppError)


def _settled(tmp_path, catalogue):
    """Take a reading of a directory in which nothing has changed for long."""
    catalogue.read()
    os.utime(tmp_path, (0, 0))
    return catalogue.read(anew=True)


def test_what_was_found_is_put_into_the_reading_that_serves(tmp_path, monkeypatch):
    """Also when the clock was put back, and the check before it is of later."""
    monkeypatch.setattr(readings, "FRESH_SECONDS", 600.0)
    catalogue, manifest = make_backup(tmp_path)
    _noted(catalogue, manifest.backup_id, NOON + timedelta(days=1))
    before = _settled(tmp_path, catalogue)
    _noted(catalogue, manifest.backup_id, NOON)

    after = catalogue.read()

    assert after.survey is before.survey  # no other one was taken
    assert after.beside[manifest.backup_id].notes.checks["size"].at == NOON
    assert after.beside == catalogue.read(anew=True).beside


@pytest.mark.parametrize("at", ["before", "meanwhile", "after"])
def test_what_others_change_around_it_is_seen(tmp_path, monkeypatch, at):
    """Whether they do before sizes are noted, while the directory's clock stands, or after it."""
    monkeypatch.setattr(readings, "FRESH_SECONDS", 600.0)
    catalogue, manifest = make_backup(tmp_path)
    other = tmp_path / make_backup(tmp_path, 2)[1].file
    _settled(tmp_path, catalogue)

    def delete() -> None:
        for file in tmp_path.glob(f"{other.name}*"):
            file.unlink()

    if at == "before":
        delete()
    elif at == "meanwhile":
        mark = catalogue.directory.mark()
        monkeypatch.setattr(catalogue.directory, "mark", lambda: mark)
        monkeypatch.setattr("time.sleep", lambda _: delete())
    _noted(catalogue, manifest.backup_id)
    monkeypatch.undo()
    monkeypatch.setattr(readings, "FRESH_SECONDS", 600.0)
    if at == "after":
        delete()

    assert [entry.backup_id for entry in catalogue.read().survey.entries] == [manifest.backup_id]
