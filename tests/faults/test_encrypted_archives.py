"""
Encrypted backups, copies and copies for others, whatever call fails and wherever the process dies.

What is listed afterwards restores with an identity, and after the sweep nothing else is there.
"""

import asyncio
import errno
import os
import shutil
from contextlib import suppress
from threading import Event

import pytest

from app.age.x25519 import Identity
from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive, rewrap_archive
from app.domain.backups.check_notes import VerifyLevel
from app.errors import AppError, StorageError
from app.storage import layout
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.archives import TABLES, backup_id_of, write_backup
from tests.fixtures.dying_store import Died, DyingStore
from tests.fixtures.kernels import CountingKernel, FailingKernel, FullKernel, KillingKernel
from tests.fixtures.series import series


MINE, OTHER = Identity.new(), Identity.new()
WORKS = ("backup", "copy", "rewrap")
# Every how manieth call fails: all of them in the long form.
STEP = series(6, 1)
MOST_CALLS = 200


class Installation:
    """One that encrypts; it has one backup, and a place for what is done next."""

    def __init__(self, home):
        self.place = home / "place"
        self._locks = LocalDirectory(home / "locks")
        self._state = home / "state"
        source = LocalDirectory(home / "source")
        source.prepare()
        self._keys = keys_of(self._state, MINE, reader=MINE)
        asyncio.run(write_backup(source, keys=self._keys))
        self._source = Catalogue(source, self._keys)
        self._source.directory.prepare()

    def store(self, store=None):
        """Use the place as a store."""
        return StoreDirectory(
            "offsite", "there", store or LocalStore(self.place), self._locks, owner="here"
        )

    def work(self, kind, directory):
        """Make the backup in a directory, or copy it there."""
        if kind == "backup":
            asyncio.run(write_backup(directory, keys=self._keys))
            return
        with self._source.stored(backup_id_of(0)) as archive:
            if kind == "copy":
                copy_archive(archive, directory, stop=Event())
            else:
                manifest = self._source.manifest(backup_id_of(0))
                keys = keys_of(self._state, OTHER, reader=MINE)
                rewrap_archive(archive, manifest, directory, keys, stop=Event())

    def begin(self):
        """Empty the place."""
        shutil.rmtree(self.place, ignore_errors=True)
        LocalDirectory(self.place).prepare()

    def listed(self, kind, directory):
        """Sweep; return the backups there are, each read to its last row, and see that nothing else is."""
        for path in self.place.glob(".upload-*"):
            os.utime(path, (0, 0))  # files without a name of theirs go by age
        reader = OTHER if kind == "rewrap" else MINE
        catalogue = Catalogue(directory, keys_of(self._state, reader=reader))
        catalogue.sweep()
        catalogue.sweep_uploads()
        survey = catalogue.survey()
        assert (survey.problems, survey.orphans, survey.locked) == ((), (), ())
        for entry in survey.entries:
            with catalogue.open(entry.backup_id) as opened:
                report = asyncio.run(opened.verify(VerifyLevel.CONTENT))
            assert report.rows == sum(TABLES.values())
        names = {path.name for path in self.place.iterdir()}
        left = sorted(name for name in names if name.startswith(("backup_", ".upload")))
        assert len(left) == 2 * len(survey.entries), left
        assert names - set(left) <= {".lock", ".htaccess", layout.METADATA}
        return [entry.backup_id for entry in survey.entries]


@pytest.fixture
def installation(tmp_path):
    """An installation."""
    return Installation(tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", WORKS)
def test_a_failing_system_call_leaves_all_or_nothing(installation, kind):
    """What says that it is done is; what fails says why."""
    installation.begin()
    counting = CountingKernel()
    installation.work(kind, LocalDirectory(installation.place, counting))
    failures = 0
    for at in range(1, counting.count + 1, STEP):
        installation.begin()
        kernel = FailingKernel(at, errno.EIO)
        done = False
        with suppress(StorageError):
            installation.work(kind, LocalDirectory(installation.place, kernel))
            done = True
        failures += not done
        assert installation.listed(kind, LocalDirectory(installation.place)) == (
            [backup_id_of(0)] if done else []
        ), f"{kernel.failed} at {at}"
    assert failures > 20 / STEP


@pytest.mark.long
@pytest.mark.parametrize("kind", WORKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_killed_anywhere_leaves_all_or_nothing(installation, kind):
    """Kill -9 after each system call."""
    outcomes, listed = set(), []
    for at in range(1, MOST_CALLS, STEP):
        installation.begin()
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                directory = LocalDirectory(installation.place, KillingKernel(at))
                installation.work(kind, directory)
            os._exit(0)
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        listed = installation.listed(kind, LocalDirectory(installation.place))
        outcomes.add(len(listed))
        if not was_killed:
            break
    assert at > 30
    assert listed == [backup_id_of(0)]
    assert outcomes == {0, 1}


@pytest.mark.long
@pytest.mark.parametrize("kind", WORKS)
def test_a_full_disk_at_any_byte_leaves_nothing(installation, kind):
    """In header, chunks, footer or envelope."""
    installation.begin()
    installation.work(kind, LocalDirectory(installation.place))
    total = sum(
        path.stat().st_size
        for path in installation.place.iterdir()
        if path.name.startswith("backup_")
    )
    for room in range(0, total, 131 * STEP):
        installation.begin()
        with pytest.raises(StorageError) as caught:
            installation.work(kind, LocalDirectory(installation.place, FullKernel(room)))
        assert caught.value.code == "storage-full"
        assert installation.listed(kind, LocalDirectory(installation.place)) == []


@pytest.mark.long
@pytest.mark.parametrize("fault", ["dies", "before", "after"])
@pytest.mark.parametrize("kind", WORKS)
def test_a_failing_call_of_a_store_leaves_all_or_nothing(installation, kind, fault):
    """Each in turn: before it is done, after it was done, or with the process dead from there on."""
    outcomes, listed = set(), []
    for at in range(1, MOST_CALLS, STEP):
        installation.begin()
        store = DyingStore(LocalStore(installation.place))
        directory = installation.store(store.fail_at(at, fault))
        done = False
        with suppress(Died, AppError):
            directory.prepare()
            installation.work(kind, directory)
            done = True
        listed = installation.listed(kind, installation.store())
        assert listed == [backup_id_of(0)] or not done
        outcomes.add(len(listed))
        if store.calls < at:
            break
    assert at > 10
    assert listed == [backup_id_of(0)]
    assert 1 in outcomes
