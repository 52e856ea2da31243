"""
Names of backups.

A backup id is `backup_` and 13 hex digits: 8 of the UTC second, 5 of the microsecond, so ids sort
by time, as PHP's uniqid() did for the system that this one replaces.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NewType

from app.errors import BackupNotFoundError


BackupId = NewType("BackupId", str)

_MICROSECONDS = 1_000_000
_BACKUP_ID = re.compile(r"backup_([0-9a-f]{8})([0-9a-f]{5})")


def new_backup_id(now: datetime, newest: BackupId | None) -> BackupId:
    """
    Make an id for a backup that begins now.

    Args:
        now: Aware instant.
        newest: The largest id in use; the new one sorts after it even when the clock went back.

    Returns:
        A new id.
    """
    moment = now.astimezone(UTC)
    if newest is not None:
        moment = max(moment, instant_of(newest) + timedelta(microseconds=1))
    seconds = int(moment.replace(microsecond=0).timestamp())
    return BackupId(f"backup_{seconds:08x}{moment.microsecond:05x}")


def parse_backup_id(text: str) -> BackupId:
    """
    Accept user input as an id.

    Returns:
        The same text, known to be an id.

    Raises:
        BackupNotFoundError: It cannot name a backup; also for every attempt at a path.
    """
    match = _BACKUP_ID.fullmatch(text)
    if match is None or int(match[2], 16) >= _MICROSECONDS:
        raise BackupNotFoundError(text[:80])
    return BackupId(text)


def instant_of(backup_id: BackupId) -> datetime:
    """Return the UTC instant inside an id."""
    digits = backup_id.removeprefix("backup_")
    return datetime.fromtimestamp(int(digits[:8], 16), UTC).replace(microsecond=int(digits[8:], 16))
