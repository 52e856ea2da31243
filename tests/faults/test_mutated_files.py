"""Files that are not ours, byte by byte: what is damaged is said to be, and never read as something else."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.metadata import decode_metadata
from app.domain.backups.check_notes import (
    Check,
    Notes,
    Pin,
    SizeCheck,
    decode_notes,
    decode_size_checks,
    encode_notes,
    encode_size_checks,
)
from app.domain.backups.retention import RetentionPolicy
from app.domain.backups.seal import from_json, to_json
from app.domain.ids import BackupId
from app.domain.restores.journal import (
    Journal,
    RestoreId,
    RestoreKind,
    RestorePhase,
    SchemaSwap,
    decode_journal,
    encode_journal,
)
from app.domain.restores.proofs import Proof, decode_proofs, encode_proofs
from app.domain.schedule import Frequency, Schedule
from app.errors import AppError, BackupPinnedError, ChecksumMismatchError, ClockJumpedError
from app.storage.clock_witness import ClockWitness
from app.storage.kernel import Kernel
from app.storage.known_directories import KnownDirectories
from app.storage.schedules import decode_schedules, encode_schedules
from tests.fixtures.archives import NOON, make_backup
from tests.fixtures.kernels import RelaxedKernel
from tests.fixtures.mutations import mutations
from tests.fixtures.series import series


COUNT = series(400, 40_000)
NOTES = Notes(
    Pin(NOON, "os:root", "before the audit"),
    {"hashes": Check(NOON, success=False, seconds=1.5, error="checksum-mismatch")},
)
SIZES = {BackupId("backup_65ba1f2f3d4e5"): SizeCheck(NOON, 0.001, 1234, "ab" * 32)}
PROOFS = (
    Proof(NOON, "drill", success=False, seconds=1.0, server="mariadb 10.11", tables=3, rows=8,
          raw_size=900, whole=True, error="statement"),
)  # fmt: skip
SCHEDULES = (
    Schedule("nightly", Frequency.DAILY, NOON, timezone="Europe/Berlin",
             retention=RetentionPolicy(count=30, daily=14)),
    Schedule("hourly", None, NOON, cron="0 9-17 * * 1-5", external=True),
)  # fmt: skip
JOURNAL = Journal(
    RestoreId("restore_0123456789ab"), RestoreKind.RESTORE, BackupId("backup_65ba1f2f3d4e5"),
    "localhost:3306", NOON, RestorePhase.SWAPPING,
    (SchemaSwap("shop", "shop__bk_new_1", "shop__bk_old_1", ("a", "b"), ("a",)),),
    keep_until=NOON + timedelta(hours=1),
)  # fmt: skip
KINDS: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "notes": (encode_notes(NOTES), decode_notes),
    "sizes": (encode_size_checks(SIZES), decode_size_checks),
    "proofs": (encode_proofs(PROOFS), decode_proofs),
    "schedules": (encode_schedules(SCHEDULES), decode_schedules),
    "journal": (encode_journal(JOURNAL), lambda data: decode_journal(data, source="journal")),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_read_as_nothing_else(kind):
    """A documented error, nothing, or the same as before: no pin, count or name becomes another one."""
    whole, decode = KINDS[kind]
    before = decode(whole)
    assert before
    for data in mutations(whole, 14, COUNT):
        try:
            found = decode(data)
        except AppError:
            continue
        assert not found or found == before, data


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_of_it_counts(kind):
    """Each one changed in one bit; white space at the end, which a full disk leaves, is none."""
    whole, decode = KINDS[kind]
    before = decode(whole)
    assert decode(whole + b"   \n\n") == before
    for at in range(len(whole.rstrip())):
        data = whole[:at] + bytes([whole[at] ^ 1 << at % 7]) + whole[at + 1 :]
        try:
            found = decode(data)
        except AppError:
            continue
        assert not found, (at, data[at : at + 20])


@pytest.mark.long
def test_a_damaged_manifest_is_never_another_one(tmp_path):
    """Whatever happens to its bytes; the digest of the file stands in it."""
    _, manifest = make_backup(tmp_path)
    for data in mutations(to_json(manifest), 14, COUNT):
        with pytest.raises(AppError):
            from_json(data, source="manifest")


@pytest.mark.long
def test_a_damaged_catalogue_lists_what_it_listed_before(tmp_path):
    """It is a cache: entries that are not whole are made again from the manifests."""
    catalogue, manifest = make_backup(tmp_path, kernel=RelaxedKernel())
    before = catalogue.entries()
    file = tmp_path / "metadata.json"
    whole = file.read_bytes()
    for data in mutations(whole, 14, COUNT):
        left = decode_metadata(data).entries
        assert all(item.entry in before for item in left.values())
    for data in mutations(whole, 15, COUNT // 40):
        file.write_bytes(data)
        assert Catalogue(tmp_path).entries() == before
        assert decode_metadata(file.read_bytes()) == decode_metadata(whole)
    assert manifest.file in whole.decode()


def _directory(path, kernel: Kernel):
    """Make a backup that is pinned, with everything that may lie beside it."""
    catalogue, manifest = make_backup(path, kernel=kernel)
    catalogue.change_notes(manifest.backup_id, lambda _: NOTES)
    catalogue.add_proof(manifest.backup_id, PROOFS[0])
    catalogue.read()
    return catalogue, manifest


@pytest.mark.long
def test_no_damage_deletes_what_is_pinned(tmp_path):
    """Whichever file beside the backup it is in: it stays, and everything that looks at it ends in words."""
    kernel = RelaxedKernel()
    catalogue, manifest = _directory(tmp_path, kernel)
    names = [f"{manifest.file}{ending}" for ending in (".notes.json", ".proofs.json")]
    for name in [*names, "metadata.json"]:
        file = tmp_path / name
        whole = file.read_bytes()
        for data in mutations(whole, 14, COUNT // 10):
            file.write_bytes(data)
            with pytest.raises((BackupPinnedError, ChecksumMismatchError)):
                catalogue.delete(manifest.backup_id)
            reading = Catalogue(catalogue.directory).read(anew=True)
            (pin,) = reading.pins([manifest.backup_id]).values()
            assert pin in {None, NOTES.pin}
            assert reading.proven([manifest.backup_id]) == {manifest.backup_id: None}
        file.write_bytes(whole)


@pytest.mark.long
def test_a_damaged_witness_of_the_clock_ends_in_words(tmp_path):
    """The clock is said to have jumped, or to be right, as it is; a damaged witness is never a bug."""
    witness = ClockWitness(tmp_path, lambda: NOON)
    witness.record({})
    file = tmp_path / "clock" / "witness.json"
    whole = file.read_bytes()
    endless = whole.replace(b'"boot_seconds":', b'"boot_seconds":1e300,"was":')
    for data in (endless, *mutations(whole, 14, COUNT // 4)):
        file.write_bytes(data)
        try:
            assert witness.check({}).at == NOON
        except ClockJumpedError:
            continue


@pytest.mark.long
def test_a_damaged_note_of_directories_is_none(tmp_path):
    """It knows what it knew, or nothing."""
    known = KnownDirectories(tmp_path)
    known.note(tmp_path / "a")
    file = tmp_path / "known" / "directories.json"
    for data in mutations(file.read_bytes(), 14, COUNT // 4):
        file.write_bytes(data)
        assert not known.knows(tmp_path / "other")


def test_files_of_a_release_without_seals_are_read():
    """They have the same keys and no other."""
    for whole, decode in KINDS.values():
        body = whole.rstrip()[: -len(b',\n"seal":""}') - 64] + b"}"
        assert decode(body) == decode(whole)
