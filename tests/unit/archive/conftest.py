"""Encrypted backups for the tests of archives."""

import asyncio

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.archives import write_backup
from tests.fixtures.sealed_backups import MINE, SAFE


@pytest.fixture
def state(tmp_path):
    """The state directory of the installation that makes backups."""
    return tmp_path / "state"


@pytest.fixture
def place(tmp_path):
    """A backup directory."""
    directory = LocalDirectory(tmp_path / "backups")
    directory.prepare()
    return directory


@pytest.fixture
def backup(place, state):
    """An encrypted backup, and the catalogue of whoever can read it."""
    keys = keys_of(state, MINE, SAFE, reader=MINE)
    manifest = asyncio.run(write_backup(place, keys=keys))
    return Catalogue(place, keys), manifest
