"""When a scheduled backup is due."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from app.domain.backups.retention import RetentionPolicy
from app.domain.schedule import GRACE, Frequency, Schedule, ScheduleOptions, due_after, require_cron
from app.errors import IntegrityError, InvalidScheduleError
from app.storage.schedules import decode_schedules, encode_schedules


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
# Where clocks and calendars are strange, and years from then on.
INSTANTS = st.datetimes(
    datetime(2023, 12, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2029, 2, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
NAMES = st.lists(TEXTS, max_size=3).map(tuple)
CHOICES = st.none() | st.booleans()
OPTIONS = st.builds(
    ScheduleOptions, NAMES, NAMES, NAMES, st.booleans(), TEXTS, compress=CHOICES, verify=CHOICES
)
CRONS = st.builds(
    "{} {} {} {} {}".format,
    st.sampled_from(["0", "30", "*/15", "5,35", "10-20/5"]),
    st.sampled_from(["*", "2", "0,12", "9-17", "*/6"]),
    st.sampled_from(["*", "1", "29", "*/2"]),
    st.sampled_from(["*", "2", "3,10"]),
    st.sampled_from(["*", "0", "1-5", "7"]),
)
SCHEDULES = st.builds(
    Schedule,
    TEXTS,
    st.sampled_from(Frequency),
    INSTANTS,
    cron=st.just(""),
    timezone=st.sampled_from(ZONES),
    enabled=st.booleans(),
    external=st.booleans(),
    options=OPTIONS,
    retention=st.none() | st.builds(RetentionPolicy, st.integers(0, 9)),
    considered_at=st.none() | INSTANTS,
    last_run_at=st.none() | INSTANTS,
    last_success_at=st.none() | INSTANTS,
    last_backup_id=TEXTS,
)


# -- due times ------------------------------------------------------------------------------------


def local_due(day: date, at: time, zone: ZoneInfo) -> datetime:
    """
    Say when a daily job runs, without cron: at the first instant of the day that is not earlier.

    So once where the hour is repeated, and right after the gap where it is skipped.
    """
    naive = datetime.combine(day, at, UTC)
    begin = naive - (zone.utcoffset(naive.replace(tzinfo=None)) or timedelta()) - timedelta(hours=2)
    for minutes in range(4 * 60):
        instant = begin + timedelta(minutes=minutes)
        local = instant.astimezone(zone)
        if local.date() == day and local.time() >= at:
            return instant
    raise AssertionError(day)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", [time(2), time(2, 30), time(1, 45)])
def test_a_daily_job_runs_once_on_every_day_of_fourteen_months(zone, at):
    """Through two changes of the clocks, a leap day and two new years."""
    expression = f"{at.minute} {at.hour} * * *"
    first = date(2027, 12, 1)
    wanted = [local_due(first + n * DAY, at, ZoneInfo(zone)) for n in range(430)]

    found = [due_after(expression, zone, wanted[0] - timedelta(minutes=1))]
    while len(found) < len(wanted) and found[-1] is not None:
        found.append(due_after(expression, zone, found[-1]))

    assert found == wanted


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_an_hourly_job_runs_at_every_full_hour_of_a_year(zone):
    """Whatever clocks do: hours are hours."""
    at = datetime(2028, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for _ in range(366 * 24):
        due = due_after("0 * * * *", zone, at)
        assert due == at + timedelta(hours=1)
        at = due


def test_a_time_that_is_repeated_is_not_due_again_in_its_second_hour():
    """Also when somebody asks within it, where a naive answer lies in the past."""
    within = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)  # 02:05 in Berlin, for the second time

    assert due_after("30 2 * * *", "Europe/Berlin", within) == datetime(
        2026, 10, 26, 1, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("30 2 29 2 *", "2026-03-01 00:00", "2028-02-29 02:30"),
        ("0 0 1 1 *", "2026-12-31 00:00", "2027-01-01 00:00"),
        ("0 2 * * 0", "2026-11-22 02:00", "2026-11-29 02:00"),  # 0 and 7 are Sundays
        ("0 2 * * 7", "2026-11-22 02:00", "2026-11-29 02:00"),
        ("0 2 13 * 5", "2026-11-23 00:00", "2026-11-27 02:00"),  # a 13th OR a Friday
    ],
)
def test_expressions_mean_what_they_mean_to_debian(expression, after, due):
    """Leap days, new years, weekdays by both numbers, and two conditions on days."""
    base, wanted = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (after, due))

    assert due_after(expression, "UTC", base) == wanted


@given(CRONS, st.sampled_from(ZONES), INSTANTS)
def test_due_times_come_in_order_and_lie_ahead(expression, zone, instant):
    """Whatever is asked for, and wherever the clocks stand."""
    found = [instant]
    for _ in range(4):
        due = due_after(expression, zone, found[-1])
        if due is None:
            break
        found.append(due)

    assert all(a < b for a, b in pairwise(found))
    assert all(due.second == due.microsecond == 0 for due in found[1:])


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("", "UTC"),
        ("* * * *", "UTC"),
        ("0 0 * * * *", "UTC"),
        ("60 * * * *", "UTC"),
        ("0 0 31 2 *", "UTC"),
        ("@daily", "UTC"),
        ("x y z a b", "UTC"),
        ("0 2 * * *", "Mars/Phobos"),
        ("0 2 * * *", "../UTC"),
        ("0 2 * * *", "Europe"),
        ("0 2 * * *", ""),
    ],
)
def test_what_has_no_due_times_is_refused(expression, zone):
    """Before anybody waits for it."""
    with pytest.raises(InvalidScheduleError):
        require_cron(expression, zone)


# -- what is to be done ---------------------------------------------------------------------------


def test_frequencies_have_their_times():
    """Hourly at the full hour, daily at 02:00, weekly on Sundays at 02:00."""
    made = [Schedule("s", frequency, NOON).next_due() for frequency in Frequency]

    assert made == [
        datetime(2026, 1, 31, 13, tzinfo=UTC),
        datetime(2026, 2, 1, 2, tzinfo=UTC),
        datetime(2026, 2, 1, 2, tzinfo=UTC),
    ]


def test_a_schedule_is_overdue_from_the_first_due_time_that_no_success_has_served():
    """Whatever has run and failed since."""
    served = Schedule("s", Frequency.DAILY, NOON - 9 * DAY, last_success_at=NOON)
    tried = replace(served, last_run_at=NOON + 5 * DAY, considered_at=NOON + 5 * DAY)

    assert served.next_due() == tried.next_due() == datetime(2026, 2, 1, 2, tzinfo=UTC)
    assert tried.is_open(NOON + 5 * DAY)
    assert not tried.is_open(NOON + timedelta(hours=13))


def test_a_schedule_that_never_succeeded_is_due_at_once_for_cron():
    """However often it ran; the scheduler waits for its time."""
    new = Schedule("s", Frequency.WEEKLY, NOON)

    assert new.is_open(NOON)
    assert replace(new, last_run_at=NOON).is_open(NOON)
    assert replace(new, last_run_at=NOON).is_begun(NOON)
    assert not replace(new, last_run_at=NOON).is_begun(NOON + GRACE)
    assert not replace(new, last_run_at=NOON, last_error="disk-full").is_begun(NOON)
    assert not replace(new, last_run_at=NOON, last_success_at=NOON + DAY).is_begun(NOON)
    assert new.consider(NOON).first is None


def test_a_schedule_that_is_switched_off_is_never_due():
    """Not even if it never ran."""
    off = Schedule("s", Frequency.HOURLY, NOON, enabled=False)
    old = replace(off, last_success_at=NOON - 9 * DAY)

    assert (off.next_due(), old.next_due()) == (None, None)
    assert not off.is_open(NOON + DAY)
    assert not old.is_open(NOON + DAY)
    assert old.consider(NOON + DAY).first is None


def test_a_time_within_the_grace_is_on_time_and_before_it_is_missed():
    """Five minutes; all that passed before them are counted."""
    base = Schedule("s", Frequency.HOURLY, NOON)
    due = NOON + timedelta(hours=3)

    early = base.consider(due + GRACE - timedelta(seconds=1))
    assert (early.first, early.on_time, early.missed) == (NOON + timedelta(hours=1), due, 2)
    late = base.consider(due + GRACE + timedelta(seconds=1))
    assert (late.on_time, late.missed) == (None, 3)


@pytest.mark.parametrize("back", [timedelta(minutes=6), timedelta(days=400)])
def test_a_clock_that_was_set_back_is_noticed(back):
    """What it says now counts, or nothing would be due until then; small corrections do not."""
    ahead = Schedule("s", Frequency.HOURLY, NOON - 900 * DAY, considered_at=NOON)

    assert ahead.consider(NOON - back).is_clock_back
    small = ahead.consider(NOON - timedelta(minutes=4))
    assert (small.first, small.is_clock_back) == (None, False)


def test_what_lies_ahead_has_served_nothing():
    """A clock was ahead when it was written: cron would else make no backup until then, and nobody would be told."""
    set_before = Schedule("s", Frequency.DAILY, NOON - 9 * DAY, last_success_at=NOON)
    ahead = replace(set_before, last_success_at=NOON + 400 * DAY, last_run_at=NOON + 400 * DAY)

    assert not set_before.is_open(NOON)
    assert ahead.is_open(NOON)
    assert not ahead.is_begun(NOON)
    assert ahead.due_by(NOON) == set_before.due_after(NOON - 9 * DAY)
    assert ahead.due_by(NOON + 401 * DAY) == ahead.next_due()
    assert set_before.due_by(NOON) == set_before.next_due()
    known = ahead.as_of(NOON)
    assert (known.last_success_at, known.last_run_at, known.updated_at) == (
        NOON, NOON, NOON - 9 * DAY,
    )  # fmt: skip
    small = replace(set_before, last_success_at=NOON + timedelta(minutes=4))
    assert not small.is_open(NOON)
    anew = replace(set_before, updated_at=NOON + 9 * DAY, last_success_at=None)
    assert anew.due_by(NOON) == anew.due_after(NOON)
    assert replace(anew, enabled=False).due_by(NOON) is None


@given(SCHEDULES, st.lists(INSTANTS, min_size=1, max_size=20))
def test_a_due_time_is_considered_once_however_often_and_whenever_one_looks(schedule, looks):
    """By looks in order, each due time after the first base is found by the first look after it."""
    schedule = replace(schedule, enabled=True, considered_at=None)
    found = []
    for now in sorted(looks):
        seen = schedule.consider(now)
        if seen.first is not None:
            found.append((seen.first, now))
            schedule = replace(schedule, considered_at=now)
            assert schedule.consider(now).first is None

    base = schedule.updated_at
    for first, now in found:
        assert base < first <= now
        assert schedule.due_after(base) == first
        base = now


@given(st.lists(SCHEDULES, max_size=4).map(tuple))
def test_schedules_come_back_as_they_were(schedules):
    """Any text and any instant, to the microsecond."""
    assert decode_schedules(encode_schedules(schedules)) == schedules


def test_a_file_with_a_schedule_that_makes_no_sense_is_refused_by_name():
    """Somebody edited it: nothing is run by a guess."""
    wrong = Schedule("nightly", None, NOON, cron="61 * * * *")

    with pytest.raises(IntegrityError, match="nightly"):
        decode_schedules(encode_schedules((wrong,)))


@pytest.mark.parametrize(
    ("expression", "pace"),
    [
        ("0 * * * *", timedelta(hours=1)),
        ("0 2 * * *", timedelta(days=1)),
        ("0 2 * * 0", timedelta(days=7)),
        ("30 2 * * 1-5", timedelta(days=1)),
        ("0 2,14 * * *", timedelta(hours=12)),
        ("*/5 9-17 * * *", timedelta(minutes=5)),
        ("0 0 29 2 *", timedelta(days=4 * 365 + 1)),
    ],
)
def test_a_schedule_has_a_pace(expression, pace):
    """The shortest time from one due time to the next."""
    assert Schedule("x", None, NOON, cron=expression).pace == pace
    assert Schedule("x", Frequency.HOURLY, NOON, paced_by=expression).pace == pace
