"""What can be done with directories, also with those whose disk does not answer."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from app.archive.publishing.places import BackupDirectory
from app.errors import AppError, StalledError
from app.telemetry.bugs import heard


_log: Final = logging.getLogger(__name__)


def is_writable(directory: BackupDirectory) -> str:
    """Return the code of why nothing can be written; empty when something can. Blocks."""
    try:
        directory.prepare()
        directory.probe()
    except AppError as exc:
        return exc.code
    return ""


class Probes:
    """
    Asks directories; one that hangs is asked once, and waited for no longer than others.

    Such as a network's file system whose server is gone: its calls come back when it does, or never.

    Args:
        seconds: How long an answer is waited for.
        probe: Says what is wrong, as a code; blocks.
    """

    def __init__(
        self, seconds: float, probe: Callable[[BackupDirectory], str] = is_writable
    ) -> None:
        self._seconds = seconds
        self._probe = probe
        self._asked: dict[BackupDirectory, asyncio.Task[str]] = {}

    async def ask(self, directory: BackupDirectory) -> str:
        """Return what the probe says, or that it has stalled."""
        task = self._asked.get(directory)
        if task is None or task.done():
            task = asyncio.create_task(asyncio.to_thread(self._probe, directory))
            task.add_done_callback(heard(_log, "The look at a directory"))
            self._asked[directory] = task
        done, _ = await asyncio.wait([task], timeout=self._seconds)
        return task.result() if done else StalledError.code
