"""What is said of backups that are not there, or of which a part is gone, in a directory and in a store."""

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.errors import BackupNotFoundError, StorageUnavailableError
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archives import write_backup


class LateStore(LocalStore):
    """Lists for some time what was deleted."""

    def __init__(self, path):
        super().__init__(path)
        self.late = {}

    def list(self, prefix=""):
        found = {stored.name: stored for stored in super().list(prefix)}
        yield from (self.late | found).values()
        self.late |= found


@pytest.fixture(params=["backstay backup list", "backstay backup list --store offsite"])
def place(request, tmp_path):
    """A place for backups, and the command that lists those that are there."""
    directory: LocalDirectory | StoreDirectory = LocalDirectory(tmp_path / "place")
    directory.prepare()
    if "--store" in request.param:
        store = LocalStore(tmp_path / "place")
        directory = StoreDirectory("offsite", "", store, LocalDirectory(tmp_path / "locks"))
        directory.prepare()
    return directory, request.param


async def test_a_backup_that_is_not_there_is_looked_for_where_it_was_asked_for(place):
    """Whatever is done with it."""
    directory, command = place
    catalogue = Catalogue(directory)

    for work in (catalogue.manifest, catalogue.stored, catalogue.delete):
        with pytest.raises(BackupNotFoundError, match=r"^no backup ") as caught:
            work("backup_6b0d552ea0f7c")
        assert f"'{command}'" in caught.value.hint


class NoBucket(LocalStore):
    """Answers as a bucket that is not there: of an object only that it is not there either."""

    def list(self, prefix=""):
        raise StorageUnavailableError("the list: there is no such bucket or container")


def test_a_bucket_that_is_not_there_is_told_and_not_its_backups(tmp_path):
    """As after a definition that leads elsewhere now."""
    store = NoBucket(tmp_path)
    there = StoreDirectory("offsite", "", store, LocalDirectory(tmp_path / "locks"))

    with pytest.raises(StorageUnavailableError, match="no such bucket"):
        Catalogue(there).manifest("backup_6b0d552ea0f7c")


async def test_a_backup_whose_data_is_gone_says_so(place):
    """Its manifest lists it still: it is there for whoever lists backups, and for nobody else."""
    directory, _ = place
    manifest = await write_backup(directory)
    directory.remove(manifest.file)
    catalogue = Catalogue(directory)

    (problem,) = catalogue.problems()
    with pytest.raises(BackupNotFoundError) as caught:
        catalogue.stored(manifest.backup_id)

    for error in (problem.error, caught.value):
        assert str(error) == f"{manifest.backup_id}: its data file is gone"
        assert error.hint == "Put it back, or delete the backup."


async def test_what_a_store_lists_after_its_deletion_is_left_out(tmp_path):
    """Another machine may delete between a list and a look as well; what is there is listed, and nothing fails."""
    place = tmp_path / "place"
    place.mkdir()
    there = StoreDirectory("offsite", "", LateStore(place), LocalDirectory(tmp_path / "locks"))
    manifest = await write_backup(there)
    catalogue = Catalogue(there)
    catalogue.delete(manifest.backup_id)

    survey = Catalogue(there).survey()

    assert (survey.entries, survey.problems, survey.orphans) == ((), (), ())
