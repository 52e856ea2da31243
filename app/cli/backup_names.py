"""Backups as people name them: by id, by file, or the latest."""

import asyncio
from pathlib import Path
from typing import Final

from app.bootstrap.program import Program
from app.errors import BackupNotFoundError, InvalidRequestError
from app.storage import layout


_LATEST: Final = "latest"


async def named(program: Program, text: str, *, may_move: bool = True) -> str:
    """
    Find out which backup is meant.

    Args:
        program: Whose backups.
        text: An id; a file of a backup, with or without the directory; or `latest`, the newest backup
            that is no recovery point.
        may_move: Whether a name may mean another backup tomorrow.

    Returns:
        The id. A text in no form of these, such as a file of another directory, is returned as it is:
        whatever looks for it says that it is not there.

    Raises:
        BackupNotFoundError: There is no backup yet.
        InvalidRequestError: `latest` may not be said here.
    """
    if text == _LATEST:
        if not may_move:
            raise InvalidRequestError(
                "what is deleted must be named itself", hint="'backstay backup list' prints ids."
            )
        reading = await asyncio.to_thread(program.catalogue.read)
        entries = (entry for entry in reading.survey.entries if not entry.recovery_point)
        newest = next(entries, None)
        if newest is None:
            raise BackupNotFoundError(_LATEST, store=program.store)
        return newest.backup_id
    path = Path(text)
    if path.parent != Path() and path.parent.resolve() != program.settings.backup_dir.resolve():
        return text
    found = layout.parse(path.name.removesuffix(layout.MANIFEST))
    return found.backup_id if found else text
