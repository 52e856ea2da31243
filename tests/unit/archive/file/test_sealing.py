"""Encrypted archives: who can read what of them, and what nobody can change unseen."""

import asyncio
import json
import subprocess
from dataclasses import replace
from threading import Event

import pytest

from app.age.stream import SEALED_BYTES
from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive, rewrap_archive
from app.archive.file.sealing import write_manifest
from app.domain.backups import envelope as envelopes
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.envelope import ENVELOPE_HEAD_BYTES
from app.domain.backups.manifest import Codec
from app.errors import (
    AppError,
    ChecksumMismatchError,
    IntegrityError,
    ManifestError,
    NoIdentityError,
    SignatureMismatchError,
    UnknownSignerError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.archives import backup_id_of, leftovers, write_backup
from tests.fixtures.sealed_backups import (
    CHANGES,
    MINE,
    PROGRAM,
    SAFE,
    STRANGER,
    note_of,
    read_all,
    writer_of,
)


@pytest.mark.parametrize("codec", list(Codec))
def test_an_encrypted_archive_holds_what_a_plain_one_holds(codec, place, state, tmp_path):
    """`age -d`, and then what opens a plain one, gives the same text; the members are the same, too."""
    plain_place = LocalDirectory(tmp_path / "plain")
    plain_place.prepare()
    plain = asyncio.run(write_backup(plain_place, codec=codec))
    keys = keys_of(state, MINE, reader=MINE)
    manifest = asyncio.run(write_backup(place, codec=codec, keys=keys))
    catalogue = Catalogue(place, keys)

    assert manifest.file == f"{plain.file}.age"
    there = catalogue.manifest(manifest.backup_id)
    assert there == manifest
    assert (
        read_all(catalogue, manifest.backup_id)[:-1]
        == read_all(Catalogue(plain_place), plain.backup_id)[:-1]
    )  # the footers tell for whom
    for level in VerifyLevel:
        with catalogue.open(manifest.backup_id) as reader:
            asyncio.run(reader.verify(level))
    identity = tmp_path / "key"
    identity.write_text(f"{MINE.secret_text()}\n")
    opened = subprocess.run(
        ["age", "-d", "-i", identity, place.path / manifest.file], check=True, capture_output=True
    ).stdout
    texts = b"".join(read_all(catalogue, manifest.backup_id))
    inflated = subprocess.run(PROGRAM[codec], input=opened, check=True, capture_output=True).stdout
    assert inflated == texts


def test_nothing_in_the_directory_tells_what_is_in_it(backup, place):
    """No name of a table, column or database, no description, no bound of a key: in no file."""
    catalogue, manifest = backup
    catalogue.refresh(manifest)
    written = b"".join(path.read_bytes() for path in place.path.iterdir() if path.is_file())
    for word in (b"users", b"orders", b"shop", b"of a test", b"CREATE", b"INSERT", b"SAFE"):
        assert word not in written
    envelope = json.loads(note_of(place, manifest).read_bytes())
    assert sorted(envelope) == [
        "backup_id", "checksum", "created_at", "file", "format", "format_version", "manifest",
        "manifest_checksum", "manifest_sha256", "manifest_size", "recipients", "server_id",
        "signature", "size",
    ]  # fmt: skip


@pytest.mark.parametrize("reader", [MINE, SAFE])
def test_any_recipient_reads_it(reader, backup, place, state):
    """Whoever of them it is."""
    _, manifest = backup
    assert len(read_all(Catalogue(place, keys_of(state, reader=reader)), manifest.backup_id)) > 4


def test_who_only_writes_knows_what_it_has_made_and_nothing_else(backup, place, state, tmp_path):
    """Its lists and its retention see its backups by what it remembers; a fresh state sees locked ones."""
    _, manifest = backup
    writer = writer_of(place, state, tmp_path)
    assert writer.survey().entries == ()
    assert [locked.backup_id for locked in writer.survey().locked] == [manifest.backup_id]
    writer.refresh(manifest)
    again = writer_of(place, state, tmp_path)
    survey = again.survey()
    assert [entry.databases for entry in survey.entries] == [("shop",)]
    assert (survey.locked, survey.problems) == ((), ())
    with pytest.raises(NoIdentityError):
        again.manifest(manifest.backup_id)
    fresh = Catalogue(place, keys_of(state)).survey()
    assert (fresh.entries, fresh.problems, fresh.orphans) == ((), (), ())
    (locked,) = fresh.locked
    assert (locked.size, locked.checksum) == (manifest.size, manifest.checksum)
    assert (locked.recipients, len(locked.recipients)) == (manifest.recipients, 2)


def test_a_stranger_reads_nothing(backup, place, state):
    """Not with another identity, not with none."""
    _, manifest = backup
    for keys in (keys_of(state, reader=STRANGER), keys_of(state)):
        with pytest.raises(NoIdentityError):
            Catalogue(place, keys).open(manifest.backup_id)


def test_its_bytes_are_proven_without_an_identity_and_no_change_passes(backup, place, state):
    """Each byte of header, chunks and tags, and each end at a border of chunks."""
    _, manifest = backup
    writer = Catalogue(place, keys_of(state))
    path = place.path / manifest.file
    whole = path.read_bytes()
    with writer.stored(manifest.backup_id) as archive:
        asyncio.run(archive.prove())
    for offset in {0, 20, 100, 250, 400, len(whole) // 2, len(whole) - 17, len(whole) - 1}:
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        with writer.stored(manifest.backup_id) as archive, pytest.raises(IntegrityError):
            asyncio.run(archive.prove())
        with (
            pytest.raises(AppError),
            Catalogue(place, keys_of(state, reader=MINE)).open(manifest.backup_id) as reader,
        ):
            asyncio.run(reader.verify(VerifyLevel.HASHES))
    path.write_bytes(whole[:-1])
    with pytest.raises(IntegrityError):
        writer.stored(manifest.backup_id)


@pytest.mark.parametrize("key", list(CHANGES))
def test_no_word_in_the_clear_can_be_changed(key, backup, place, state):
    """Not even by somebody who makes its checksum anew: the signature covers all of them."""
    catalogue, manifest = backup
    note = note_of(place, manifest)
    data = note.read_bytes()
    found = envelopes.read_head(data, source="note")
    encrypted = found.encrypted_manifest(data, source="note")
    forged = envelopes.signed_bytes(replace(found.envelope, **{key: CHANGES[key]}))
    note.write_bytes(envelopes.write_envelope(forged, found.signature, encrypted))
    for reader in (catalogue, Catalogue(place, keys_of(state))):
        with pytest.raises(SignatureMismatchError):
            reader.published(manifest.backup_id)
        assert [type(problem.error) for problem in reader.survey().problems] == [
            SignatureMismatchError
        ]


def test_a_file_made_by_somebody_who_knows_the_recipients_is_not_believed(backup, place, tmp_path):
    """It is refused until somebody has compared the signer, and says so."""
    catalogue, manifest = backup
    for path in place.path.glob("backup_*"):
        path.unlink()
    theirs = keys_of(tmp_path / "theirs", MINE, reader=MINE)
    asyncio.run(write_backup(place, keys=theirs))
    with pytest.raises(UnknownSignerError) as caught:
        catalogue.open(manifest.backup_id)
    signer = Catalogue(place, theirs).survey().entries
    assert len(signer) == 1
    survey = catalogue.survey()
    assert [type(problem.error) for problem in survey.unknown] == [UnknownSignerError]
    assert survey.problems == ()
    words = str(caught.value).split()
    signer_id = next(word.strip(",") for word in words if len(word.strip(",")) == 32)
    believer = keys_of(tmp_path / "state", MINE, reader=MINE, accepted=(signer_id,))
    assert read_all(Catalogue(place, believer), manifest.backup_id)


def test_the_manifest_of_another_backup_is_not_taken_for_its_own(place, state):
    """Neither under its name nor around its data."""
    keys = keys_of(state, MINE, reader=MINE)
    first = asyncio.run(write_backup(place, 0, keys=keys))
    second = asyncio.run(write_backup(place, 1, keys=keys))
    note_of(place, first).write_bytes(note_of(place, second).read_bytes())
    with pytest.raises(ManifestError):
        Catalogue(place, keys).published(first.backup_id)
    data = note_of(place, second).read_bytes()
    found = envelopes.read_head(data, source="it")
    encrypted = found.encrypted_manifest(data, source="it")
    body = envelopes.signed_bytes(
        replace(found.envelope, backup_id=first.backup_id, file=first.file)
    )
    note_of(place, first).write_bytes(envelopes.write_envelope(body, keys.sign(body), encrypted))
    with pytest.raises(ManifestError):
        Catalogue(place, keys).manifest(first.backup_id)


def test_it_is_copied_by_somebody_who_cannot_read_it(backup, place, state, tmp_path):
    """The copy has the same bytes, manifest included."""
    _, manifest = backup
    target = LocalDirectory(tmp_path / "copies")
    target.prepare()
    with Catalogue(place, keys_of(state)).stored(manifest.backup_id) as archive:
        copy_archive(archive, target, stop=Event())
    for name in (manifest.file, f"{manifest.file}.manifest.json"):
        assert (target.path / name).read_bytes() == (place.path / name).read_bytes()
    assert read_all(Catalogue(target, keys_of(state, reader=SAFE)), manifest.backup_id)


def test_rewrapping_changes_who_can_read_the_copy_and_nothing_else(backup, place, state, tmp_path):
    """The new recipient reads all of it, the old one nothing; what was there stays as it was."""
    catalogue, manifest = backup
    target = LocalDirectory(tmp_path / "copies")
    target.prepare()
    keys = keys_of(state, STRANGER, reader=MINE)
    with catalogue.stored(manifest.backup_id) as archive:
        made = rewrap_archive(archive, manifest, target, keys, stop=Event())
    theirs = Catalogue(target, keys_of(state, reader=STRANGER))
    assert theirs.manifest(manifest.backup_id) == made
    assert read_all(theirs, manifest.backup_id) == read_all(catalogue, manifest.backup_id)
    with theirs.open(manifest.backup_id) as reader:
        asyncio.run(reader.verify(VerifyLevel.CONTENT))
    with pytest.raises(NoIdentityError):
        Catalogue(target, keys_of(state, reader=MINE)).open(manifest.backup_id)
    assert catalogue.manifest(manifest.backup_id) == manifest


def test_it_is_deleted_by_somebody_who_cannot_read_it(backup, place, state):
    """And nothing of it stays."""
    _, manifest = backup
    Catalogue(place, keys_of(state)).delete(manifest.backup_id)
    assert leftovers(place.path) == []


def test_a_large_manifest_is_read_whole(place, state):
    """One that does not fit into the beginning; and none of its bytes can be changed or left out."""
    keys = keys_of(state, MINE, reader=MINE)
    manifest = asyncio.run(write_backup(place, keys=keys))
    large = replace(manifest, warnings=("w" * 1000,) * 200)
    note = note_of(place, manifest)
    whole = write_manifest(large, keys)
    note.write_bytes(whole)
    assert len(whole) > 3 * ENVELOPE_HEAD_BYTES
    catalogue = Catalogue(place, keys)
    assert catalogue.manifest(manifest.backup_id) == large
    assert catalogue.published(manifest.backup_id).manifest == whole
    middle = len(whole) // 2
    for changed in (
        whole[:-1],
        whole + b"\n",
        whole[:middle] + whole[middle + 4 :],
        whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    ):
        note.write_bytes(changed)
        with pytest.raises(ChecksumMismatchError):
            catalogue.manifest(manifest.backup_id)


def test_chunks_cannot_change_places(place, state):
    """Nor come from another file; large enough for several chunks."""
    keys = keys_of(state, MINE, reader=MINE)
    first = asyncio.run(write_backup(place, 0, codec=Codec.NONE, keys=keys))
    assert first.content_size == sum(
        {member.offset: member.size for member in first.members}.values()
    )
    path = place.path / first.file
    whole = path.read_bytes()
    start = len(whole) - first.content_size - 16 * (1 + (first.content_size - 1) // 65536)
    chunks = [whole[at : at + SEALED_BYTES] for at in range(start, len(whole), SEALED_BYTES)]
    assert b"".join((whole[:start], *chunks)) == whole
    path.write_bytes(
        b"".join((whole[:start], *reversed(chunks))) if len(chunks) > 1 else whole[::-1]
    )
    with pytest.raises(AppError), Catalogue(place, keys).open(first.backup_id) as reader:
        asyncio.run(reader.verify(VerifyLevel.HASHES))


def test_a_failed_backup_leaves_nothing(place, state):
    """Nobody can sign for whom the key cannot be read: the backup does not exist."""
    keys = keys_of(state, MINE, reader=MINE)
    keys.sign(b"")
    (state / "signing.key").write_text("no key")
    broken = keys_of(state, MINE, reader=MINE)
    with pytest.raises(AppError):
        asyncio.run(write_backup(place, keys=broken))
    assert leftovers(place.path) == []
    assert backup_id_of(0) not in {entry.backup_id for entry in Catalogue(place, keys).entries()}
