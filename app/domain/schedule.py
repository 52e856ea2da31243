"""
Schedules: which backups are made by themselves, and when.

A schedule has due times, those of its cron expression in its time zone. Two instants decide what is
to be done, and both only ever move past due times:

1. `considered_at`: every due time up to it has been considered by a scheduler, which has begun a
   backup or let it pass. One due time is considered once, whoever asks, so it fires once.
2. `last_success_at`: the newest backup that came of it began then. A due time after it is open, and
   `backstay cron` serves it, also when a scheduler's try has failed.

Not guaranteed: that a backup comes of each due time; a process may die between the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AwareDatetime

from app.domain.backups.retention import RetentionPolicy
from app.errors import InvalidScheduleError


DEFAULT_NAME: Final = "default"
# A due time is served on time within this; beyond it, it was missed.
GRACE: Final = timedelta(minutes=5)
# Clocks are corrected by seconds; one that is set back by more must not stop schedules until then.
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)
# Enough to tell one from many, and to be counted in no time.
_MOST_COUNTED: Final = 1000
# More than the due times of a day, or of a year, of an expression that people write.
_MOST_PACED: Final = 60
_ANY_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class Frequency(StrEnum):
    """How often a backup is made, for those who want no cron expression."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def cron(self) -> str:
        """Its cron expression: at the full hour, at 02:00, on Sundays at 02:00."""
        return _CRON[self]


_CRON: Final = {
    Frequency.HOURLY: "0 * * * *",
    Frequency.DAILY: "0 2 * * *",
    Frequency.WEEKLY: "0 2 * * 0",
}


class ScheduleKind(StrEnum):
    """What a schedule makes: of the server, or of an older backup and the archive of the binary log."""

    BACKUP = "backup"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """
    What a schedule backs up, and how; the fields mean what they mean in a `BackupRequest`.

    Attributes:
        compress: None = as the settings say, like `verify` and `level`.
        level: Of compression.
        copies: Names of the stores that get a copy of each backup.
        store: Name of the store that its backups are made in; empty = in the backup directory.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    include_data: bool = True
    description: str = ""
    compress: bool | None = None
    level: int | None = None
    verify: bool | None = None
    copies: tuple[str, ...] = ()
    store: str = ""

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of all stores that its backups come to."""
        return (self.store, *self.copies) if self.store else self.copies


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    One schedule.

    Attributes:
        name: Tells it from others.
        frequency: None with a cron expression of its own.
        cron: Five fields; empty with a frequency.
        kind: What it makes.
        timezone: IANA name of the zone that its due times are in.
        external: Whether others than the service's scheduler begin its backups, such as cron.
        retention: What is kept of its backups; None = as the settings say.
        updated_at: When it was last changed by somebody; aware UTC, as all instants.
        considered_at: See the module; None = never.
        last_run_at: When it last began a backup.
        last_success_at: When the last backup that came of it began.
        last_backup_id: That backup; empty when there is none.
        last_error: Code of what its last run failed with; empty when it did not.
        missed: How many due times nobody considered in time, since it was made.
        last_missed_at: Oldest of those that were found last.
        paced_by: Expression by which retention counts its backups, since somebody who may not change
            what is kept has changed when they are made; empty = its own.
    """

    name: str
    frequency: Frequency | None
    updated_at: AwareDatetime
    cron: str = ""
    kind: ScheduleKind = ScheduleKind.BACKUP
    timezone: str = "UTC"
    enabled: bool = True
    external: bool = False
    options: ScheduleOptions = ScheduleOptions()
    retention: RetentionPolicy | None = None
    considered_at: AwareDatetime | None = None
    last_run_at: AwareDatetime | None = None
    last_success_at: AwareDatetime | None = None
    last_backup_id: str = ""
    last_error: str = ""
    missed: int = 0
    last_missed_at: AwareDatetime | None = None
    paced_by: str = ""

    @property
    def pace(self) -> timedelta:
        """How long it is from one backup to the next, at least, as retention counts them."""
        return pace_of(self.paced_by or self.expression)

    @property
    def expression(self) -> str:
        """Cron expression of its due times."""
        return self.frequency.cron if self.frequency else self.cron

    def due_after(self, instant: datetime) -> datetime | None:
        """Return the first due time after an instant, aware UTC; None = never."""
        return due_after(self.expression, self.timezone, instant)

    def next_due(self) -> datetime | None:
        """Return the first due time that no backup has served; past or now = overdue; None = never."""
        return self.due_since(None) if self.enabled else None

    def due_since(self, other: datetime | None) -> datetime | None:
        """Return the first due time that no backup has served, nor another one of then, whether or not it is enabled."""
        served = filter(None, (self.updated_at, self.last_success_at, other))
        return self.due_after(max(served))

    def due_by(self, now: datetime) -> datetime | None:
        """Return `next_due` by what has come until now; what lies ahead is of a clock that was set right since."""
        if not self.enabled:
            return None
        served = [at for at in (self.updated_at, self.last_success_at) if at and _has_come(at, now)]
        return self.due_after(max(served, default=now))

    def is_open(self, now: datetime) -> bool:
        """Tell whether a backup is wanted, by the last one that succeeded."""
        if not self.enabled:
            return False
        served = self.last_success_at
        due = self.due_after(served) if served and _has_come(served, now) else now
        return due is not None and due <= now

    @property
    def is_served(self) -> bool:
        """Whether a backup came of the last run that was begun, as far as it was noted."""
        begun, success = self.last_run_at, self.last_success_at
        # A backup knows its time to the second.
        return bool(begun and success and success >= begun.replace(microsecond=0))

    def is_begun(self, now: datetime) -> bool:
        """Tell whether somebody, of whatever state directory, began a moment ago and has not said how it ended."""
        begun = self.last_run_at
        if begun is None or self.last_error or not timedelta() <= now - begun < GRACE:
            return False
        return not self.is_served

    def as_of(self, now: datetime) -> "Schedule":
        """Return it as it is when the clock was set back: what it has done was done until now."""
        return replace(
            self,
            updated_at=min(self.updated_at, now),
            last_run_at=self.last_run_at and min(self.last_run_at, now),
            last_success_at=self.last_success_at and min(self.last_success_at, now),
            last_missed_at=self.last_missed_at and min(self.last_missed_at, now),
        )

    def consider(self, now: datetime) -> "Consideration":
        """Consider the due times up to now that nobody has considered."""
        base = self.considered_at or self.updated_at
        if not _has_come(base, now):  # the clock was set back: what it says now counts
            return Consideration(None, None, 0, is_clock_back=True)
        first = self.due_after(base) if self.enabled else None
        if first is None or first > now:
            return Consideration(None, None, 0)
        on_time = self.due_after(max(base, now - GRACE))
        if on_time is not None and on_time > now:
            on_time = None
        return Consideration(first, on_time, self._passed(base, now - GRACE))

    def _passed(self, base: datetime, end: datetime) -> int:
        """Count the due times after `base` up to `end`."""
        times = islice(due_times(self.expression, self.timezone, base), _MOST_COUNTED)
        return sum(1 for _ in takewhile(lambda due: due <= end, times))


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """
    A schedule as somebody wants it.

    Attributes:
        frequency: None with a cron expression.
        cron: Five fields; empty with a frequency.
        timezone: IANA name; empty = that of the settings.
        external: Whether the service leaves it to others to begin its backups, such as cron.
        retention: None = as the settings say.
        kind: What it makes.
        keeps: Which of `kind`, `options` and `retention` stay as they are, of a schedule that is there.
    """

    name: str = DEFAULT_NAME
    frequency: Frequency | None = None
    cron: str = ""
    timezone: str = ""
    enabled: bool = True
    external: bool = False
    options: ScheduleOptions = field(default_factory=ScheduleOptions)
    retention: RetentionPolicy | None = None
    kind: ScheduleKind = ScheduleKind.BACKUP
    keeps: frozenset[str] = frozenset()

    def applied(self, known: Schedule | None, now: datetime, timezone: str) -> Schedule:
        """
        Make the schedule of it; what it has done is kept.

        Args:
            known: As it is; None = there is none of this name.
            now: Its due times from now on count.
            timezone: IANA name where the change has none.

        Returns:
            As it shall be.

        Raises:
            InvalidScheduleError: It has no due times, or there is no such time zone.
        """
        if (self.frequency is None) == (not self.cron):
            raise InvalidScheduleError(
                "a schedule needs a frequency or a cron expression, not both",
                hint="Name 'daily', or write five fields such as '30 2 * * 1-5'.",
            )
        base = known or Schedule(self.name, self.frequency, now)
        wanted = replace(
            base,
            frequency=self.frequency,
            cron=" ".join(self.cron.split()),
            kind=base.kind if known and "kind" in self.keeps else self.kind,
            timezone=self.timezone or timezone,
            enabled=self.enabled,
            external=self.external,
            options=base.options if known and "options" in self.keeps else self.options,
            retention=base.retention if known and "retention" in self.keeps else self.retention,
            updated_at=now,
            considered_at=now,
        )
        require_cron(wanted.expression, wanted.timezone)
        _require_places(wanted)
        _require_whole(wanted)
        return wanted


@dataclass(frozen=True, slots=True)
class Consideration:
    """
    What considering a schedule has found.

    Attributes:
        first: Oldest due time that nobody had considered; None = none.
        on_time: A due time that is served on time now.
        missed: How many were not, 1000 at most.
        is_clock_back: Whether the clock says an earlier time than it did.
    """

    first: datetime | None
    on_time: datetime | None
    missed: int
    is_clock_back: bool = False


def _has_come(at: datetime, now: datetime) -> bool:
    """Tell whether an instant is none of a clock that was ahead."""
    return at <= now + _CLOCK_TOLERANCE


def due_after(expression: str, timezone: str, instant: datetime) -> datetime | None:
    """Return the first of `due_times`; None = there is none."""
    return next(due_times(expression, timezone, instant), None)


def due_times(expression: str, timezone: str, instant: datetime) -> Iterator[datetime]:
    """
    Find due times.

    Args:
        expression: Cron, five fields, with Debian's semantics also where the clocks change: what
            falls into an hour that is skipped comes right after it, what falls into one that is
            repeated comes once, and what has a star for its hours or minutes just goes on.
        timezone: IANA name.
        instant: Aware; itself left out.

    Yields:
        Aware UTC, in order, as far as there are any.
    """
    try:
        for due in CronSim(expression, instant.astimezone(ZoneInfo(timezone))):
            # In the second one of two like hours it begins with the first one.
            if (at := due.astimezone(UTC)) > instant:
                yield at
    except OverflowError:  # beyond the last year
        return


def explain(expression: str) -> str:
    """Say a cron expression that has due times in a sentence: `At 02:30 on Monday through Friday`."""
    return CronSim(expression, _ANY_DAY).explain()


@lru_cache(maxsize=256)
def pace_of(expression: str) -> timedelta:
    """Return the shortest time between two of a cron expression's due times; a day where there are none."""
    times = list(islice(due_times(expression, "UTC", _ANY_DAY), _MOST_PACED))
    gaps = (later - earlier for earlier, later in pairwise(times))
    return min(gaps, default=timedelta(days=1))


def _require_places(schedule: Schedule) -> None:
    """Refuse places that do not go together; raises InvalidScheduleError."""
    store = schedule.options.store
    if store and store in schedule.options.copies:
        raise InvalidScheduleError(
            f"copies: the backups are in {store} already", hint="Name other stores, or none."
        )
    if store and schedule.retention is not None:
        raise InvalidScheduleError(
            f"retention: what is kept in {store} is said where that store is defined",
            hint="Leave the rules of the schedule out, and give the store 'retention'.",
        )


def _require_whole(schedule: Schedule) -> None:
    """Refuse of a synthetic backup what no replay gives; raises InvalidScheduleError."""
    options = schedule.options
    is_part = options.tables or options.exclude_tables or not options.include_data
    if schedule.kind is ScheduleKind.SYNTHETIC and (is_part or options.store):
        raise InvalidScheduleError(
            "kind: a synthetic backup holds whole databases, and is made in the backup directory",
            hint="Leave out tables, definitions only and the store; copies may be in stores.",
        )


@lru_cache(maxsize=256)
def require_cron(expression: str, timezone: str) -> None:
    """Refuse what has no due times; raises InvalidScheduleError."""
    hint = "Five fields: minute, hour, day of the month, month, day of the week: '30 2 * * 1-5'."
    if len(expression.split()) != len("mhdMw"):
        raise InvalidScheduleError(f"{expression[:80]!r} is no cron expression", hint=hint)
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as exc:  # no such name, no name at all, a directory
        raise InvalidScheduleError(
            f"no time zone {timezone[:80]!r}", hint="Use an IANA name, such as Europe/Berlin."
        ) from exc
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as exc:
        reason = str(exc)[:1].lower() + str(exc)[1:]
        raise InvalidScheduleError(f"{expression[:80]!r}: {reason}", hint=hint) from exc
