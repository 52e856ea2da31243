"""Runs beside a service: no step of a backup or a restore holds up those who ask meanwhile."""

import asyncio
from threading import Event

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from tests.fixtures.backstay import Backstay


class StandsStill(Progress):
    """
    Counters that let the step of a run in which they move stand still, once.

    Attributes:
        goes_on: Lets it go on.
        went_on: Whether it was let; None before it stood still.
    """

    def __init__(self, phase: Phase) -> None:
        super().__init__(listener=self._stop)
        self.stops_in = phase
        self.stands = Event()
        self.goes_on = Event()
        self.went_on: bool | None = None

    def _stop(self, progress: Progress) -> None:
        if progress.phase is self.stops_in and progress.bytes_done and self.went_on is None:
            self.stands.set()
            self.went_on = self.goes_on.wait(20)


@pytest.mark.parametrize("phase", [Phase.DUMP, Phase.LOAD])
async def test_a_step_that_takes_long_holds_up_nobody(backstay: Backstay, shop, phase):
    """The loop that has begun a backup or a restore goes on, as it does for requests of the API."""
    progress = StandsStill(phase)
    run: asyncio.Task[object]
    request = BackupRequest(databases=(shop,))
    if phase is Phase.DUMP:
        run = asyncio.create_task(backstay.backups.create(request, progress))
    else:
        made = await backstay.backups.create(request)
        plan = RestoreRequest(made.backup_id, into=backstay.new_name())
        restoring = backstay.recoveries.restore(await backstay.recoveries.plan(plan), progress)
        run = asyncio.create_task(restoring)

    await asyncio.to_thread(progress.stands.wait, 60)
    progress.goes_on.set()
    await run

    assert progress.went_on is True
