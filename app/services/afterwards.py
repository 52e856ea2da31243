"""
What was done all the same when something failed, or somebody cancelled, right behind it.

A run that is done has succeeded: else the history calls failed, or cancelled, what is there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from app.concurrency import shielded
from app.domain.backups.manifest import Manifest
from app.errors import AppError, BackupNotFoundError


_log: Final = logging.getLogger(__name__)


async def find_made(
    read: Callable[[str], Awaitable[Manifest]], backup_id: str, error: BaseException
) -> Manifest | None:
    """
    Find the backup that a run has published before it failed.

    Args:
        read: Reads a manifest.
        backup_id: As the run has named it; empty = it had no name yet.
        error: What came afterwards; logged when there is a backup.

    Returns:
        None when there is none.
    """

    async def find() -> Manifest | None:
        try:
            return await read(backup_id)
        except AppError:
            return None

    made = await shielded(find())
    if made is not None:
        facts = {"backup_id": made.backup_id, "error": str(error)}
        _log.warning("Backup completed, its follow-up failed", extra={"facts": facts})
    return made


async def is_gone(find: Callable[[str], object], backup_id: str, error: BaseException) -> bool:
    """
    Tell whether a backup is gone that was to be deleted.

    Args:
        find: Blocks; raises BackupNotFoundError when it is gone.
        backup_id: Which one.
        error: What came afterwards; logged when it is gone.

    Returns:
        False also when nobody knows.
    """
    try:
        await shielded(asyncio.to_thread(find, backup_id))
    except BackupNotFoundError:
        facts = {"backup_id": backup_id, "error": str(error)}
        _log.warning("Backup deleted, its follow-up failed", extra={"facts": facts})
        return True
    except AppError:  # the first error says more
        return False
    return False
