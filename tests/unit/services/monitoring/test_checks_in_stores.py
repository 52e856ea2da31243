"""Backups in stores that the service checks by itself, where a definition asks for it."""

import errno
import os

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.domain.alerts.alert import AlertKind
from app.domain.backups.check_notes import VerifyLevel
from app.domain.checks import Intervals
from app.errors import InvalidRequestError
from app.services.backups.service import BackupService
from app.services.jobs import Jobs
from app.services.monitoring.checks import CheckedPlace, CheckService
from app.services.monitoring.health import HealthService
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archives import write_backup
from tests.fixtures.dying_store import DyingStore
from tests.fixtures.kernels import CountingKernel


WEEK = Intervals(0, 7, 0, 0)


class Refusing(CountingKernel):
    """Lets nothing be read any more from the n-th read of a backup's files on, if it refuses."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.begin(refuses=False)

    def begin(self, *, refuses: bool) -> None:
        """Count anew."""
        self.refuses, self.reads = refuses, 0

    def decide(self, number, name, call, args):
        if name == "open" and args[1] == os.O_RDONLY | os.O_NONBLOCK and "backup_" in args[0]:
            self.reads += 1
            if self.refuses and self.reads >= self.at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return call(*args)


@pytest.fixture
def place(tmp_path):
    """Where the objects of the store lie."""
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def checks_of(installation, place, tmp_path):
    """Makes the checks of an installation with a store, and tells its catalogue."""

    def make(store=None, intervals=WEEK):
        locks = LocalDirectory(tmp_path / "locks")
        directory = StoreDirectory("offsite", str(place), store or LocalStore(place), locks)
        directory.prepare()
        catalogue = Catalogue(directory)
        jobs = Jobs(
            installation.settings,
            catalogue,
            BackupService(installation.server, catalogue, installation.clock),
            lambda: installation.recoveries,
            store="offsite",
        )

        async def stores():
            return [CheckedPlace("offsite", HealthService(catalogue), jobs, intervals)]

        parts = (installation.backup_monitor, installation.jobs, installation.runs)
        made = CheckService(installation.settings, *parts, installation.clock, stores=stores)
        return made, catalogue

    return make


async def test_a_backup_in_a_store_is_read_back_when_that_is_due(installation, checks_of):
    """Its run tells of the store, and what was found lies there."""
    checks, catalogue = checks_of()
    manifest = await write_backup(catalogue.directory)
    await checks.run_due()
    installation.clock.advance(days=8)
    installation.recorder.runs.clear()

    (found,) = await checks.run_due()

    assert (found.backup_id, found.store, found.what, found.failure) == (
        manifest.backup_id, "offsite", VerifyLevel.HASHES, None,
    )  # fmt: skip
    assert [run.store for run in installation.recorder.runs] == ["offsite"]
    assert catalogue.notes(manifest.backup_id).checks[VerifyLevel.HASHES].success
    assert await checks.run_due() == ()


async def test_damage_in_a_store_is_found(installation, checks_of, place):
    """And is no damage of the backup directory, where the same backup is whole."""
    checks, catalogue = checks_of()
    (manifest,) = await installation.write_backups()
    await write_backup(catalogue.directory)
    data = place / manifest.file
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    installation.clock.advance(days=8)

    found = await checks.run_due(everything=True)

    assert [(check.store, check.failure.code) for check in found if check.failure] == [
        ("offsite", "checksum-mismatch")
    ]
    assert catalogue.notes(manifest.backup_id).is_damaged
    assert not installation.catalogue.notes(manifest.backup_id).is_damaged


@pytest.mark.parametrize("at", [1, 2])
async def test_a_store_that_lets_nothing_be_read_just_now_says_nothing_of_its_backups(
    at, installation, checks_of, place
):
    """Be it the manifest or the file: people are told until one could be read, and the next pass reads them."""
    kernel = Refusing(at)
    checks, catalogue = checks_of(LocalStore(place, kernel))
    manifest = await write_backup(catalogue.directory)
    await checks.run_due()  # reads the list
    installation.clock.advance(days=8)

    for refuses in (True, False):
        kernel.begin(refuses=refuses)
        (found,) = [check for check in await checks.run_due(everything=True) if check.store]
        assert (found.failure is not None) is refuses
        assert installation.alerts.about(AlertKind.FAILURE) == ["checks in offsite"] * refuses
        assert not catalogue.notes(manifest.backup_id).is_damaged
    assert catalogue.notes(manifest.backup_id).checks[VerifyLevel.HASHES].success


async def test_a_store_that_is_away_keeps_nothing_else_from_being_checked(
    installation, checks_of, place
):
    """Nor does a definition that makes no sense."""
    away, _ = checks_of(DyingStore(LocalStore(place)).fail_at(1, "before"))
    await installation.write_backups()

    async def broken():
        raise InvalidRequestError("stores.toml makes no sense")

    parts = (installation.backup_monitor, installation.jobs, installation.runs)
    wrong = CheckService(installation.settings, *parts, installation.clock, stores=broken)
    for checks in (away, wrong):
        installation.clock.advance(days=40)
        found = await checks.run_due(everything=True)
        assert found
        assert {check.store for check in found} == {""}
