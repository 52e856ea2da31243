"""Deletions and copies that fail, or are cancelled, at every call: told as done when they are, and only then."""

import asyncio
import errno
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.archive.catalogue.catalogue import Catalogue
from app.config import Settings
from app.domain.runs.progress import Progress
from app.errors import AppError, BackupNotFoundError
from app.services.backups.copies import CopyService
from app.services.jobs import Jobs
from app.storage.kernel import KERNEL
from app.storage.local import LocalDirectory
from tests.fixtures.archives import write_backup
from tests.fixtures.backstay import Backstay
from tests.fixtures.kernels import CountingKernel, FailingKernel
from tests.fixtures.series import series


STRIDE = series(3, 1)
NOWHERE = "mysql://nobody@127.0.0.1:1/"


class CancellingKernel(CountingKernel):
    """Has a task cancelled, and lets it hear of that, before one call."""

    at = 0

    def watch(self, task: "asyncio.Task[object]") -> None:
        """Begin to look at the calls."""
        self.tasks, self.loop = [task], asyncio.get_running_loop()

    def decide(self, number, _name, call, args):
        """Cancel before the chosen call."""
        if number == self.at and not all(task.done() for task in self.tasks):
            heard = threading.Event()

            def cancel() -> None:
                for task in self.tasks:
                    task.cancel()
                # A turn later they have it.
                self.loop.call_soon(self.loop.call_soon, heard.set)

            self.loop.call_soon_threadsafe(cancel)
            heard.wait(5)
        return call(*args)


class Place:
    """A backup directory with one backup, an empty store, and the jobs of both."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.here, self.there = home / "backups", home / "there"
        self.there.mkdir()
        self._state = home / "state"

    async def fill(self) -> None:
        """Make the backup."""
        directory = LocalDirectory(self.here)
        directory.prepare()
        self.backup_id = (await write_backup(directory)).backup_id

    async def job(self, kind: str, kernel: CountingKernel):
        """Make a job whose calls a kernel sees: those in the directory, or in the store of a copy."""
        backstay = Backstay(NOWHERE, self.here)
        catalogue = Catalogue(LocalDirectory(self.here, kernel if kind == "deletion" else KERNEL))
        other = Catalogue(LocalDirectory(self.there, kernel))
        backstay.backups._catalogue = catalogue
        settings = Settings(
            database_url=SecretStr(NOWHERE), backup_dir=self.here, state_dir=self._state
        )
        copies = CopyService(lambda name: other if name else catalogue)
        jobs = Jobs(
            settings, catalogue, backstay.backups, lambda: backstay.recoveries, copies=copies
        )
        if kind == "deletion":
            return await jobs.deletion(self.backup_id)
        return await jobs.copy(self.backup_id, "", "there")

    def is_done(self, kind: str) -> bool:
        """Tell whether what was asked for is so."""
        place = Catalogue(LocalDirectory(self.here if kind == "deletion" else self.there))
        try:
            place.published(self.backup_id)
        except BackupNotFoundError:
            return kind == "deletion"
        return kind != "deletion"


async def outcome(
    place: Place, kind: str, kernel: CancellingKernel | FailingKernel, at: int
) -> str:
    """Do a job, and return how its run would be called."""
    job = await place.job(kind, kernel)
    kernel.count, kernel.at = 0, at  # of the work alone
    task = asyncio.ensure_future(job.work(Progress()))
    if isinstance(kernel, CancellingKernel):
        kernel.watch(task)
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"
    except AppError:
        return "failed"
    return "succeeded"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["deletion", "copy"])
async def test_what_is_cancelled_at_any_call_is_told_as_it_is(kind, tmp_path):
    """Nothing goes on behind the back of a run that is over."""
    told = []
    for at in range(1, 400, STRIDE):
        place = Place(tmp_path / str(at))
        await place.fill()
        told.append(await outcome(place, kind, kernel := CancellingKernel(), at))
        is_done, calls = place.is_done(kind), kernel.count
        assert is_done is (told[-1] == "succeeded"), (at, told[-1])
        await asyncio.sleep(0.005)
        assert (kernel.count, place.is_done(kind)) == (calls, is_done), at
        if at > calls:
            break

    assert told.count("succeeded") > 1  # some were cancelled when it was done
    assert ("cancelled" in told) is (kind == "copy")  # a deletion that has begun is ended


@pytest.mark.long
@pytest.mark.parametrize("kind", ["deletion", "copy"])
async def test_what_fails_at_any_call_is_told_as_it_is(kind, tmp_path):
    """What comes after a publication, or a manifest that is gone, takes nothing back."""
    told = []
    for at in range(1, 400, STRIDE):
        place = Place(tmp_path / str(at))
        await place.fill()
        told.append(await outcome(place, kind, kernel := FailingKernel(0, errno.EIO), at))
        assert place.is_done(kind) is (told[-1] == "succeeded"), (at, told[-1])
        if at > kernel.count:
            break

    assert set(told) == {"failed", "succeeded"}
    assert told.count("succeeded") > 1
