"""
Copies of the archive of the binary log in stores: made beside the archiver, which waits for none of them.

Each store has a turn every 30 seconds. One that fails is asked again after pauses that grow, and an alert
tells of it; what was missed is found by what is there. Once a day retention looks at what is kept there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from pydantic import ValidationError

from app.binlog.archive.layout import stream_directory, stream_ids
from app.binlog.copying import StreamCopy
from app.concurrency import run_in_thread
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.document import adapter_of
from app.domain.ports import Clock
from app.domain.restores.log_archive import LogCopy
from app.domain.store_trial import StoreFacts
from app.errors import AlreadyRunningError, AppError, IntegrityError
from app.storage.local import LocalDirectory
from app.storage.remote.store import Store
from app.telemetry.bugs import outlived


_log: Final = logging.getLogger(__name__)
_TURN_SECONDS: Final = 30.0
_PAUSES: Final = (60.0, 300.0, 900.0)
_PRUNE_SECONDS: Final = 86_400.0
_FILE: Final = "copies.json"
_MOST_BYTES: Final = 1 << 20


class LogCopies:
    """
    Keeps the copies of an archive.

    Args:
        root: The folder of the archive.
        names: Of the stores.
        find: Describes a store; blocks.
        open_store: Opens one, which is closed again; blocks.
        prune: Deletes in a store what is kept there no longer; raises AppError only for a definition.
    """

    def __init__(
        self,
        root: LocalDirectory,
        names: Sequence[str],
        find: Callable[[str], StoreFacts],
        open_store: Callable[[str], Store],
        clock: Clock,
        alarm: Alarm,
        *,
        prune: Callable[[str], Awaitable[None]],
    ) -> None:
        self._root = root
        self._prune = prune
        self._names = tuple(dict.fromkeys(names))
        self._find = find
        self._open_store = open_store
        self._clock = clock
        self._alarm = alarm
        # By place, which a name may lose, and stream.
        self._copies: dict[tuple[str, str], StreamCopy] = {}
        self._told: dict[str, LogCopy] = {}
        self._pruned_at: dict[str, float] = {}

    async def run_forever(self) -> None:
        """Copy until this task is cancelled; nothing that fails ends it."""
        with suppress(AppError):  # all of it is told anew
            self._told = {copy.store: copy for copy in await run_in_thread(self.read)}
        await asyncio.gather(*map(self._keep, self._names))

    def read(self) -> tuple[LogCopy, ...]:
        """Tell of each store how it is, as whichever process copies has told last; blocks, raises StorageError."""
        found: dict[str, LogCopy] = {}
        data = (
            self._root.find(_FILE, _MOST_BYTES) if self._names and self._root.is_there() else None
        )
        if data is not None:
            with suppress(ValidationError):  # of another version
                found = {
                    copy.store: copy for copy in adapter_of(tuple[LogCopy, ...]).validate_json(data)
                }
        return tuple(found.get(name, LogCopy(name)) for name in self._names)

    async def _keep(self, name: str) -> None:
        failures = 0
        while True:
            is_done = False
            with outlived(_log, f"The copying of the binary log to {name}"):
                is_done = await self._take_turn(name)
            failures = 0 if is_done else failures + 1
            pause = _PAUSES[min(failures, len(_PAUSES)) - 1] if failures else _TURN_SECONDS
            await asyncio.sleep(pause)

    async def _take_turn(self, name: str) -> bool:
        """Copy what is new, and tell how it went; returns whether nothing failed."""
        began = self._clock.now()
        try:
            is_whole = await self._copy(name)
            await self._keep_less(name)
        except AppError as exc:
            await self._fail(name, exc)
            return False
        known = self._told.get(name, LogCopy(name)).current_as_of
        await self._tell(LogCopy(name, began if is_whole else known))
        await self._alarm.resolve(AlertKind.BINLOG, _about(name), "it is copied again")
        return True

    async def _keep_less(self, name: str) -> None:
        """Have retention look, also where no backup is ever copied to."""
        now = self._clock.monotonic()
        if now - self._pruned_at.get(name, -_PRUNE_SECONDS) >= _PRUNE_SECONDS:
            self._pruned_at[name] = now
            await self._prune(name)

    async def _copy(self, name: str) -> bool:
        stop = Event()
        return await run_in_thread(lambda: self._copy_now(name, stop), stop=stop)

    def _copy_now(self, name: str, stop: Event) -> bool:
        facts = self._find(name)
        store = self._open_store(name)

        def retain_until() -> datetime | None:
            days = facts.object_lock_days
            return store.now() + timedelta(days=days) if days else None

        is_whole = True
        failure: AppError | None = None
        try:
            for stream in sorted(stream_ids(self._root)):
                directory = stream_directory(self._root.path, stream)
                made = StreamCopy(directory, append_only=facts.append_only)
                copy = self._copies.setdefault((facts.place, stream), made)
                try:
                    is_whole &= copy.run(store, retain_until, stop)
                except (IntegrityError, AlreadyRunningError) as exc:  # keeps no other waiting
                    failure = failure or exc
            if failure is not None:
                raise failure
            return is_whole
        finally:
            store.close()

    async def _fail(self, name: str, error: AppError) -> None:
        known = self._told.get(name, LogCopy(name))
        message = f"the binary log is not copied to {name}: {error}"
        await self._tell(LogCopy(name, known.current_as_of, error.code, str(error), error.hint))
        _log.warning(
            "Binary log is not copied", extra={"facts": {"store": name, "error": str(error)}}
        )
        await self._alarm.raise_alert(Alert(AlertKind.BINLOG, _about(name), message, error.hint))

    async def _tell(self, copy: LogCopy) -> None:
        self._told[copy.store] = copy
        told = tuple(self._told[name] for name in self._names if name in self._told)
        with suppress(AppError):  # what is wrong with the medium, the archiver finds out itself
            data = adapter_of(tuple[LogCopy, ...]).dump_json(told) + b"\n"
            await run_in_thread(lambda: self._root.replace(_FILE, data))


def _about(name: str) -> str:
    return f"binary log in {name}"
