"""An installation whose stored backups are checked."""

import pytest_asyncio

from tests.fixtures.monitored_installation import MonitoredInstallation


@pytest_asyncio.fixture
async def installation(tmp_path):
    """An installation whose server is away; nothing is drilled."""
    made = MonitoredInstallation(tmp_path, drill_days=0)
    yield made
    await made.close()
