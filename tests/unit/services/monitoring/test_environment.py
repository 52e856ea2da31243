"""The watch: what rings before a backup fails, and what is quiet again afterwards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from app.domain.alerts.alert import AlertKind
from app.domain.schedule import Frequency, Schedule
from tests.fixtures.archives import NOON, write_backup
from tests.fixtures.certificates import make_certificates
from tests.fixtures.kernels import FreeSpaceKernel
from tests.fixtures.monitored_installation import NOWHERE, MonitoredInstallation


NIGHTLY = Schedule("nightly", Frequency.DAILY, NOON - timedelta(days=9))


@pytest_asyncio.fixture
async def here(tmp_path):
    """An installation whose server is away."""
    made = MonitoredInstallation(tmp_path)
    yield made
    await made.close()


def plan(here: MonitoredInstallation, *schedules: Schedule) -> None:
    """Write `schedule.json`."""
    here.schedules.change(lambda _: schedules)


def quiet(here: MonitoredInstallation) -> set[AlertKind]:
    """What rings, but for the server that is away."""
    return {kind for kind, _ in here.alerts.raised} - {AlertKind.CREDENTIAL}


async def test_no_alert_is_raised_where_nothing_was_ever_done(here):
    """But for the server, which is away; nothing is made, and no second look differs."""
    watch = here.environment_monitor()
    await watch.check()
    await watch.check()

    assert set(here.alerts.raised) == {(AlertKind.CREDENTIAL, "server")}
    assert not here.path.exists()


# -- room -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free", "rings"), [(999, True), (1000, False)])
async def test_less_room_than_the_floor_raises_an_alert(tmp_path, free, rings):
    """With both numbers; when there is room again, it is over."""
    kernel = FreeSpaceKernel(free)
    here = MonitoredInstallation(tmp_path, kernel=kernel, disk_floor_bytes=1000)
    here.catalogue.directory.prepare()
    await here.environment_monitor().check()

    assert (AlertKind.DISK in quiet(here)) is rings
    if rings:
        assert "999" in here.alerts.message(AlertKind.DISK)
        assert "1000" in here.alerts.message(AlertKind.DISK)
    kernel.free = 1 << 30
    await here.environment_monitor().check()
    assert quiet(here) == set()
    await here.close()


async def test_less_room_than_the_next_backup_needs_raises_an_alert(tmp_path):
    """By the last one, and some growth; without a floor nobody is told of room at all."""
    kernel = FreeSpaceKernel(1 << 30)
    here = MonitoredInstallation(tmp_path, kernel=kernel, disk_floor_bytes=1)
    here.catalogue.directory.prepare()
    manifest = await write_backup(here.catalogue.directory)
    kernel.free = manifest.size

    await here.environment_monitor().check()
    assert f"need {round(1.2 * manifest.size)}" in here.alerts.message(AlertKind.DISK)

    silent = MonitoredInstallation(tmp_path, kernel=kernel, disk_floor_bytes=0)
    await silent.environment_monitor().check()
    assert quiet(silent) == set()
    await here.close()
    await silent.close()


# -- schedules --------------------------------------------------------------------------------------


async def test_a_schedule_without_a_success_for_too_long_is_overdue(here):
    """From so many minutes after the due time, until a backup comes of it."""
    due = NOON.replace(hour=2)
    plan(here, replace(NIGHTLY, last_success_at=due - timedelta(days=1), last_error="stalled"))
    watch = here.environment_monitor()
    here.clock.at = due + timedelta(minutes=90)
    await watch.check()
    assert quiet(here) == set()

    here.clock.advance(seconds=1)
    await watch.check()
    message = here.alerts.message(AlertKind.OVERDUE)
    assert here.alerts.about(AlertKind.OVERDUE) == ["nightly"]
    assert "2026-01-31 02:00" in message
    assert "stalled" in message

    plan(here, replace(NIGHTLY, last_success_at=here.clock.at))
    await watch.check()
    assert quiet(here) == set()


async def test_a_schedule_that_never_had_a_backup_is_overdue_too(here):
    """Unless it is switched off, or taken away."""
    plan(here, NIGHTLY)
    watch = here.environment_monitor()
    await watch.check()
    assert "never" in here.alerts.message(AlertKind.OVERDUE)

    plan(here, replace(NIGHTLY, enabled=False))
    await watch.check()
    assert quiet(here) == set()

    plan(here, NIGHTLY)
    await watch.check()
    plan(here)
    await watch.check()
    assert quiet(here) == set()


def missing(count: int, *, success: bool) -> Schedule:
    """A schedule that missed so many due times, the last one this night."""
    at = NOON.replace(hour=2)
    return replace(
        NIGHTLY,
        missed=count,
        last_missed_at=at if count else None,
        last_success_at=at + timedelta(hours=1 if success else -24),
    )


async def test_due_times_that_were_missed_raise_one_alert(here):
    """Also when the backup was made up before anybody looked; again only when more are missed."""
    watch = here.environment_monitor()
    plan(here, missing(0, success=True))
    await watch.check()

    plan(here, missing(1, success=True))
    await watch.check()
    assert "1 due times" in here.alerts.message(AlertKind.MISSED)
    await watch.check()
    await watch.check()
    assert quiet(here) == set()

    plan(here, missing(3, success=True))
    await watch.check()
    assert "3 due times" in here.alerts.message(AlertKind.MISSED)
    assert [alert.kind for alert in here.alerts.raises].count(AlertKind.MISSED) == 2


async def test_after_a_start_only_what_was_not_made_up_counts_as_missed(here):
    """What was told before the restart is not told again."""
    plan(here, missing(4, success=True))
    await here.environment_monitor().check()
    assert AlertKind.MISSED not in quiet(here)

    plan(here, missing(4, success=False))
    await here.environment_monitor().check()
    assert here.alerts.about(AlertKind.MISSED) == ["nightly"]


async def test_schedules_that_cannot_be_read_raise_an_alert(here):
    """No backup will come of them."""
    plan(here, NIGHTLY)
    watch = here.environment_monitor()
    (here.path / "schedule.json").write_text("{")
    await watch.check()
    assert here.alerts.about(AlertKind.OVERDUE) == ["schedule.json"]

    plan_file = here.path / "schedule.json"
    plan_file.unlink()
    await watch.check()
    assert quiet(here) == set()


# -- server -----------------------------------------------------------------------------------------


async def test_a_server_that_does_not_answer_raises_an_alert(here):
    """Named by host and port, never with its password."""
    await here.environment_monitor().check()

    assert "127.0.0.1:1" in here.alerts.message(AlertKind.CREDENTIAL)
    assert NOWHERE not in here.alerts.message(AlertKind.CREDENTIAL)


# -- certificate ------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """A certificate that is good for a day from now."""
    return make_certificates(tmp_path / "tls", "127.0.0.1").certificate


@pytest.mark.parametrize(
    ("days", "words"), [(-20, ""), (-12.5, "expires at"), (0, "expires at"), (2, "has expired")]
)
async def test_a_certificate_that_will_expire_soon_raises_an_alert(here, certificate, days, words):
    """From 14 days before, and after it has."""
    here.clock.at = datetime.now(UTC) + timedelta(days=days)  # noqa: TID251 - certificates are of today
    await here.environment_monitor(certificate).check()

    assert here.alerts.about(AlertKind.CERTIFICATE) == (["server.pem"] if words else [])
    if words:
        assert words in here.alerts.message(AlertKind.CERTIFICATE)
        assert str(certificate.parent) not in here.alerts.message(AlertKind.CERTIFICATE)


async def test_a_new_certificate_resolves_the_alert(here, certificate):
    """And one that cannot be read rings like one that has expired."""
    watch = here.environment_monitor(certificate)
    data = certificate.read_bytes()
    for broken in (b"no certificate", None):
        if broken is None:
            certificate.unlink()
        else:
            certificate.write_bytes(broken)
        await watch.check()
        assert "cannot be read" in here.alerts.message(AlertKind.CERTIFICATE)

    certificate.write_bytes(data)
    await watch.check()  # by the clock of the test it is good for long
    assert quiet(here) == set()


async def test_without_days_nobody_is_told_of_certificates(tmp_path, certificate):
    """0 = never."""
    here = MonitoredInstallation(tmp_path, certificate_days=0)
    here.clock.advance(days=4000)
    await here.environment_monitor(certificate).check()

    assert quiet(here) == set()
    await here.close()


# -- backups ----------------------------------------------------------------------------------------


async def test_a_damaged_backup_raises_an_alert_without_any_check(here):
    """A look at the directory shows it, and that it is whole again."""
    here.catalogue.directory.prepare()
    manifest = await write_backup(here.catalogue.directory)
    file = here.path / manifest.file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    watch = here.environment_monitor()
    await watch.check()
    assert here.alerts.about(AlertKind.VERIFICATION) == [manifest.backup_id]

    file.write_bytes(whole)
    await watch.check()
    assert quiet(here) == set()


async def test_a_directory_that_cannot_be_read_keeps_nothing_else_from_being_watched(
    here, certificate, caplog
):
    """It is in the log, and the certificate rings all the same."""
    here.path.write_text("a file")
    here.clock.at = datetime.now(UTC)  # noqa: TID251 - certificates are of today

    await here.environment_monitor(certificate).check()

    assert "could not" in caplog.text
    assert here.alerts.about(AlertKind.CERTIFICATE) == ["server.pem"]
