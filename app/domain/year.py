"""
The last year by day: whether backups were made, failed or were missed, and how large they are.

A day is one of the zone that is asked for. What nobody has recorded is not guessed: such a day is empty.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from app.domain.backups.backup import CatalogueEntry
from app.domain.ids import BackupId
from app.domain.runs.run import RunState


# Whole weeks, so that a map of them has full columns.
DAYS: Final = 53 * 7


class DayState(StrEnum):
    """What became of the backups of a day, worst first."""

    FAILED = "failed"
    MISSED = "missed"
    WARNING = "warning"
    OK = "ok"
    PROVEN = "proven"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Day:
    """
    One day.

    Attributes:
        state: By the worst that was not made good on the same day.
        succeeded: Runs of backups that succeeded; those of deleted backups count.
        failed: Runs of backups that failed.
        size: Bytes of the newest backup of that day that is still there; 0 = there is none.
    """

    day: date
    state: DayState
    succeeded: int
    failed: int
    size: int


@dataclass(slots=True)
class _Tally:
    succeeded: int = 0
    failed: int = 0
    missed: int = 0
    warnings: int = 0
    is_proven: bool = False
    size: int = 0

    @property
    def state(self) -> DayState:
        if not self.succeeded:
            if self.failed:
                return DayState.FAILED
            return DayState.MISSED if self.missed else DayState.NONE
        if self.failed or self.warnings:
            return DayState.WARNING
        return DayState.PROVEN if self.is_proven else DayState.OK


def by_day(
    now: datetime,
    zone: ZoneInfo,
    runs: Iterable[tuple[datetime, RunState]],
    missed: Iterable[datetime],
    entries: Iterable[CatalogueEntry],
    proven: Mapping[BackupId, object],
) -> tuple[Day, ...]:
    """
    Tell of each day of the last year.

    Args:
        now: Aware; its day is the last.
        zone: Whose days.
        runs: When each run of a backup began, and how it ended.
        missed: When it was noticed that a due time was missed.
        entries: Backups that are there, newest first.
        proven: Those of which all was restored and equal.

    Returns:
        `DAYS` days, oldest first.
    """
    tallies: dict[date, _Tally] = {}

    def tally_of(at: datetime) -> _Tally:
        return tallies.setdefault(at.astimezone(zone).date(), _Tally())

    for at, state in runs:
        tally = tally_of(at)
        tally.succeeded += state is RunState.SUCCEEDED
        tally.failed += state is RunState.FAILED
    for at in missed:
        tally_of(at).missed += 1
    for entry in entries:
        if entry.recovery_point:
            continue
        tally = tally_of(entry.created_at)
        tally.succeeded = max(tally.succeeded, 1)  # its run may be of another installation
        tally.warnings += entry.warnings_count
        tally.is_proven |= entry.backup_id in proven
        tally.size = tally.size or entry.size
    today = now.astimezone(zone).date()
    days = (today - timedelta(days=ago) for ago in reversed(range(DAYS)))
    return tuple(_day(day, tallies.get(day, _Tally())) for day in days)


def _day(day: date, tally: _Tally) -> Day:
    return Day(day, tally.state, tally.succeeded, tally.failed, tally.size)
