"""Other programs read the files, and hostile ones are refused (hazards 115, 116, 119 and 123)."""

import asyncio
import os
import subprocess
import time
import tracemalloc

import pytest

from app.archive.file import codec as codecs
from app.archive.file.footer import read_footer
from app.archive.file.reader import ArchiveReader
from app.domain.backups.manifest import Codec
from app.domain.backups.seal import MAX_MANIFEST_BYTES
from app.errors import (
    BackupNotFoundError,
    ChecksumMismatchError,
    ManifestError,
    StorageDeniedError,
    TruncatedFileError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archives import make_backup, write_backup


def output_of(*command: str) -> bytes:
    """Run a standard tool."""
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_gzip_accepts_and_reads_the_file(tmp_path):
    """`gzip -t` is content, and `zcat` gives the statements in order."""
    _, manifest = make_backup(tmp_path)
    path = str(tmp_path / manifest.file)

    output_of("gzip", "-t", path)
    text = output_of("zcat", path)

    assert len(text) == manifest.raw_size
    assert text.startswith(b"SET NAMES utf8mb4;\n")
    assert b"\nINSERT INTO `users`" in text


def test_zstd_accepts_and_reads_the_file(tmp_path):
    """`zstd -t` is content, and `zstd -dc` gives the statements in order."""
    _, manifest = make_backup(tmp_path, codec=Codec.ZSTD)
    path = str(tmp_path / manifest.file)

    output_of("zstd", "-q", "-t", path)

    assert len(output_of("zstd", "-dc", path)) == manifest.raw_size


def test_sha256sum_agrees_with_the_manifest(tmp_path):
    """The checksum is of the bytes on disk."""
    _, manifest = make_backup(tmp_path)

    assert output_of("sha256sum", str(tmp_path / manifest.file)).split()[0].decode() == (
        manifest.checksum
    )


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../backup_697df05100000", "/etc/passwd", "backup_697df05100000/", "backup_",
     "backup_697df05100000\n", "backup_697DF05100000", "backup_697df051fffff", "a\0b", "*", "%2e%2e"],
)  # fmt: skip
def test_an_id_that_is_a_path_names_nothing(tmp_path, text):
    """Whatever a user types, it is no way out of the directory."""
    catalogue, _ = make_backup(tmp_path)

    for use in (catalogue.manifest, catalogue.open, catalogue.delete):
        with pytest.raises(BackupNotFoundError):
            use(text)


def test_a_symbolic_link_in_the_store_is_refused(tmp_path):
    """As data file, as manifest and as lock: never followed, never removed, named as a problem."""
    catalogue, manifest = make_backup(tmp_path / "store")
    outside = tmp_path / "outside"
    data = tmp_path / "store" / manifest.file
    data.rename(outside)
    data.symlink_to(outside)

    assert catalogue.entries() == ()
    assert isinstance(catalogue.problems()[0].error, StorageDeniedError)
    for use in (catalogue.open, catalogue.delete):
        with pytest.raises(StorageDeniedError):
            use(manifest.backup_id)
    assert outside.exists()

    note = tmp_path / "store" / f"{manifest.file}.manifest.json"
    note.rename(tmp_path / "outside.json")
    note.symlink_to(tmp_path / "outside.json")
    with pytest.raises(StorageDeniedError):
        catalogue.manifest(manifest.backup_id)

    partial = tmp_path / "store" / f"{manifest.file}.manifest.json.partial"
    partial.symlink_to(outside)
    assert catalogue.sweep() == ()
    assert outside.exists()

    lock = tmp_path / "store" / ".lock"
    lock.unlink()
    lock.symlink_to(outside)
    with pytest.raises(StorageDeniedError):
        catalogue.sweep()


def test_a_decompression_bomb_stops_at_the_promised_size(tmp_path):
    """A member of 64 MiB that claims 1,000 bytes costs neither memory nor time."""
    bomb = {codec: codecs.compress(codec, [bytes(64 << 20)]) for codec in (Codec.GZIP, Codec.ZSTD)}
    for codec, data in bomb.items():
        began = time.process_time()
        with pytest.raises(ChecksumMismatchError, match="more than 1000 bytes"):
            codecs.inflate(codec, data, raw_size=1000, source="bomb")
        assert time.process_time() - began < 1


def test_deeply_nested_json_is_an_error_not_a_crash(tmp_path):
    """In the manifest, in metadata.json and in the footer."""
    catalogue, manifest = make_backup(tmp_path)
    deep = b'{"format":"backstay","format_version":1,"members":' + b"[" * 200_000
    (tmp_path / "metadata.json").write_bytes(b"[" * 200_000)
    assert len(catalogue.entries()) == 1
    (tmp_path / f"{manifest.file}.manifest.json").write_bytes(deep)
    assert catalogue.entries() == ()
    with pytest.raises(ManifestError):
        read_footer(b"-- footer bytes: %020d\n" % 38, source="footer")


def test_files_are_the_owners_only(tmp_path):
    """The directory is 0700, every file 0600, whatever the umask."""
    old = os.umask(0)
    try:
        make_backup(tmp_path / "a" / "b")
    finally:
        os.umask(old)

    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a" / "b").iterdir()}
    assert set(modes.values()) == {0o600}
    assert "denied" in (tmp_path / "a" / "b" / ".htaccess").read_text()


def test_a_file_that_changes_while_it_is_open_is_noticed(tmp_path):
    """A reader that was opened before the file was cut does not return less."""
    catalogue, manifest = make_backup(tmp_path)
    with ArchiveReader.open(catalogue.directory, manifest) as reader:
        os.truncate(tmp_path / manifest.file, manifest.size - 1)
        with pytest.raises(TruncatedFileError):
            reader.read_now(manifest.members[-1])


def test_a_manifest_beyond_its_bound_is_damaged_and_not_read(tmp_path):
    """By a byte: no memory is taken for it, and the backups beside it are listed."""
    catalogue, manifest = make_backup(tmp_path)
    file = tmp_path / f"{manifest.file}.manifest.json"
    os.truncate(file, MAX_MANIFEST_BYTES + 1)
    asyncio.run(write_backup(LocalDirectory(tmp_path), 1))
    tracemalloc.start()
    try:
        survey = catalogue.survey()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [entry.backup_id for entry in survey.entries] != [manifest.backup_id]
    assert len(survey.entries) == 1
    assert [problem.file for problem in survey.problems] == [manifest.file]
    assert most < 64 << 20
