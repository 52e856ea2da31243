"""Alerts about runs that failed, and what makes up for them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.alerts.alert import Alert, AlertKind
from app.domain.runs.run import Failure, Origin, Run, RunId, RunKind, RunState
from app.domain.stores import AlertFilter
from tests.fixtures.alerting import EVERYTHING


def run(kind: RunKind = RunKind.BACKUP, state: RunState = RunState.FAILED, **changes) -> Run:
    """Make a run that has ended."""
    facts: dict[str, Any] = {
        "run_id": RunId("run_1"),
        "kind": kind,
        "state": state,
        "requested_by": "alice",
        "origin": Origin.API,
        "owner": "me",
        "created_at": datetime(2026, 1, 31, tzinfo=UTC),
        "error": Failure("storage-full", "", "the disk is full", "", retryable=False),
    }
    return Run(**{**facts, **changes})


NIGHTLY = {"schedule": "nightly"}
LOST = Failure("connection-lost", "", "the disk is full", "", retryable=True)
LOCKED = Failure("statement", "", "the disk is full", "", retryable=True)
REFUSED = Failure("statement", "", "the disk is full", "", retryable=False)
INTERRUPTED = Failure("run-interrupted", "", "the disk is full", "", retryable=False)


@pytest.mark.parametrize(
    ("ended", "about"),
    [
        (run(origin=Origin.SCHEDULE, request=NIGHTLY), "nightly"),
        (run(origin=Origin.CLI, request=NIGHTLY), "nightly"),
        (run(), "backup run"),
        (run(RunKind.RESTORE), "restore run"),
        (run(RunKind.UNDO), "undo run"),
        (run(RunKind.DRILL, origin=Origin.SCHEDULE), None),
        (run(RunKind.DRILL, error=INTERRUPTED), "drill run"),
        (run(RunKind.DRILL, error=LOST), "drill run"),
        (run(RunKind.DRILL, error=LOCKED), "drill run"),
        (run(RunKind.DRILL, error=REFUSED), None),
        (run(RunKind.PRUNE, origin=Origin.SCHEDULE), "prune run"),
        (run(origin=Origin.CLI), None),
        (run(RunKind.RESTORE, origin=Origin.CLI), None),
        (run(RunKind.VERIFICATION), None),
        (run(RunKind.DRY_RUN), None),
        (run(state=RunState.CANCELLED, request=NIGHTLY), None),
        (run(state=RunState.SUCCEEDED, request=NIGHTLY), None),
    ],
)
async def test_a_failure_that_nobody_watched_is_told(alerting, ended, about):
    """Of a schedule by its name, otherwise by what it was; whoever runs a command sees it fail."""
    service = alerting.service()
    await service.begun(ended)
    await service.ended(ended)
    await service.ended(ended)

    found, _ = await service.list(AlertFilter(), EVERYTHING)

    assert [record.about for record, _ in found] == ([about] if about else [])
    if found:
        record = found[0][0]
        assert record.message == f"the {ended.kind} has failed: the disk is full"
        assert (record.count, record.run_id) == (2, "run_1")


async def test_a_success_makes_up_for_a_failure(alerting):
    """Of the same schedule, also for being overdue, and for a clock that was set back; of no other one."""
    service = alerting.service()
    await service.ended(run(request=NIGHTLY))
    await service.ended(run(request={"schedule": "hourly"}))
    await service.ended(run())
    await service.raise_alert(Alert(AlertKind.OVERDUE, "nightly", "no backup for two days"))
    await service.raise_alert(Alert(AlertKind.CLOCK, "nightly", "the clock was set back"))

    await service.ended(run(state=RunState.SUCCEEDED, origin=Origin.CLI, request=NIGHTLY))

    found, _ = await service.list(AlertFilter(is_open=True), EVERYTHING)
    assert {record.about for record, _ in found} == {"hourly", "backup run"}
    await service.ended(run(state=RunState.SUCCEEDED, origin=Origin.CLI))
    found, _ = await service.list(AlertFilter(is_open=True), EVERYTHING)
    assert [record.about for record, _ in found] == ["hourly"]


async def test_a_run_without_an_error_is_told_all_the_same(alerting):
    """A record that somebody has cut short."""
    service = alerting.service()
    await service.ended(run(error=None))

    ((record, _),), _ = await service.list(AlertFilter(), EVERYTHING)
    assert record.message == "the backup has failed: nobody knows why"
