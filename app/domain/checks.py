"""
Which stored backups are to be checked, how far, and which one is to be restored for proof.

1. A backup is due on a level when nobody has checked it as far, or deeper, for the level's interval.
   Reading it back when it was made counts, and so does a restore of all of it that was proven.
2. On the levels that read the file, one pass takes at most a share, those first that nobody has
   checked for longest: the work spreads over the interval. Sizes cost next to nothing, so all of
   them are checked that are due.
3. Each backup is checked once in a pass, on the deepest level that has room for it.

What is promised: with passes at their times, each backup is checked again within twice the
interval, and within the interval itself unless many became due together.

Not guaranteed: anything when passes are missed; the next ones catch up at the same pace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from app.domain.backups.check_notes import Check, Notes, VerifyLevel, depth_of
from app.domain.ids import BackupId
from app.domain.restores.proofs import RECOVERY, RECOVERY_DRILL, Proof
from app.errors import AppError


_NEVER: Final = datetime.min.replace(tzinfo=UTC)
# Clocks are corrected by seconds; what is said to have happened later than this has not happened.
_CLOCK_TOLERANCE: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Intervals:
    """
    How often to check, in days; 0 = never.

    Attributes:
        sizes: For `size`.
        hashes: For `hashes`.
        content: For `content`.
        drill: Between two restores for proof, of any backup.
        recovery: Between two drills of recoveries to a point in time.
    """

    sizes: float
    hashes: float
    content: float
    drill: float
    recovery: float = 0.0


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """
    A backup, and what is known of its health.

    Attributes:
        created_at: Aware UTC instant.
        read_back: Whether it was read back when it was made.
        recovery_point: Whether it was made to go back to.
        has_rows: Whether it has more than definitions.
        readable: Whether it can be decrypted here, as far as it is encrypted.
        notes: What checks have shown.
        proofs: What restores have shown, newest first.
    """

    backup_id: BackupId
    created_at: datetime
    read_back: bool
    recovery_point: bool
    has_rows: bool
    notes: Notes
    proofs: tuple[Proof, ...]
    readable: bool = True

    def checked_at(self, level: VerifyLevel, now: datetime) -> datetime | None:
        """Return when it was last checked as far, whatever was found; None = never."""
        instants = [
            check.at for name, check in self.notes.checks.items() if depth_of(name) >= level.depth
        ]
        instants += [proof.at for proof in self.proofs if proof.success and proof.whole]
        if self.read_back:
            instants.append(self.created_at)
        return max((at for at in instants if at <= now + _CLOCK_TOLERANCE), default=None)


@dataclass(frozen=True, slots=True)
class DueCheck:
    """One check that is to be made; `last` is when the backup was last checked as far."""

    backup_id: BackupId
    level: VerifyLevel
    last: datetime | None


def due_checks(
    stored: Sequence[StoredBackup],
    intervals: Intervals,
    now: datetime,
    period: timedelta | None,
) -> tuple[DueCheck, ...]:
    """
    Choose what to check in one pass.

    Args:
        stored: All backups.
        intervals: How often to check.
        now: Aware instant.
        period: Time until the next pass; None = take no share, but everything that is due.

    Returns:
        Sizes, then hashes, then content; on each level first what nobody has checked for longest.
    """
    taken: dict[BackupId, DueCheck] = {}
    for level, days in (
        (VerifyLevel.CONTENT, intervals.content),
        (VerifyLevel.HASHES, intervals.hashes),
        (VerifyLevel.SIZE, intervals.sizes),
    ):
        if not days:
            continue
        open_still = [
            backup
            for backup in stored
            if backup.backup_id not in taken
            and (backup.readable or level is not VerifyLevel.CONTENT)
        ]
        due = _due(open_still, level, timedelta(days=days), now, period or timedelta())
        share = len(stored)
        if period is not None and level is not VerifyLevel.SIZE:
            share = ceil(share * (period / timedelta(days=days)))
        taken |= {check.backup_id: check for check in due[:share]}
    return tuple(sorted(taken.values(), key=lambda check: check.level.depth))


def _due(
    stored: Sequence[StoredBackup],
    level: VerifyLevel,
    interval: timedelta,
    now: datetime,
    period: timedelta,
) -> list[DueCheck]:
    """Return what is due, or will be before the middle of the time to the next pass, oldest first."""
    horizon = now + min(period, interval) / 2
    found = [DueCheck(backup.backup_id, level, backup.checked_at(level, now)) for backup in stored]
    due = [check for check in found if check.last is None or check.last + interval <= horizon]
    return sorted(due, key=lambda check: (check.last or _NEVER, check.backup_id))


def due_drill(
    stored: Sequence[StoredBackup], intervals: Intervals, now: datetime
) -> BackupId | None:
    """
    Choose the backup that is to be restored for proof.

    Returns:
        The newest that can be read, is whole and no recovery point, one with rows where there is one; None when
        there is none, or when a drill or a restore of any backup is recent enough.
    """
    drills = [trial.at for trial in _trials(stored) if trial.at <= now + _CLOCK_TOLERANCE]
    recent = now - timedelta(days=intervals.drill)
    fit = [
        backup
        for backup in stored
        if backup.readable and not backup.recovery_point and not backup.notes.is_damaged
    ]
    if not intervals.drill or not fit or max(drills, default=_NEVER) > recent:
        return None
    newest = max(fit, key=lambda backup: (backup.has_rows, backup.created_at, backup.backup_id))
    return newest.backup_id


def is_recovery_due(stored: Sequence[StoredBackup], intervals: Intervals, now: datetime) -> bool:
    """Tell whether a recovery to a point in time is to be drilled: none was for its interval, with whatever result."""
    drills = [
        proof.at
        for backup in stored
        for proof in backup.proofs
        if proof.by == RECOVERY_DRILL and proof.at <= now + _CLOCK_TOLERANCE
    ]
    recent = now - timedelta(days=intervals.recovery)
    return bool(intervals.recovery) and max(drills, default=_NEVER) <= recent


def _trials(stored: Sequence[StoredBackup]) -> list[Proof]:
    """Return what has shown whether the server takes a backup: drills, and restores there of all of one."""
    return [
        proof
        for backup in stored
        for proof in backup.proofs
        if proof.by == "drill" or (proof.success and proof.whole and proof.by != RECOVERY)
    ]


def failed_drill(stored: Sequence[StoredBackup], now: datetime) -> tuple[BackupId, Proof] | None:
    """
    Find the newest trial of all if it was a drill that failed.

    One that lies ahead is of a clock that was set right since, and older than those that do not.

    Returns:
        It, with its backup.
    """
    trials = [(proof, backup.backup_id) for backup in stored for proof in _trials([backup])]
    if not trials:
        return None
    latest = now + _CLOCK_TOLERANCE
    proof, backup_id = max(trials, key=lambda pair: (pair[0].at <= latest, pair[0].at))
    return None if proof.success else (backup_id, proof)


def checks_of(notes: Notes, made_at: datetime, *, read_back: bool) -> dict[str, Check]:
    """
    Put together what is known of a backup from checks of it.

    Args:
        notes: What was noted since it was made.
        made_at: When that was.
        read_back: Whether it was read back then, which is a check of `inflate`.

    Returns:
        The last check on each level, shallow ones first.
    """
    found = dict(notes.checks)
    if read_back:
        found.setdefault(VerifyLevel.INFLATE, Check(made_at, success=True, seconds=0.0))
    return dict(sorted(found.items(), key=lambda pair: depth_of(pair[0])))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """
    One check that was made.

    Attributes:
        what: A level, `drill` or `recovery-drill`.
        failure: What was wrong; None when nothing.
        store: Where the backup lies; empty = in the backup directory.
        bytes_read: Bytes that came from the store; None = it was not read to its end, or lies in the backup directory.
    """

    backup_id: BackupId
    what: str
    failure: AppError | None = None
    store: str = ""
    bytes_read: int | None = None
