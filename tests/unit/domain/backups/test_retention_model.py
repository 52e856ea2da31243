"""Retention against a second opinion that shares no code, over sequences of events."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from app.domain.backups.retention import Holdings, RetentionItem, RetentionPolicy, plan_retention
from app.domain.ids import BackupId, new_backup_id
from tests.fixtures.series import series
from tests.oracle import retention as expected


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SHOP = Holdings(frozenset({"shop"}), frozenset({"shop"}))
ALL = Holdings(frozenset({"shop", "crm"}), frozenset())
KEEP_ALL = RetentionPolicy()
PACES = {"often": timedelta(hours=1)}


DATABASES = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)
HOLDINGS = st.builds(
    Holdings,
    databases=DATABASES,
    requested=st.one_of(st.none(), st.just(frozenset()), DATABASES),
    tables=st.sampled_from([frozenset(), frozenset({"t"})]),
    include_data=st.sampled_from([True, True, True, False]),
    server_id=st.sampled_from(["", "db1", "db1", "db2"]),
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
class Model:
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
        plan = plan_retention(self.items, self.policies, 7, self.now, PACES)
        stays = [verdict.item for verdict in plan if verdict.is_kept]
        assert {stay.backup_id for stay in stays} == expected.kept(
            self.items, self.policies, 7, self.now, PACES
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
        again = plan_retention(stays, self.policies, 7, self.now, PACES)
        assert all(verdict.is_kept for verdict in again)
        self.items = stays


@given(POLICIES, st.lists(STEPS, max_size=40))
@settings(max_examples=series(30, 1000), deadline=None)
def test_no_sequence_of_events_deletes_the_last_good_backup(policy, steps):
    """Backups, failures, rot, pins, a clock that jumps by years, other settings: always as told."""
    model = Model(policies={"": policy})
    for step, value in steps:
        model.take(step, value)
    model.prune()


@pytest.mark.long
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
    step = series(144, 72)  # hours between prunes
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
        if hour % step == step - 1 or at == end:
            plan = plan_retention(items, policies, 7, at)
            if hour % (step * 25) == step - 1:
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
