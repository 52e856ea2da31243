"""What several files of this folder need."""

import pytest_asyncio

from tests.fixtures.backstay import Backstay
from tests.fixtures.dry_runs import drop
from tests.fixtures.servers import Sql


@pytest_asyncio.fixture
async def services(server, tmp_path, sql, database):
    """The services, keeping nothing for an undo; what a failed test leaves is dropped."""
    made = Backstay(server.url, tmp_path / "backups", undo_minutes=0)
    yield made
    with Sql(server.url) as cleaner:  # its foreign keys would hold what close() drops
        drop(cleaner, database)
    await made.close()
