"""What a restore would do, found out without doing it: dry runs, drills and options."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.archive.file.reader import ArchiveReader
from app.concurrency import shielded
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.restores.dry_run import Estimate, Forecast
from app.domain.restores.journal import Journal, RestoreId, RestoreKind, RestorePhase, SchemaSwap
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestoreRequest
from app.domain.restores.results import DrillResult, Options
from app.domain.runs.progress import Phase, Progress
from app.engine.load.inventory import prove_inventory
from app.engine.load.objects import apply_objects, read_archived_objects
from app.engine.server.connection import Session
from app.engine.server.grants import may_skip_log, read_grants
from app.errors import AppError, InvalidRequestError, PermissionDeniedError
from app.services.restores.dry_run import Forecaster
from app.services.restores.plan import plan_loads
from app.services.restores.restore import Parts, Restoration
from app.storage.journals import new_restore_id


# Bytes of SQL a second, restored and proven, where nothing was measured yet: the shop of the
# benchmarks on two cores that the server shares.
_TYPICAL_RATE: Final = 18e6


class Rehearsals:
    """Rehearses restores."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._forecaster = Forecaster(parts.server)

    async def forecast(self, request: RestoreRequest, progress: Progress) -> Forecast:
        """
        Find out what a restore would do, and what it would be refused for.

        Returns:
            Everything; nothing was changed.

        Raises:
            BackupNotFoundError: No such backup.
            TableNotFoundError: A pattern matches nothing in the backup.
            DatabaseError: The server fails us.
        """
        began = self._parts.clock.monotonic()
        reader = await asyncio.to_thread(self._parts.catalogue.open, request.backup_id)
        with reader:
            loads = plan_loads(reader.manifest, request, new_restore_id())
            progress.enter(Phase.PREFLIGHT)
            report = await self._parts.preflight.examine(reader, loads, request)
            damage = await self._damage(reader, request, progress)
            progress.enter(Phase.COMPARE)
            tables = await self._forecaster.tables(reader.manifest, report.loads, progress)
            objects = await self._forecaster.objects(report.loads)
            keys = await self._forecaster.incoming_foreign_keys(report.loads)
            estimate = await self._estimate(reader.manifest, report.loads)
        rule, refusals = await self._log_rule(request)
        return Forecast(
            backup_id=reader.manifest.backup_id,
            problems=(*refusals, *damage, *report.problems),
            verified=not damage if request.verify_before else None,
            tables=tables,
            objects=objects,
            compatibility=report.compatibility,
            missing_rights=report.missing_rights,
            incoming_foreign_keys=keys,
            space=report.space,
            estimate=estimate,
            binary_log=rule,
            duration=round(self._parts.clock.monotonic() - began, 3),
        )

    async def options(self, backup_id: str) -> Options:
        """
        Say what can be done with a backup here.

        Returns:
            Everything; nothing was changed, and the file was not read.

        Raises:
            BackupNotFoundError: No such backup.
            DatabaseError: The server fails us.
        """
        request = RestoreRequest(backup_id)
        reader = await asyncio.to_thread(self._parts.catalogue.open, backup_id)
        with reader:
            loads = plan_loads(reader.manifest, request, new_restore_id())
            report = await self._parts.preflight.examine(reader, loads, request)
            estimate = await self._estimate(reader.manifest, loads)
        return Options(
            manifest=reader.manifest,
            problems=report.problems,
            compatibility=report.compatibility,
            missing_rights=report.missing_rights,
            space=report.space,
            estimate=estimate,
            proofs=await asyncio.to_thread(self._parts.catalogue.proofs, backup_id),
            undoable=tuple(
                journal
                for journal in await self._parts.swaps.journals()
                if journal.phase is RestorePhase.DONE
                and journal.kind is RestoreKind.RESTORE
                and journal.backup_id == backup_id
            ),
        )

    async def drill(self, request: RestoreRequest, progress: Progress) -> DrillResult:
        """
        Restore into schemas of its own, prove, and drop them; the result is kept with the backup.

        Events are made but do not fire. Foreign keys on other databases are left out: they would
        bind the live ones.

        Returns:
            What was shown.

        Raises:
            AppError: The backup cannot be restored here; that is kept as well.
        """
        began = self._parts.clock.monotonic()
        request = replace(request, verify_after=True)  # a drill that proves nothing is none
        reader = await asyncio.to_thread(self._parts.catalogue.open, request.backup_id)
        with reader:
            restore_id = new_restore_id()
            loads = self._scratch_loads(reader.manifest, request, restore_id)
            restoration = Restoration(self._parts, reader, request, progress)
            try:
                await self._rehearse(restoration, reader, loads, restore_id)
            except AppError as exc:  # a drill that was cancelled has shown nothing
                seconds = round(self._parts.clock.monotonic() - began, 3)
                await restoration.record("drill", loads, seconds, error=exc.code)
                raise
            seconds = round(self._parts.clock.monotonic() - began, 3)
            await restoration.record("drill", loads, seconds)
        return DrillResult(
            backup_id=reader.manifest.backup_id,
            databases=tuple(load.entry.name for load in loads),
            tables_count=sum(len(load.entry.tables) for load in loads),
            rows_count=sum(table.rows for load in loads for table in load.entry.tables),
            duration=seconds,
            warnings=tuple(restoration.warnings),
        )

    # -- steps ------------------------------------------------------------------------------------

    def _scratch_loads(
        self, manifest: Manifest, request: RestoreRequest, restore_id: RestoreId
    ) -> list[DatabaseLoad]:
        """Name scratch schemas as the targets, so that nothing live is looked at or locked."""
        return [
            replace(load, target=load.staging)
            for load in plan_loads(manifest, replace(request, into=""), restore_id)
        ]

    async def _rehearse(
        self,
        restoration: Restoration,
        reader: ArchiveReader,
        loads: Sequence[DatabaseLoad],
        restore_id: RestoreId,
    ) -> None:
        """Load, prove, and drop, whatever happens."""
        logged = not await self._may_skip_log()
        async with self._parts.swaps.locked([load.target for load in loads], logged=logged) as held:
            await self._parts.preflight.require(reader, loads, RestoreRequest(""))
            await restoration.verify()
            await self._parts.swaps.note(self._journal(reader, loads, restore_id, logged=logged))
            try:
                load = await restoration.load(held, loads, logged=logged)
                restoration.warnings += [
                    f"foreign key {key.name} of {key.table} on {key.parent_database}.{key.parent}"
                    " was not rehearsed"
                    for key in load.deferred
                ]
                await self._rehearse_objects(restoration, held, reader, loads)
            finally:
                await held.close()
                await shielded(self._parts.swaps.recover(restore_id, forward=False))

    async def _rehearse_objects(
        self,
        restoration: Restoration,
        session: Session,
        reader: ArchiveReader,
        loads: Sequence[DatabaseLoad],
    ) -> None:
        for load in loads:
            wanted = await read_archived_objects(reader, reader.manifest, load)
            restoration.warnings += await apply_objects(
                session, load.place, wanted, enable_events=False
            )
            restoration.warnings += await prove_inventory(
                session, reader.manifest, load, live=False
            )

    async def _may_skip_log(self) -> bool:
        """Tell whether scratch schemas, which nobody else ever sees, can stay out of the binary log."""
        async with self._parts.server.session() as session:
            grants = await read_grants(session)
        return may_skip_log(grants)

    def _journal(
        self,
        reader: ArchiveReader,
        loads: Sequence[DatabaseLoad],
        restore_id: RestoreId,
        *,
        logged: bool,
    ) -> Journal:
        return Journal(
            restore_id=restore_id,
            kind=RestoreKind.DRILL,
            backup_id=reader.manifest.backup_id,
            server=self._parts.server.where,
            began_at=self._parts.clock.now(),
            phase=RestorePhase.LOADING,
            swaps=tuple(SchemaSwap(load.place, load.place, "") for load in loads),
            logged=logged,
        )

    async def _log_rule(self, request: RestoreRequest) -> tuple[str, list[AppError]]:
        try:
            return await self._parts.preflight.log_rule(request), []
        except (InvalidRequestError, PermissionDeniedError) as exc:
            return "skipped", [exc]

    async def _damage(
        self, reader: ArchiveReader, request: RestoreRequest, progress: Progress
    ) -> list[AppError]:
        if not request.verify_before:
            return []
        progress.enter(Phase.VERIFY)
        try:
            await reader.verify(VerifyLevel.HASHES)
        except AppError as exc:
            return [exc]
        return []

    async def _estimate(self, manifest: Manifest, loads: Sequence[DatabaseLoad]) -> Estimate:
        """Scale what was measured, or a typical rate, to the SQL that is to be loaded."""
        size = sum(table.raw_size for load in loads for table in load.entry.tables)
        proofs = await asyncio.to_thread(self._parts.catalogue.proofs, manifest.backup_id)
        # What one small table took says little about all of them.
        measured = [
            proof
            for proof in proofs
            if proof.success and proof.seconds and 2 * proof.raw_size > size
        ]
        if measured:
            rate = measured[0].raw_size / measured[0].seconds
            return Estimate(round(size / rate, 1), measured[0].by)
        return Estimate(round(1 + size / _TYPICAL_RATE, 1), "typical rate")
