"""Retention: what goes, what stays, and why; against a second opinion that shares no code."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from app.domain.backups.retention import Holdings, RetentionItem, RetentionPolicy, plan_retention
from app.domain.ids import BackupId, new_backup_id
from tests.oracle import retention as expected


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SHOP = Holdings(frozenset({"shop"}), frozenset({"shop"}))
ALL = Holdings(frozenset({"shop", "crm"}), frozenset())
KEEP_ALL = RetentionPolicy()


def item(at: datetime, **changes) -> RetentionItem:
    """Make a good backup of the database `shop`."""
    plain = RetentionItem(new_backup_id(at, None), at, 100, "", SHOP, is_good=True)
    return replace(plain, **changes)


def verdicts(items, policy=KEEP_ALL, *, now=NOON, days=7.0, **policies):
    """Judge, by id."""
    found = plan_retention(items, {"": policy, **policies}, days, now)
    return {verdict.item.backup_id: verdict for verdict in found}


def gone(items, policy=KEEP_ALL, **options) -> list[RetentionItem]:
    """Return what goes, in the given order."""
    found = verdicts(items, policy, **options)
    return [backup for backup in items if not found[backup.backup_id].is_kept]


def daily(count: int, **changes) -> list[RetentionItem]:
    """Make a backup a day, newest first."""
    return [item(NOON - number * DAY, **changes) for number in range(count)]


def test_without_a_rule_all_stay():
    """0 everywhere means for ever."""
    assert gone(daily(50)) == []


def test_the_newest_so_many_stay():
    """The rest goes, and says why."""
    items = daily(5)
    found = verdicts(items, RetentionPolicy(count=3))

    assert [verdict.reason for verdict in found.values()] == [
        *["one of the 3 newest"] * 3,
        *["older than the 3 newest"] * 2,
    ]
    assert [verdict.covered_by for verdict in found.values()][3:] == [items[0].backup_id] * 2


def test_any_rule_that_wants_a_backup_keeps_it():
    """A union, not an intersection; each says which rule it was."""
    items = daily(40)
    found = verdicts(items, RetentionPolicy(count=1, days=2, weekly=2, monthly=3))
    reasons = {verdict.item.created_at.date().isoformat(): verdict.reason for verdict in found.values()
               if verdict.is_kept}  # fmt: skip

    assert reasons == {
        "2026-01-31": "the newest",
        "2026-01-30": "younger than 2 days",
        "2026-01-25": "newest of 2026-W04",
        "2025-12-31": "newest of 2025-12",
    }
    assert found[items[5].backup_id].reason == (
        "older than the 1 newest, older than 2 days, not the newest of one of the last 2 weeks,"
        " not the newest of one of the last 3 months"
    )


def test_limits_end_what_rules_want():
    """Days and bytes, the oldest first; the newest stays even when it alone is too large."""
    items = daily(10)

    assert gone(items, RetentionPolicy(count=8, max_days=4.5)) == items[5:]
    assert gone(items, RetentionPolicy(max_bytes=350)) == items[3:]
    assert gone(items, RetentionPolicy(max_bytes=1)) == items[1:]
    assert verdicts(items, RetentionPolicy(max_bytes=350))[items[3].backup_id].reason == (
        "over the total of 350 bytes"
    )
    assert verdicts(items, RetentionPolicy(max_days=2))[items[9].backup_id].reason == (
        "older than 2 days, the limit"
    )


def test_every_schedule_is_counted_by_itself():
    """One with many backups pushes out none of another; what has no policy has that of all."""
    often = [item(NOON - number * DAY / 24, schedule="often") for number in range(10)]
    seldom = [item(NOON - number * DAY, schedule="seldom") for number in range(1, 5)]
    lost = [item(NOON - number * DAY, schedule="lost") for number in range(10, 15)]
    none = daily(30)[20:24]

    found = gone([*often, *seldom, *lost, *none], RetentionPolicy(count=2),
                 often=RetentionPolicy(count=3), seldom=RetentionPolicy())  # fmt: skip
    assert found == [*often[3:], *lost[2:], *none[2:]]


def test_only_good_backups_take_a_place():
    """Any number of failed ones pushes out nothing; they go as good ones of their place would."""
    bad = [item(NOON - number * DAY, is_good=False) for number in range(3)]
    good = [item(NOON - number * DAY) for number in range(3, 7)]
    old = [item(NOON - number * DAY, is_good=False) for number in range(8, 10)]

    found = verdicts([*bad, *good, *old], RetentionPolicy(count=2))
    assert [verdict.is_kept for verdict in found.values()] == [True] * 5 + [False] * 4
    assert found[old[0].backup_id].reason == "not known to be good; older than the 2 newest"


def test_a_bad_backup_stays_while_nothing_good_holds_the_same():
    """It may be all that there is."""
    bad = item(NOON - 9 * DAY, is_good=False, holdings=ALL)
    found = verdicts([*daily(3), bad], RetentionPolicy(count=1))

    assert found[bad.backup_id].is_kept
    assert "no newer good backup holds the same" in found[bad.backup_id].reason


def test_a_bad_backup_covers_nothing():
    """The last good one is older, and stays."""
    good = item(NOON - 9 * DAY)
    bad = [item(NOON - number * DAY, is_good=False) for number in range(5)]

    assert gone([*bad, good], RetentionPolicy(max_days=1)) == []


def test_what_never_goes_says_why():
    """Pinned, in use, the last good one, a recovery point inside its age."""
    new, pinned, used, point, last = (
        item(NOON),
        item(NOON - 5 * DAY, pinned="pinned by ann"),
        item(NOON - 6 * DAY, is_in_use=True),
        item(NOON - DAY, is_recovery_point=True),
        item(NOON - 8 * DAY, holdings=ALL),
    )
    found = verdicts([new, pinned, used, point, last], RetentionPolicy(count=1, max_days=1))

    assert [found[verdict.backup_id].reason for verdict in (new, pinned, used, point, last)] == [
        "the newest",
        "pinned by ann",
        "in use by a restore, verification or download",
        "recovery point, kept until 2026-02-06 12:00 UTC",
        "the last good backup of what it holds",
    ]
    assert all(verdict.is_kept for verdict in found.values())


def test_recovery_points_go_after_their_age_when_something_newer_covers_them():
    """A newer recovery point is enough for one, but never for a backup that is none."""
    backup = item(NOON - 30 * DAY)
    points = [item(NOON - number * DAY, is_recovery_point=True) for number in (2, 9, 10)]

    assert gone([*points, backup], RetentionPolicy(max_days=1)) == points[1:]
    assert gone(points[1:]) == points[2:]
    assert gone(points, days=0) == points[1:]
    assert gone(points, days=1e300) == []


def test_recovery_points_take_no_place():
    """However many there are, the rules count the others."""
    points = [item(NOON - number * DAY / 24, is_recovery_point=True) for number in range(5)]
    items = daily(5)[1:]

    assert gone([*points, *items], RetentionPolicy(count=3, max_bytes=300)) == items[3:]


def test_a_pinned_backup_takes_its_place_in_the_total():
    """What goes beyond it is older than it."""
    items = daily(4)
    items[1] = replace(items[1], pinned="pinned by ann")

    assert gone(items, RetentionPolicy(daily=1, yearly=4, max_bytes=250)) == items[2:]
    items = [items[0], replace(items[1], size=1000), item(NOON - 40 * DAY)]
    assert gone(items, RetentionPolicy(monthly=4, max_bytes=500)) == items[2:]


def test_what_covers_a_backup_is_the_newest_that_can():
    """It is the one that will be there for longest."""
    newest, next_one, old = (
        item(NOON),
        item(NOON - DAY, holdings=ALL),
        item(NOON - 2 * DAY),
    )
    found = verdicts([newest, next_one, old], RetentionPolicy(count=2))

    assert found[old.backup_id].covered_by == newest.backup_id


@pytest.mark.parametrize(
    ("newer", "older", "does"),
    [
        (SHOP, SHOP, True),
        (ALL, SHOP, True),
        (SHOP, ALL, False),
        (replace(SHOP, include_data=False), SHOP, False),
        (replace(SHOP, tables=frozenset({"users"})), SHOP, False),
        (replace(SHOP, exclude_tables=frozenset({"logs"})), SHOP, False),
        (SHOP, replace(SHOP, tables=frozenset({"users"})), True),
        (replace(SHOP, tables=frozenset({"a"})), replace(SHOP, tables=frozenset({"a"})), True),
        (replace(SHOP, tables=frozenset({"a"})), replace(SHOP, tables=frozenset({"b"})), False),
        (replace(ALL, databases=frozenset({"crm"})), ALL, True),  # one was dropped
        (replace(ALL, databases=frozenset()), ALL, False),  # an empty server
        (replace(ALL, databases=frozenset({"x"})), ALL, False),  # another server
        (replace(SHOP, requested=None), SHOP, True),
        (replace(SHOP, requested=None), ALL, False),
        (Holdings(frozenset()), Holdings(frozenset()), True),
    ],
)
def test_a_backup_covers_another_that_it_can_stand_for(newer, older, does):
    """Whole with all its databases, or the answer to the same request."""
    assert newer.covers(older) is does


def test_nothing_goes_because_of_what_goes_as_well():
    """Of three, the middle one alone covers the oldest, and is itself covered by the newest."""
    oldest = item(NOON - 9 * DAY, holdings=ALL)
    middle = item(NOON - 8 * DAY, holdings=replace(ALL, databases=frozenset({"crm"})))
    newest = item(NOON, holdings=Holdings(frozenset({"crm"}), frozenset({"crm"})))

    assert gone([newest, middle, oldest], RetentionPolicy(count=1)) == [middle]


def test_newer_is_by_id_whatever_the_clock_said():
    """A backup from a year that is not yet pushes out nothing that was made after it."""
    ahead = item(NOON + 365 * DAY)
    later = [
        replace(backup, backup_id=new_backup_id(backup.created_at, BackupId(ahead.backup_id)))
        for backup in [item(NOON)]
    ]

    assert gone([ahead, *later], RetentionPolicy(count=1, hourly=1)) == [ahead]


# -- against the second opinion -------------------------------------------------------------------

DATABASES = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)
HOLDINGS = st.builds(
    Holdings,
    databases=DATABASES,
    requested=st.one_of(st.none(), st.just(frozenset()), DATABASES),
    tables=st.sampled_from([frozenset(), frozenset({"t"})]),
    include_data=st.sampled_from([True, True, True, False]),
)
COUNTS = st.sampled_from([0, 0, 0, 1, 2, 4])
POLICIES = st.builds(
    RetentionPolicy,
    count=COUNTS,
    days=st.sampled_from([0, 0, 0.5, 3]),
    hourly=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
    max_days=st.sampled_from([0, 0, 0, 1, 40]),
    max_bytes=st.sampled_from([0, 0, 0, 1, 60, 200]),
)
# What may happen: a backup of some kind, one that failed, a pin, another clock, other settings.
STEPS = st.one_of(
    st.tuples(
        st.just("backup"),
        st.tuples(
            st.sampled_from(["", "often"]),
            st.one_of(st.just(SHOP), st.just(SHOP), HOLDINGS),
            st.sampled_from([True, True, False]),
            st.sampled_from([False, False, True]),
            st.integers(0, 50),
        ),
    ),
    st.tuples(st.just("fails"), st.none()),
    st.tuples(st.just("pin"), st.integers(0, 30)),
    st.tuples(st.just("use"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.04, 0.5, 1, 7, 40, 365, -365, -1])),
    st.tuples(st.just("set"), st.tuples(st.sampled_from(["", "often"]), POLICIES)),
    st.tuples(st.just("rot"), st.integers(0, 30)),
    st.tuples(st.just("prune"), st.none()),
)


CHANGES = {
    "pin": lambda backup: replace(backup, pinned="pinned by ann"),
    "use": lambda backup: replace(backup, is_in_use=True),
    "rot": lambda backup: replace(backup, is_good=False),
}


@dataclass
class World:
    """Backups, settings and a clock, as a sequence of steps leaves them."""

    now: datetime = NOON
    newest: BackupId | None = None
    items: list[RetentionItem] = field(default_factory=list)
    policies: dict[str, RetentionPolicy] = field(default_factory=lambda: {"": KEEP_ALL})

    def take(self, step: str, value) -> None:
        """Let something happen."""
        match step:
            case "backup":
                schedule, holdings, is_good, is_point, size = value
                self.newest = new_backup_id(self.now, self.newest)
                self.items.append(
                    RetentionItem(self.newest, self.now, size, schedule, holdings, is_good,
                                  is_recovery_point=is_point)
                )  # fmt: skip
            case "wait":
                self.now += value * DAY
            case "set":
                self.policies[value[0]] = value[1]
            case "pin" | "use" | "rot" if self.items:
                at = value % len(self.items)
                self.items[at] = CHANGES[step](self.items[at])
            case "prune":
                self.prune()
            case _:  # it fails, or there is nothing to change
                pass

    def prune(self) -> None:
        """Delete, and check everything that must hold."""
        plan = plan_retention(self.items, self.policies, 7, self.now)
        stays = [verdict.item for verdict in plan if verdict.is_kept]
        assert {stay.backup_id for stay in stays} == expected.kept(
            self.items, self.policies, 7, self.now
        )
        for verdict in plan:
            assert verdict.reason
            assert bool(verdict.covered_by) is not verdict.is_kept
            if not verdict.is_kept:
                (cover,) = [kept for kept in stays if kept.backup_id == verdict.covered_by]
                assert cover.is_good
                assert cover.backup_id > verdict.item.backup_id
                assert verdict.item.is_recovery_point or not cover.is_recovery_point
                assert expected.covers(cover, verdict.item)
        for points in (False, True):
            good = [
                backup
                for backup in self.items
                if backup.is_good and backup.is_recovery_point <= points
            ]
            if good:  # the last good one of all is there still
                assert max(good, key=lambda backup: backup.backup_id) in stays
        again = plan_retention(stays, self.policies, 7, self.now)
        assert all(verdict.is_kept for verdict in again)
        self.items = stays


@given(POLICIES, st.lists(STEPS, max_size=40))
@settings(max_examples=300, deadline=None)
def test_no_sequence_of_events_deletes_the_last_good_backup(policy, steps):
    """Backups, failures, rot, pins, a clock that jumps by years, other settings: always as told."""
    world = World(policies={"": policy})
    for step, value in steps:
        world.take(step, value)
    world.prune()


def test_a_year_of_three_schedules_leaves_their_generations():
    """Hourly, daily and weekly, through a leap day, week 53 and the turn of the year."""
    policies = {
        "": KEEP_ALL,
        "hourly": RetentionPolicy(hourly=24, daily=7, monthly=3),
        "daily": RetentionPolicy(daily=10, weekly=60),
        "weekly": RetentionPolicy(count=2, monthly=12, yearly=3),
    }
    begin, end = datetime(2032, 1, 1, tzinfo=UTC), datetime(2033, 1, 20, tzinfo=UTC)
    items: list[RetentionItem] = []
    newest: BackupId | None = None
    for hour in itertools.count():
        at = begin + timedelta(hours=hour)
        if at > end:
            break
        names = ["hourly"]
        names += ["daily"] if at.hour == 2 else []
        names += ["weekly"] if at.hour == 2 and at.isoweekday() == 7 else []
        for name in names:
            newest = new_backup_id(at, newest)
            items.append(RetentionItem(newest, at, 1, name, SHOP, is_good=True))
        if hour % 72 == 71 or at == end:
            plan = plan_retention(items, policies, 7, at)
            if hour % (72 * 50) == 71:
                assert {
                    verdict.item.backup_id for verdict in plan if verdict.is_kept
                } == expected.kept(items, policies, 7, at)
            items = [verdict.item for verdict in reversed(plan) if verdict.is_kept]

    left = {
        name: {backup.created_at for backup in items if backup.schedule == name}
        for name in ("hourly", "daily", "weekly")
    }
    hours = {end - timedelta(hours=number) for number in range(24)}
    days = {end} | {end - timedelta(hours=1) - number * DAY for number in range(6)}
    months = {end, datetime(2032, 12, 31, 23, tzinfo=UTC), datetime(2032, 11, 30, 23, tzinfo=UTC)}
    assert left["hourly"] == hours | days | months
    at_two = end - timedelta(hours=22)  # the daily one of the day before
    sundays = {datetime(2033, 1, 16, 2, tzinfo=UTC) - number * 7 * DAY for number in range(55)}
    assert left["daily"] == {at_two - number * DAY for number in range(10)} | sundays
    assert datetime(2033, 1, 2, 2, tzinfo=UTC) in left["daily"]  # the last day of 2032-W53
    assert len(left["weekly"]) == 13
    assert {at.date().isoformat() for at in left["weekly"]} >= {
        "2033-01-09", "2033-01-16", "2032-12-26", "2032-02-29",
    }  # fmt: skip
