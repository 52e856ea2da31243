"""A year of the real scheduler on its real file, in virtual time."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.domain.schedule import Frequency, Schedule, ScheduleChange, ScheduleOptions
from app.errors import AlreadyRunningError, NotDueError
from app.scheduling.scheduler import Scheduler
from app.services.jobs import Jobs
from app.services.scheduled_jobs import ScheduledJobs
from app.services.schedules import ScheduleService
from app.storage.local import LocalDirectory
from app.storage.schedules import ScheduleFile
from tests.fixtures.backstay import Backstay
from tests.fixtures.kernels import RelaxedKernel
from tests.fixtures.series import series
from tests.fixtures.virtual_time import VirtualClock, VirtualLoop, run_virtually


BERLIN = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2027, 12, 15, 0, 0, 30, tzinfo=UTC)
# A leap day and a change of the clocks; two processes go through a new year.
WINTER = (datetime(2028, 2, 20, 0, 0, 30, tzinfo=UTC), datetime(2028, 4, 1, tzinfo=UTC))
AUTUMN = (datetime(2028, 10, 20, 12, 0, 30, tzinfo=UTC), datetime(2028, 11, 15, tzinfo=UTC))
YEAR = (BEGIN, datetime(2029, 1, 10, tzinfo=UTC))  # all of them, and another new year
HOURLY, DAILY, WEEKLY = "hourly", "daily", "weekly"


class Fires:
    """What runs would have been begun; claims are real, the work is left out."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, datetime]] = []
        self.is_busy = False

    async def start(self, job, requester) -> None:
        """Claim a run, as a real one does when it has its locks."""
        if self.is_busy:
            raise AlreadyRunningError("another run holds the backups")
        await job.claim()
        self.seen.append((requester.name.removeprefix("schedule:"), VirtualClock().now()))

    @property
    def counts(self) -> Counter[tuple[str, datetime]]:
        """How often each minute of each schedule was served."""
        return Counter((name, at.replace(second=0, microsecond=0)) for name, at in self.seen)


class Process:
    """One process of the service, in which only runs are not made."""

    def __init__(self, directory: Path, fires: Fires, **settings) -> None:
        backstay = Backstay("mysql://nobody@127.0.0.1:1/", directory)
        configured = Settings(
            database_url=SecretStr("mysql://x@127.0.0.1:1/"), backup_dir=directory
        )
        jobs = Jobs(configured, backstay.catalogue, backstay.backups, lambda: backstay.recoveries)
        self.file = ScheduleFile(LocalDirectory(directory, RelaxedKernel()))
        self.schedules = ScheduleService(
            self.file,
            ScheduledJobs(jobs, pytest.fail, configured),
            VirtualClock(),
            timezone="Europe/Berlin",
            **settings,
        )
        # Looks are rare here, so that it is the jobs that fire.
        self.scheduler = Scheduler(
            self.schedules, fires.start, VirtualClock(), refresh_seconds=40 * 86400.0
        )


async def arrange(process: Process) -> None:
    """Set three schedules, one of each frequency."""
    for frequency in Frequency:
        await process.schedules.set(ScheduleChange(frequency.value, frequency))


def expected(begin: datetime, end: datetime) -> Counter[tuple[str, datetime]]:
    """Walk through all minutes and say what is due, by the wall clock of Berlin and nothing else."""
    due: Counter[tuple[str, datetime]] = Counter()
    seen = set()
    at = begin.replace(minute=0, second=0, microsecond=0)
    while (at := at + timedelta(hours=1)) <= end:  # its hours are those of UTC, without a fraction
        local = at.astimezone(BERLIN)
        due[HOURLY, at] += 1
        # 02:00 does not exist on the day that begins summer time: then it is 03:00.
        is_night = local.hour == 2 or (local.hour == 3 and local.date() not in seen)
        if is_night and local.date() not in seen:
            seen.add(local.date())
            due[DAILY, at] += 1
            if local.isoweekday() == 7:
                due[WEEKLY, at] += 1
    return due


@pytest.mark.long
@pytest.mark.parametrize(("begin", "end"), series([WINTER, AUTUMN], [YEAR]))
def test_every_due_time_fires_once(begin, end, tmp_path):
    """With restarts of the process at random moments, two in ten of them for some days."""
    fires = Fires()
    chance = random.Random(7)  # noqa: S311 - not a secret
    gaps: list[tuple[datetime, datetime]] = []

    async def year() -> None:
        clock = VirtualClock()
        await arrange(Process(tmp_path, fires))
        while clock.now() < end:
            process = Process(tmp_path, fires)
            await process.scheduler.open()
            await asyncio.sleep(chance.uniform(60, 12 * 86400))
            await process.scheduler.close()
            down_from = clock.now()
            # Most restarts take seconds; twice in ten the machine is off for up to three days.
            await asyncio.sleep(chance.uniform(1, 40 if chance.random() < 0.8 else 3 * 86400))
            gaps.append((down_from, clock.now()))

    run_virtually(begin, year())

    wanted = expected(begin, gaps[-1][0])
    downtimes = [(a, b) for a, b in gaps[:-1] if b - a > timedelta(minutes=1)]
    assert len(gaps) > (end - begin).days // 10
    assert downtimes
    missed = {key: [down for down in downtimes if down[0] < key[1] <= down[1]] for key in wanted}
    on_time = Counter({key: 1 for key in wanted if not missed[key]})
    served = fires.counts
    assert {key for key, count in served.items() if count != 1} == set()
    assert on_time.keys() <= served.keys()
    # Whatever else was begun makes up for what was missed: once for each schedule and downtime.
    made_up = Counter(
        (name, down)
        for name, at in fires.seen
        if (name, at.replace(second=0, microsecond=0)) not in on_time
        for down in downtimes
        if timedelta() <= at - down[1] < timedelta(minutes=1)
    )
    assert len(fires.seen) == len(on_time) + sum(made_up.values())
    assert made_up == Counter({
        (name, down): 1 for (name, _), downs in missed.items() for down in downs
    })


@pytest.mark.parametrize("catch_up", [True, False])
def test_what_was_missed_is_made_up_once_if_the_setting_says_so(tmp_path, catch_up):
    """After three days off; it is counted either way, and the next due time is served."""
    fires = Fires()

    async def days() -> None:
        process = Process(tmp_path, fires, catch_up=catch_up)
        await process.schedules.set(ScheduleChange("daily", Frequency.DAILY))
        await asyncio.sleep(3 * 86400)
        await process.scheduler.open()
        (schedule,) = await process.schedules.list()
        assert schedule.missed == 3
        assert schedule.last_missed_at is not None
        assert len(fires.seen) == int(catch_up)
        await asyncio.sleep(86400)
        await process.scheduler.close()

    run_virtually(BEGIN, days())

    assert len(fires.seen) == int(catch_up) + 1


@pytest.mark.long
def test_two_processes_on_one_directory_fire_once(tmp_path):
    """For every due time of some weeks."""
    days = series(21, 60)
    fires = Fires()

    async def months() -> None:
        processes = [Process(tmp_path, fires) for _ in range(2)]
        await arrange(processes[0])
        for process in processes:
            await process.scheduler.open()
        await asyncio.sleep(days * 86400)
        for process in processes:
            await process.scheduler.close()

    run_virtually(BEGIN, months())

    assert fires.counts == expected(BEGIN, BEGIN + timedelta(days=days))


def test_a_schedule_is_followed_as_it_is_changed(tmp_path):
    """By the next look, whichever process changed it: set, disabled, enabled, deleted."""
    fires = Fires()

    async def days() -> None:
        process, other = Process(tmp_path, fires), Process(tmp_path, fires)
        await process.scheduler.open()
        await other.schedules.set(ScheduleChange("s", cron="0 12 * * *", timezone="UTC"))
        await process.scheduler.refresh()
        await asyncio.sleep(86400)
        await other.schedules.set(ScheduleChange("s", cron="0 18 * * *", timezone="UTC"))
        await process.scheduler.refresh()
        await asyncio.sleep(86400)
        await other.schedules.enable("s", enabled=False)
        await process.scheduler.refresh()
        await asyncio.sleep(86400)
        await other.schedules.enable("s", enabled=True)
        await process.scheduler.refresh()
        await asyncio.sleep(86400)
        await other.schedules.delete("s")
        await process.scheduler.refresh()
        await asyncio.sleep(86400)
        await process.scheduler.close()

    run_virtually(BEGIN, days())

    assert [f"{at:%d %H:%M}" for _, at in fires.seen] == ["15 12:00", "16 18:00", "18 18:00"]


def test_a_backup_that_is_in_the_way_puts_the_due_time_off(tmp_path):
    """The next look tries again, and the due time is served once."""
    fires = Fires()

    async def day() -> None:
        process = Process(tmp_path, fires)
        await process.schedules.set(ScheduleChange("s", cron="0 12 * * *", timezone="UTC"))
        fires.is_busy = True
        await process.scheduler.open()
        await asyncio.sleep(12 * 3600 + 60)
        assert fires.seen == []
        fires.is_busy = False
        await process.scheduler.refresh()
        await process.scheduler.refresh()
        assert process.scheduler.lag_seconds == pytest.approx(90, abs=1)
        await process.scheduler.close()

    run_virtually(BEGIN, day())

    assert len(fires.seen) == 1


def test_a_clock_that_is_set_back_a_year_does_not_stop_schedules(tmp_path):
    """They go on by what it says now; forward it makes up once."""
    fires = Fires()

    async def days() -> None:
        process = Process(tmp_path, fires)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await process.schedules.set(ScheduleChange("s", cron="0 12 * * *", timezone="UTC"))
        await process.scheduler.open()
        await asyncio.sleep(86400)
        for years in (1, -2):
            loop.jump(timedelta(days=years * 365))
            await process.scheduler.refresh()
            await asyncio.sleep(86400)
            await process.scheduler.refresh()
        await process.scheduler.close()

    run_virtually(BEGIN, days())

    assert [f"{at:%Y-%m-%d %H}" for _, at in fires.seen] == [
        "2027-12-15 12",
        "2028-12-15 00",
        "2028-12-15 12",
        "2026-12-17 12",
    ]


def test_a_clock_that_is_set_back_leaves_no_success_ahead_of_it(tmp_path):
    """A schedule whose next backups fail would else be called served for a year."""
    fires = Fires()
    dues = []

    async def days() -> None:
        process = Process(tmp_path, fires)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await process.schedules.set(ScheduleChange("s", cron="0 12 * * *", timezone="UTC"))
        await process.scheduler.open()
        loop.jump(timedelta(days=365))
        await process.schedules._change(
            await process.schedules.get("s"),
            lambda known: replace(known, last_success_at=VirtualClock().now()),
        )
        await process.scheduler.refresh()
        loop.jump(timedelta(days=-365))
        await process.scheduler.refresh()
        dues.append((await process.schedules.get("s")).next_due())
        await process.scheduler.close()

    run_virtually(BEGIN, days())

    assert dues == [BEGIN.replace(hour=12, second=0)]


def test_a_schedule_that_cannot_begin_keeps_no_other_from_its_backup(tmp_path):
    """What it asks for, the settings do not allow any more; what another one has missed is made up for."""
    fires = Fires()

    async def hours() -> None:
        process = Process(tmp_path, fires)
        now = VirtualClock().now()
        made = tuple(
            Schedule(name, Frequency.HOURLY, now, options=ScheduleOptions(level=level))
            for name, level in (("a", 19), ("b", None), ("c", 19))
        )
        await asyncio.to_thread(process.file.change, lambda _: made)
        await asyncio.sleep(3 * 3600)
        await process.scheduler.open()
        await process.scheduler.close()

    run_virtually(BEGIN, hours())

    assert [name for name, _ in fires.seen] == ["b"]


def test_cron_and_the_scheduler_at_the_same_minute_begin_one_backup(tmp_path):
    """Whoever claims first; the other one is told that it is not due."""
    fires = Fires()

    async def noon() -> None:
        process = Process(tmp_path, fires)
        await process.schedules.set(ScheduleChange("s", cron="0 12 * * *", timezone="UTC"))
        await asyncio.sleep(12 * 3600 - 30)
        by_cron = (await process.schedules.due(name="s")).job
        due = await process.schedules.consider("s")
        assert by_cron is not None
        assert by_cron.claim is not None
        assert due is not None
        assert due.job.claim is not None
        await by_cron.claim()
        with pytest.raises(NotDueError):
            await due.job.claim()

    run_virtually(BEGIN, noon())
