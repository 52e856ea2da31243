"""
How the backups are doing in one word, and why: what somebody wants to know at night.

The worst cause comes first. Only what was restored and found equal counts as proven.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.domain.alerts.alert import AlertKind
from app.domain.backups.backup import CatalogueEntry
from app.domain.ids import BackupId
from app.domain.monitoring import Status
from app.errors import AppError


class Outlook(StrEnum):
    """How the backups are doing."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    The state of everything, in words.

    Attributes:
        outlook: By the worst cause.
        text: That cause, a sentence without a full stop.
        advice: What to do; may be empty.
    """

    outlook: Outlook
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseOutlook:
    """
    How one database is backed up.

    Attributes:
        newest: Its newest backup that is not known to be damaged; one of parts, or a recovery point,
            only where there is no other.
        proven: Its newest backup of which all was restored and equal; None = there is none.
        proven_at: When that was.
        restore_seconds: How long a restore of the newest may take, by what drills and restores took;
            None = nothing was restored yet.
    """

    database: str
    newest: CatalogueEntry
    proven: CatalogueEntry | None
    proven_at: datetime | None
    restore_seconds: float | None


# What says that data may be lost; other alerts want a look.
_BAD_ALERTS: Final = frozenset({
    AlertKind.FAILURE,
    AlertKind.OVERDUE,
    AlertKind.MISSED,
    AlertKind.VERIFICATION,
    AlertKind.DRILL,
})


def judge(
    status: Status,
    alerts: Sequence[tuple[AlertKind, str]],
    databases: Sequence[DatabaseOutlook] = (),
    *,
    locked: int = 0,
    server_error: AppError | None = None,
) -> Verdict:
    """
    Judge how the backups are doing.

    Args:
        status: The state of everything.
        alerts: Kind and message of each that is open, newest first.
        databases: How each is backed up.
        locked: Backups that nobody here can read.
        server_error: Why the server cannot be used; None = it can, or nobody knows.

    Returns:
        The worst cause, or that there is none.
    """
    return next(_causes(status, alerts, databases, locked, server_error))


def _causes(
    status: Status,
    alerts: Sequence[tuple[AlertKind, str]],
    databases: Sequence[DatabaseOutlook],
    locked: int,
    server_error: AppError | None,
) -> Iterator[Verdict]:
    """Name all causes, worst first, and at last that there is none."""
    # Whatever a survey finds damaged is not listed, and checks are counted of what is.
    damaged = status.damaged + status.checks_failing
    if damaged:
        text = f"{_counted(damaged)} damaged"
        yield Verdict(Outlook.BAD, text, "Do not delete others; verify it, and make a new one.")
    if server_error is not None:
        text = f"no backup can be made now: {server_error}"
        yield Verdict(Outlook.BAD, text, server_error.hint)
    for kind, message in alerts:
        if kind in _BAD_ALERTS:
            yield Verdict(Outlook.BAD, message)
    yield from _lacking(status, locked)
    for _kind, message in alerts:
        yield Verdict(Outlook.DOUBTFUL, message)
    if status.unknown:
        is_single = status.unknown == 1
        yield Verdict(
            Outlook.DOUBTFUL,
            f"{_counted(status.unknown)} signed by an installation that is not known here, so nobody here can tell whether"
            f" {'it is' if is_single else 'they are'} whole",
            "Compare its public key with the recovery sheet, and name it in BACKSTAY_SIGNERS.",
        )
    yield from _unproven(status, databases)
    if status.next_due_at is None:
        yield Verdict(Outlook.DOUBTFUL, "no schedule makes backups by itself", "Make a schedule.")
    yield Verdict(Outlook.GOOD, "your backups are made, whole, and proven to restore")


def _lacking(status: Status, locked: int) -> Iterator[Verdict]:
    if status.last_backup is None and locked:
        # Whoever has lost all else must not read that there is nothing.
        yield Verdict(
            Outlook.BAD,
            f"no backup here can be read: {_counted(locked)} encrypted, and no identity here opens"
            f" {'it' if locked == 1 else 'them'}",
            "Set BACKSTAY_IDENTITY_FILE to the identity of one of the recipients, and start the service again.",
        )
    if status.last_backup is None and status.copies.newest_at is None:
        yield Verdict(Outlook.BAD, "there is no backup yet", "Make the first one, then a schedule.")


def _counted(count: int) -> str:
    return "1 backup is" if count == 1 else f"{count} backups are"


def _unproven(status: Status, databases: Sequence[DatabaseOutlook]) -> Iterator[Verdict]:
    if status.last_proven_at is None:
        yield Verdict(
            Outlook.DOUBTFUL, "no backup was ever restored for proof", "Drill the newest one."
        )
    for known in databases:
        if known.proven_at is None:
            text = f"no backup of {known.database} was ever restored for proof"
            yield Verdict(Outlook.DOUBTFUL, text, "Drill its newest one.")


def by_database(
    entries: Sequence[CatalogueEntry],
    damaged: Mapping[BackupId, str],
    proofs: Mapping[BackupId, tuple[datetime, float]],
) -> list[DatabaseOutlook]:
    """
    Tell how each database is backed up.

    Args:
        entries: All backups, newest first.
        damaged: Those that are known to be damaged, and why.
        proofs: When all of a backup was last restored and equal, and for how many seconds.

    Returns:
        One each, by name.
    """
    # Newest first, but last those of parts, which lack something, and recovery points: those that a
    # restore has made hold what somebody wanted to get rid of.
    good = sorted(
        (entry for entry in entries if entry.backup_id not in damaged),
        key=lambda entry: not entry.is_first_choice,
    )
    speed = _speed(good, proofs)
    newest: dict[str, CatalogueEntry] = {}
    proven: dict[str, CatalogueEntry] = {}
    for entry in good:
        for database in entry.databases:
            newest.setdefault(database, entry)
            if entry.backup_id in proofs and (
                entry.is_first_choice == newest[database].is_first_choice
            ):
                proven.setdefault(database, entry)
    return [
        DatabaseOutlook(
            database=database,
            newest=entry,
            proven=(found := proven.get(database)),
            proven_at=proofs[found.backup_id][0] if found else None,
            restore_seconds=entry.raw_size / speed if speed else None,
        )
        for database, entry in sorted(newest.items())
    ]


def _speed(
    entries: Sequence[CatalogueEntry], proofs: Mapping[BackupId, tuple[datetime, float]]
) -> float | None:
    """Return bytes of SQL a second of the newest proof; None = nothing was restored yet."""
    for entry in entries:
        if entry.backup_id in proofs and (seconds := proofs[entry.backup_id][1]) > 0:
            return max(entry.raw_size, 1) / seconds
    return None
