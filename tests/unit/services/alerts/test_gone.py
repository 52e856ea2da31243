"""Alerts about schedules and stores that are not there any more."""

from dataclasses import replace

import pytest

from app.domain.alerts.alert import Alert, AlertKind
from app.domain.schedule import Frequency, Schedule, ScheduleOptions
from app.errors import StorageUnavailableError
from app.services.alerts.gone import GoneWatch
from tests.fixtures.archives import NOON
from tests.fixtures.monitored_installation import RaisedAlerts


KEPT = (
    (AlertKind.FAILURE, "nightly"),
    (AlertKind.FAILURE, "backup run"),
    (AlertKind.FAILURE, "the audit"),
    (AlertKind.FAILURE, "old backups"),
    (AlertKind.FAILURE, "store offsite"),
    (AlertKind.FAILURE, "copies to offsite"),
    (AlertKind.FAILURE, "retention in offsite"),
    (AlertKind.OVERDUE, "nightly"),
    (AlertKind.OVERDUE, "schedule.json"),
    (AlertKind.OVERDUE, "all schedules"),
    (AlertKind.UNUSUAL, "manual"),
    (AlertKind.CLOCK, "clock"),
    (AlertKind.CLOCK, "nightly"),
    (AlertKind.VERIFICATION, "backup_1"),
    (AlertKind.VERIFICATION, "backup_1 in offsite"),
    (AlertKind.DRILL, "backup_1"),
    (AlertKind.DISK, "backup directory"),
    (AlertKind.CERTIFICATE, "cert.pem"),
    (AlertKind.BINLOG, "binary log"),
    (AlertKind.BINLOG, "binary log broken off"),
    (AlertKind.BINLOG, "binary log in offsite"),
    (AlertKind.BINLOG, "synthetic backups"),
)
OVER = (
    (AlertKind.FAILURE, "weekly"),
    (AlertKind.FAILURE, "audit"),
    (AlertKind.FAILURE, "store former"),
    (AlertKind.FAILURE, "backups in former"),
    (AlertKind.FAILURE, "copies to former"),
    (AlertKind.FAILURE, "copies to other"),
    (AlertKind.FAILURE, "locks in former"),
    (AlertKind.OVERDUE, "weekly"),
    (AlertKind.MISSED, "weekly"),
    (AlertKind.UNUSUAL, "weekly"),
    (AlertKind.CLOCK, "weekly"),
    (AlertKind.VERIFICATION, "backup_1 in former"),
    (AlertKind.DRILL, "backup_1 in former"),
    (AlertKind.BINLOG, "binary log in former"),
    (AlertKind.BINLOG, "binary log in other"),
)
NIGHTLY = Schedule("nightly", Frequency.DAILY, NOON, options=ScheduleOptions(copies=("offsite",)))


@pytest.fixture
async def alerts():
    """Everything is raised."""
    made = RaisedAlerts()
    for kind, about in (*KEPT, *OVER):
        await made.raise_alert(Alert(kind, about, "it is so"))
    return made


async def test_what_is_about_nothing_that_is_there_is_over(alerts):
    """Also of what was deleted while nobody looked; everything else stays."""

    async def schedules():
        return (NIGHTLY, replace(NIGHTLY, name="off", enabled=False))

    async def stores():
        return ("offsite", "other")

    watch = GoneWatch(alerts, alerts.raised_about, schedules, stores, ["offsite"])
    await watch.check()

    assert set(alerts.raised) == set(KEPT)
    elsewhere = Alert(AlertKind.BINLOG, "binary log in other", "it is so")
    await alerts.raise_alert(elsewhere)
    await GoneWatch(alerts, alerts.raised_about, schedules, stores, None).check()
    assert set(alerts.raised) == {*KEPT, (elsewhere.kind, elsewhere.about)}


async def test_what_cannot_be_read_is_not_gone(alerts):
    """Such as schedules on a disk that is away; nor is anything where nobody knows what is raised."""

    async def away():
        raise StorageUnavailableError("backups: gone")

    async def none():
        return ()

    async def unknown(_kind):
        return None

    await GoneWatch(alerts, alerts.raised_about, away, none, ()).check()
    await GoneWatch(alerts, alerts.raised_about, none, away, ()).check()
    await GoneWatch(alerts, unknown, none, none, ()).check()

    assert set(alerts.raised) == {*KEPT, *OVER}
