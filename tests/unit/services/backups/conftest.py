"""A backup directory that keeps two backups, with an audit."""

import pytest

from tests.fixtures.backup_store import BackupStore


@pytest.fixture
async def backup_store(tmp_path):
    """An installation that keeps two backups, with an audit."""
    made = BackupStore(tmp_path, max_backups=2)
    await made.open()
    yield made
    await made.close()
