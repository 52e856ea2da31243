"""Copies to a store whose key may not do all that the program would like to."""

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.errors import StorageDeniedError, StorageUnavailableError
from app.services.backups.copies import CopyService
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archives import write_backup


class ClosedStore(LocalStore):
    """Shows nobody the uploads of others."""

    def __init__(self, path, error):
        super().__init__(path)
        self.error = error

    def unfinished(self, older_than):
        del older_than
        raise self.error


@pytest.fixture
def copied(tmp_path):
    """Copies a new backup to a store that fails so; returns what is there then."""

    async def copy(error):
        here, place = LocalDirectory(tmp_path / "here"), tmp_path / "there"
        here.prepare()
        place.mkdir()
        manifest = await write_backup(here)
        locks = LocalDirectory(tmp_path / "locks")
        there = StoreDirectory("offsite", "", ClosedStore(place, error), locks)
        places = {"": Catalogue(here), "offsite": Catalogue(there)}
        await CopyService(places.__getitem__).copy(manifest.backup_id, "", "offsite")
        return [entry.backup_id for entry in places["offsite"].entries()] == [manifest.backup_id]

    return copy


async def test_a_copy_needs_no_right_to_clean_up_what_others_began(copied):
    """As a backup to a store does not: what is left there is left to somebody who may."""
    assert await copied(StorageDeniedError("the uploads: the store refuses"))


async def test_a_store_that_does_not_answer_gets_no_copy(copied):
    """The end of it would be lost as well."""
    with pytest.raises(StorageUnavailableError):
        await copied(StorageUnavailableError("the store does not answer"))
