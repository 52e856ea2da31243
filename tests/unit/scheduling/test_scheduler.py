"""Periodic jobs of the real scheduler, in virtual time."""

import asyncio
import logging
from typing import Any

import pytest

from app.scheduling.scheduler import PeriodicJob, Scheduler
from app.scheduling.trigger import Every
from tests.fixtures.archives import NOON
from tests.fixtures.virtual_time import VirtualClock, run_virtually


class NoSchedules:
    """What a scheduler asks for schedules, where there is none."""

    async def list(self) -> tuple[()]:
        """Return nothing."""
        return ()


class Held:
    """Work that lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.gate = asyncio.Event()

    async def work(self) -> None:
        """Count, and wait."""
        self.begun += 1
        try:
            await self.gate.wait()
        finally:
            self.ended += 1


def made(held: Held) -> Scheduler:
    """Make a scheduler whose only job is asked for every 15 seconds."""
    jobs = [PeriodicJob("held", Every(15), held.work)]
    schedules: Any = NoSchedules()
    start: Any = pytest.fail
    return Scheduler(schedules, start, VirtualClock(), jobs)


def test_a_job_that_is_at_work_is_not_begun_again_and_nobody_is_warned(caplog):
    """However often its time comes: copies may take an hour; when it has ended it is begun at its next time."""
    caplog.set_level(logging.INFO)
    counts = []

    async def hour() -> None:
        held = Held()
        scheduler = made(held)
        await scheduler.open()
        await asyncio.sleep(3600)
        counts.append((held.begun, held.ended))
        held.gate.set()
        await asyncio.sleep(60)
        counts.append((held.begun > 1, held.begun == held.ended))
        await scheduler.close()

    run_virtually(NOON, hour())

    assert counts == [(1, 0), (True, True)]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_end_waits_for_a_job_that_is_at_work():
    """It is cancelled, and has cleaned up before the scheduler is closed."""
    counts = []

    async def minute() -> None:
        held = Held()
        scheduler = made(held)
        await scheduler.open()
        await asyncio.sleep(60)
        await scheduler.close()
        counts.append((held.begun, held.ended))

    run_virtually(NOON, minute())

    assert counts == [(1, 1)]
