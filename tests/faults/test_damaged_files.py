"""No damage to a file or its manifest goes unnoticed (hazards 108, 109 and 110)."""

import asyncio
import shutil
from dataclasses import replace

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file import codec as codecs
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec
from app.domain.backups.seal import from_json
from app.errors import (
    ChecksumMismatchError,
    IntegrityError,
    TruncatedFileError,
)
from tests.fixtures.archives import (
    backup_id_of,
    forge,
    make_backup,
)
from tests.fixtures.offline_backups import verified


@pytest.mark.parametrize("codec", Codec)
def test_a_file_cut_at_any_member_boundary_is_noticed(tmp_path, codec):
    """One byte before, at and after each boundary: not listed, not opened, not rebuilt."""
    catalogue, manifest = make_backup(tmp_path, codec=codec)
    path = tmp_path / manifest.file
    whole = path.read_bytes()
    edges = {0, *(member.offset for member in manifest.members), len(whole)}
    for size in sorted({edge + step for edge in edges for step in (-1, 0, 1)}):
        if not 0 <= size < len(whole):
            continue
        path.write_bytes(whole[:size])
        assert catalogue.entries() == ()
        assert [problem.file for problem in catalogue.problems()] == [manifest.file]
        with pytest.raises(TruncatedFileError):
            catalogue.open(manifest.backup_id)
        lone = tmp_path / "lone"
        lone.mkdir()
        (lone / manifest.file).write_bytes(whole[:size])
        report = Catalogue(lone).rebuild()
        assert report.rebuilt == ()
        assert len(report.problems) == 1
        shutil.rmtree(lone)

    path.write_bytes(whole)
    assert verified(catalogue) == [manifest.backup_id]


@pytest.mark.parametrize("codec", Codec)
def test_a_flipped_bit_anywhere_in_the_file_is_noticed(tmp_path, codec):
    """Begin, middle and end of every member: the hashes tell, and reading the member fails."""
    catalogue, manifest = make_backup(tmp_path, codec=codec)
    path = tmp_path / manifest.file
    whole = path.read_bytes()

    async def flip(position: int, member) -> None:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with catalogue.open(manifest.backup_id) as reader:
            with pytest.raises(ChecksumMismatchError):
                await reader.verify(VerifyLevel.HASHES)
            with pytest.raises(ChecksumMismatchError):
                await reader.read(member)
            with pytest.raises(ChecksumMismatchError):
                async for _ in reader.iter_statements(member):
                    pass

    async def flip_all() -> None:
        for member in manifest.members:
            end = member.offset + member.size
            regions = {*range(member.offset, member.offset + 12), *range(end - 9, end)}
            regions.add(member.offset + member.size // 2)
            for position in sorted(regions):
                await flip(position, member)

    asyncio.run(flip_all())


def test_a_flipped_bit_anywhere_in_the_manifest_is_noticed(tmp_path):
    """Every byte of it: the backup is a problem, never an entry."""
    catalogue, manifest = make_backup(tmp_path)
    path = tmp_path / f"{manifest.file}.manifest.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(ChecksumMismatchError):
            from_json(bytes(damaged), source="manifest")
        if position % 97 == 0:
            path.write_bytes(damaged)
            assert catalogue.entries() == ()
            assert isinstance(catalogue.problems()[0].error, ChecksumMismatchError)


def forgeries(manifest) -> dict[str, dict[str, object]]:
    """Make manifests whose own checksum is right and whose index lies."""
    members = manifest.members
    third = members[2]

    def with_third(**changes) -> dict[str, object]:
        return {"members": (*members[:2], replace(third, **changes), *members[3:])}

    return {
        "gap": with_third(offset=third.offset + 1),
        "overlap": with_third(offset=third.offset - 1),
        "longer": with_third(size=third.size + 1),
        "shorter": with_third(size=third.size - 1),
        "outside": with_third(offset=1 << 60),
        "negative offset": with_third(offset=-1),
        "negative size": with_third(size=-third.size),
        "missing": {"members": members[:2] + members[3:]},
        "doubled": {"members": (*members[:3], *members[2:])},
        "swapped": {"members": (members[0], members[2], members[1], *members[3:])},
        "no footer": {"members": members[:-1], "size": members[-1].offset},
        "bomb": with_third(raw_size=1 << 50),
        "size": {"size": manifest.size + 1},
        "raw_size": {"raw_size": manifest.raw_size + 1},
        "rows": {"rows_count": manifest.rows_count + 1},
        "other file": {"file": "backup_2026-01-31_12-00-01_backup_697df05100000.sql.gz"},
        "path": {"file": "../../etc/passwd"},
        "other id": {"backup_id": backup_id_of(77)},
        "checksum": {"checksum": "0" * 64},
        "digest": with_third(sha256="0" * 64),
    }


def test_an_index_that_lies_is_noticed(tmp_path):
    """Offsets, overlaps, gaps, order, sizes, counts: no lie survives opening and verifying."""
    catalogue, manifest = make_backup(tmp_path)
    for name, changes in forgeries(manifest).items():
        forge(tmp_path, manifest, **changes)

        with pytest.raises(IntegrityError):
            asyncio.run(opened_and_verified(catalogue, manifest.backup_id, name))


async def opened_and_verified(catalogue: Catalogue, backup_id: str, name: str) -> None:
    """Do what must fail."""
    with catalogue.open(backup_id) as reader:
        await reader.verify(VerifyLevel.HASHES)
    pytest.fail(name)


@pytest.mark.parametrize("codec", Codec)
def test_bytes_after_the_end_are_noticed(tmp_path, codec):
    """A stray byte, zero padding, another member, the file twice: neither listed nor rebuilt."""
    catalogue, manifest = make_backup(tmp_path, codec=codec)
    path = tmp_path / manifest.file
    whole = path.read_bytes()
    for garbage in (b"x", b"\0" * 512, codecs.compress(codec, [b"SELECT 1;\n"]), whole):
        path.write_bytes(whole + garbage)
        assert catalogue.entries() == ()
        with pytest.raises(TruncatedFileError):
            catalogue.open(manifest.backup_id)
        (tmp_path / f"{manifest.file}.manifest.json").rename(tmp_path / "aside")
        assert catalogue.orphans() == (manifest.file,)
        assert catalogue.rebuild().rebuilt == ()
        (tmp_path / "aside").rename(tmp_path / f"{manifest.file}.manifest.json")
