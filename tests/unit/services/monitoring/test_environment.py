"""Alerts that are raised before a backup fails, and resolved afterwards."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.domain.alerts.alert import Alert, AlertKind
from app.domain.places.sizes import size
from app.domain.schedule import Frequency, Schedule
from tests.fixtures.archives import NOON, forge, write_backup
from tests.fixtures.certificates import make_certificates
from tests.fixtures.kernels import FreeSpaceKernel, HangingKernel
from tests.fixtures.monitored_installation import NOWHERE, MonitoredInstallation


NIGHTLY = Schedule("nightly", Frequency.DAILY, NOON - timedelta(days=9))


@pytest_asyncio.fixture
async def installation(tmp_path):
    """An installation whose server is away."""
    made = MonitoredInstallation(tmp_path)
    yield made
    await made.close()


def plan(installation: MonitoredInstallation, *schedules: Schedule) -> None:
    """Write `schedule.json`."""
    installation.schedules.change(lambda _: schedules)


def raised(installation: MonitoredInstallation) -> set[AlertKind]:
    """Return what is raised, but for the server that is away."""
    return {kind for kind, _ in installation.alerts.raised} - {AlertKind.CREDENTIAL}


async def test_no_alert_is_raised_where_nothing_was_ever_done(installation):
    """But for the server, which is away; nothing is made, and no second look differs."""
    monitor = installation.environment_monitor()
    await monitor.check()
    await monitor.check()

    assert set(installation.alerts.raised) == {(AlertKind.CREDENTIAL, "server")}
    assert not installation.path.exists()


# -- room -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free", "is_raised"), [(999, True), (1000, False)])
async def test_less_room_than_the_floor_raises_an_alert(tmp_path, free, is_raised):
    """With both numbers; when there is room again, it is over."""
    kernel = FreeSpaceKernel(free)
    installation = MonitoredInstallation(tmp_path, kernel=kernel, disk_floor_bytes=1000)
    installation.catalogue.directory.prepare()
    await installation.environment_monitor().check()

    assert (AlertKind.DISK in raised(installation)) is is_raised
    if is_raised:
        message = installation.alerts.message(AlertKind.DISK)
        assert "999 B are free" in message
        assert "the floor is 1.0 kB" in message
    kernel.free = 1 << 30
    await installation.environment_monitor().check()
    assert raised(installation) == set()
    await installation.close()


async def test_less_room_than_the_next_backup_needs_raises_an_alert(tmp_path):
    """By the last one, and some growth; without a floor nobody is told of room at all."""
    kernel = FreeSpaceKernel(1 << 30)
    installation = MonitoredInstallation(tmp_path, kernel=kernel, disk_floor_bytes=1)
    installation.catalogue.directory.prepare()
    manifest = await write_backup(installation.catalogue.directory)
    kernel.free = manifest.size

    await installation.environment_monitor().check()
    assert f"need {size(1.2 * manifest.size)}" in installation.alerts.message(AlertKind.DISK)

    silent = MonitoredInstallation(tmp_path, kernel=kernel, disk_floor_bytes=0)
    await silent.environment_monitor().check()
    assert raised(silent) == set()
    await installation.close()
    await silent.close()


async def test_a_disk_that_does_not_answer_raises_an_alert(tmp_path):
    """Each time, with one thread that waits; what needs no such disk is checked, and it is over when it answers."""
    kernel = HangingKernel()
    installation = MonitoredInstallation(tmp_path, kernel=kernel)
    await installation.write_backups()
    certificate = make_certificates(tmp_path / "tls", "127.0.0.1").certificate
    monitor = installation.environment_monitor(certificate, disk_seconds=0.2)
    kernel.released.clear()
    installation.clock.advance(days=40_000)  # the certificate has expired by then
    try:
        for _ in range(2):
            installation.alerts.raised.clear()
            async with asyncio.timeout(20):
                await monitor.check()
            assert set(installation.alerts.raised) == {
                (AlertKind.DISK, "backup directory"),
                (AlertKind.CERTIFICATE, certificate.name),
            }
            assert kernel.waiting == 1
    finally:
        kernel.released.set()

    installation.clock.at = NOON
    await monitor.check()
    assert installation.alerts.about(AlertKind.DISK) == []
    await installation.close()


async def test_a_disk_that_stops_to_answer_in_a_check_is_told_the_next_time(tmp_path):
    """Whoever ends the service meanwhile is not kept from that."""
    kernel = HangingKernel()
    installation = MonitoredInstallation(tmp_path, kernel=kernel)
    await installation.write_backups()
    monitor = installation.environment_monitor(disk_seconds=0.2)
    assert await monitor._answers()
    kernel.released.clear()
    check = asyncio.create_task(monitor._look_around())
    try:
        await asyncio.wait([check], timeout=0.3)
        assert kernel.waiting == 1
        check.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait([check])
            await monitor.check()
        assert installation.alerts.about(AlertKind.DISK) == ["backup directory"]
    finally:
        kernel.released.set()
    await installation.close()


# -- schedules --------------------------------------------------------------------------------------


async def test_a_schedule_without_a_success_for_too_long_is_overdue(installation):
    """From so many minutes after the due time, until a backup comes of it."""
    due = NOON.replace(hour=2)
    plan(
        installation,
        replace(NIGHTLY, last_success_at=due - timedelta(days=1), last_error="stalled"),
    )
    monitor = installation.environment_monitor()
    installation.clock.at = due + timedelta(minutes=90)
    await monitor.check()
    assert raised(installation) == set()

    installation.clock.advance(seconds=1)
    await monitor.check()
    message = installation.alerts.message(AlertKind.OVERDUE)
    assert installation.alerts.about(AlertKind.OVERDUE) == ["nightly"]
    assert "2026-01-31 02:00" in message
    assert "stalled" in message

    plan(installation, replace(NIGHTLY, last_success_at=installation.clock.at))
    await monitor.check()
    assert raised(installation) == set()


async def test_a_failure_is_over_with_the_backup_of_another_machine(installation):
    """Which `schedule.json` tells of; not by one of before, when the end of the last run could not be noted."""
    failure = Alert(AlertKind.FAILURE, "nightly", "the backup has failed")
    began = installation.clock.at - timedelta(hours=1, microseconds=5)
    before = replace(NIGHTLY, last_run_at=began, last_success_at=began - timedelta(days=1))
    monitor = installation.environment_monitor()
    await installation.alerts.raise_alert(failure)
    plan(installation, before)
    await monitor.check()
    assert installation.alerts.about(AlertKind.FAILURE) == ["nightly"]

    plan(installation, replace(before, last_success_at=began.replace(microsecond=0)))
    await monitor.check()
    assert installation.alerts.about(AlertKind.FAILURE) == []


async def test_a_schedule_that_never_had_a_backup_is_overdue_too(installation):
    """Unless it is switched off and another one is on, or it is taken away."""
    plan(installation, NIGHTLY)
    monitor = installation.environment_monitor()
    await monitor.check()
    assert "never" in installation.alerts.message(AlertKind.OVERDUE)

    other = replace(NIGHTLY, name="other", last_success_at=NOON)
    plan(installation, replace(NIGHTLY, enabled=False), other)
    await monitor.check()
    assert raised(installation) == set()

    plan(installation, NIGHTLY)
    await monitor.check()
    plan(installation)
    await installation.gone_watch().check()
    assert raised(installation) == set()


async def test_schedules_that_are_all_off_raise_an_alert_when_one_would_be_overdue(installation):
    """Not before; one that is on is enough, or a backup that somebody makes instead."""
    off = replace(NIGHTLY, enabled=False)
    monday = replace(off, name="monday", frequency=Frequency.WEEKLY)
    installation.clock.at = NOON - timedelta(days=9) + timedelta(hours=14 + 1.5)
    plan(installation, off, monday)
    monitor = installation.environment_monitor()
    await monitor.check()
    assert raised(installation) == set()

    installation.clock.advance(seconds=1)
    await monitor.check()
    assert installation.alerts.about(AlertKind.OVERDUE) == ["all schedules"]
    assert "all are switched off; there is no backup" in installation.alerts.message(
        AlertKind.OVERDUE
    )

    plan(installation, off, replace(monday, enabled=True))
    await monitor.check()
    assert raised(installation) == set()

    plan(installation, off)
    await monitor.check()
    assert raised(installation) == {AlertKind.OVERDUE}
    await installation.write_backups()
    installation.clock.at = NOON
    await installation.environment_monitor().check()
    assert raised(installation) == set()


@pytest.mark.parametrize("schedule", ["nightly", ""])
async def test_schedules_that_are_lost_raise_an_alert_a_day_later(schedule, installation):
    """Where backups tell that there were some, and none is newer."""
    installation.catalogue.directory.prepare()
    manifest = await write_backup(installation.catalogue.directory)
    forge(installation.path, manifest, options=replace(manifest.options, schedule=schedule))
    monitor = installation.environment_monitor()
    installation.clock.at = NOON + timedelta(days=1, minutes=90)
    await monitor.check()
    assert raised(installation) == set()

    installation.clock.advance(seconds=1)
    await monitor.check()
    assert raised(installation) == ({AlertKind.OVERDUE} if schedule else set())
    if schedule:
        message = installation.alerts.message(AlertKind.OVERDUE)
        assert f"none any more; the newest backup is of {NOON:%Y-%m-%d %H:%M} UTC" in message


def missing(count: int, *, success: bool) -> Schedule:
    """A schedule that missed so many due times, the last one this night."""
    at = NOON.replace(hour=2)
    return replace(
        NIGHTLY,
        missed=count,
        last_missed_at=at if count else None,
        last_success_at=at + timedelta(hours=1 if success else -24),
    )


async def test_due_times_that_were_missed_raise_one_alert(installation):
    """Also when the backup was made up before anybody looked; again only when more are missed."""
    monitor = installation.environment_monitor()
    plan(installation, missing(0, success=True))
    await monitor.check()

    plan(installation, missing(1, success=True))
    await monitor.check()
    assert "1 due times" in installation.alerts.message(AlertKind.MISSED)
    await monitor.check()
    await monitor.check()
    assert raised(installation) == set()

    plan(installation, missing(3, success=True))
    await monitor.check()
    assert "3 due times" in installation.alerts.message(AlertKind.MISSED)
    assert [alert.kind for alert in installation.alerts.raises].count(AlertKind.MISSED) == 2


async def test_after_a_start_only_what_was_not_made_up_counts_as_missed(installation):
    """What was told before the restart is not told again."""
    plan(installation, missing(4, success=True))
    await installation.environment_monitor().check()
    assert AlertKind.MISSED not in raised(installation)

    plan(installation, missing(4, success=False))
    await installation.environment_monitor().check()
    assert installation.alerts.about(AlertKind.MISSED) == ["nightly"]


async def test_schedules_that_cannot_be_read_raise_an_alert(installation):
    """No backup will come of them."""
    plan(installation, NIGHTLY)
    monitor = installation.environment_monitor()
    (installation.path / "schedule.json").write_text("{")
    await monitor.check()
    assert installation.alerts.about(AlertKind.OVERDUE) == ["schedule.json"]

    plan_file = installation.path / "schedule.json"
    plan_file.unlink()
    await monitor.check()
    assert raised(installation) == set()


# -- server -----------------------------------------------------------------------------------------


async def test_a_server_that_does_not_answer_raises_an_alert(installation):
    """Named by host and port, never with its password."""
    await installation.environment_monitor().check()

    assert "127.0.0.1:1" in installation.alerts.message(AlertKind.CREDENTIAL)
    assert NOWHERE not in installation.alerts.message(AlertKind.CREDENTIAL)


# -- certificate ------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """A certificate that is good for a day from now."""
    return make_certificates(tmp_path / "tls", "127.0.0.1").certificate


@pytest.mark.parametrize(
    ("days", "words"), [(-20, ""), (-12.5, "expires at"), (0, "expires at"), (2, "has expired")]
)
async def test_a_certificate_that_will_expire_soon_raises_an_alert(
    installation, certificate, days, words
):
    """From 14 days before, and after it has."""
    installation.clock.at = datetime.now(UTC) + timedelta(days=days)  # noqa: TID251 - certificates are of today
    await installation.environment_monitor(certificate).check()

    assert installation.alerts.about(AlertKind.CERTIFICATE) == (["server.pem"] if words else [])
    if words:
        assert words in installation.alerts.message(AlertKind.CERTIFICATE)
        assert str(certificate.parent) not in installation.alerts.message(AlertKind.CERTIFICATE)


async def test_a_new_certificate_resolves_the_alert(installation, certificate):
    """And one that cannot be read is like one that has expired."""
    monitor = installation.environment_monitor(certificate)
    data = certificate.read_bytes()
    for broken in (b"no certificate", None):
        if broken is None:
            certificate.unlink()
        else:
            certificate.write_bytes(broken)
        await monitor.check()
        assert "cannot be read" in installation.alerts.message(AlertKind.CERTIFICATE)

    certificate.write_bytes(data)
    await monitor.check()  # by the clock of the test it is good for long
    assert raised(installation) == set()


async def test_without_days_nobody_is_told_of_certificates(tmp_path, certificate):
    """0 = never."""
    installation = MonitoredInstallation(tmp_path, certificate_days=0)
    installation.clock.advance(days=4000)
    await installation.environment_monitor(certificate).check()

    assert raised(installation) == set()
    await installation.close()


# -- backups ----------------------------------------------------------------------------------------


async def test_a_damaged_backup_raises_an_alert_without_any_check(installation):
    """A look at the directory shows it, and that it is whole again."""
    installation.catalogue.directory.prepare()
    manifest = await write_backup(installation.catalogue.directory)
    file = installation.path / manifest.file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    monitor = installation.environment_monitor()
    await monitor.check()
    assert installation.alerts.about(AlertKind.VERIFICATION) == [manifest.backup_id]

    file.write_bytes(whole)
    await monitor.check()
    assert raised(installation) == set()


async def test_a_directory_that_cannot_be_read_keeps_nothing_else_from_being_watched(
    installation, certificate, caplog
):
    """It is in the log, and the certificate raises its alert all the same."""
    installation.path.write_text("a file")
    installation.clock.at = datetime.now(UTC)  # noqa: TID251 - certificates are of today

    await installation.environment_monitor(certificate).check()

    assert "could not" in caplog.text
    assert installation.alerts.about(AlertKind.CERTIFICATE) == ["server.pem"]
