"""By what a place of backups is pruned: its policies, and what of it is none of retention's business."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from app.domain.backups.retention import (
    RetentionDecision,
    RetentionItem,
    RetentionPolicy,
    plan_retention,
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
