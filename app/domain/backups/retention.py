"""
Retention: which backups go, and why the others stay. Nothing here reads a clock or a disk.

1. The good backups of each schedule are counted by its policy; one that is not good takes no place.
2. From the newest to the oldest: one that the policy does not want may go. 3. It goes only if a newer
good one that stays covers it, holding all that it holds: so the last good one stays, whatever the
settings. A backup that is pinned or in use stays, and a recovery point inside its own age.
4. What came out of turn, faster than an admin has set, takes no place from what came in turn: nobody
pushes old backups out by making many.

Newer is who has the larger id: ids grow with every backup, also when the clock is set back.

Not guaranteed: the limits. What never goes may be older, or take more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.backups.periods import Periods, Totals, Turns


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """
    What is kept of the backups of one schedule; 0 = no such rule.

    A backup stays when any of the first seven rules wants it, or when none of them is set. The last
    two are limits, which end also what a rule wants.

    Attributes:
        count: The newest so many; and of the last so many turns the newest of each.
        days: All that are younger.
        hourly: The newest of each of the last so many hours that have one.
        daily: The same for days, in UTC.
        weekly: The same for ISO weeks.
        monthly: The same for months.
        yearly: The same for years.
        max_days: Nothing older stays.
        max_bytes: Stored bytes in all; what came out of turn goes first, then the oldest.
    """

    count: int = 0
    days: float = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    max_days: float = 0
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Holdings:
    """
    What a backup holds.

    Attributes:
        databases: Names of those in it.
        requested: Names that were asked for; empty = all there are; None = not recorded.
        tables: Globs of what was asked for; empty = all.
        exclude_tables: Globs of what was left out.
        include_data: Whether rows are in it.
        server_id: The same for backups of the same address; empty = not known.
    """

    databases: frozenset[str]
    requested: frozenset[str] | None = None
    tables: frozenset[str] = frozenset()
    exclude_tables: frozenset[str] = frozenset()
    include_data: bool = True
    server_id: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of its databases was left out."""
        return self.include_data and not self.tables and not self.exclude_tables

    def covers(self, older: "Holdings") -> bool:
        """
        Tell whether an older backup is not needed beside this one.

        It is not when this one is whole and has all its databases. Neither when both were asked for
        the same: a database that is gone from the server holds no backups back for ever.

        Returns:
            False for one that shares no database with it, such as that of an empty server, and for one of another
            server: a test server may have databases of the same names.
        """
        if "" not in {self.server_id, older.server_id} and self.server_id != older.server_id:
            return False
        if self.is_whole and self.databases >= older.databases:
            return True
        if not self._is_requested_like(older):
            return False
        if self.requested is not None and self.requested == older.requested:
            return bool(self.databases & older.databases) or not older.databases
        return None in {self.requested, older.requested} and self.databases >= older.databases

    def _is_requested_like(self, other: "Holdings") -> bool:
        return (self.tables, self.exclude_tables, self.include_data) == (
            other.tables,
            other.exclude_tables,
            other.include_data,
        )


@dataclass(frozen=True, slots=True)
class RetentionItem:
    """
    A backup, as retention sees it.

    Attributes:
        created_at: Aware UTC instant.
        size: Stored bytes.
        schedule: Name of the schedule that it was made for; empty = none.
        is_good: Whether it was read back and found whole, and nothing since says otherwise.
        pinned: Who or what holds it; empty = it is not pinned.
        is_in_use: Whether a restore, a verification or a download reads it.
        is_recovery_point: Whether it was made to go back to.
        is_of_the_past: Whether it holds an older moment than the one at which it was made.
        binlog_file: As in its line of the catalogue.
        binlog_position: The same.
    """

    backup_id: str
    created_at: datetime
    size: int
    schedule: str
    holdings: Holdings
    is_good: bool
    pinned: str = ""
    is_in_use: bool = False
    is_recovery_point: bool = False
    is_of_the_past: bool = False
    binlog_file: str | None = None
    binlog_position: int = 0

    @property
    def rank(self) -> int:
        """What it stands for: an ordinary one for all others, each other kind for no higher one."""
        return 2 if self.is_recovery_point else int(self.is_of_the_past)


@dataclass(frozen=True, slots=True)
class RetentionDecision:
    """
    What becomes of a backup.

    Attributes:
        is_kept: Whether it stays.
        reason: Why, for people; no full stop.
        covered_by: Newer good backup because of which it may go; empty when it stays.
    """

    item: RetentionItem
    is_kept: bool
    reason: str
    covered_by: str = ""


def plan_retention(
    items: Sequence[RetentionItem],
    policies: Mapping[str, RetentionPolicy],
    recovery_point_days: float,
    now: datetime,
    paces: Mapping[str, timedelta] | None = None,
) -> tuple[RetentionDecision, ...]:
    """
    Decide about every backup.

    Args:
        items: All there are, in any order.
        policies: By name of the schedule; that of "" is for all others.
        recovery_point_days: How long a recovery point is kept at least; 0 = until it is covered.
        now: Aware instant.
        paces: How long a turn of a schedule is, by name; a day for all others.

    Returns:
        One decision a backup, newest first. Called again with those that stay, it keeps them all.
    """
    items = sorted(items, key=lambda item: item.backup_id, reverse=True)
    paces = paces or {}
    counts = {
        schedule: _Count(
            [item for item in items if _is_counted(item, schedule)],
            policy,
            paces.get(schedule, _TURN),
            now,
        )
        for schedule in {item.schedule for item in items}
        for policy in (policies.get(schedule, policies[""]),)
    }
    decisions: list[RetentionDecision] = []
    staying = _Staying()
    for item in items:
        if item.is_recovery_point:
            kept, reason = _judge_recovery_point(item, recovery_point_days, now)
        else:
            kept, reason = counts[item.schedule].judge(item)
        decision = _protect(item, staying, is_kept=kept, reason=reason)
        if decision.is_kept:
            staying.add(item)
        decisions.append(decision)
    return tuple(decisions)


def _is_counted(item: RetentionItem, schedule: str) -> bool:
    return item.is_good and not item.is_recovery_point and item.schedule == schedule


def _judge_recovery_point(item: RetentionItem, days: float, now: datetime) -> tuple[bool, str]:
    until = item.created_at + span_of(days)
    if until > now:
        return True, f"recovery point, kept until {until:%Y-%m-%d %H:%M} UTC"
    return False, f"recovery point, older than {_days(days)}"


def _protect(
    item: RetentionItem, staying: "_Staying", *, is_kept: bool, reason: str
) -> RetentionDecision:
    """Keep what never goes, whatever the rules say."""
    if not item.is_good:
        reason = f"not known to be good; {reason}"
    if item.pinned:
        return RetentionDecision(item, is_kept=True, reason=item.pinned)
    if not is_kept and item.is_in_use:
        return RetentionDecision(
            item, is_kept=True, reason="in use by a restore, verification or download"
        )
    if not is_kept and (cover := staying.find_cover(item)):
        return RetentionDecision(item, is_kept=False, reason=reason, covered_by=cover)
    if not is_kept and item.is_good:
        reason = "the last good backup of what it holds"
    elif not is_kept:
        reason = "not known to be good, but no newer good backup holds the same"
    return RetentionDecision(item, is_kept=True, reason=reason)


class _Staying:
    """Good backups that stay, all newer than whatever is asked about."""

    def __init__(self) -> None:
        # Backups of one plan hold the same, so there are few to compare; by each database in them.
        self._found: dict[str, dict[tuple[Holdings, int], str]] = {}
        # What covers one covers all that hold the same: what is added later is older, and never chosen.
        self._covers: dict[tuple[Holdings, int], str] = {}

    def add(self, item: RetentionItem) -> None:
        """Add the next older one; what it holds is covered by the newest that holds the same."""
        if item.is_good:
            for database in (_ANY, *item.holdings.databases):
                known = self._found.setdefault(database, {})
                known.setdefault((item.holdings, item.rank), item.backup_id)

    def find_cover(self, item: RetentionItem) -> str:
        """Return the newest that covers a backup; one of a higher rank covers none of a lower."""
        asked = (item.holdings, item.rank)
        if asked not in self._covers and (found := self._look_for_cover(item)):
            self._covers[asked] = found
        return self._covers.get(asked, "")

    def _look_for_cover(self, item: RetentionItem) -> str:
        # One that shares no database covers only what holds none.
        covers = (
            backup_id
            for database in item.holdings.databases or {_ANY}
            for (holdings, rank), backup_id in self._found.get(database, {}).items()
            if rank <= item.rank and holdings.covers(item.holdings)
        )
        return max(covers, default="")


# Where no schedule says how long a turn is: backups by hand.
_TURN: Final = timedelta(days=1)
# No name of a database.
_ANY: Final = ""
_FORMATS: Final = {
    "hours": "%Y-%m-%d %H:00",
    "days": "%Y-%m-%d",
    "weeks": "%G-W%V",
    "months": "%Y-%m",
    "years": "%Y",
}


class _Generations(Periods):
    """Periods of the calendar, in UTC."""

    def __init__(self, good: Sequence[RetentionItem], noun: str, count: int) -> None:
        super().__init__(good, count, lambda at: at.strftime(_FORMATS[noun]))
        self._text = f"not the newest of one of the last {count} {noun}"

    def describe(self) -> str:
        """Say what is not one of them."""
        return self._text


class _Count:
    """The backups of one schedule, counted by its policy."""

    def __init__(
        self,
        good: Sequence[RetentionItem],
        policy: RetentionPolicy,
        pace: timedelta,
        now: datetime,
    ) -> None:
        """Count the good ones, given newest first."""
        self._policy = policy
        self._now = now
        self._turns = Turns(good, max(0, policy.count), pace)
        self._newest = [item.backup_id for item in good[: max(0, policy.count)]]
        self._generations = [
            _Generations(good, noun, count)
            for noun, count in (
                ("hours", policy.hourly),
                ("days", policy.daily),
                ("weeks", policy.weekly),
                ("months", policy.monthly),
                ("years", policy.yearly),
            )
            if count > 0
        ]
        # What the limit on bytes counts: what the rules and pins keep.
        stored = [
            item
            for item in good
            if item.pinned or (self._wanted(item) and not self._is_too_old(item))
        ]
        self._totals = Totals(stored, self._turns)

    def judge(self, item: RetentionItem) -> tuple[bool, str]:
        """Tell whether a backup stays by the policy, or a good one in its place would, and why."""
        reason = self._wanted(item)
        if not reason:
            return False, self._describe()
        if self._is_too_old(item):
            return False, f"older than {_days(self._policy.max_days)}, the limit"
        if 0 < self._policy.max_bytes < self._totals.of(item):
            return False, f"over the total of {self._policy.max_bytes:,} bytes"
        return True, reason

    def _wanted(self, item: RetentionItem) -> str:
        """Return which rule wants a backup; empty = none."""
        policy = self._policy
        if policy.count <= 0 and policy.days <= 0 and not self._generations:
            return "no rule says how many are kept"
        if len(self._newest) < policy.count or item.backup_id >= min(
            self._newest[-1:], default="~"
        ):
            return f"one of the {policy.count} newest" if policy.count > 1 else "the newest"
        if policy.days > 0 and self._now - item.created_at < span_of(policy.days):
            return f"younger than {_days(policy.days)}"
        in_turn = f"one of the {policy.count} newest in turn" if self._turns.wants(item) else ""
        periods = (generation.wants(item) for generation in self._generations)
        return next((f"newest of {period}" for period in periods if period), in_turn)

    def _is_too_old(self, item: RetentionItem) -> bool:
        limit = self._policy.max_days
        return limit > 0 and self._now - item.created_at > span_of(limit)

    def _describe(self) -> str:
        """Say which rules do not want a backup."""
        policy = self._policy
        newest = f"the {policy.count} newest" if policy.count > 1 else "the newest"
        rules = [f"older than {newest}"] if policy.count > 0 else []
        rules += [f"older than {_days(policy.days)}"] if policy.days > 0 else []
        return ", ".join([*rules, *(generation.describe() for generation in self._generations)])


# More than any backup is old, and few enough to be added to any year.
_MOST_DAYS: Final = 1_000_000


def span_of(days: float) -> timedelta:
    """Return so many days; of more than any backup is old, as many as that."""
    return timedelta(days=min(days, _MOST_DAYS))


def _days(count: float) -> str:
    return f"{count:g} day" + ("" if count == 1 else "s")
