"""Failing calls, power loss, two processes, kills and full disks (hazards 106, 107, 111, 113 and 114)."""

import asyncio
import ctypes
import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.writer import ArchiveWriter
from app.domain.backups.manifest import Codec
from app.errors import (
    BackupInUseError,
    BackupNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archives import (
    TABLES,
    backup_id_of,
    draft_of,
    fill,
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
from tests.fixtures.offline_backups import verified
from tests.fixtures.power_loss import RecordingKernel, states
from tests.fixtures.series import series


# Tests kill at every so manieth system call.
STRIDE = series(3, 1)


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
def test_a_failing_system_call_fails_the_backup_or_nothing(tmp_path, error):
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
            assert error == errno.EINTR or kernel.failed in {"close", "drop_cache"}
            assert len(verified(Catalogue(path))) == 1

    expected = {
        errno.ENOSPC: {StorageFullError},
        errno.EIO: {StorageUnavailableError},
        errno.EACCES: {StorageDeniedError},
        errno.EINTR: set(),
    }
    assert outcomes == expected[error]


def test_a_failing_system_call_never_half_deletes(tmp_path):
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


def test_short_reads_and_writes_are_continued(tmp_path):
    """A kernel that moves one byte at a time changes nothing about the file."""
    for every in (1, 2, 3):
        path = prepared(tmp_path / str(every))
        catalogue = Catalogue(LocalDirectory(path, ShortKernel(every)))
        asyncio.run(write_backup(catalogue.directory, codec=Codec.NONE))
        assert len(verified(catalogue)) == 1


def test_interrupted_calls_are_repeated(tmp_path):
    """A signal in the middle of any call is not an error."""
    catalogue, manifest = make_backup(tmp_path, kernel=InterruptingKernel())

    assert verified(catalogue) == [manifest.backup_id]
    catalogue.delete(manifest.backup_id)
    assert leftovers(tmp_path) == []


def test_no_power_loss_lists_a_backup_that_does_not_verify(tmp_path):
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


def churn(path: str, offset: int) -> None:
    """Create, list, sweep and delete, as a service beside another one would."""
    catalogue = Catalogue(Path(path))
    for number in range(6):
        manifest = asyncio.run(write_backup(catalogue.directory, offset + number))
        catalogue.sweep()
        assert manifest.backup_id in {entry.backup_id for entry in catalogue.entries()}
        if number % 2:
            catalogue.delete(manifest.backup_id)


def test_two_processes_in_one_directory_damage_nothing(tmp_path):
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


async def test_a_running_backup_is_not_swept(tmp_path):
    """Its lock tells that it has an owner, whatever the age of the file."""
    directory = LocalDirectory(prepared(tmp_path))
    async with ArchiveWriter(directory, backup_id_of(1), Codec.GZIP) as writer:
        await fill(writer, TABLES)
        os.utime(tmp_path / writer.name.partial, (0, 0))
        assert Catalogue(tmp_path).sweep() == ()
        await writer.finish(draft_of(backup_id_of(1), Codec.GZIP, TABLES))

    assert len(Catalogue(tmp_path).entries()) == 1


async def test_a_backup_being_published_is_not_swept(tmp_path):
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


def test_a_backup_that_is_read_cannot_be_deleted(tmp_path):
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


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_backup_killed_anywhere_is_whole_or_swept(tmp_path):
    """Kill -9 after each system call: the next start lists whole backups and removes the rest."""

    def work(directory: LocalDirectory) -> None:
        asyncio.run(write_backup(directory))

    at = whole = 0
    while True:
        at += STRIDE
        path = prepared(tmp_path / str(at))
        if not die_in(path, at, work):
            break
        catalogue = Catalogue(path)
        catalogue.sweep()
        listed = verified(catalogue)
        whole += len(listed)
        assert len(leftovers(path)) == 2 * len(listed)
        assert catalogue.orphans() == ()
    assert at > 35
    assert 0 < whole < at


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_deletion_killed_anywhere_is_undone_or_finished(tmp_path):
    """Kill -9 after each system call of a deletion: the backup is whole, or no byte is left."""

    def work(directory: LocalDirectory) -> None:
        Catalogue(directory).delete(backup_id_of(0))

    make_backup(tmp_path / "whole")
    at = 0
    while True:
        at += STRIDE
        path = tmp_path / str(at)
        shutil.copytree(tmp_path / "whole", path)
        catalogue = Catalogue(path)
        if not die_in(path, at, work):
            break
        catalogue.sweep()
        assert len(leftovers(path)) == 2 * len(verified(catalogue))
    assert at > 10


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_rebuild_killed_anywhere_keeps_the_only_copy(tmp_path):
    """Kill -9 after each system call of a rebuild: the data file is still there."""

    def work(directory: LocalDirectory) -> None:
        Catalogue(directory).rebuild()

    _, manifest = make_backup(tmp_path / "whole")
    (tmp_path / "whole" / f"{manifest.file}.manifest.json").unlink()
    at = 0
    while True:
        at += STRIDE
        path = tmp_path / str(at)
        shutil.copytree(tmp_path / "whole", path)
        catalogue = Catalogue(path)
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


async def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(tmp_path):
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


def test_a_full_disk_at_any_byte_leaves_nothing(tmp_path):
    """Also when the room ends in the footer or in the manifest."""
    _, manifest = make_backup(tmp_path / "size")
    note = (tmp_path / "size" / f"{manifest.file}.manifest.json").stat().st_size
    for room in range(0, manifest.size + note, 131):
        path = prepared(tmp_path / str(room))
        with pytest.raises(StorageFullError) as caught:
            asyncio.run(write_backup(LocalDirectory(path, FullKernel(room))))
        assert caught.value.title == "Insufficient disk space"
        assert leftovers(path) == []
