"""How far each level of verification looks."""

import asyncio
import threading
from dataclasses import replace

import pytest

from app.archive.file import verification
from app.archive.file.content import Content
from app.archive.file.reader import ArchiveReader
from app.archive.file.verification import until, verify_file
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec, MemberKind
from app.errors import BackupNotFoundError, ChecksumMismatchError, TruncatedFileError
from tests.fixtures.archives import forge, make_backup


def with_data(manifest, **changes):
    """Change the only INSERT of the table `users` that has one row."""
    members = list(manifest.members)
    number = next(
        n
        for n, member in enumerate(members)
        if member.kind is MemberKind.DATA and member.table == "users"
    )
    *others, last = members[number].statements
    changed = (*others, replace(last, **changes))
    members[number] = replace(members[number], statements=changed)
    return tuple(members)


def verify(catalogue, manifest, level):
    """Verify in a loop of its own."""
    with catalogue.open(manifest.backup_id) as reader:
        reader.check_index()
        return asyncio.run(reader.verify(level))


@pytest.mark.parametrize("hold", [0, 1 << 20])
@pytest.mark.parametrize("codec", Codec)
def test_each_level_reports_what_it_looked_at(tmp_path, monkeypatch, codec, hold):
    """The same whether members are held in memory or streamed."""
    monkeypatch.setattr(verification, "HOLD_BYTES", hold)
    catalogue, manifest = make_backup(tmp_path, codec=codec)
    statements = sum(len(member.statements) for member in manifest.members)

    reports = [verify(catalogue, manifest, level) for level in VerifyLevel]

    assert [report.size for report in reports] == [0, *[manifest.size] * 3]
    assert [report.members for report in reports] == [0, *[len(manifest.members)] * 3]
    assert [report.raw_size for report in reports] == [0, 0, *[manifest.raw_size] * 2]
    assert [report.statements for report in reports] == [0, 0, 0, statements]
    assert [report.rows for report in reports] == [0, 0, 0, manifest.rows_count]


@pytest.mark.parametrize("hold", [0, 1 << 20])
def test_damage_is_found_in_held_and_in_streamed_members(tmp_path, monkeypatch, hold):
    """A bit in the middle of the file."""
    monkeypatch.setattr(verification, "HOLD_BYTES", hold)
    catalogue, manifest = make_backup(tmp_path)
    path = tmp_path / manifest.file
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)

    verify(catalogue, manifest, VerifyLevel.SIZE)
    for level in list(VerifyLevel)[1:]:
        with pytest.raises(ChecksumMismatchError):
            verify(catalogue, manifest, level)


def test_a_statement_that_is_not_the_listed_one_is_found(tmp_path):
    """Its own digest, though the member's is right."""
    catalogue, manifest = make_backup(tmp_path)
    forge(tmp_path, manifest, members=with_data(manifest, sha256="0" * 64))

    verify(catalogue, manifest, VerifyLevel.INFLATE)
    with pytest.raises(ChecksumMismatchError, match="statement 1 differs"):
        verify(catalogue, manifest, VerifyLevel.CONTENT)


def test_rows_that_are_not_there_are_found(tmp_path):
    """Though index, table and total agree on them."""
    catalogue, manifest = make_backup(tmp_path)
    database = manifest.databases[0]
    tables = tuple(
        replace(table, rows=table.rows + 1) if table.name == "users" else table
        for table in database.tables
    )
    forge(
        tmp_path,
        manifest,
        members=with_data(manifest, rows=2),
        databases=(replace(database, tables=tables),),
        rows_count=manifest.rows_count + 1,
    )

    with pytest.raises(ChecksumMismatchError, match="1 rows in a statement of 2"):
        verify(catalogue, manifest, VerifyLevel.CONTENT)


def test_a_verification_can_be_stopped(tmp_path):
    """Between two members."""
    catalogue, manifest = make_backup(tmp_path)
    stop = threading.Event()
    stop.set()
    with catalogue.directory.open(manifest.file) as file, pytest.raises(InterruptedError):
        verify_file(Content(file), manifest, VerifyLevel.HASHES, listener=until(stop, None))


def test_a_damaged_file_can_be_opened_on_purpose(tmp_path):
    """Whole members of a cut file can still be read."""
    catalogue, manifest = make_backup(tmp_path)
    path = tmp_path / manifest.file
    path.write_bytes(path.read_bytes()[: manifest.members[-1].offset])

    with ArchiveReader.open(catalogue.directory, manifest, whole=False) as reader:
        assert reader.read_now(manifest.members[0]) == [b"SET NAMES utf8mb4;\n"]
        with pytest.raises(TruncatedFileError):
            reader.check_index()


def test_a_file_that_is_deleted_while_it_is_opened_is_not_found(tmp_path, monkeypatch):
    """Between looking up the name and locking the file."""
    catalogue, manifest = make_backup(tmp_path)
    opened = catalogue.directory.open

    def late(name, *, exclusive=False):
        file = opened(name, exclusive=exclusive)
        (tmp_path / name).unlink()
        return file

    monkeypatch.setattr(catalogue.directory, "open", late)
    with pytest.raises(BackupNotFoundError):
        catalogue.open(manifest.backup_id)
