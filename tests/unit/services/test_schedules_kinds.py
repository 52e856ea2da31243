"""Kinds of schedules and levels of compression: what is made, and who may change it."""

import pytest

from app.domain.access.user import Role
from app.domain.runs.run import RunKind
from app.domain.schedule import Frequency, ScheduleKind, ScheduleOptions
from app.errors import (
    InvalidScheduleError,
    NotAuthorizedError,
    PointNotCoveredError,
)
from tests.fixtures.schedule_processes import (
    ScheduleProcesses,
    change,
    perform,
)


@pytest.fixture
def processes(tmp_path) -> ScheduleProcesses:
    """A directory that is not there yet, and a server that nobody can reach."""
    return ScheduleProcesses(tmp_path / "backups")


async def test_a_synthetic_schedule_without_an_archive_fails_by_name(processes):
    """Nothing is read from the server in its place; what is due stays due."""
    service = processes.service()
    await service.set(change(Frequency.WEEKLY, ScheduleOptions(), kind=ScheduleKind.SYNTHETIC))
    due = await service.due()
    assert due.job is not None
    assert due.job.kind is RunKind.RECOVERY
    with pytest.raises(PointNotCoveredError, match="no archive"):
        await perform(due)

    (schedule,) = await service.list()
    assert schedule.last_error == "point-not-covered"
    assert schedule.last_success_at is None
    assert due.job.request["schedule"] == "default"


@pytest.mark.parametrize(
    "options",
    [
        ScheduleOptions(tables=("t",)),
        ScheduleOptions(exclude_tables=("t",)),
        ScheduleOptions(include_data=False),
        ScheduleOptions(store="offsite"),
    ],
)
async def test_a_synthetic_schedule_holds_whole_databases(processes, options):
    """A part of one, or another place, is refused; databases and copies are not."""
    service = processes.service()
    whole = ScheduleOptions(databases=("shop",), copies=("offsite",))
    await service.set(change(Frequency.WEEKLY, whole, kind=ScheduleKind.SYNTHETIC))
    with pytest.raises(InvalidScheduleError, match="kind: "):
        await service.set(change(Frequency.WEEKLY, options, kind=ScheduleKind.SYNTHETIC))
    with pytest.raises(InvalidScheduleError, match="kind: "):
        await service.set(change(Frequency.WEEKLY, options, keeps=frozenset({"kind"})))


async def test_only_an_admin_lets_a_schedule_read_the_server_no_more(processes):
    """The other way is free, and who does not speak of it changes nothing."""
    service = processes.service()
    options = ScheduleOptions()
    synthetic = change(Frequency.WEEKLY, options, kind=ScheduleKind.SYNTHETIC)
    await service.set(change(Frequency.WEEKLY, options), Role.OPERATOR)
    with pytest.raises(NotAuthorizedError):
        await service.set(synthetic, Role.OPERATOR)
    await service.set(synthetic)
    kept = await service.set(
        change(Frequency.DAILY, options, keeps=frozenset({"kind"})), Role.OPERATOR
    )
    back = await service.set(change(Frequency.DAILY, options), Role.OPERATOR)

    assert (kept.kind, back.kind) == (ScheduleKind.SYNTHETIC, ScheduleKind.BACKUP)


async def test_levels_of_schedules_are_those_of_their_codec(processes):
    """As for a single backup; what is not compressed has none."""
    service = processes.service()
    made = await service.set(change(Frequency.DAILY, ScheduleOptions(level=9)))
    for options in (ScheduleOptions(level=12), ScheduleOptions(level=3, compress=False)):
        with pytest.raises(InvalidScheduleError, match="level: "):
            await service.set(change(Frequency.DAILY, options))
    due = await service.due()

    assert made.options.level == 9
    assert due.job is not None
    assert due.job.request["level"] == 9
