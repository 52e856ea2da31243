"""Locks of runs: held by whoever lives, free as soon as nobody does."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import AlreadyRunningError, StorageDeniedError, StorageError
from app.storage.kernel import Kernel
from app.storage.run_locks import Resource, RunLocks
from tests.fixtures.kernels import CountingKernel, FailingKernel, InterruptingKernel


SERVER = Resource("backup", "the backups of this server")
SHOP = Resource("database shop", "database 'shop'")
BLOG = Resource("database blog", "database 'blog'")
ONE, TWO, THREE = (f"run_{number:016x}" for number in (1, 2, 3))

# Another process: it takes locks, says so, and lives until its input ends.
_HOLDER = """
import sys
from pathlib import Path
from app.storage.run_locks import Resource, RunLocks

directory, run_id, *keys = sys.argv[1:]
held = RunLocks(Path(directory)).acquire(run_id, [Resource(key, key) for key in keys])
print("held", flush=True)
sys.stdin.read()
"""
# Another process: it asks for the name of the installation as soon as its input ends.
_OWNER = """
import sys
from pathlib import Path
from app.storage.run_locks import RunLocks

print("ready", flush=True)
sys.stdin.read()
print(RunLocks(Path(sys.argv[1])).owner(), flush=True)
"""


def begun(program: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start another process, and wait for its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


@contextmanager
def holder(directory: Path, run_id: str, *resources: Resource) -> Iterator["subprocess.Popen[str]"]:
    """Let another process hold locks for the length of a block."""
    with begun(_HOLDER, directory, run_id, *(resource.key for resource in resources)) as process:
        try:
            yield process
        finally:
            process.communicate()


def lock_files(directory: Path) -> set[str]:
    """Names of the locks' files."""
    return {path.name for path in (directory / "runs").glob("*.lock") if path.name != ".lock"}


def test_what_another_process_holds_is_refused_by_name(tmp_path):
    """The refusal names the run, what it holds, and says that waiting helps."""
    locks = RunLocks(tmp_path)
    with holder(tmp_path, ONE, SHOP):
        with pytest.raises(AlreadyRunningError) as caught:
            locks.acquire(TWO, [SHOP])
        assert locks.is_held(ONE)
        assert not locks.is_held(TWO)

    assert caught.value.run_id == ONE
    assert str(caught.value) == f"{ONE} holds database 'shop'"
    assert caught.value.retryable
    assert caught.value.hint
    locks.acquire(TWO, [SHOP]).release()


def test_a_killed_process_holds_nothing(tmp_path):
    """Its locks are free at once, and everybody sees that its run is over."""
    locks = RunLocks(tmp_path)
    with holder(tmp_path, ONE, SERVER, SHOP) as process:
        assert locks.is_held(ONE)
        process.kill()
        process.wait()

        assert not locks.is_held(ONE)
        held = locks.acquire(TWO, [SERVER, SHOP])
    assert locks.is_held(TWO)
    held.release()


def test_locks_are_taken_all_or_none(tmp_path):
    """A run that is refused one resource keeps none of the others, in whichever order they are."""
    locks = RunLocks(tmp_path)
    first = locks.acquire(ONE, [SHOP])
    for resources in ([BLOG, SHOP, SERVER], [SERVER, SHOP, BLOG], [SHOP, BLOG]):
        with pytest.raises(AlreadyRunningError):
            locks.acquire(TWO, resources)
        assert not locks.is_held(TWO)

    third = locks.acquire(THREE, [BLOG, SERVER])

    for held in (first, third):
        held.release()


def test_runs_without_a_common_resource_live_side_by_side(tmp_path):
    """Keys of any text are told apart; the same one twice is one."""
    locks = RunLocks(tmp_path)
    keys = ["", "a", "A", "a/b", "../x", "\0", "\u00e9", "e\u0301", "x" * 100_000]
    held = [
        locks.acquire(f"run_{number:016x}", [Resource(key, "it"), Resource(key, "it")])
        for number, key in enumerate(keys)
    ]

    assert all(locks.is_held(f"run_{number:016x}") for number in range(len(keys)))
    for lock in held:
        lock.release()
        lock.release()
    assert not any(locks.is_held(f"run_{number:016x}") for number in range(len(keys)))


def test_a_run_that_is_deleted_leaves_no_file(tmp_path):
    """Only the files of resources stay, which are as many as there are resources."""
    locks = RunLocks(tmp_path)
    for number in range(20):
        held = locks.acquire(f"run_{number:016x}", [SHOP])
        locks.delete(f"run_{number:016x}")
        held.release()
    locks.delete("run_" + "f" * 16)

    assert len(lock_files(tmp_path)) == 1


def test_two_who_ask_at_once_are_not_in_each_others_way(tmp_path):
    """However many ask whether a run lives, nobody takes another one who asks for the run."""
    locks = RunLocks(tmp_path)
    held = locks.acquire(ONE, [])
    with ThreadPoolExecutor(16) as threads:
        living = list(threads.map(lambda _: RunLocks(tmp_path).is_held(ONE), range(400)))
        held.release()
        dead = list(threads.map(lambda _: RunLocks(tmp_path).is_held(ONE), range(400)))

    assert set(living) == {True}
    assert set(dead) == {False}


def test_nothing_is_made_by_asking(tmp_path):
    """A state directory that is not there holds no runs, and is not there afterwards."""
    assert not RunLocks(tmp_path / "absent").is_held(ONE)
    assert not (tmp_path / "absent").exists()


def test_one_of_many_processes_gets_the_lock(tmp_path):
    """Of 200 threads one gets the resource; the others are refused, and name nobody else."""
    barrier = threading.Barrier(200)

    def race(number: int) -> tuple[str, bool]:
        run_id = f"run_{number:016x}"
        barrier.wait()
        try:
            RunLocks(tmp_path).acquire(run_id, [SERVER, SHOP])
        except AlreadyRunningError as exc:
            return exc.run_id, False
        return run_id, True

    RunLocks(tmp_path).owner()
    with ThreadPoolExecutor(200) as threads:
        ended = list(threads.map(race, range(200)))

    (winner,) = [run_id for run_id, won in ended if won]
    assert {run_id for run_id, _ in ended} <= {winner, ""}
    with pytest.raises(AlreadyRunningError) as caught:
        RunLocks(tmp_path).acquire(ONE, [SHOP])
    assert caught.value.run_id == winner


@pytest.mark.parametrize("what", ["a resource", "a run"])
def test_a_symbolic_link_in_the_place_of_a_lock_is_refused(what, tmp_path):
    """Whoever can write to the directory cannot make us empty or lock another file."""
    locks = RunLocks(tmp_path)
    locks.acquire(ONE, [SHOP]).release()
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    for name in lock_files(tmp_path):
        if (name == f"{ONE}.lock") == (what == "a run"):
            (tmp_path / "runs" / name).unlink()
            (tmp_path / "runs" / name).symlink_to(precious)

    with pytest.raises(StorageDeniedError):
        locks.acquire(ONE, [SHOP])

    assert precious.read_text() == "keep me"


class ReadOnlyKernel(Kernel):
    """A file system that is mounted read-only."""

    def open(self, path, flags, mode=0o600):
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return super().open(path, flags, mode)

    def mkdir(self, path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@pytest.mark.parametrize("there", [True, False], ids=["there", "absent"])
def test_a_read_only_state_directory_is_a_storage_error(there, tmp_path):
    """No run begins whose lock could not be taken; the error names no directory of the machine."""
    if there:
        RunLocks(tmp_path / "state").owner()
    locks = RunLocks(tmp_path / "state", ReadOnlyKernel())

    for call in (locks.owner, lambda: locks.acquire(ONE, [SHOP])):
        with pytest.raises(StorageDeniedError, match="read-only file system") as caught:
            call()
        assert str(tmp_path) not in str(caught.value)


def test_a_file_in_the_place_of_the_state_directory_is_a_storage_error(tmp_path):
    """As any other thing that makes it impossible to take a lock."""
    (tmp_path / "state").write_text("")

    for call in (
        RunLocks(tmp_path / "state").owner,
        lambda: RunLocks(tmp_path / "state").acquire(ONE, []),
    ):
        with pytest.raises(StorageError):
            call()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.ENOLCK])
def test_whichever_call_fails_nothing_is_held(tmp_path, error):
    """An error is one of storage, and the next run gets everything; a full disk only costs the name."""
    RunLocks(tmp_path).acquire(ONE, [SHOP, BLOG]).release()
    kernel = CountingKernel()
    RunLocks(tmp_path, kernel).acquire(TWO, [SHOP, BLOG]).release()
    told = 0
    for at in range(1, kernel.count + 1):
        failing = FailingKernel(at, error)
        try:
            RunLocks(tmp_path, failing).acquire(TWO, [SHOP, BLOG]).release()
        except StorageError:
            told += 1
        else:
            unnamed = error == errno.ENOSPC and failing.failed == "write"
            assert unnamed or failing.failed == "close"
        RunLocks(tmp_path).acquire(THREE, [SHOP, BLOG]).release()
    assert told > kernel.count // 2


def test_interrupted_calls_are_continued(tmp_path):
    """Signals change nothing."""
    locks = RunLocks(tmp_path, InterruptingKernel())
    held = locks.acquire(ONE, [SHOP])

    with pytest.raises(AlreadyRunningError) as caught:
        locks.acquire(TWO, [SHOP])

    assert caught.value.run_id == ONE
    assert locks.owner() == locks.owner()
    held.release()


def test_an_installation_keeps_its_name(tmp_path):
    """The same for as long as the state directory lives, and another one for another directory."""
    name = RunLocks(tmp_path / "one").owner()

    assert name == RunLocks(tmp_path / "one").owner()
    assert name != RunLocks(tmp_path / "two").owner()
    assert len(name) == 16


def test_processes_that_start_at_once_agree_on_the_name(tmp_path):
    """Whichever of them makes it."""
    processes = [begun(_OWNER, tmp_path / "state") for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    names = set()
    for process in processes:
        assert process.stdout is not None
        with process:
            names.add(process.stdout.read().strip())

    assert names == {RunLocks(tmp_path / "state").owner()}


def test_who_looks_whether_a_run_lives_keeps_it_from_nothing(tmp_path):
    """It holds the lock file for a moment, which may be the one in which the run takes it."""
    locks = RunLocks(tmp_path)
    locks.acquire(ONE, ()).release()
    file = os.open(tmp_path / "runs" / f"{ONE}.lock", os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_SH)
    threading.Timer(0.02, os.close, [file]).start()

    held = locks.acquire(ONE, ())

    assert locks.is_held(ONE)
    assert locks.left() == []
    held.release()
    assert locks.left() == [ONE]
