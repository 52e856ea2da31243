"""Loops of the service: a bug ends none of them."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.domain.alerts.notice import Sender
from app.errors import AppError, StorageFullError
from app.scheduling.scheduler import Scheduler
from app.services.alerts.delivery import Deliverer, RetryPolicy
from app.services.binlog.copies import LogCopies
from app.services.binlog.service import BinlogService
from app.services.reconcile import Reconciler
from app.services.runs.active import ActiveRun
from app.services.runs.service import RunService
from app.telemetry.bugs import heard, outlived
from tests.fixtures.virtual_time import VirtualClock, run_virtually


LOG = logging.getLogger(__name__)
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
# Whom a turn that has met the bug does not come to.
NOBODY: Any = None


class Buggy:
    """Fails the first times by a bug, then is called as often as anybody likes."""

    def __init__(self, answer=None) -> None:
        self.calls = 0
        self._answer = answer

    async def __call__(self, *_args, **_options):
        self.calls += 1
        if self.calls <= 2:
            raise ZeroDivisionError("a bug")
        if isinstance(self._answer, AppError):
            raise self._answer
        return self._answer


async def _nothing_to_repair():
    return ()


def reconciling(buggy):
    """Reconcile, where the history has a bug."""
    runs: Any = SimpleNamespace(write_ends=buggy, orphans=buggy)
    recoveries: Any = SimpleNamespace(repair=_nothing_to_repair)
    return Reconciler(runs, recoveries, NOBODY, NOBODY, NOBODY, NOBODY).run_forever()


def delivering(buggy):
    """Deliver messages, where the log of alerts has a bug."""
    store: Any = SimpleNamespace(next_due=buggy)
    messenger: Any = SimpleNamespace(targets_for=lambda _: ("mail",))
    return Deliverer(store, messenger, VirtualClock(), Sender("host"), RetryPolicy()).run_forever()


async def scheduling(buggy):
    """Read the schedules again and again, where that has a bug."""
    schedules: Any = SimpleNamespace(list=buggy)
    scheduler = Scheduler(schedules, NOBODY, VirtualClock())
    await scheduler.open()
    try:
        await asyncio.Event().wait()
    finally:
        await scheduler.close()


def archiving(buggy):
    """Archive the binary log, where that has a bug."""
    service: Any = SimpleNamespace(run=buggy)
    return BinlogService.run_forever(service)


def copying(buggy):
    """Copy it to a store, where that has a bug."""
    copies: Any = SimpleNamespace(_take_turn=buggy)
    return LogCopies._keep(copies, "there")


def counting(buggy):
    """Write the counters of a run down, where the history has a bug."""
    runs: Any = SimpleNamespace(_write=buggy, _clock=VirtualClock())
    run = SimpleNamespace(counted=lambda _now: NOBODY, run=NOBODY, named=asyncio.Event())
    return RunService._beat(runs, cast("ActiveRun[object]", run))


@pytest.mark.parametrize(
    ("loop", "answer"),
    [
        (reconciling, StorageFullError("full")),
        (delivering, None),
        (scheduling, ()),
        (archiving, None),
        (copying, True),
        (counting, False),
    ],
)
def test_a_loop_outlives_a_bug(loop, answer, caplog):
    """It is in the log, with the place where it is, and the next turn comes."""
    buggy = Buggy(answer)

    async def watch() -> None:
        task = asyncio.ensure_future(loop(buggy))
        await asyncio.wait([task], timeout=timedelta(hours=2).total_seconds())
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    run_virtually(BEGIN, watch())

    assert buggy.calls > 2
    assert caplog.text.count("ZeroDivisionError: a bug") >= 2
    assert "it goes on" in caplog.text


@pytest.mark.parametrize("error", [StorageFullError("full"), asyncio.CancelledError()])
def test_what_is_no_bug_is_not_outlived(error, caplog):
    """Errors of ours have their own words, and a cancellation ends what it is to end."""
    with pytest.raises(type(error)), outlived(LOG, "This"):
        raise error
    assert not caplog.text


async def test_a_bug_in_what_nobody_waits_for_is_told_and_nothing_else(caplog):
    """An error of ours is for those who ask, and nobody has cancelled by mistake."""

    async def end(error: BaseException) -> None:
        raise error

    tasks = [
        asyncio.create_task(end(error))
        for error in (
            ZeroDivisionError("a bug"),
            StorageFullError("full"),
            asyncio.CancelledError(),
        )
    ]
    for task in tasks:
        task.add_done_callback(heard(LOG, "This"))
    await asyncio.wait(tasks)
    await asyncio.sleep(0)

    assert [record.message for record in caplog.records] == ["This met a bug"]
    assert "ZeroDivisionError: a bug" in caplog.text
