"""
Archives the binary log of one server for as long as it runs.

1. One archiver a directory: a lock says so.
2. Connect, ask whether the log may be archived, and go on with the stream that has not ended.
3. Let the last transaction come again, then take what follows; sync it every second, seal it by size and age.
4. Without a byte for three heartbeats, or after any other failure of the connection: connect again.
5. What cannot follow ends the stream. The next one begins, and a full backup is asked for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar

from app.binlog.archive.documents import StreamDocument
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.layout import file_number, new_stream_id, stream_directory
from app.binlog.archive.reading import open_stream
from app.binlog.archive.streams import change_stream_document
from app.binlog.archive.writing import StreamWriter
from app.binlog.events.headers import POSITIONS, Place
from app.binlog.intake import Intake
from app.binlog.overlap import Overlap
from app.binlog.ownership import Ownership, current_stream
from app.binlog.preflight import Inspection, inspect
from app.binlog.rhythm import Pace, Rhythm
from app.binlog.session import LogStream, begin_dump
from app.binlog.status import ArchiverStatus
from app.concurrency import heed_cancellation, run_in_thread, shielded
from app.domain.backups.manifest import Codec
from app.domain.ports import Clock
from app.domain.restores.log_archive import ArchiverState
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.errors import (
    AppError,
    BinlogBrokenError,
    BinlogDamagedError,
    BinlogDuplicateReaderError,
    BinlogOffError,
    BinlogRightsError,
    NoIdentityError,
    SignatureMismatchError,
    StalledError,
    StatementError,
    UnknownSignerError,
)
from app.storage.local import LocalDirectory


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
# Whatever its text: the server cannot send what follows.
_CANNOT_GO_ON: Final = 1236
_SAME_ID: Final = 4052
_REFUSALS: Final = (BinlogOffError, BinlogRightsError)
# Nothing can be proven to follow: the log is another one, or the archive, or the keys of this installation are.
_BREAKS: Final = (
    BinlogBrokenError,
    BinlogDamagedError,
    NoIdentityError,
    SignatureMismatchError,
    UnknownSignerError,
)


class Archiver:
    """
    The archiver of one directory.

    Attributes:
        status: What it does; replaced, never changed.
    """

    def __init__(
        self,
        server: Server,
        root: LocalDirectory,
        clock: Clock,
        *,
        codec: Codec = Codec.GZIP,
        keys: LogKeys = PLAIN,
        pace: Pace | None = None,
        on_break: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """
        Make one that does nothing yet.

        Args:
            server: Whose log it is.
            root: The folder of the archive.
            clock: The time.
            codec: How segments are compressed.
            keys: For whom it is encrypted.
            pace: How fast things happen.
            on_break: Called with a reason when a stream has ended and the next one begins.
        """
        self.status = ArchiverStatus(ArchiverState.OFF)
        self._server = server
        self._root = root
        self._clock = clock
        self._codec = codec
        self._keys = keys
        self._pace = pace or Pace()
        self._on_break = on_break
        self._failures = 0

    async def run(self) -> None:
        """
        Archive until this task is cancelled; what was received is synced then.

        Raises:
            AlreadyRunningError: Another archiver has the directory.
            StorageError: The directory cannot be made.
        """
        ownership = await run_in_thread(lambda: Ownership.take(self._root))
        try:
            while True:
                await self._attempt(ownership)
                heed_cancellation()
        finally:
            self.status = replace(self.status, state=ArchiverState.OFF)
            await shielded(run_in_thread(ownership.close))

    async def _attempt(self, ownership: Ownership) -> None:
        try:
            await self._connect(ownership)
        except _BREAKS as exc:
            await self._break_off(exc)
        except AppError as exc:
            self._note(
                ArchiverState.REFUSED if isinstance(exc, _REFUSALS) else ArchiverState.STALLED, exc
            )
        wait = min(self._pace.retry_seconds * 2**self._failures, self._pace.longest_retry_seconds)
        self._failures = min(self._failures + 1, 16)
        await asyncio.sleep(wait)

    def _note(self, state: ArchiverState, error: AppError) -> None:
        if (state, str(error)) != (self.status.state, self.status.message):
            facts = {"state": state.value, "code": error.code, "reason": str(error)}
            _log.warning("Archive of the binary log cannot go on", extra={"facts": facts})
        self.status = replace(
            self.status, state=state, code=error.code, message=str(error), hint=error.hint
        )

    async def _connect(self, ownership: Ownership) -> None:
        if self.status.state is ArchiverState.OFF:
            self.status = replace(self.status, state=ArchiverState.CONNECTING)
        session = await self._answered(self._server.open())
        try:
            encrypts = bool(await run_in_thread(self._keys.backups.recipients))
            inspecting = inspect(session, self._server.where, encrypts=encrypts)
            inspection = await self._answered(inspecting)
            self.status = replace(self.status, findings=inspection.findings)
            inspection.require()
            writer, overlap = await self._open(inspection)
            try:
                await self._stream(session, ownership.server_id, writer, overlap)
            finally:
                await shielded(run_in_thread(lambda: self._close(writer)))
        finally:
            await session.close()

    async def _answered(self, work: Coroutine[object, object, T]) -> T:
        """Wait for what a server that is there does at once; raises StalledError for one that is not."""
        try:
            async with asyncio.timeout(self._pace.answer_seconds):
                return await work
        except TimeoutError as exc:
            raise StalledError(
                f"no answer from the server for {self._pace.answer_seconds:g} s",
                hint="Look at the network between here and the server.",
            ) from exc

    def _close(self, writer: StreamWriter) -> None:
        """Keep what was received; an error that was raised before is the one to be told."""
        with suppress(AppError):
            writer.sync(self._now_ms)
        writer.close()

    @property
    def _now_ms(self) -> int:
        return round(self._clock.now().timestamp() * 1000)

    async def _open(self, inspection: Inspection) -> tuple[StreamWriter, Overlap | None]:
        return await run_in_thread(lambda: self._open_now(inspection))

    def _open_now(self, inspection: Inspection) -> tuple[StreamWriter, Overlap | None]:
        """Go on with the stream that has not ended, or begin one with the server's newest file."""
        found = current_stream(self._root)
        if found is None:
            document = self._new_document(inspection)
            directory = stream_directory(self._root.path, document.stream)
            return StreamWriter.begin(directory, document, self._codec, self._keys), None
        directory = stream_directory(self._root.path, found.stream)
        writer = StreamWriter.resume(directory, self._codec, self._keys)
        end = Place(writer.file, writer.scan.position)
        self._show(writer, 0)
        if writer.last is None and not writer.scan.header and not writer.size:
            return writer, None
        try:
            overlap = Overlap(open_stream(directory, self._keys), writer.last, end)
        except BaseException:
            writer.close()
            raise
        return writer, None if overlap.is_over else overlap

    def _new_document(self, inspection: Inspection) -> StreamDocument:
        number = file_number(inspection.place.name)
        if number is None:
            raise BinlogOffError(
                f"{inspection.place.name}: a file of a binary log ends in a number"
            )
        return StreamDocument(
            stream=new_stream_id(),
            began_at=self._clock.now().isoformat(),
            identity=inspection.identity,
            settings=inspection.settings,
            first_file=inspection.place.name,
            first_number=number,
        )

    async def _stream(
        self, session: Session, server_id: int, writer: StreamWriter, overlap: Overlap | None
    ) -> None:
        start = overlap.place if overlap else Place(writer.file, 4)
        if start.position >= POSITIONS:
            raise BinlogBrokenError(
                f"{start.name} is larger than 4 GiB, and cannot be read on from there"
            )
        intake = Intake(writer, overlap, self._clock)
        try:
            heartbeat = self._pace.heartbeat_seconds
            stream = await self._answered(begin_dump(session, server_id, start, heartbeat))
            await self._take_all(stream, writer, intake)
        except StatementError as exc:
            if exc.errno == _CANNOT_GO_ON:
                raise BinlogBrokenError(
                    f"the server cannot go on at {start.name} {start.position}: {exc}"
                ) from exc
            if exc.errno == _SAME_ID:
                raise BinlogDuplicateReaderError(
                    f"another replica with the server id {server_id} has connected",
                    hint="Only one archiver a server; a copied backup directory has a copied id: remove its reader.json.",
                ) from exc
            raise

    async def _take_all(self, stream: LogStream, writer: StreamWriter, intake: Intake) -> None:
        """Take what comes until the connection ends."""
        rhythm = Rhythm(self._pace)
        reading: asyncio.Task[list[bytes]] | None = None
        try:
            while True:
                reading = reading or asyncio.create_task(stream.read())
                await asyncio.wait({reading}, timeout=rhythm.wait_seconds)
                if reading.done():
                    events, reading = reading.result(), None
                    rhythm.hear()
                    for event in events:
                        await intake.take(event)
                elif rhythm.is_silent:
                    raise StalledError(
                        f"not a byte from the server for {self._pace.silence_seconds:g} s",
                        hint="Look at the network between here and the server.",
                    )
                await self._keep(writer, intake, rhythm)
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _keep(self, writer: StreamWriter, intake: Intake, rhythm: Rhythm) -> None:
        """Write what was received, sync it when it is time, seal it when it is large or old."""
        moment = self._now_ms
        if writer.pending_bytes:
            rhythm.unsynced_bytes += writer.pending_bytes
            await run_in_thread(writer.flush)
        if rhythm.must_sync:
            await run_in_thread(lambda: writer.sync(moment))
            rhythm.note_sync()
        is_due = writer.size >= self._pace.segment_bytes or (writer.size and rhythm.is_old)
        if is_due and await run_in_thread(lambda: writer.roll(moment)):
            rhythm.note_roll()
        if (
            intake.overlap is None and not rhythm.unsynced_bytes
        ):  # or it would tell of more than a power cut leaves
            self._show(writer, intake.current_as_of_ms)

    def _show(self, writer: StreamWriter, current_as_of_ms: int) -> None:
        current = max(current_as_of_ms, self.status.current_as_of_ms)
        lag_ms = self._now_ms - current
        state = self.status.state
        if current_as_of_ms:
            is_live = lag_ms <= 1000 * self._pace.silence_seconds
            state = ArchiverState.LIVE if is_live else ArchiverState.CATCHING_UP
            if is_live:
                self._failures = 0
        status = replace(
            self.status,
            state=state,
            stream=writer.document.stream,
            archived_end=writer.synced,
            current_as_of_ms=current,
        )
        # Bytes that went in prove that whatever was wrong is over.
        self.status = replace(status, code="", message="", hint="") if current_as_of_ms else status

    async def _break_off(self, error: AppError) -> None:
        """End the stream; the next attempt begins another one."""
        reason = str(error)
        self._note(ArchiverState.BROKEN, error)
        await run_in_thread(lambda: self._end_stream(reason))
        self.status = replace(
            self.status,
            broken_at=self._clock.now().isoformat(),
            broken_because=reason,
            archived_end=None,
            current_as_of_ms=0,
        )
        if self._on_break is not None:
            await self._on_break(reason)

    def _end_stream(self, reason: str) -> None:
        found = current_stream(self._root)
        if found is None:
            return
        directory = stream_directory(self._root.path, found.stream)
        with suppress(AppError):  # of a damaged one nothing more can be sealed
            StreamWriter.resume(directory, self._codec, self._keys).end(self._now_ms)
        ended_at = self._clock.now().isoformat()
        change_stream_document(
            directory,
            lambda document: replace(document, ended_at=ended_at, ended_because=reason),
        )
