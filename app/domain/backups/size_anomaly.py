"""What is usual for a backup: the others of the same schedule and request."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from app.domain.backups.backup import BackupRequest, CatalogueEntry


# Fewer say nothing of what is usual; more would hold on to what was usual long ago.
_LEAST: Final = 3
_MOST: Final = 10


def is_alike(one: CatalogueEntry, other: CatalogueEntry) -> bool:
    """Tell whether the same was asked for two backups; both may be of different schedules."""
    return (one.requested, one.tables, one.exclude_tables, one.include_data) == (
        other.requested,
        other.tables,
        other.exclude_tables,
        other.include_data,
    )


def is_wanted_again(one: CatalogueEntry, request: BackupRequest) -> bool:
    """Tell whether a request asks for what was asked for a backup."""
    return (one.requested, one.tables, one.exclude_tables, one.include_data) == (
        tuple(sorted(request.databases)),
        request.tables,
        request.exclude_tables,
        request.include_data,
    )


def unusual(entry: CatalogueEntry, others: Sequence[CatalogueEntry], percent: float) -> str:
    """
    Compare a backup with those before it.

    Args:
        entry: The new one.
        others: Good ones, in any order; of another schedule, request or kind, and later ones, too.
        percent: How far it may differ from the median of the last ten; 0 = as far as it likes.

    Returns:
        What differs, in words; empty when nothing does, or when there are less than three before it.
    """
    before = sorted(
        (
            other
            for other in others
            if other.backup_id < entry.backup_id
            and (other.schedule, other.recovery_point) == (entry.schedule, entry.recovery_point)
            and is_alike(other, entry)
        ),
        key=lambda one: one.backup_id,
    )[-_MOST:]
    if not percent or len(before) < _LEAST:
        return ""
    figures = (
        ("bytes of SQL", entry.raw_size, median(one.raw_size for one in before)),
        ("rows", entry.rows_count, median(one.rows_count for one in before)),
    )
    return " and ".join(
        f"{found} {what} instead of about {usual:.0f}"
        for what, found, usual in figures
        if 100 * abs(found - usual) > percent * usual > 0
    )
