"""Recoveries to a point in time: from a backup and the binary log to another backup."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.layout import root_of, stream_directory
from app.binlog.archive.pruning import leased, leased_streams
from app.binlog.archive.reading import ArchivedStream, open_stream
from app.concurrency import shielded
from app.domain.backups.backup import BackupRequest, nearest_first
from app.domain.backups.base import RecoveredState
from app.domain.backups.manifest import Codec, Manifest
from app.domain.ports import Clock
from app.domain.restores.points import Point, RecoverPlan, RecoverRequest, RecoveryDrill
from app.domain.runs.progress import Phase, Progress
from app.engine.flavor import VIRTUAL_SCHEMAS
from app.engine.replay.databases import create_missing, require_no_key_outside, those_there
from app.engine.replay.definers import make_definers
from app.engine.replay.event_changes import EventStatuses
from app.engine.replay.events import read_statuses, set_statuses
from app.engine.replay.prepared import roll_back_prepared
from app.errors import (
    AppError,
    BaseUnfitError,
    NoIdentityError,
    PointNotCoveredError,
    RecoverMismatchError,
    RefusedError,
    ReplayFailedError,
    StatementError,
)
from app.services.backups.service import BackupService
from app.services.point_in_time.archive_end import (
    NO_ARCHIVE,
    end_of,
    require_current,
    told_by_archiver,
)
from app.services.point_in_time.disk import measured
from app.services.point_in_time.drill import DrillPlan, plan_drill, proof_of, require_equal
from app.services.point_in_time.plan import plan_recovery
from app.services.point_in_time.relay_logs import databases_used, lay_relay_logs, read_statements
from app.services.point_in_time.replay import describe_failed, enforced_engine, replay
from app.services.point_in_time.scratch import Scratch, ScratchPlace, scratch_for
from app.services.point_in_time.standing import holds_position, place_of, planned_in


Plan = TypeVar("Plan")

_log: Final = logging.getLogger(__name__)
_PRUNED: Final = "what it needs of the archive of the binary log was deleted meanwhile"


class PointInTimeService:
    """
    Makes backups of points in time; the server itself is not asked and not touched.

    Args:
        backup_dir: Where the archive of the binary log is.
        log_keys: Who reads it.
        codec: How recovered backups are compressed.
        chunk_bytes: Target size of their statements.
        lag_seconds: How far the archive may be behind the server for its end to count as now.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        clock: Clock,
        place: ScratchPlace,
        backup_dir: Path,
        log_keys: LogKeys = PLAIN,
        codec: Codec,
        chunk_bytes: int,
        lag_seconds: float = 300.0,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._place = place
        self._backup_dir = backup_dir
        self._log_keys = log_keys
        self._codec = codec
        self._chunk_bytes = chunk_bytes
        self._lag_seconds = lag_seconds

    async def plan(self, request: RecoverRequest) -> RecoverPlan:
        """
        Plan a recovery; reads the archive, changes nothing.

        Args:
            request: What is asked for.

        Returns:
            The base, the cut and its neighbours.

        Raises:
            PointNotCoveredError: The archive does not reach to the point, or no backup before it.
            PointInsideTransactionError: A position lies inside a transaction.
            BaseUnfitError: Backups are old enough, and none is a base.
            DatabaseNotFoundError: The base does not hold a database.
            BinlogDamagedError: The archive is not what was written.
            NoIdentityError: The archive is encrypted for others.
        """
        return await asyncio.to_thread(self._plan, request)

    async def plan_newest(self, backup: BackupRequest) -> RecoverPlan:
        """
        Plan a recovery up to the end of the archive; reads the archive, changes nothing.

        Args:
            backup: What is wanted, and how it is made.

        Returns:
            The plan.

        Raises:
            PointNotCoveredError: There is no archive, nobody keeps it up to date, or no backup is in it.
            AppError: As `plan`.
        """
        return await asyncio.to_thread(self._plan_newest, backup)

    async def recover(self, plan: RecoverPlan, progress: Progress | None = None) -> Manifest:
        """
        Recover; when this returns, the recovered backup exists and was read back.

        Args:
            plan: Of this service.
            progress: Written to as it goes.

        Returns:
            The manifest of the recovered backup.

        Raises:
            ScratchUnavailableError: No scratch server can be had.
            StorageFullError: There is too little room for it.
            ReplayFailedError: A transaction was not taken.
            RecoverMismatchError: What was applied is not what the log holds.
            AppError: What a restore, a backup or the archive may raise. Nothing is left behind.
        """
        progress = progress or Progress()
        facts = {"base": plan.base.backup_id, "point": plan.request.point.text}
        _log.info("Starting recovery to a point in time", extra={"facts": facts})
        plan.require_possible()
        for caution in plan.cautions:
            progress.note(caution)
        async with self._leased(plan.stream) as stream:
            progress.enter(Phase.SCRATCH)
            async with scratch_for(plan, stream, self._place) as scratch:
                await self.bring(scratch, plan, stream, progress)
                manifest = await self._back_up(scratch, plan, progress)
        facts["backup_id"] = manifest.backup_id
        _log.info("Recovery completed successfully", extra={"facts": facts})
        return manifest

    async def made(self, backup_id: str) -> Manifest:
        """Read the manifest of a backup that a recovery has made; raises BackupNotFoundError."""
        return await asyncio.to_thread(self._catalogue.manifest, backup_id)

    async def plan_drill(self, backup_id: str = "", *, threads: int = 2) -> DrillPlan:
        """
        Plan a drill; reads the archive, changes nothing.

        Args:
            backup_id: The newer of the two backups; empty = the newest that can be a base.
            threads: Connections.

        Returns:
            The plan.

        Raises:
            BackupNotFoundError: No such backup.
            BaseUnfitError: It has no place in the archive, or no older one can be a base.
            PointNotCoveredError: There is no archive, or it does not reach.
            BinlogDamagedError: The archive is not what was written.
        """
        return await asyncio.to_thread(self._plan_drill, backup_id, threads)

    async def drill(self, plan: DrillPlan, progress: Progress | None = None) -> RecoveryDrill:
        """
        Prove that a backup is what an older one and the binary log between them give.

        Nothing else finds what was changed past the log. Nothing of it stays but its result, beside the backup.

        Args:
            plan: Of this service.
            progress: Written to as it goes.

        Returns:
            What was shown.

        Raises:
            RecoverMismatchError: A table or an object is another one.
            ReplayFailedError: A transaction was not taken.
            AppError: As `recover`.
        """
        progress, began = progress or Progress(), self._clock.monotonic()
        plan.recovery.require_possible()
        try:
            await self._drill(plan, progress)
        except (RecoverMismatchError, ReplayFailedError) as exc:
            await self._keep(plan, began, exc.code)
            raise
        seconds = await self._keep(plan, began)
        return RecoveryDrill(
            base=plan.recovery.base.backup_id,
            backup_id=plan.backup.backup_id,
            transactions=plan.recovery.cut.transactions,
            tables_count=plan.backup.tables_count,
            rows_count=plan.backup.rows_count,
            duration=seconds,
        )

    async def _drill(self, plan: DrillPlan, progress: Progress) -> None:
        async with self._leased(plan.recovery.stream) as stream:
            progress.enter(Phase.SCRATCH)
            async with scratch_for(plan.recovery, stream, self._place) as scratch:
                await self.bring(scratch, plan.recovery, stream, progress)
                progress.enter(Phase.COMPARE)
                await require_equal(scratch, plan, self._catalogue, self._clock)

    async def _keep(self, plan: DrillPlan, began: float, error: str = "") -> float:
        """Keep what a drill has shown beside its backup; a medium that refuses hides no result."""
        seconds = round(self._clock.monotonic() - began, 3)
        server = f"{plan.backup.server.vendor} {plan.backup.server.version}"
        proof = proof_of(plan, self._clock.now(), seconds, server, error)
        try:
            await asyncio.to_thread(self._catalogue.add_proof, plan.backup.backup_id, proof)
        except AppError as exc:
            facts = {"backup_id": plan.backup.backup_id, "error": str(exc)}
            _log.warning("Result of a drill could not be kept", extra={"facts": facts})
        return seconds

    async def bring(
        self, scratch: Scratch, plan: RecoverPlan, stream: ArchivedStream, progress: Progress
    ) -> None:
        """Bring a scratch server to the point: base, logs, replay, comparison; raises as `recover`."""
        async with scratch.server.session() as session:
            await make_definers(session, plan.base, plan.cut.definers)
        await self._restore_base(scratch, plan, progress.within())
        async with scratch.server.session() as session:
            await require_no_key_outside(session, plan.databases)
            statuses = EventStatuses(await read_statuses(session))
        progress.enter(Phase.REPLAY)
        progress.expect(tables=0, rows=0, size=plan.log_bytes)
        base = place_of(stream, plan.base)
        if base is None or not holds_position(stream, plan.base):
            raise PointNotCoveredError(_PRUNED)
        start = await asyncio.to_thread(lay_relay_logs, stream, base, plan.cut.place, scratch.data)
        async with scratch.server.session() as session:
            if plan.databases:
                used = await asyncio.to_thread(databases_used, scratch.data, plan.databases)
                await create_missing(session, used - {*plan.databases} - VIRTUAL_SCHEMAS)
        describe = partial(describe_failed, stream, plan.base)
        async with enforced_engine(scratch.server, stream.settings):
            await replay(scratch.server, start, plan.cut, progress, describe)
        async with scratch.server.session() as session:
            await require_no_key_outside(session, plan.databases)
            await self._settle_events(scratch, statuses, progress)

    async def _restore_base(self, scratch: Scratch, plan: RecoverPlan, progress: Progress) -> None:
        """Restore the base; some databases alone may need what was left out."""
        try:
            await scratch.restore(plan, self._catalogue, self._clock, progress)
        except (RefusedError, StatementError) as exc:
            if not plan.databases:
                raise
            chosen = ", ".join(plan.databases)
            raise BaseUnfitError(
                f"backup {plan.base.backup_id} cannot be restored with no other database than {chosen}:"
                f" {exc}",
                hint="Recover all databases.",
            ) from exc

    async def _settle_events(
        self, scratch: Scratch, statuses: EventStatuses, progress: Progress
    ) -> None:
        """Give events the status that the log says: a replay disables what it makes and alters."""
        async with scratch.server.session() as session:
            if not await read_statuses(session):
                return
            await asyncio.to_thread(_take_statements, scratch, statuses)
            for label in await set_statuses(session, statuses):
                progress.note(f"event {label} stays disabled: the log does not say what it was")

    async def _back_up(self, scratch: Scratch, plan: RecoverPlan, progress: Progress) -> Manifest:
        """Back up the scratch server as what it is: the source at another time."""
        async with scratch.server.session() as session:
            prepared = await roll_back_prepared(session)
            databases = await those_there(session, plan.databases)
        position = replace(plan.cut.position, prepared=prepared)
        backups = BackupService(
            scratch.server,
            self._catalogue,
            self._clock,
            RecoveredState(plan.base.backup_id, plan.stream, position, plan.base.server.server_id),
        )
        asked = plan.request.backup or BackupRequest(
            description=f"Recovered to {plan.request.point.words}",
            codec=self._codec,
            chunk_bytes=self._chunk_bytes,
        )
        request = replace(asked, databases=databases, threads=plan.request.threads)
        return await backups.create(request, progress)

    # -- the archive and the backups beside it -----------------------------------------------------

    def _plan(self, request: RecoverRequest) -> RecoverPlan:
        told = told_by_archiver(self._backup_dir)
        plan = self._first(
            lambda stream: plan_recovery(stream, self._manifests(request.databases), request, told),
            request.point,
        )
        return measured(plan, self._place.root)

    def _plan_newest(self, backup: BackupRequest) -> RecoverPlan:
        now = self._clock.now()
        growing = require_current(self._backup_dir, now, self._lag_seconds)
        # Another stream ends in the past: what comes of it would look newer than it is.
        with leased_streams(self._backup_dir, self._log_keys) as streams:
            stream = next((found.open() for found in streams if found.id == growing), None)
            if stream is None or stream.document.ended_at:
                raise PointNotCoveredError("the archive of the binary log has just been broken off")
            point = end_of(stream, now)
            request = RecoverRequest(point, backup.databases, backup.threads, backup, is_whole=True)
            plan = plan_recovery(stream, self._manifests(request.databases), request)
        return measured(plan, self._place.root)

    def _plan_drill(self, backup_id: str, threads: int) -> DrillPlan:
        wanted = self._catalogue.manifest(backup_id) if backup_id else None
        plan = self._first(lambda stream: plan_drill(stream, self._manifests(), wanted, threads))
        return replace(plan, recovery=measured(plan.recovery, self._place.root))

    def _first(self, plan: Callable[[ArchivedStream], Plan], point: Point | None = None) -> Plan:
        """Plan with the newest stream that reaches to the point; one that is damaged is in the way of older ones."""
        with leased_streams(self._backup_dir, self._log_keys) as streams:
            if not streams:
                raise PointNotCoveredError("there is no archive of the binary log", hint=NO_ARCHIVE)
            return planned_in((stream.open() for stream in reversed(streams)), plan, point)

    @asynccontextmanager
    async def _leased(self, stream_id: str) -> AsyncIterator[ArchivedStream]:
        """Open a stream, of which nothing is removed for the length of the block."""
        directory = stream_directory(root_of(self._backup_dir), stream_id)
        with ExitStack() as lease:

            def take() -> ArchivedStream:
                if not directory.is_there():
                    raise PointNotCoveredError(_PRUNED)
                lease.enter_context(leased(directory))
                return open_stream(directory, self._log_keys)

            yield await shielded(asyncio.to_thread(take))

    def _manifests(self, wanted: Sequence[str] = ()) -> Iterator[Manifest]:
        """
        Read manifests; a damaged one is no base, and whoever lists backups is told.

        Yields:
            They, newest first, those last that hold not all databases that are wanted.

        Raises:
            NoIdentityError: None was a base, and one is encrypted for others.
        """
        locked: NoIdentityError | None = None
        reading = self._catalogue.read(anew=True)
        for entry in nearest_first(reading.survey.entries, wanted):
            facts = {"backup_id": str(entry.backup_id)}
            if failed := reading.beside[entry.backup_id].notes.failure:
                facts["error"] = f"a check found {failed.error}"
                _log.warning("Backup cannot be a base", extra={"facts": facts})
                continue
            try:
                yield self._catalogue.manifest(entry.backup_id)
            except NoIdentityError as exc:
                locked = locked or exc
            except AppError as exc:
                facts["error"] = str(exc)
                _log.warning("Backup cannot be a base", extra={"facts": facts})
        if locked is not None:
            raise locked


def _take_statements(scratch: Scratch, statuses: EventStatuses) -> None:
    for database, text in read_statements(scratch.data):
        statuses.accept(database, text)
