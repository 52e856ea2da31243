"""Size anomalies: backups that differ from the others of the same schedule and request."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from app.domain.backups.backup import BackupRequest, CatalogueEntry


# Fewer say nothing of what is normal; more would hold on to what was normal long ago.
_LEAST: Final = 3
_MOST: Final = 10


def is_alike(entry: CatalogueEntry, other: CatalogueEntry) -> bool:
    """Tell whether the same was asked for two backups; both may be of different schedules."""
    return (entry.requested, entry.tables, entry.exclude_tables, entry.include_data) == (
        other.requested,
        other.tables,
        other.exclude_tables,
        other.include_data,
    )


def is_wanted_again(entry: CatalogueEntry, request: BackupRequest) -> bool:
    """Tell whether a request asks for what was asked for a backup."""
    return (entry.requested, entry.tables, entry.exclude_tables, entry.include_data) == (
        tuple(sorted(request.databases)),
        request.tables,
        request.exclude_tables,
        request.include_data,
    )


def find_size_anomaly(
    entry: CatalogueEntry, others: Sequence[CatalogueEntry], percent: float
) -> str:
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
        key=lambda other: other.backup_id,
    )[-_MOST:]
    if not percent or len(before) < _LEAST:
        return ""
    figures = (
        ("bytes of SQL", entry.raw_size, median(other.raw_size for other in before)),
        ("rows", entry.rows_count, median(other.rows_count for other in before)),
    )
    return " and ".join(
        f"{found} {what} instead of about {normal:.0f}"
        for what, found, normal in figures
        if 100 * abs(found - normal) > percent * normal > 0
    )
