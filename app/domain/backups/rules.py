"""By what a place of backups is pruned: its policies, and what of it is none of retention's business."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from app.domain.backups.retention import (
    RetentionDecision,
    RetentionItem,
    RetentionPolicy,
    plan_retention,
    span_of,
)


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """
    The rules of one place.

    Attributes:
        policies: By name of the schedule; that of "" is for all others.
        paces: How long a turn of a schedule is, by name.
        recovery_point_days: How long a recovery point is kept at least; 0 = until it is covered.
        writers: Schedules that write to the place; backups of others stay. None = all do.
        locked_for: How long the place itself keeps each backup from deletion, at least.
        off: Why nothing is deleted there by rules; empty = it is.
    """

    policies: Mapping[str, RetentionPolicy]
    paces: Mapping[str, timedelta] = field(default_factory=dict)
    recovery_point_days: float = 0
    writers: frozenset[str] | None = None
    locked_for: timedelta = timedelta()
    off: str = ""

    def judge(self, items: Sequence[RetentionItem], now: datetime) -> tuple[RetentionDecision, ...]:
        """Decide about every backup, newest first; see `plan_retention`."""
        held = [self._hold(item) for item in items]
        return plan_retention(held, self.policies, self.recovery_point_days, now, self.paces)

    def about(self, schedules: Collection[str]) -> "RetentionRules":
        """Leave out what is about none of these: rules that are equal then judge their backups alike."""
        names = {"", *schedules}
        return replace(
            self,
            policies={name: self.policies.get(name, self.policies[""]) for name in names},
            paces={name: pace for name, pace in self.paces.items() if name in names},
            writers=None if self.writers is None else self.writers & names,
        )

    def next_change(self, items: Sequence[RetentionItem], now: datetime) -> datetime | None:
        """Return from when on they may judge the same backups otherwise, because time has passed; None = never."""
        ages = {self.recovery_point_days}
        ages.update(*((policy.days, policy.max_days) for policy in self.policies.values()))
        reached = (item.created_at + span_of(days) for days in ages if days > 0 for item in items)
        return min((at for at in reached if at >= now), default=None)

    def lock(self, item: RetentionItem, now: datetime) -> RetentionItem:
        """Hold a backup that the place would not give away now."""
        until = item.created_at + self.locked_for
        if not self.locked_for or until <= now:
            return item
        return replace(item, pinned=f"locked by the store until {until:%Y-%m-%d %H:%M} UTC")

    def locked_on(self, item: RetentionItem, now: datetime) -> datetime | None:
        """
        Say until when the place shall lock a backup that stays by these rules.

        Returns:
            Between a half and one and a half of the time that it locks for from now on, always the same until
            less than half of it is left; None = it locks nothing, or no rule here is about this backup.
        """
        if not self.locked_for or self._hold(item) is not item:
            return None
        times = ceil((now + self.locked_for / 2 - item.created_at) / self.locked_for)
        return item.created_at + max(times, 1) * self.locked_for

    def _hold(self, item: RetentionItem) -> RetentionItem:
        """Hold a backup that no rule here is about."""
        reason = self.off
        if not reason and self.writers is not None and item.schedule not in {"", *self.writers}:
            reason = f"its schedule {item.schedule} does not write here"
        return replace(item, pinned=item.pinned or reason) if reason else item
