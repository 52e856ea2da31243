"""
Archives the binary log of one server for as long as it runs.

1. One archiver a directory: a lock says so.
2. Connect, ask whether the log may be archived, and go on with the stream that has not ended.
3. Let the last transaction come again, then take what follows; sync it every second, seal it by size and age.
4. Without a byte for three heartbeats, or after any other failure of the connection: connect again.
5. What cannot follow ends the stream. So does a log that must not be archived: it lacks what is changed until
   it may be again. When the next one begins, a full backup is asked for.
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
from app.binlog.archive.streams import change_stream_document, note_break
from app.binlog.archive.writing import StreamWriter
from app.binlog.events.headers import POSITIONS, Place
from app.binlog.intake import Intake
from app.binlog.moments import NEVER, Moment, Moments
from app.binlog.overlap import BREAKS, Overlap
from app.binlog.ownership import Ownership, current_stream, newest_end
from app.binlog.preflight import Inspection, inspect
from app.binlog.rhythm import Pace, Rhythm
from app.binlog.session import LogStream, begin_dump
from app.binlog.status import ArchiverStatus
from app.concurrency import heed_cancellation, run_in_thread, shielded, together
from app.domain.backups.manifest import Codec
from app.domain.ports import Clock
from app.domain.restores.log_archive import ArchiverState, LogBreak
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.errors import (
    AlreadyRunningError,
    AppError,
    BinlogBrokenError,
    BinlogDuplicateReaderError,
    BinlogOffError,
    BinlogRightsError,
    StalledError,
    StatementError,
)
from app.storage.local import LocalDirectory


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
# Whatever its text: the server cannot send what follows.
_CANNOT_GO_ON: Final = 1236
_SAME_ID: Final = 4052
# What is read sooner had been there before.
_WAIT_SECONDS: Final = 0.05


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
        Make one that does nothing.

        Args:
            server: Whose log it is.
            root: The folder of the archive.
            clock: The time.
            codec: How segments are compressed.
            keys: For whom it is encrypted.
            pace: How fast things happen.
            on_break: Called with a reason when a stream has begun because another one had ended.
        """
        self.status = ArchiverStatus(ArchiverState.OFF)
        self._server = server
        self._root = root
        self._clock = clock
        self._moments = Moments(clock)
        self._codec = codec
        self._keys = keys
        self._pace = pace or Pace()
        self._on_break = on_break
        self._failures = 0
        self._is_told = False
        self._base_lacks_because = ""
        # Not for each of many streams that end where they have begun: one must have been live since the last time.
        self._may_ask = True
        # Where the archive ended when the server was asked last, and nothing was against it.
        self._looked: Place | None = None
        self._is_doubted = False
        self._require: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """
        Archive until this task is cancelled; what was received is synced then.

        Raises:
            AlreadyRunningError: Another archiver has the directory, or has got it since.
            StorageError: The directory cannot be made.
        """
        ownership = await run_in_thread(lambda: Ownership.take(self._root))
        self._require = ownership.require
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
        except BREAKS as exc:
            await self._break_off(exc)
        except AlreadyRunningError:
            raise
        except AppError as exc:
            is_refused = isinstance(exc, BinlogRightsError)
            self._note(ArchiverState.REFUSED if is_refused else ArchiverState.STALLED, exc)
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
        found, _ = await run_in_thread(lambda: current_stream(self._root, self._keys))
        session = await self._answered(self._server.open())
        try:
            inspection = await self._look(session, found)
            writer, overlap = await run_in_thread(lambda: self._open(inspection))
            try:
                self._looked = writer.synced
                await self._ask_for_base()
                await together(
                    self._stream(session, ownership.server_id, writer, overlap),
                    self._look_again(writer.document),
                )
            finally:
                await shielded(run_in_thread(lambda: self._close(writer)))
        finally:
            await session.close()

    async def _look(self, session: Session, document: StreamDocument | None) -> Inspection:
        """Ask whether the log may be archived, and is of what it was; raises BinlogOffError, BinlogBrokenError."""
        encrypts = bool(await run_in_thread(self._keys.backups.recipients))
        inspection = await self._answered(inspect(session, self._server.where, encrypts=encrypts))
        self.status = replace(self.status, findings=inspection.findings)
        self._is_doubted = True
        inspection.require(document.settings if document else None)
        self._is_doubted = False
        return inspection

    async def _look_again(self, document: StreamDocument) -> None:
        """Ask so from time to time: a server may become a replica that logs nothing, or be set to something else."""
        while True:
            await asyncio.sleep(self._pace.look_seconds)
            place = self.status.archived_end
            try:
                session = await self._answered(self._server.open())
                try:
                    await self._look(session, document)
                finally:
                    await session.close()
            except BREAKS:
                raise
            except AppError:  # whatever it is, the log itself comes
                continue
            self._looked = place

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
        return self._moments.now().ms

    def _open(self, inspection: Inspection) -> tuple[StreamWriter, Overlap | None]:
        """Go on with the stream that has not ended, or begin one with the server's newest file; blocks."""
        self._require()
        found, wrong = current_stream(self._root, self._keys)
        if found is None:
            if wrong is not None and not self._is_told:
                raise wrong  # as after any other break, no base stands in what begins
            document = self._new_document(inspection)
            self._base_lacks_because = self.status.broken_because or newest_end(self._root)
            directory = stream_directory(self._root.path, document.stream)
            writer = StreamWriter.begin(directory, document, self._codec, self._keys)
            writer.guard = self._require
            return writer, None
        directory = stream_directory(self._root.path, found.stream)
        writer = StreamWriter.resume(directory, self._codec, self._keys)
        writer.guard = self._require
        try:
            writer.settle(self._now_ms)
        except BaseException:
            writer.close()
            raise
        end = Place(writer.file, writer.scan.position)
        self._show(writer, NEVER)
        if writer.last is None and not writer.scan.header and not writer.size:
            return writer, None
        try:
            overlap = Overlap(open_stream(directory, self._keys), writer.last, end)
        except BaseException:
            writer.close()
            raise
        return writer, None if overlap.is_over else overlap

    def _new_document(self, inspection: Inspection) -> StreamDocument:
        name = inspection.place.name
        number = file_number(name)
        if number is None:
            raise BinlogOffError(f"{name}: a file of a binary log ends in a number")
        return StreamDocument(
            stream=new_stream_id(),
            began_at=self._clock.now().isoformat(),
            identity=inspection.identity,
            settings=inspection.settings,
            first_file=name,
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
        intake = Intake(writer, overlap, self._moments)
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
                is_new, began = reading is None, rhythm.now
                reading = reading or asyncio.create_task(stream.read())
                await asyncio.wait({reading}, timeout=rhythm.wait_seconds)
                if reading.done():
                    intake.hear(waited=not is_new or rhythm.now - began >= _WAIT_SECONDS)
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
        # Or it would tell of more than a power cut leaves.
        if intake.overlap is None and not rhythm.unsynced_bytes:
            self._show(writer, intake.current)
            if self.status.state is ArchiverState.LIVE:
                self._may_ask = True
                await self._ask_for_base()

    def _show(self, writer: StreamWriter, known: Moment) -> None:
        current = self.status.current.later(known)
        state = self.status.state
        if known is not NEVER:
            is_live = self._moments.age_seconds(current) <= self._pace.silence_seconds
            state = ArchiverState.LIVE if is_live else ArchiverState.CATCHING_UP
            if is_live:
                self._failures = 0
        status = replace(
            self.status,
            state=state,
            stream=writer.document.stream,
            archived_end=writer.synced,
            current_as_of_ms=current.ms,
            boot_id=self._moments.boot_id,
            boot_seconds=current.boot_seconds,
        )
        if known is not NEVER:  # bytes that went in prove that whatever was wrong is over
            status = replace(status, code="", message="", hint="")
        self.status = status

    async def _ask_for_base(self) -> None:
        """Ask for a full backup where a stream has begun in which none can stand."""
        if self._base_lacks_because and self._on_break is not None and self._may_ask:
            self._may_ask = False
            await self._on_break(self._base_lacks_because)
            self._base_lacks_because = ""

    async def _break_off(self, error: AppError) -> None:
        """End the stream, if one goes on; an attempt that may begins another one."""
        reason = str(error)
        is_refused = isinstance(error, BinlogOffError)
        self._note(ArchiverState.REFUSED if is_refused else ArchiverState.BROKEN, error)
        if not await run_in_thread(lambda: self._end_stream(reason)) and is_refused:
            return
        self._is_told = True
        self.status = replace(
            self.status,
            broken_at=self._clock.now().isoformat(),
            broken_because=reason,
            archived_end=None,
            current_as_of_ms=0,
            boot_seconds=0.0,
        )

    def _end_stream(self, reason: str) -> bool:
        self._require()
        found, _ = current_stream(self._root, self._keys)
        if found is None:
            return False
        directory = stream_directory(self._root.path, found.stream)
        now, place = self._clock.now().isoformat(), self._looked
        if self._is_doubted and place is not None:  # what was logged since may lack something
            number = file_number(place.name) or 0
            note_break(directory, LogBreak(now, number, place.position, reason), self._keys)
        with suppress(AppError):  # of a damaged one nothing more can be sealed
            StreamWriter.resume(directory, self._codec, self._keys).end(self._now_ms)
        change_stream_document(
            directory,
            lambda document: replace(document, ended_at=now, ended_because=reason),
            self._keys,
        )
        return True
