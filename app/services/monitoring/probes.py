"""Whether something can be written to directories, also to those whose disk does not answer."""

import asyncio
import logging
from typing import Final

from app.archive.publishing.places import BackupDirectory
from app.errors import AppError, StalledError
from app.telemetry.bugs import heard


_log: Final = logging.getLogger(__name__)


class Probes:
    """
    Asks directories; one that hangs is asked once, and waited for no longer than others.

    Such as a network's file system whose server is gone: its calls come back when it does, or never.

    Args:
        seconds: How long an answer is waited for.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked: dict[BackupDirectory, asyncio.Task[str]] = {}

    async def ask(self, directory: BackupDirectory) -> str:
        """Return the code of why nothing can be written; empty when something can."""
        task = self._asked.get(directory)
        if task is None or task.done():
            task = asyncio.create_task(asyncio.to_thread(_probe, directory))
            task.add_done_callback(heard(_log, "The look whether a directory can be written"))
            self._asked[directory] = task
        done, _ = await asyncio.wait([task], timeout=self._seconds)
        return task.result() if done else StalledError.code


def _probe(directory: BackupDirectory) -> str:
    try:
        directory.prepare()
        directory.probe()
    except AppError as exc:
        return exc.code
    return ""
