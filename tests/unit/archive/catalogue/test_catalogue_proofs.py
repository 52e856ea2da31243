"""Proofs that a backup was restored: kept beside it, and gone with it."""

import asyncio
import errno
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.catalogue import Survey
from app.domain.backups.check_notes import Check
from app.domain.backups.manifest import Codec
from app.domain.restores.proofs import MAX_PROOFS, Proof
from app.errors import (
    BackupNotFoundError,
    StorageError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archives import NOON, leftovers, make_backup, write_backup
from tests.fixtures.kernels import CountingKernel, FailingKernel


def proof(number: int = 0) -> Proof:
    """Make the n-th proof of a test."""
    return Proof(
        at=NOON + timedelta(minutes=number),
        by="drill",
        success=True,
        seconds=1.5,
        server="mariadb at db.example:3306",
        tables=3,
        rows=8,
        raw_size=900,
        whole=True,
    )


def test_proofs_are_kept_newest_first(tmp_path):
    """By the order of their coming: the newest restore says most, whatever the clock."""
    catalogue, manifest = make_backup(tmp_path)
    assert catalogue.proofs(manifest.backup_id) == ()

    for number in (1, 3, 2):
        catalogue.add_proof(manifest.backup_id, proof(number))

    assert Catalogue(tmp_path).proofs(manifest.backup_id) == (proof(2), proof(3), proof(1))


def test_a_proof_that_failed_is_excused_by_no_check_before_it(tmp_path):
    """Of which the clock was ahead; one that succeeded changes nothing, nor do notes that nobody understands."""
    catalogue, manifest = make_backup(tmp_path)
    ahead = Check(NOON + timedelta(days=400), success=True, seconds=1.0)
    failed = replace(proof(), success=False, error="checksum-mismatch")
    noted = catalogue.change_notes(
        manifest.backup_id, lambda notes: notes.with_check("content", ahead)
    )

    catalogue.add_proof(manifest.backup_id, proof())
    assert catalogue.notes(manifest.backup_id) == noted
    catalogue.add_proof(manifest.backup_id, failed)
    assert catalogue.notes(manifest.backup_id) == noted.before(failed.at)
    assert noted.before(failed.at).checks["content"].at < failed.at

    (tmp_path / f"{manifest.file}.notes.json").write_bytes(b"{")
    catalogue.add_proof(manifest.backup_id, failed)
    assert len(catalogue.proofs(manifest.backup_id)) == 3


def test_only_the_newest_proofs_are_kept(tmp_path):
    """A backup that is drilled every night does not grow for ever."""
    catalogue, manifest = make_backup(tmp_path)
    for number in range(MAX_PROOFS + 3):
        catalogue.add_proof(manifest.backup_id, proof(number))

    found = catalogue.proofs(manifest.backup_id)

    assert len(found) == MAX_PROOFS
    assert found[0] == proof(MAX_PROOFS + 2)
    assert found[-1] == proof(3)


def test_proofs_belong_to_one_backup(tmp_path):
    """Those of another are its own."""
    catalogue, first = make_backup(tmp_path, 1)
    second = asyncio.run(write_backup(catalogue.directory, 2))
    catalogue.add_proof(first.backup_id, proof())

    assert catalogue.proofs(second.backup_id) == ()


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff" * 50])
def test_damaged_proofs_count_as_none(tmp_path, damage):
    """The next one begins a new list; the backup is not touched."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.add_proof(manifest.backup_id, proof(1))
    (tmp_path / f"{manifest.file}.proofs.json").write_bytes(damage)

    assert catalogue.proofs(manifest.backup_id) == ()
    assert len(catalogue.entries()) == 1
    catalogue.add_proof(manifest.backup_id, proof(2))
    assert catalogue.proofs(manifest.backup_id) == (proof(2),)


def test_a_backup_that_is_not_there_has_no_proofs_and_gets_none(tmp_path):
    """It was deleted while it was drilled: no file is left for nobody."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.delete(manifest.backup_id)

    assert catalogue.proofs(manifest.backup_id) == ()
    assert catalogue.proofs("../../etc/passwd") == ()
    with pytest.raises(BackupNotFoundError):
        catalogue.add_proof(manifest.backup_id, proof())
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("lost", ["", "file", "manifest"])
def test_proofs_go_with_their_backup(tmp_path, lost):
    """Whether it is whole, or half of it was lost before and a sweep or a deletion takes the rest."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.add_proof(manifest.backup_id, proof())
    if lost == "file":
        (tmp_path / manifest.file).unlink()
    if lost == "manifest":
        (tmp_path / f"{manifest.file}.manifest.json").rename(
            tmp_path / f"{manifest.file}.manifest.json.partial"
        )
        catalogue.sweep()
    else:
        catalogue.delete(manifest.backup_id)

    assert leftovers(tmp_path) == []


def test_proofs_without_a_backup_are_swept(tmp_path):
    """Half written ones too; those of an orphan stay, for it may be rebuilt."""
    catalogue, manifest = make_backup(tmp_path)
    catalogue.add_proof(manifest.backup_id, proof())
    proofs = f"{manifest.file}.proofs.json"
    (tmp_path / f"{proofs}.partial").write_bytes(b"half")
    (tmp_path / f"{manifest.file}.manifest.json").unlink()

    assert catalogue.sweep() == (f"{proofs}.partial",)
    assert catalogue.rebuild().rebuilt == (manifest.backup_id,)
    assert catalogue.proofs(manifest.backup_id) == (proof(),)
    (tmp_path / manifest.file).unlink()
    (tmp_path / f"{manifest.file}.manifest.json").unlink()
    assert catalogue.sweep() == (proofs,)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("codec", Codec)
def test_proofs_are_no_backup(tmp_path, codec):
    """They are neither listed nor orphans nor problems, alone or beside their backup."""
    catalogue, manifest = make_backup(tmp_path, codec=codec)
    catalogue.add_proof(manifest.backup_id, proof())

    survey = catalogue.survey()
    assert [entry.backup_id for entry in survey.entries] == [manifest.backup_id]
    assert survey.orphans == ()
    assert survey.problems == ()

    (tmp_path / manifest.file).unlink()
    (tmp_path / f"{manifest.file}.manifest.json").unlink()
    survey = Catalogue(tmp_path).survey()
    assert survey == Survey((), (), ())
    assert catalogue.rebuild().rebuilt == ()


def test_a_failing_system_call_never_loses_a_proof(tmp_path):
    """Whichever call of an addition fails, the list is the old one or the new one."""
    catalogue, manifest = make_backup(tmp_path)
    kernel = CountingKernel()
    catalogue.add_proof(manifest.backup_id, proof(1))
    proofs = (tmp_path / f"{manifest.file}.proofs.json").read_bytes()
    Catalogue(LocalDirectory(tmp_path, kernel)).add_proof(manifest.backup_id, proof(2))
    for at in range(1, kernel.count + 1):
        (tmp_path / f"{manifest.file}.proofs.json").write_bytes(proofs)
        failing = Catalogue(LocalDirectory(tmp_path, FailingKernel(at, errno.ENOSPC)))
        with suppress(StorageError):
            failing.add_proof(manifest.backup_id, proof(2))
        assert catalogue.proofs(manifest.backup_id) in {(proof(1),), (proof(2), proof(1))}
        assert catalogue.problems() == ()
        assert catalogue.orphans() == ()
