"""Periods that have a newest backup each, and what the backups of a schedule take in all."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Protocol


class Dated(Protocol):
    """A backup, as far as it matters here."""

    @property
    def backup_id(self) -> str:
        """Grows with every backup."""
        ...

    @property
    def created_at(self) -> datetime:
        """Aware UTC instant."""
        ...

    @property
    def size(self) -> int:
        """Stored bytes."""
        ...


class Periods:
    """The newest backup of each of the last so many periods that have one."""

    def __init__(self, good: Sequence[Dated], count: int, name: Callable[[datetime], str]) -> None:
        """Count the good ones, given newest first; `name` tells the period of an instant."""
        self._count = count
        self._name = name
        self._newest: dict[str, str] = {}
        for item in good:
            self._newest.setdefault(name(item.created_at), item.backup_id)
        self._last = list(self._newest.values())[:count]

    def find(self, item: Dated) -> str:
        """Return the period that a backup, or a good one in its place, is the newest of; empty = none."""
        name = self._name(item.created_at)
        return name if item.backup_id >= self._newest.get(name, "") else ""

    def wants(self, item: Dated) -> str:
        """Return that period if it is one of the last; empty = it is not."""
        if not self._count:
            return ""
        is_late = len(self._last) < self._count or item.backup_id >= self._last[-1]
        return self.find(item) if is_late else ""


class Turns(Periods):
    """Stretches of time, each as long as a schedule has from one backup to the next."""

    def __init__(self, good: Sequence[Dated], count: int, pace: timedelta) -> None:
        """Count the good ones, given newest first."""
        seconds = pace.total_seconds()
        super().__init__(good, count, lambda at: str(int(at.timestamp() // seconds)))

    def is_extra(self, item: Dated) -> bool:
        """Tell whether a backup came out of turn: a newer one came in the same turn."""
        return not self.find(item)


class Totals:
    """Bytes of backups, from the newest on: first of those in turn, then of the others."""

    def __init__(self, stored: Sequence[Dated], turns: Turns) -> None:
        """Add up what is stored, given newest first."""
        self._turns = turns
        self._ids: dict[bool, list[str]] = {}
        self._sums: dict[bool, list[int]] = {}
        for is_extra in (False, True):
            found = [item for item in stored if turns.is_extra(item) is is_extra]
            self._ids[is_extra] = [item.backup_id for item in reversed(found)]
            self._sums[is_extra] = list(accumulate((item.size for item in found), initial=0))

    def of(self, item: Dated) -> int:
        """Return the bytes of a backup and all that go after it."""
        is_extra = self._turns.is_extra(item)
        newer = len(self._ids[is_extra]) - bisect_right(self._ids[is_extra], item.backup_id)
        return item.size + self._sums[is_extra][newer] + (self._sums[False][-1] if is_extra else 0)
