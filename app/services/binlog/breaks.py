"""
Changes past the binary log, noted in its archive: a recovery that replays the log across one would be wrong.

A note is made before the data changes, so that a crash cannot lose it, and once more afterwards: a backup that
was made in between holds the old data, and is no base for what comes later.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from app.binlog.archive import layout
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.streams import note_break, proven_stream_document
from app.concurrency import shielded
from app.domain.ports import Clock
from app.domain.restores.log_archive import LogBreak
from app.engine.dump.ladder import read_position
from app.engine.server.server import Server
from app.errors import AppError
from app.storage.local import LocalDirectory


_log: Final = logging.getLogger(__name__)


class UnloggedChanges:
    """
    Notes what is changed past the log of one server.

    Args:
        server: It.
        log: The directory of its backups, in which its log is archived, and who signs that; None = there is none here.
    """

    def __init__(self, server: Server, log: tuple[Path, LogKeys] | None, clock: Clock) -> None:
        self._server = server
        self._backups = log[0] if log else None
        self._keys = log[1] if log else PLAIN
        self._clock = clock

    @asynccontextmanager
    async def noted(self, reason: str, *, logged: bool) -> AsyncIterator[None]:
        """
        Note that the block changes data past the log.

        Args:
            reason: For people.
            logged: Whether it does not, and nothing is to be noted.

        Yields:
            Nothing.

        Raises:
            IntegrityError: The archive cannot take the note, or was changed; nothing was changed by us.
            UnknownSignerError: Nobody here knows who has written the archive; the same.
            PermissionDeniedError: The server does not tell where its log stands; the same.
            StorageError: The archive cannot be written; the same.
        """
        if logged:
            yield
            return
        await self._note(reason)
        try:
            yield
        finally:
            await shielded(self._note_again(reason))

    async def _note(self, reason: str) -> None:
        streams = await asyncio.to_thread(self._running)
        if not streams:
            return
        async with self._server.session() as session:
            position = await read_position(session)
        number = layout.file_number(position.binlog_file)
        if number is None:  # it writes none, and no stream goes on
            return
        at = self._clock.now().isoformat()
        found = LogBreak(at, number, position.binlog_position, reason)
        for stream in streams:
            await asyncio.to_thread(note_break, stream, found, self._keys)

    async def _note_again(self, reason: str) -> None:
        try:
            await self._note(reason)
        except (
            AppError
        ) as exc:  # the note from before counts for every base that was made before it
            _log.warning(
                "Break of the binary log could not be noted again",
                extra={"facts": {"error": str(exc)}},
            )

    def _running(self) -> list[LocalDirectory]:
        """Return the streams that have not ended."""
        if self._backups is None:
            return []
        root = layout.root_of(self._backups)
        streams = [
            layout.stream_directory(root, name) for name in layout.stream_ids(LocalDirectory(root))
        ]
        return [
            stream for stream in streams if not proven_stream_document(stream, self._keys).ended_at
        ]
