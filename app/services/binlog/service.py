"""The archive of the binary log as commands and requests use it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import root_of
from app.binlog.archive.reading import open_stream, stream_directories
from app.binlog.archiver import Archiver
from app.binlog.fetching import fetch_streams
from app.binlog.ownership import is_owned
from app.binlog.rhythm import Pace
from app.binlog.status import ArchiverStatus, read_status, write_status
from app.concurrency import run_in_thread, shielded
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.manifest import Codec
from app.domain.ports import Clock
from app.domain.restores.log_archive import (
    ArchiverState,
    BinlogOverview,
    FoundTransactions,
    LogStreamFacts,
    NearTransactions,
    TransactionQuery,
)
from app.engine.server.server import Server
from app.errors import AppError, IntegrityError, NoIdentityError, UnknownSignerError
from app.services.binlog.copies import LogCopies
from app.services.binlog.overview import describe, describe_stream
from app.services.binlog.search import search, search_around
from app.storage.local import LocalDirectory
from app.storage.remote.store import Store
from app.telemetry.bugs import outlived


_log: Final = logging.getLogger(__name__)
# What others read of an archiver is at most so old.
_PUBLISH_SECONDS: Final = 2.0
_ABOUT: Final = "binary log"
# A condition that is over when a full backup stands in the new stream.
BROKEN_OFF: Final = f"{_ABOUT} broken off"
# A restart of the server or a short cut of the network is nothing to wake anybody for.
_PATIENCE_SECONDS: Final = 60.0


class BinlogService:
    """
    Archives the binary log, and tells what the archive has.

    Args:
        server: Whose log it is.
        backups: The backup directory.
        clock: The time.
        codec: How segments are compressed.
        keys: For whom the archive is encrypted, and who reads it.
        copies: Of the archive, in stores.
        alarm: Where what is wrong is reported.
        lag_seconds: How far the archive may be behind before an alert is sent.
        ask_for_backup: Asks for a full backup after a break.
    """

    def __init__(
        self,
        *,
        server: Server,
        backups: Path,
        clock: Clock,
        codec: Codec,
        keys: LogKeys,
        copies: LogCopies,
        alarm: Alarm,
        lag_seconds: float,
        ask_for_backup: Callable[[str], Awaitable[None]],
    ) -> None:
        self._backups = backups
        self._root = LocalDirectory(root_of(backups))
        self._clock = clock
        self._keys = keys
        self._copies = copies
        self._alarm = alarm
        self._lag_seconds = lag_seconds
        self._ask_for_backup = ask_for_backup
        # Whoever asks may do so often, and each reads for long, in one of the few threads that all else needs too.
        self._looks = asyncio.Semaphore(2)
        self._backups_asked: list[asyncio.Task[None]] = []
        self._archiver = Archiver(
            server,
            self._root,
            clock,
            codec=codec,
            keys=keys,
            pace=Pace(),
            on_break=self._answer_break,
        )

    async def run(self, tell: Callable[[ArchiverStatus], None] = lambda _: None) -> None:
        """
        Archive until this task is cancelled.

        Args:
            tell: Called with what the archiver does, whenever that changes.

        Raises:
            AlreadyRunningError: Another archiver has the directory.
            StorageError: The directory cannot be made.
        """
        archiver = asyncio.create_task(self._archiver.run(), name="binlog archiver")
        watch = _Watch(self._alarm, self._clock, self._lag_seconds)
        copying: asyncio.Task[None] | None = None
        try:
            while not archiver.done():
                status = self._archiver.status
                tell(status)
                # One that has not begun may be in vain: another process's status stands there.
                if status.state is not ArchiverState.OFF:
                    await self._publish(status)
                    copying = copying or asyncio.create_task(self._copies.run_forever())
                await watch.look(status)
                await asyncio.wait({archiver}, timeout=_PUBLISH_SECONDS)
            archiver.result()
        finally:
            tasks = (archiver, *self._backups_asked, *filter(None, [copying]))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if archiver.cancelled():
                await shielded(self._publish(self._archiver.status))

    async def run_forever(self) -> None:
        """Archive as a part of the service: whatever ends an archiver, another one begins a minute later."""
        while True:
            try:
                with outlived(_log, "The archiver of the binary log"):
                    await self.run()
            except AppError as exc:
                facts = {"code": exc.code, "reason": str(exc)}
                _log.warning("Archiver of the binary log cannot run", extra={"facts": facts})
            await asyncio.sleep(_PATIENCE_SECONDS)

    async def _publish(self, status: ArchiverStatus) -> None:
        with suppress(AppError):  # what is wrong with the medium, the archiver finds out itself
            await run_in_thread(lambda: write_status(self._root, status))

    async def _answer_break(self, reason: str) -> None:
        await self._alarm.raise_alert(
            Alert(
                AlertKind.BINLOG,
                BROKEN_OFF,
                f"the archive of the binary log was broken off: {reason}",
                "A new stream and a full backup have begun; points in time before the break stay.",
            )
        )
        self._backups_asked.append(asyncio.create_task(self._back_up(reason)))

    async def _back_up(self, reason: str) -> None:
        """Ask for a backup until one has begun; one that runs already began before the break."""
        while True:
            try:
                with outlived(_log, "The backup after a break"):
                    return await self._ask_for_backup(reason)
            except AppError as exc:
                facts = {"code": exc.code, "reason": str(exc)}
                _log.warning("Backup after a break cannot begin", extra={"facts": facts})
            await asyncio.sleep(_PATIENCE_SECONDS)

    async def status(self) -> BinlogOverview:
        """
        Tell what the archiver does, and what the archive has.

        Returns:
            Also where another process archives, or none.

        Raises:
            StorageError: The medium does not answer.
        """
        return await run_in_thread(self.look)

    def look(self, known: tuple[LogStreamFacts, ...] | None = None) -> BinlogOverview:
        """Tell the same; blocks. To open every stream takes its time: `known` are those of before."""
        runs = is_owned(self._root)
        status = read_status(self._root) if runs else ArchiverStatus(ArchiverState.OFF)
        streams = tuple(self._streams()) if known is None else known
        return describe(status, self._clock.now(), streams, self._copies.read())

    def _streams(self) -> list[LogStreamFacts]:
        found = []
        for directory in stream_directories(self._root):
            try:
                found.append(describe_stream(open_stream(directory, self._keys)))
            except (IntegrityError, NoIdentityError, UnknownSignerError) as exc:
                is_locked = not isinstance(exc, IntegrityError)
                name = directory.path.name
                found.append(LogStreamFacts(id=name, damage=str(exc), is_locked=is_locked))
        return sorted(found, key=lambda stream: (stream.began_at, stream.id))

    async def fetch(
        self, open_store: Callable[[str], Store], name: str, *, is_whole: bool = False
    ) -> tuple[str, ...]:
        """
        Bring the archive back from a store; streams that are here stay as they are.

        Args:
            open_store: Opens a store, which is closed again; blocks.
            name: Of the store.
            is_whole: Whether also what retention had removed here, and is still there.

        Returns:
            Ids of the streams that were not here.

        Raises:
            AlreadyRunningError: Another process brings some back.
            BinlogDamagedError: What lies there is not what was written; nothing of that stream is here.
            StoreNotFoundError: There is no such store.
            UnknownSignerError: Nobody here knows who has written it.
            StorageError: Store or disk does not answer.
        """

        def work() -> tuple[str, ...]:
            LocalDirectory(self._backups).prepare()
            store = open_store(name)
            try:
                return fetch_streams(store, self._root, self._keys, is_whole=is_whole)
            finally:
                store.close()

        return await run_in_thread(work)

    async def transactions(self, query: TransactionQuery) -> FoundTransactions:
        """
        Find transactions in the archive. Others wait for their turn.

        Returns:
            Those that match, in the order of the log, at most as many as were asked for.

        Raises:
            BinlogDamagedError: What would have to be read is damaged.
            NoIdentityError: It is encrypted for others.
            StorageError: The medium does not answer.
        """
        async with self._looks:
            return await search(self._backups, self._keys, query)

    async def transactions_around(
        self, query: TransactionQuery, moment: datetime, within: timedelta
    ) -> NearTransactions:
        """
        Find transactions next to a moment, at most `query.limit` on either side; raises as `transactions`.

        Returns:
            Those that match, as far as there was time to look.
        """
        async with self._looks:
            return await search_around(self._backups, self._keys, query, moment, within)


class _Watch:
    """Reports an archive that does not go on, or is behind."""

    def __init__(self, alarm: Alarm, clock: Clock, lag_seconds: float) -> None:
        self._alarm = alarm
        self._clock = clock
        self._lag_seconds = lag_seconds
        self._well_at = clock.monotonic()

    async def look(self, status: ArchiverStatus) -> None:
        """Look at what an archiver does."""
        if not status.code and status.state in {ArchiverState.LIVE, ArchiverState.CATCHING_UP}:
            self._well_at = self._clock.monotonic()
            await self._alarm.resolve(AlertKind.BINLOG, _ABOUT, "the binary log is archived again")
            await self._look_at_lag(status)
        elif status.code and self._clock.monotonic() - self._well_at > _PATIENCE_SECONDS:
            message = f"the binary log is not archived: {status.message}"
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, _ABOUT, message, status.hint))

    async def _look_at_lag(self, status: ArchiverStatus) -> None:
        about = f"{_ABOUT} lag"
        lag = status.lag_seconds(self._clock.now())
        if lag is not None and lag > self._lag_seconds:
            message = f"the archive of the binary log is {lag:.0f} s behind the server"
            hint = "Look at the network and at the disk where backups are kept."
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, about, message, hint))
        elif lag is not None:
            await self._alarm.resolve(AlertKind.BINLOG, about, "the archive is up to date")
