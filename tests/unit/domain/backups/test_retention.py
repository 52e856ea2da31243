"""Retention: what goes, what stays, and why; against a second opinion that shares no code."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.backups.retention import Holdings, RetentionItem, RetentionPolicy, plan_retention
from app.domain.ids import BackupId, new_backup_id


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
        "older than the newest, older than 2 days, not the newest of one of the last 2 weeks,"
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


@pytest.mark.parametrize("policy", [RetentionPolicy(count=6), RetentionPolicy(max_bytes=600)])
@pytest.mark.parametrize("schedule", ["", "shop"])
def test_nobody_pushes_old_backups_out_by_making_many(schedule, policy):
    """A hundred within an hour: of each earlier day the newest stays, as the rule says."""
    old = daily(6, schedule=schedule)
    many = [item(NOON + timedelta(seconds=number), schedule=schedule) for number in range(1, 101)]
    day = {"shop": timedelta(days=1)}
    found = plan_retention([*old, *many], {"": policy}, 7, NOON + timedelta(hours=1), day)
    stays = {decision.item.backup_id for decision in found if decision.is_kept}

    assert {backup.backup_id for backup in old[1:]} <= stays
    assert many[-1].backup_id in stays
    assert len(stays) <= 12


def test_the_next_prune_lets_nothing_more_go_out_of_turn():
    """What stays stays, and says why; in an hourly schedule an hour is a turn."""
    items = [item(NOON - number * DAY / 48, schedule="often") for number in range(20)]
    paces = {"often": timedelta(hours=1)}
    found = plan_retention(items, {"": RetentionPolicy(count=4)}, 7, NOON, paces)
    stays = [decision for decision in found if decision.is_kept]

    assert [decision.reason for decision in stays] == [
        *["one of the 4 newest"] * 4, "one of the 4 newest in turn",
    ]  # fmt: skip
    again = plan_retention(
        [decision.item for decision in stays], {"": RetentionPolicy(count=4)}, 7, NOON, paces
    )
    assert all(decision.is_kept for decision in again)


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


def test_what_was_recovered_of_an_older_moment_stands_for_no_backup_of_the_server():
    """Made last, it holds what was there before; it covers others like it, and recovery points."""
    past = [item(NOON - number * DAY / 24, is_of_the_past=True) for number in range(3)]
    real, older = item(NOON - DAY), item(NOON - 2 * DAY)
    point = item(NOON - 30 * DAY, is_recovery_point=True)

    assert gone([*past, real], RetentionPolicy(count=1)) == past[1:]
    assert gone([*past, real, older, point], RetentionPolicy(count=1)) == [*past[1:], older, point]


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
        (replace(SHOP, server_id="a"), replace(SHOP, server_id="a"), True),
        (replace(SHOP, server_id="a"), replace(SHOP, server_id="b"), False),
        (replace(ALL, server_id="a"), replace(ALL, server_id="b"), False),
        (SHOP, replace(SHOP, server_id="b"), True),
        (replace(SHOP, server_id="a"), SHOP, True),
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
