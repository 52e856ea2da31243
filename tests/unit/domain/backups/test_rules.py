"""The rules of a place: what they leave alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.backups.retention import Holdings, RetentionItem, RetentionPolicy
from app.domain.backups.rules import RetentionRules


NOW = datetime(2026, 3, 1, tzinfo=UTC)


def items(schedule="nightly", count=4):
    """Backups, one a day, the newest first."""
    return [
        RetentionItem(
            backup_id=f"backup_{count - number:013x}",
            created_at=NOW - timedelta(days=number),
            size=10,
            schedule=schedule,
            holdings=Holdings(frozenset({"shop"}), frozenset()),
            is_good=True,
        )
        for number in range(count)
    ]


def reasons(rules, schedule="nightly"):
    """Whether each stays, and why."""
    return [(decision.is_kept, decision.reason) for decision in rules.judge(items(schedule), NOW)]


def test_only_backups_of_schedules_that_write_to_a_place_go_there():
    """What an older schedule has left there stays; what has no schedule goes by the rules too."""
    rules = RetentionRules({"": RetentionPolicy(count=1)}, writers=frozenset({"nightly"}))

    assert [kept for kept, _ in reasons(rules)] == [True, False, False, False]
    assert [kept for kept, _ in reasons(rules, "")] == [True, False, False, False]
    assert reasons(rules, "weekly") == [(True, "its schedule weekly does not write here")] * 4


def test_without_rules_nothing_goes():
    """And it is said."""
    rules = RetentionRules({"": RetentionPolicy()}, off="the store has no retention")

    assert reasons(rules) == [(True, "the store has no retention")] * 4


@pytest.mark.parametrize(("days", "locked"), [(0, 0), (2, 2), (30, 4)])
def test_what_a_place_keeps_itself_is_not_asked_for(days, locked):
    """Of a backup the lock begins when it is published, so not before it was begun."""
    rules = RetentionRules({"": RetentionPolicy(count=1)}, locked_for=timedelta(days=days))
    held = [rules.lock(item, NOW) for item in items()]

    assert [bool(item.pinned) for item in held] == [True] * locked + [False] * (4 - locked)
    assert all(
        item.pinned.startswith("locked by the store until 2026-03-") for item in held[:locked]
    )


def test_what_stays_is_locked_on_before_half_of_its_lock_is_gone():
    """Twice in the time of a lock at most something is asked for; what no rule is about is left alone."""
    lock = timedelta(days=10)
    rules = RetentionRules({"": RetentionPolicy()}, writers=frozenset({"nightly"}), locked_for=lock)
    (item,) = items(count=1)
    hours = [NOW + timedelta(hours=number) for number in range(24 * 60)]
    ends = [until for now in hours if (until := rules.locked_on(item, now))]

    assert ends[0] == item.created_at + lock
    assert all(
        lock / 2 <= until - now <= lock * 3 / 2 for until, now in zip(ends, hours, strict=True)
    )
    assert len(set(ends)) == 7
    assert rules.locked_on(items("weekly", 1)[0], NOW) is None
    assert RetentionRules({"": RetentionPolicy()}).locked_on(item, NOW) is None
    assert replace(rules, off="the store has no retention").locked_on(item, NOW) is None


def test_rules_that_differ_in_what_they_are_not_asked_about_say_the_same():
    """A schedule without backups changes nothing, one with the rules of all others neither."""
    usual, own = RetentionPolicy(count=1), RetentionPolicy(count=2)
    rules = RetentionRules({"": usual, "nightly": own}, {"nightly": timedelta(hours=1)})
    more = RetentionRules(
        {**rules.policies, "new": own, "weekly": usual},
        {**rules.paces, "new": timedelta(days=7)},
        writers=frozenset({"nightly", "new"}),
    )

    assert rules.about({"nightly"}) == replace(more, writers=None).about({"nightly"})
    assert replace(more, writers=frozenset({"nightly"})).about({"nightly"}) == more.about({
        "nightly"
    })
    assert rules.about({"nightly"}) != rules.about({"nightly", "weekly"}).about({"weekly"})
    assert rules.about({"nightly"}).judge(items(), NOW) == rules.judge(items(), NOW)


@pytest.mark.parametrize(
    "rules",
    [
        RetentionRules({"": RetentionPolicy(days=2.5)}),
        RetentionRules({"": RetentionPolicy(count=1), "nightly": RetentionPolicy(max_days=3)}),
        RetentionRules({"": RetentionPolicy(count=1)}, recovery_point_days=1.5),
        RetentionRules({"": RetentionPolicy(count=2, daily=3)}),
    ],
)
def test_until_the_next_change_time_changes_nothing(rules):
    """Whatever is judged before that is the same; at the end nothing changes any more."""
    found = items(count=5)
    found[2] = replace(found[2], is_recovery_point=True)
    now, seen = NOW, []
    while (until := rules.next_change(found, now)) is not None:
        if until > now:
            before = [(decision.is_kept, decision.reason) for decision in rules.judge(found, now)]
            last = rules.judge(found, until - timedelta.resolution)
            assert [(decision.is_kept, decision.reason) for decision in last] == before
        seen.append(until)
        now = until + timedelta.resolution
    later = rules.judge(found, NOW + timedelta(days=1_000))

    assert rules.judge(found, now) == later
    assert sorted(seen) == seen
