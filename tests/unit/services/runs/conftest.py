"""An installation that executes runs, and its service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.services.runs.service import RunService
from tests.fixtures.control import furnish
from tests.fixtures.run_installation import RunInstallation


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[RunInstallation]:
    """An installation with an empty history."""
    home = tmp_path / "state"
    furnish(home)
    database = ControlDatabase(f"sqlite+aiosqlite:///{home / 'control.db'}", home)
    await database.prepare()
    installation = RunInstallation(home, database, RunRecords(database))
    yield installation
    await installation.close()


@pytest.fixture
def runs(installation: RunInstallation) -> RunService:
    """The service of that installation."""
    return installation.service()
