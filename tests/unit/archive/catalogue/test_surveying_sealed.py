"""What a look at a directory tells of encrypted backups, and what it reads for that."""

import asyncio
import os
from collections import Counter
from dataclasses import replace

import pytest
from pydantic import SecretStr

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.known_lines import known_lines
from app.archive.catalogue.metadata import decode_metadata, encode_metadata
from app.domain.backups import envelope as envelopes
from app.domain.backups.envelope import ENVELOPE_HEAD_BYTES
from app.errors import (
    IntegrityError,
    ManifestError,
    NoIdentityError,
)
from app.security.archive_keys import InstallationKeys
from app.security.backup_keys import BackupKeys, IdentitySources
from app.security.signers import Signers
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.archives import write_backup
from tests.fixtures.sealed_backups import (
    CHANGES,
    MINE,
    SAFE,
    note_of,
    read_all,
    writer_of,
)


def test_two_processes_remember_what_each_has_made(place, state, tmp_path):
    """Whichever writes last; what is deleted is forgotten."""
    service, command = (writer_of(place, state, tmp_path) for _ in range(2))
    keys = keys_of(state, MINE, SAFE)
    first = asyncio.run(write_backup(place, 0, keys=keys))
    service.refresh(first)
    command.refresh(asyncio.run(write_backup(place, 1, keys=keys)))
    service.refresh(asyncio.run(write_backup(place, 2, keys=keys)))
    for catalogue in (service, command, writer_of(place, state, tmp_path)):
        assert (len(catalogue.survey().entries), catalogue.survey().locked) == (3, ())
    service.delete(first.backup_id)
    assert len(writer_of(place, state, tmp_path).survey().entries) == 2


def test_what_was_touched_or_moved_is_still_known(place, state, tmp_path):
    """Its signed envelope says that it is the same."""
    manifest = asyncio.run(write_backup(place, keys=keys_of(state, MINE, SAFE)))
    writer_of(place, state, tmp_path).refresh(manifest)
    os.utime(note_of(place, manifest), (1, 1))
    writer = writer_of(place, state, tmp_path)
    assert (len(writer.survey().entries), writer.survey().locked) == (1, ())
    assert len(writer_of(place, state, tmp_path).survey().entries) == 1


def test_what_an_earlier_program_has_not_kept_is_told_by_the_envelope(place, state, tmp_path):
    """The line stays where nobody here could read the backup again."""
    manifest = asyncio.run(write_backup(place, keys=keys_of(state, MINE, SAFE)))
    writer_of(place, state, tmp_path).refresh(manifest)
    (file,) = (tmp_path / "catalogue").glob("*.json")
    noted = decode_metadata(file.read_bytes()).entries.values()
    older = [replace(each, entry=replace(each.entry, server_id=None)) for each in noted]
    file.write_bytes(encode_metadata(older))

    for _ in range(2):
        survey = writer_of(place, state, tmp_path).survey()
        assert [entry.server_id for entry in survey.entries] == [manifest.server.server_id]
        assert survey.locked == ()
    (known,) = decode_metadata(file.read_bytes()).entries.values()
    assert known.entry.server_id == manifest.server.server_id


def test_identities_that_cannot_be_had_cost_no_list(backup, place, state):
    """Neither a file that is gone nor a command that fails: what they would read is locked."""
    _, manifest = backup
    sources = IdentitySources(file=place.path / "nothing")
    keys = InstallationKeys(BackupKeys(str(MINE.recipient), sources), Signers(state, ""))
    survey = Catalogue(place, keys).survey()
    assert [locked.backup_id for locked in survey.locked] == [manifest.backup_id]
    with pytest.raises(NoIdentityError, match="BACKSTAY_IDENTITY_FILE"):
        Catalogue(place, keys).open(manifest.backup_id)


def test_an_identity_command_that_makes_no_sense_is_in_the_way_of_nothing_plain(place, state):
    """It is told where something encrypted is to be read, and in no other place."""
    sources = IdentitySources(command=SecretStr("'"))
    keys = InstallationKeys(BackupKeys("", sources), Signers(state, ""))
    assert keys.can_read
    assert keys.are_set
    plain = asyncio.run(write_backup(place, 0))
    sealed = asyncio.run(write_backup(place, 1, keys=keys_of(state, MINE)))
    catalogue = Catalogue(place, keys)
    survey = catalogue.survey()
    assert [entry.backup_id for entry in survey.entries] == [plain.backup_id]
    assert [locked.backup_id for locked in survey.locked] == [sealed.backup_id]
    assert read_all(catalogue, plain.backup_id)
    with pytest.raises(NoIdentityError, match="BACKSTAY_IDENTITY_COMMAND"):
        catalogue.open(sealed.backup_id)


class CountedReads(LocalDirectory):
    """Counts the bytes of each small file that were read, and how often."""

    def __init__(self, path):
        super().__init__(path)
        self.counts: Counter[str] = Counter()
        self.bytes = 0

    def read(self, name, limit):
        self.counts[name] += 1
        return super().read(name, limit)

    def head(self, name, limit):
        self.counts[name] += 1
        data = super().head(name, limit)
        self.bytes += len(data)
        return data


def test_what_nobody_can_read_is_not_read_at_every_look(place, state, tmp_path):
    """Its stamp says that it is the same; one that was just written is taken as what it is."""
    manifest = asyncio.run(write_backup(place, keys=keys_of(state, MINE)))
    counted = CountedReads(place.path)
    catalogue = Catalogue(counted, keys_of(state, MINE), known_lines(tmp_path, "local"))
    note = f"{manifest.file}.manifest.json"
    for _ in range(5):
        assert [backup.backup_id for backup in catalogue.survey().locked] == [manifest.backup_id]
    assert counted.counts[note] <= 2
    catalogue.refresh(manifest)
    survey = catalogue.survey()
    assert [entry.backup_id for entry in survey.entries] == [manifest.backup_id]
    assert survey.locked == ()


@pytest.mark.parametrize("key", ["nothing", *CHANGES])
def test_of_what_nobody_has_signed_the_beginning_is_read_and_no_more(key, backup, place, state):
    """However large somebody has made it; what is signed is read up to the size that was signed."""
    _, manifest = backup
    note = note_of(place, manifest)
    data = note.read_bytes()
    if key != "nothing":
        found = envelopes.read_head(data, source="note")
        forged = envelopes.signed_bytes(replace(found.envelope, **{key: CHANGES[key]}))
        data = forged + data[len(found.signed) :]
    note.write_bytes(data)
    os.truncate(note, 1 << 40)
    counted = CountedReads(place.path)
    catalogue = Catalogue(counted, keys_of(state))
    with pytest.raises(IntegrityError):
        catalogue.published(manifest.backup_id)
    assert [problem.file for problem in catalogue.survey().problems] == [manifest.file]
    assert counted.bytes <= 4 * ENVELOPE_HEAD_BYTES


def test_a_plain_file_of_the_same_id_is_a_problem_and_nobody_reads_it(backup, place):
    """It is not listed, and the encrypted one is still what its id means."""
    catalogue, manifest = backup
    plain = asyncio.run(write_backup(place))
    survey = catalogue.survey()
    assert [entry.file for entry in survey.entries] == [manifest.file]
    assert [(problem.file, type(problem.error)) for problem in survey.problems] == [
        (plain.file, ManifestError)
    ]
    assert catalogue.manifest(manifest.backup_id) == manifest
