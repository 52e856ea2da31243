"""
What disks do to files: HAZARDS F1 to F10, X1 and X4.

The invariant of all of them: what is listed verifies, and what failed leaves nothing behind.
"""

import asyncio
import ctypes
import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.archive import codec as codecs
from app.archive.catalogue import Catalogue
from app.archive.footer import read_footer
from app.archive.reader import ArchiveReader
from app.archive.verification import VerifyLevel
from app.archive.writer import ArchiveWriter
from app.domain.manifest import Codec, from_json
from app.errors import (
    BackupInUseError,
    BackupNotFoundError,
    ChecksumMismatchError,
    IntegrityError,
    ManifestError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archives import (
    TABLES,
    backup_id_of,
    draft_of,
    fill,
    forge,
    leftovers,
    make_backup,
    write_backup,
)
from tests.fixtures.kernels import (
    CountingKernel,
    FailingKernel,
    FullKernel,
    InterruptingKernel,
    KillingKernel,
    ShortKernel,
    WaitingKernel,
)
from tests.fixtures.powerloss import RecordingKernel, states


def verified(catalogue: Catalogue) -> list[str]:
    """Verify every listed backup to the last row; returns their ids."""

    async def verify() -> list[str]:
        ids = []
        for entry in catalogue.entries():
            with catalogue.open(entry.backup_id) as reader:
                report = await reader.verify(VerifyLevel.CONTENT)
            assert report.rows == entry.rows_count
            ids.append(str(entry.backup_id))
        return ids

    return asyncio.run(verify())


def prepared(path: Path) -> Path:
    """Make a backup directory."""
    LocalDirectory(path).prepare()
    return path


def calls_of_one_backup(path: Path) -> int:
    """Count the system calls of one backup."""
    kernel = CountingKernel()
    asyncio.run(write_backup(LocalDirectory(prepared(path), kernel)))
    return kernel.count


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EACCES])
def test_f1_a_failing_system_call_fails_the_backup_or_nothing(tmp_path, error):
    """Whichever call of a backup fails: it is whole, or nothing of it remains."""
    total = calls_of_one_backup(tmp_path / "count")
    outcomes = set()
    for at in range(1, total + 1):
        path = prepared(tmp_path / f"{error}-{at}")
        kernel = FailingKernel(at, error)
        try:
            asyncio.run(write_backup(LocalDirectory(path, kernel)))
        except StorageError as exc:
            outcomes.add(type(exc))
            assert leftovers(path) == [], f"{kernel.failed} at {at}"
        else:
            assert error == errno.EINTR or kernel.failed in {"close", "forget"}
            assert len(verified(Catalogue(path))) == 1

    expected = {
        errno.ENOSPC: {StorageFullError},
        errno.EIO: {StorageUnavailableError},
        errno.EACCES: {StorageDeniedError},
        errno.EINTR: set(),
    }
    assert outcomes == expected[error]


def test_f1_a_failing_system_call_never_half_deletes(tmp_path):
    """Whichever call of a deletion fails: the backup is whole, or the next sweep removes it."""
    kernel = CountingKernel()
    catalogue, manifest = make_backup(tmp_path / "count")
    Catalogue(LocalDirectory(tmp_path / "count", kernel)).delete(manifest.backup_id)
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        catalogue, manifest = make_backup(path)
        failing = Catalogue(LocalDirectory(path, FailingKernel(at, errno.EIO)))
        try:
            failing.delete(manifest.backup_id)
        except StorageError:
            catalogue.sweep()
        if verified(catalogue) == []:
            assert leftovers(path) == []
        assert catalogue.orphans() == ()
        assert catalogue.problems() == ()


def test_f1_short_reads_and_writes_are_continued(tmp_path):
    """A kernel that moves one byte at a time changes nothing about the file."""
    for every in (1, 2, 3):
        path = prepared(tmp_path / str(every))
        catalogue = Catalogue(LocalDirectory(path, ShortKernel(every)))
        asyncio.run(write_backup(catalogue.directory, codec=Codec.NONE))
        assert len(verified(catalogue)) == 1


def test_f1_interrupted_calls_are_repeated(tmp_path):
    """A signal in the middle of any call is not an error."""
    catalogue, manifest = make_backup(tmp_path, kernel=InterruptingKernel())

    assert verified(catalogue) == [manifest.backup_id]
    catalogue.delete(manifest.backup_id)
    assert leftovers(tmp_path) == []


def test_f2_no_power_loss_lists_a_backup_that_does_not_verify(tmp_path):
    """In every state of the disk: listed backups verify, acknowledged ones are listed."""
    kernel = RecordingKernel()
    directory = LocalDirectory(tmp_path / "live", kernel)
    directory.prepare()
    catalogue = Catalogue(directory)
    first = asyncio.run(write_backup(directory, 1))
    first_since = len(kernel.journal)
    second = asyncio.run(write_backup(directory, 2, codec=Codec.NONE))
    second_since = len(kernel.journal)
    catalogue.entries()
    deletion_since = len(kernel.journal)
    catalogue.delete(first.backup_id)
    gone_since = len(kernel.journal)

    checked = 0
    for issued, state in states(kernel.journal):
        path = tmp_path / f"state-{checked}"
        path.mkdir(mode=0o700)
        for name, data in state.items():
            (path / name).write_bytes(data)
        after = Catalogue(path)
        after.sweep()
        listed = verified(after)
        assert after.orphans() == ()
        assert after.problems() == ()
        assert len(leftovers(path)) == 2 * len(listed)
        assert (first.backup_id in listed) or not first_since <= issued <= deletion_since
        assert (second.backup_id in listed) or issued < second_since
        assert (first.backup_id not in listed) or issued < gone_since
        shutil.rmtree(path)
        checked += 1
    assert checked > len(kernel.journal)


@pytest.mark.parametrize("codec", Codec)
def test_f3_a_file_cut_at_any_member_boundary_is_noticed(tmp_path, codec):
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
def test_f4_a_flipped_bit_anywhere_in_the_file_is_noticed(tmp_path, codec):
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


def test_f4_a_flipped_bit_anywhere_in_the_manifest_is_noticed(tmp_path):
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


def test_f4_an_index_that_lies_is_noticed(tmp_path):
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
def test_f5_bytes_after_the_end_are_noticed(tmp_path, codec):
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


def churn(path: str, offset: int) -> None:
    """Create, list, sweep and delete, as a service beside another one would."""
    catalogue = Catalogue(Path(path))
    for number in range(6):
        manifest = asyncio.run(write_backup(catalogue.directory, offset + number))
        catalogue.sweep()
        assert manifest.backup_id in {entry.backup_id for entry in catalogue.entries()}
        if number % 2:
            catalogue.delete(manifest.backup_id)


def test_f6_two_processes_share_a_directory(tmp_path):
    """Neither sweeps, hides or damages what the other one writes."""
    prepared(tmp_path)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=churn, args=(str(tmp_path), n * 100)) for n in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    catalogue = Catalogue(tmp_path)
    assert len(verified(catalogue)) == 6
    assert len(leftovers(tmp_path)) == 12
    assert len(json.loads((tmp_path / "metadata.json").read_bytes())) == 6


async def test_f6_a_running_backup_is_not_swept(tmp_path):
    """Its lock tells that it has an owner, whatever the age of the file."""
    directory = LocalDirectory(prepared(tmp_path))
    async with ArchiveWriter(directory, backup_id_of(1), Codec.GZIP) as writer:
        await fill(writer, TABLES)
        os.utime(tmp_path / writer.name.partial, (0, 0))
        assert Catalogue(tmp_path).sweep() == ()
        await writer.finish(draft_of(backup_id_of(1), Codec.GZIP, TABLES))

    assert len(Catalogue(tmp_path).entries()) == 1


async def test_f6_a_backup_being_published_is_not_swept(tmp_path):
    """Between the two renames the tombstone has an owner: a sweep waits for the directory."""
    prepared(tmp_path)
    kernel = WaitingKernel("rename", 2)
    writing = asyncio.create_task(write_backup(LocalDirectory(tmp_path, kernel)))
    await asyncio.to_thread(kernel.reached.wait, 20)
    sweep = asyncio.create_task(asyncio.to_thread(Catalogue(tmp_path).sweep))
    await asyncio.sleep(0.1)
    kernel.go.set()
    await writing

    assert await sweep == ()
    assert len(Catalogue(tmp_path).entries()) == 1


def test_f6_a_backup_that_is_read_cannot_be_deleted(tmp_path):
    """Two readers may share it; deletion is refused and changes nothing."""
    catalogue, manifest = make_backup(tmp_path)
    with catalogue.open(manifest.backup_id), catalogue.open(manifest.backup_id):
        with pytest.raises(BackupInUseError):
            catalogue.delete(manifest.backup_id)
        assert len(catalogue.entries()) == 1
    catalogue.delete(manifest.backup_id)

    assert leftovers(tmp_path) == []
    with pytest.raises(BackupNotFoundError):
        catalogue.open(manifest.backup_id)


def die_in(path: Path, at: int, work) -> bool:
    """Run `work` in a child that is killed after its k-th system call; True if it was."""
    child = os.fork()
    if child == 0:
        try:
            work(LocalDirectory(path, KillingKernel(at)))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f8_a_backup_killed_anywhere_is_whole_or_swept(tmp_path):
    """Kill -9 after each system call: the next start lists whole backups and removes the rest."""

    def work(directory: LocalDirectory) -> None:
        asyncio.run(write_backup(directory))

    at = 0
    whole = 0
    while True:
        at += 1
        path = prepared(tmp_path / str(at))
        if not die_in(path, at, work):
            break
        catalogue = Catalogue(path)
        catalogue.sweep()
        listed = verified(catalogue)
        whole += len(listed)
        assert len(leftovers(path)) == 2 * len(listed)
        assert catalogue.orphans() == ()
    assert at > 40
    assert 0 < whole < at


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f8_a_deletion_killed_anywhere_is_undone_or_finished(tmp_path):
    """Kill -9 after each system call of a deletion: the backup is whole, or no byte is left."""

    def work(directory: LocalDirectory) -> None:
        Catalogue(directory).delete(backup_id_of(0))

    at = 0
    while True:
        at += 1
        path = tmp_path / str(at)
        catalogue, _ = make_backup(path)
        if not die_in(path, at, work):
            break
        catalogue.sweep()
        assert len(leftovers(path)) == 2 * len(verified(catalogue))
    assert at > 10


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f8_a_rebuild_killed_anywhere_keeps_the_only_copy(tmp_path):
    """Kill -9 after each system call of a rebuild: the data file is still there."""

    def work(directory: LocalDirectory) -> None:
        Catalogue(directory).rebuild()

    at = 0
    while True:
        at += 1
        path = tmp_path / str(at)
        catalogue, manifest = make_backup(path)
        (path / f"{manifest.file}.manifest.json").unlink()
        if not die_in(path, at, work):
            break
        catalogue.sweep()
        assert (path / manifest.file).exists()
        catalogue.rebuild()
        assert verified(catalogue) == [manifest.backup_id]
    assert at > 10


def small_disk(path: Path) -> LocalDirectory:
    """Mount a real file system of 256 KiB where that is allowed, else imitate one."""
    path.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", str(path).encode(), b"tmpfs", 0, b"size=256k") == 0:
        return LocalDirectory(path)
    return LocalDirectory(path, FullKernel(200_000))


async def test_f9_a_disk_that_fills_up_in_the_middle_leaves_nothing(tmp_path):
    """The error says so, the space is free again, and the older backup still verifies."""
    directory = small_disk(tmp_path / "disk")
    try:
        directory.prepare()
        await write_backup(directory, 1)
        before = leftovers(directory.path)
        with pytest.raises(StorageFullError):
            await fill_up(directory)
        assert leftovers(directory.path) == before
        entries = await asyncio.to_thread(Catalogue(directory.path).entries)
        assert [entry.backup_id for entry in entries] == [backup_id_of(1)]
    finally:
        ctypes.CDLL(None).umount2(str(directory.path).encode(), 2)


async def fill_up(directory: LocalDirectory) -> None:
    """Write members until the disk is full."""
    backup_id = backup_id_of(2)
    async with ArchiveWriter(directory, backup_id, Codec.NONE) as writer:
        for number in range(1000):
            await fill(writer, {f"t{number}": 500})


def test_f9_a_full_disk_at_any_byte_leaves_nothing(tmp_path):
    """Also when the room ends in the footer or in the manifest."""
    _, manifest = make_backup(tmp_path / "size")
    note = (tmp_path / "size" / f"{manifest.file}.manifest.json").stat().st_size
    for room in range(0, manifest.size + note, 131):
        path = prepared(tmp_path / str(room))
        with pytest.raises(StorageFullError) as caught:
            asyncio.run(write_backup(LocalDirectory(path, FullKernel(room))))
        assert caught.value.title == "Insufficient disk space"
        assert leftovers(path) == []


def output_of(*command: str) -> bytes:
    """Run a standard tool."""
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_f10_gzip_accepts_and_reads_the_file(tmp_path):
    """`gzip -t` is content, and `zcat` gives the statements in order."""
    _, manifest = make_backup(tmp_path)
    path = str(tmp_path / manifest.file)

    output_of("gzip", "-t", path)
    text = output_of("zcat", path)

    assert len(text) == manifest.raw_size
    assert text.startswith(b"SET NAMES utf8mb4;\n")
    assert b"\nINSERT INTO `users`" in text


def test_f10_zstd_accepts_and_reads_the_file(tmp_path):
    """`zstd -t` is content, and `zstd -dc` gives the statements in order."""
    _, manifest = make_backup(tmp_path, codec=Codec.ZSTD)
    path = str(tmp_path / manifest.file)

    output_of("zstd", "-q", "-t", path)

    assert len(output_of("zstd", "-dc", path)) == manifest.raw_size


def test_f10_sha256sum_agrees_with_the_manifest(tmp_path):
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
def test_x1_an_id_that_is_a_path_names_nothing(tmp_path, text):
    """Whatever a user types, it is no way out of the directory."""
    catalogue, _ = make_backup(tmp_path)

    for use in (catalogue.manifest, catalogue.open, catalogue.delete):
        with pytest.raises(BackupNotFoundError):
            use(text)


def test_x1_a_symbolic_link_in_the_store_is_refused(tmp_path):
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


def test_x4_a_decompression_bomb_stops_at_the_promised_size(tmp_path):
    """A member of 64 MiB that claims 1,000 bytes costs neither memory nor time."""
    bomb = {codec: codecs.compress(codec, [bytes(64 << 20)]) for codec in (Codec.GZIP, Codec.ZSTD)}
    for codec, data in bomb.items():
        began = time.monotonic()
        with pytest.raises(ChecksumMismatchError, match="more than 1000 bytes"):
            codecs.inflate(codec, data, raw_size=1000, source="bomb")
        assert time.monotonic() - began < 1


def test_x4_deeply_nested_json_is_an_error_not_a_crash(tmp_path):
    """In the manifest, in metadata.json and in the footer."""
    catalogue, manifest = make_backup(tmp_path)
    deep = b'{"format":"backstay","format_version":1,"members":' + b"[" * 200_000
    (tmp_path / "metadata.json").write_bytes(b"[" * 200_000)
    assert len(catalogue.entries()) == 1
    (tmp_path / f"{manifest.file}.manifest.json").write_bytes(deep)
    assert catalogue.entries() == ()
    with pytest.raises(ManifestError):
        read_footer(b"-- footer bytes: %020d\n" % 38, source="footer")


def test_x8_files_are_the_owners_only(tmp_path):
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
