"""Schedules as people set and run them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.access.user import Role
from app.domain.backups.retention import RetentionPolicy
from app.domain.runs.progress import Phase, Progress
from app.domain.schedule import GRACE, Frequency, ScheduleChange, ScheduleOptions
from app.errors import (
    ConnectionFailedError,
    IntegrityError,
    InvalidScheduleError,
    NotAuthorizedError,
    NotDueError,
    ScheduleNotFoundError,
)
from tests.fixtures.schedule_processes import (
    DAY,
    NOON,
    OPTIONS,
    ScheduleProcesses,
    change,
    perform,
)


@pytest.fixture
def processes(tmp_path) -> ScheduleProcesses:
    """A directory that is not there yet, and a server that nobody can reach."""
    return ScheduleProcesses(tmp_path / "backups")


async def test_a_schedule_is_set_and_shown(processes):
    """By every process; setting it again keeps what it is not about."""
    service = processes.service()
    assert await service.list() == ()
    made = await service.set(change(Frequency.DAILY))
    processes.clock.at += timedelta(hours=1)
    changed = await service.set(change(Frequency.WEEKLY, ScheduleOptions(), enabled=False))
    other = await service.set(change(Frequency.HOURLY, name="other"))

    assert (made.name, made.frequency, made.options, made.enabled) == (
        "default",
        Frequency.DAILY,
        OPTIONS,
        True,
    )
    assert made.updated_at == NOON
    assert changed == replace(
        made,
        frequency=Frequency.WEEKLY,
        options=ScheduleOptions(),
        enabled=False,
        updated_at=processes.clock.at,
        considered_at=processes.clock.at,
    )
    assert await processes.service().list() == (changed, other)


async def test_a_preview_is_what_would_be_set_and_sets_nothing(processes):
    """With what stays of the schedule that is there, and refused for the same reasons."""
    service = processes.service()
    assert (await service.preview(change(Frequency.DAILY))).options == OPTIONS
    known = await service.set(change(Frequency.DAILY, retention=RetentionPolicy(count=6)))
    wanted = ScheduleChange(cron="30 2 * * *", keeps=frozenset({"options", "retention"}))

    seen = await service.preview(wanted, Role.OPERATOR)

    assert (seen.expression, seen.retention, seen.options) == (
        "30 2 * * *",
        known.retention,
        OPTIONS,
    )
    assert await service.list() == (known,)
    assert await service.set(wanted, Role.OPERATOR) == seen
    with pytest.raises(NotAuthorizedError):
        await service.preview(change(Frequency.DAILY, ScheduleOptions()), Role.OPERATOR)
    with pytest.raises(InvalidScheduleError):
        await service.preview(ScheduleChange(cron="61 * * * *"))


async def test_retention_counts_by_the_times_that_an_admin_has_set(processes):
    """However often, and by how many steps, an operator changes when backups are made."""
    service = processes.service()
    await service.set(change(Frequency.DAILY))
    often = [
        await service.set(change(Frequency.HOURLY), Role.OPERATOR),
        await service.set(change(Frequency.DAILY, frequency=None, cron="* * * * *"), Role.OPERATOR),
        await service.enable("default", enabled=False),
    ]
    assert {schedule.pace for schedule in often} == {DAY}

    assert (await service.set(change(Frequency.HOURLY))).pace == DAY / 24


async def test_a_schedule_that_is_made_anew_pushes_out_no_backups_of_a_deleted_one(processes):
    """They are counted by days until an admin says otherwise, whatever times an operator makes it with."""
    service = processes.service()
    await service.set(change(Frequency.DAILY))
    await service.delete("default")

    for times in (
        {"frequency": Frequency.HOURLY},
        {"frequency": None, "cron": "* * * * *"},
        {"frequency": Frequency.WEEKLY},
    ):
        assert (await service.preview(ScheduleChange(**times), Role.OPERATOR)).pace == DAY
    often = await service.due(Frequency.HOURLY, force=True, role=Role.OPERATOR)
    assert often.job is not None
    await often.job.claim()
    (claimed,) = await service.list()
    assert claimed.pace == DAY

    assert (await service.set(change(Frequency.HOURLY))).pace == DAY / 24


async def test_an_operator_cannot_let_a_schedule_keep_less(processes):
    """What is refused leaves the file as it was; what is not asked about is kept."""
    service, kept = processes.service(), RetentionPolicy(count=6)
    known = await service.set(change(Frequency.DAILY, retention=kept))

    for wanted in (
        change(Frequency.DAILY, retention=RetentionPolicy(count=1)),
        change(Frequency.DAILY, replace(OPTIONS, databases=()), retention=kept),
        change(Frequency.DAILY, name="new", retention=kept),
    ):
        with pytest.raises(NotAuthorizedError):
            await service.set(wanted, Role.OPERATOR)
    assert await service.list() == (known,)
    keeps = frozenset({"options", "retention"})
    changed = await service.set(
        ScheduleChange(frequency=Frequency.WEEKLY, keeps=keeps), Role.OPERATOR
    )
    assert (changed.options, changed.retention) == (OPTIONS, kept)


async def test_what_is_due_has_a_job_with_the_options(processes):
    """Every option of the schedule is asked for."""
    service = processes.service()
    await service.set(change(Frequency.DAILY))
    due = await service.due()

    assert due.next_due == datetime(2026, 2, 1, 2, tzinfo=UTC)
    assert due.job is not None
    asked = due.job.request
    assert (asked["databases"], asked["tables"]) == (("shop",), ("t*",))
    assert (asked["exclude_tables"], asked["include_data"]) == (("tmp*",), False)
    assert (asked["description"], asked["codec"]) == ("Nightly", "none")
    assert asked["schedule"] == "default"
    assert due.job.resources


async def test_nothing_is_due_before_its_time(processes):
    """Not where there is no schedule, not one that is switched off, unless somebody insists."""
    service = processes.service()
    assert (await service.due()).job is None
    await service.set(change(Frequency.HOURLY, enabled=False))

    assert (await service.due()).job is None
    assert (await service.due(name="other")).next_due is None
    forced = await service.due(force=True)
    assert forced.job is not None
    named = await service.due(Frequency.HOURLY, name="new")
    assert named.job is not None
    assert named.job.request["description"] == "Scheduled backup (hourly)"
    assert len(await service.list()) == 1


async def test_a_run_that_fails_leaves_the_schedule_due(processes):
    """When it last began is kept, and what it failed with."""
    service = processes.service()
    await service.set(change(Frequency.DAILY))
    due = await service.due()
    processes.clock.at += timedelta(minutes=1)

    with pytest.raises(ConnectionFailedError):
        await perform(due)

    (schedule,) = await service.list()
    assert (schedule.last_run_at, schedule.last_success_at) == (processes.clock.at, None)
    assert schedule.last_error == "connection-failed"
    assert (await service.due()).job is not None


async def test_a_run_that_succeeds_puts_the_next_one_off(server, database, sql, tmp_path):
    """By the frequency, or by another one that is asked for; its options stay."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    processes = ScheduleProcesses(tmp_path / "backups", server.url)
    service = processes.service()
    options = ScheduleOptions((database,))
    await service.set(change(Frequency.DAILY, options))
    manifest = await perform(await service.due())

    (schedule,) = await service.list()
    assert schedule.options == options
    assert schedule.last_success_at == manifest.created_at
    assert (schedule.last_backup_id, schedule.last_error) == (manifest.backup_id, "")
    assert manifest.options.schedule == "default"
    processes.clock.at = made_at = manifest.created_at.replace(hour=3, minute=10)
    await service._change(schedule, lambda current: replace(current, last_success_at=made_at))
    processes.clock.at += timedelta(hours=2)
    assert (await service.due()).job is None
    assert (await service.due()).next_due == made_at.replace(
        hour=2, minute=0, second=0, microsecond=0
    ) + DAY
    assert (await service.due(Frequency.HOURLY)).job is not None
    processes.clock.at = made_at + timedelta(hours=23)
    assert (await service.due()).job is not None


async def test_a_due_time_that_two_want_at_once_is_claimed_by_one(processes):
    """Cron and the scheduler, in either order, and two schedulers; the others learn that it is not due."""
    service, other = processes.service(), processes.service()
    for by_cron_first in (True, False):
        name = f"s{by_cron_first}".lower()
        await service.set(change(Frequency.HOURLY, name=name))
        processes.clock.at += timedelta(hours=1)
        by_cron = (await other.due(name=name)).job
        found = [await schedules.consider(name) for schedules in (service, other)]
        claims = [due.job.claim for due in found if due] + [by_cron and by_cron.claim]
        if by_cron_first:
            claims.reverse()
        await claims[0]()
        if by_cron_first:
            for late in claims[1:]:
                with pytest.raises(NotDueError):
                    await late()
        else:
            with pytest.raises(NotDueError):
                await claims[1]()
            # Nobody has said how that ended: cron waits a while, and then takes it for dead.
            assert (await other.due(name=name)).job is None
            processes.clock.at += GRACE
            assert (await other.due(name=name)).job is not None


async def test_what_cron_makes_is_left_to_cron(processes):
    """The scheduler of a service on the same directory does not begin it at other times."""
    service = processes.service()
    due = await service.due(Frequency.HOURLY, name="cron")
    with pytest.raises(ConnectionFailedError):
        await perform(due)
    processes.clock.at += timedelta(hours=5)

    (schedule,) = await service.list()
    assert (schedule.name, schedule.external, schedule.enabled) == ("cron", True, True)
    assert await service.consider("cron") is None
    assert (await service.due(name="cron")).job is not None


async def test_without_a_server_due_times_stay_open(tmp_path):
    """Nothing is begun or counted as missed; with a server the last due time is made up for."""
    service = ScheduleProcesses(tmp_path / "backups", url="")
    await service.service().set(change(Frequency.HOURLY))
    service.clock.at += timedelta(hours=5)
    assert await service.service().consider("default") is None

    service.url = "mysql://nobody@127.0.0.1:1/"
    due = await service.service().consider("default")
    assert due is not None
    assert (await service.service().list())[0].missed == 0


async def test_a_schedule_is_switched_and_deleted_by_its_name(processes):
    """What does not exist is told; due times while it was off do not count."""
    service = processes.service()
    await service.set(change(Frequency.HOURLY))
    off = await service.enable("default", enabled=False)
    processes.clock.at += timedelta(hours=5)
    assert await service.consider("default") is None
    on = await service.enable("default", enabled=True)
    assert await service.consider("default") is None
    await service.delete("default")

    assert (off.enabled, on.enabled, on.next_due()) == (False, True, NOON + timedelta(hours=6))
    assert await service.list() == ()
    for call in (service.delete("default"), service.enable("x", enabled=True), service.get("x")):
        with pytest.raises(ScheduleNotFoundError):
            await call


@pytest.mark.parametrize(
    "changes",
    [
        {"frequency": None},
        {"cron": "0 2 * * *"},
        {"frequency": None, "cron": "0 2 * *"},
        {"timezone": "Mars"},
    ],
)
async def test_a_schedule_without_due_times_is_refused(processes, changes):
    """Neither a frequency nor an expression, both, one that is none, or no such zone."""
    with pytest.raises(InvalidScheduleError):
        await processes.service().set(change(Frequency.DAILY, **changes))

    assert not processes.directory.exists()


async def test_a_damaged_file_is_told_and_left_as_it_is(processes):
    """By every call; nothing is scheduled by a guess."""
    service = processes.service()
    await service.set(change(Frequency.DAILY))
    path = processes.directory / "schedule.json"
    path.write_bytes(path.read_bytes()[:-9])
    before = path.read_bytes()

    for call in (service.list(), service.due(force=True), service.set(change(Frequency.DAILY))):
        with pytest.raises(IntegrityError):
            await call

    assert path.read_bytes() == before


async def test_changes_of_two_processes_at_once_are_all_kept(processes):
    """Whoever changes one schedule does not undo what another one did to the others."""
    services = [processes.service() for _ in range(2)]

    await asyncio.gather(
        *(
            services[number % 2].set(change(Frequency.DAILY, name=f"s{number}"))
            for number in range(40)
        )
    )

    assert {schedule.name for schedule in await services[0].list()} == {
        f"s{number}" for number in range(40)
    }


async def test_a_schedule_that_is_changed_while_it_runs_stays_changed(processes):
    """The run adds only what it has done."""
    service = processes.service()
    await service.set(change(Frequency.DAILY))
    due = await service.due()
    await processes.service().set(change(Frequency.WEEKLY, ScheduleOptions(), enabled=False))
    with pytest.raises(NotDueError):
        await perform(due)
    forced = await service.due(force=True)
    with pytest.raises(ConnectionFailedError):
        await perform(forced)

    (schedule,) = await service.list()
    assert (schedule.frequency, schedule.enabled) == (Frequency.WEEKLY, False)
    assert schedule.options == ScheduleOptions()
    assert schedule.last_run_at == NOON


async def test_a_backup_counts_though_its_schedule_cannot_be_written(
    tmp_path, server, sql, database
):
    """Somebody breaks schedule.json meanwhile: the backup is there, and the file left as it is."""
    sql.run("CREATE TABLE t (id INT PRIMARY KEY)")
    processes = ScheduleProcesses(tmp_path / "backups", server.url + database)
    service = processes.service()
    file = processes.directory / "schedule.json"

    def listener(progress: Progress) -> None:
        if progress.phase is Phase.VERIFY:
            file.write_text("{")

    due = await service.due(Frequency.DAILY)
    assert due.job is not None
    manifest = await due.job.work(Progress(listener=listener))

    assert manifest.tables_count == 1
    assert file.read_text() == "{"
