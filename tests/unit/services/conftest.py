"""Runs in a world of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.services.runs.service import RunService
from tests.fixtures.run_world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An installation with an empty history."""
    home = tmp_path / "state"
    database = ControlDatabase(f"sqlite+aiosqlite:///{home / 'control.db'}", home)
    await database.prepare()
    world = World(home, database, RunRecords(database))
    yield world
    await world.close()


@pytest.fixture
def runs(world: World) -> RunService:
    """The service of that installation."""
    return world.service()
