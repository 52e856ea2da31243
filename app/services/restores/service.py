"""Recoveries: backups loaded again, proven, put in the place of live data, and undone."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import shielded
from app.domain.backups.manifest import Manifest
from app.domain.ports import Clock
from app.domain.restores.dry_run import Forecast
from app.domain.restores.journal import Journal, RestoreKind, RestorePhase
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.repair import RepairResult
from app.domain.restores.restore import RestoreRequest, RestoreResult
from app.domain.restores.results import DrillResult, Options
from app.domain.runs.progress import Phase, Progress
from app.engine.load.inventory import prove_definitions, prove_inventory
from app.engine.rows.proof import prove_tables
from app.engine.schema.tables import Table
from app.engine.server.connection import Server
from app.errors import RestoreNotFoundError, UndoExpiredError
from app.services.backups.service import BackupService
from app.services.restores.connections import load_sessions
from app.services.restores.crash_recovery import Repairs
from app.services.restores.plan import plan_loads
from app.services.restores.preflight import Preflight
from app.services.restores.rehearsals import Rehearsals
from app.services.restores.restore import Parts, Restoration, point_to_repair
from app.services.restores.swap import SwapReport, Swaps
from app.storage.journals import Journals, new_restore_id


_log: Final = logging.getLogger(__name__)
_SKIP: Final = "skipped"
_SKIPPED: Final = (
    "the restore is not in the binary log: make a new backup now, changes after an older one cannot be"
    " applied from the log any more"
)
_TOO_LATE: Final = "it was stopped when it was done already; what it had counted is lost"
_NO_FENCE: Final = (
    "this user may not set read_only: what others wrote in the moment between the swap and the triggers"
    " missed the triggers"
)


class RecoveryService:
    """Restores backups."""

    def __init__(
        self,
        server: Server,
        catalogue: Catalogue,
        clock: Clock,
        journals: Journals,
        *,
        undo_minutes: float = 60.0,
    ) -> None:
        self._parts = Parts(
            server=server,
            catalogue=catalogue,
            clock=clock,
            backups=BackupService(server, catalogue, clock),
            swaps=Swaps(server, journals, clock),
            preflight=Preflight(server),
            undo_minutes=undo_minutes,
        )
        self._rehearsals = Rehearsals(self._parts)
        self._repairs = Repairs(self._parts)

    async def restore(
        self, request: RestoreRequest, progress: Progress | None = None
    ) -> RestoreResult:
        """
        Restore; when this returns, the data was compared and is in its place.

        Until the tables change places, all at once, the live databases are not touched. On any
        failure, and when it is cancelled, they are as they were.

        Args:
            request: What and how.
            progress: Written to as it goes.

        Returns:
            What was done.

        Raises:
            BackupNotFoundError: No such backup.
            TableNotFoundError: A pattern matches nothing in the backup.
            RefusedError: The server cannot take it.
            ConflictError: Others are in the way.
            DatabaseError: The server failed us.
            IntegrityError: The backup is damaged, or what was loaded differs.
        """
        progress = progress or Progress()
        began = self._parts.clock.monotonic()
        progress.enter(Phase.CONNECT)
        await self.repair()
        rule = await self._parts.preflight.log_rule(request)
        reader = await asyncio.to_thread(self._parts.catalogue.open, request.backup_id)
        with reader:
            restore_id = new_restore_id()
            progress.name(restore_id=restore_id)
            loads = plan_loads(reader.manifest, request, restore_id)
            facts = {"backup_id": reader.manifest.backup_id, "restore_id": restore_id}
            _log.info("Starting restore", extra={"facts": facts})
            restoration = Restoration(self._parts, reader, request, progress)
            journal, report = await restoration.run(restore_id, loads, logged=rule != _SKIP)
            seconds = round(self._parts.clock.monotonic() - began, 3)
            await restoration.record("restore", loads, seconds)
            _log.info("Restore completed successfully", extra={"facts": facts})
        report.warnings[:0] = restoration.warnings
        return replace(
            _counted(_result(journal, report, seconds), loads, reader.manifest),
            verified_before=request.verify_before,
            verified=request.verify_after,
            binary_log=rule,
        )

    async def rehearse(self, request: RestoreRequest, progress: Progress | None = None) -> Forecast:
        """Find out what a restore would do, without doing it; see `Rehearsals.forecast`."""
        return await self._rehearsals.forecast(request, progress or Progress())

    async def drill(self, request: RestoreRequest, progress: Progress | None = None) -> DrillResult:
        """Restore into schemas that are dropped again, and keep the result with the backup."""
        await self.repair()
        return await self._rehearsals.drill(request, progress or Progress())

    async def options(self, backup_id: str) -> Options:
        """Say what can be done with a backup here; see `Rehearsals.options`."""
        return await self._rehearsals.options(backup_id)

    async def undo(self, name: str, progress: Progress | None = None) -> RestoreResult:
        """
        Bring back what a restore has replaced; what it brought is kept in its place.

        Args:
            name: Id of a restore, or of a backup whose newest restore is meant.
            progress: Written to as it goes.

        Returns:
            What was done; it can itself be undone.

        Raises:
            RestoreNotFoundError: No such restore.
            UndoExpiredError: The old tables are not kept any more; the hint names the recovery point.
            TablesInUseError: Others did not let go of the tables; nothing was changed.
        """
        progress = progress or Progress()
        began = self._parts.clock.monotonic()
        progress.enter(Phase.CONNECT)
        await self.repair()
        journal = await self.find(name)
        written = await self._parts.preflight.log_rule(RestoreRequest(name))
        swaps = self._parts.swaps
        async with swaps.locked(journal.targets, logged=journal.logged) as session:
            undo = await swaps.plan_undo(session, journal)
            progress.name(backup_id=undo.backup_id, restore_id=undo.restore_id)
            progress.enter(Phase.SWAP)
            try:
                undo, report = await swaps.swap(session, undo)
                minutes = self._parts.undo_minutes
                # Half completed, it could neither be finished nor undone.
                undo = await shielded(swaps.complete(session, undo, minutes=minutes))
            except BaseException as exc:
                await session.close()
                repair = await shielded(self._repairs.recover(undo, forward=False))
                if repair.outcome in {"failed", "running"}:
                    point_to_repair(exc)
                raise
        return replace(
            _result(undo, report, round(self._parts.clock.monotonic() - began, 3)),
            binary_log=written if journal.logged else _SKIP,
        )

    async def repair(self) -> list[RepairResult]:
        """Finish or undo what was interrupted, and drop old tables whose time is over."""
        return await self._repairs.repair()

    async def forget_expired(self) -> list[RepairResult]:
        """Drop old tables whose time is over."""
        return await self._repairs.forget_expired()

    async def prove(self, backup_id: str, into: str = "", *, threads: int = 2) -> tuple[str, ...]:
        """
        Compare databases that were restored with their backup, row by row and object by object.

        Args:
            backup_id: Which backup; text of a user.
            into: Name of the one restored database; empty = each under its own name.
            threads: Connections.

        Returns:
            Warnings: differences that another version of the server explains.

        Raises:
            BackupNotFoundError: No such backup.
            ProofFailedError: A row or an object is missing, or is not the backup's.
        """
        reader = await asyncio.to_thread(self._parts.catalogue.open, backup_id)
        with reader:
            manifest = reader.manifest
            loads = plan_loads(manifest, RestoreRequest(backup_id, into=into))
            warnings: list[str] = []
            async with load_sessions(self._parts.server, manifest, threads) as sessions:
                for load in loads:
                    warnings += await prove_inventory(sessions[0], manifest, load)
                    names = {table.name for table in load.entry.tables}
                    warnings += await prove_definitions(sessions, manifest, load, names)
                tables = [
                    (load.entry.name, Table(load.target, entry))
                    for load in loads
                    for entry in load.entry.tables
                ]
                await prove_tables(sessions, manifest, tables)
        return tuple(warnings)

    # -- journals ---------------------------------------------------------------------------------

    async def journal(self, restore_id: str) -> Journal | None:
        """Return what is written down about a restore or an undo; None when nothing is."""
        return await self._parts.swaps.find(restore_id)

    async def in_place(self, restore_id: str) -> RestoreResult | None:
        """Tell what a restore or an undo did that was cancelled too late; None = it was in time."""
        journal = await self.journal(restore_id)
        if journal is None or not journal.phase.is_over:
            return None
        result = _result(journal, SwapReport(fence="unknown", warnings=[_TOO_LATE]), 0.0)
        return replace(result, binary_log="unknown")

    async def find(self, name: str) -> Journal:
        """
        Find the restore that a user wants undone.

        Args:
            name: Id of a restore, or of a backup whose newest restore is meant.

        Returns:
            Its journal.

        Raises:
            RestoreNotFoundError: No such restore.
            UndoExpiredError: The old tables are not kept any more; the hint names the recovery point.
        """
        journals = await self._parts.swaps.journals()
        found = [
            one
            for one in journals
            if name == one.restore_id or (name == one.backup_id and one.kind is RestoreKind.RESTORE)
        ]
        kept = [one for one in found if one.phase is RestorePhase.DONE]
        if kept:
            return kept[0]
        if not found:
            raise RestoreNotFoundError(
                f"no restore {name[:80]!r}",
                hint="Give the restore's id that 'backstay restore run' printed.",
            )
        for one in journals:
            if one.undoes == found[0].restore_id:
                raise UndoExpiredError(
                    f"restore {one.undoes} was undone already",
                    hint=f"'backstay restore undo {one.restore_id}' takes that back.",
                )
        raise UndoExpiredError(
            f"what {name[:80]!r} replaced is not kept any more", hint=found[0].way_back
        )


def _result(journal: Journal, report: SwapReport, seconds: float) -> RestoreResult:
    """Say what a swap did; what a load did is filled in by the caller."""
    restored = [f"{swap.target}.{name}" for swap in journal.swaps for name in swap.incoming]
    gone = {f"{swap.target}.{name}" for swap in journal.swaps for name in swap.outgoing}
    warnings = list(report.warnings)
    if report.fence == "none":
        warnings.append(_NO_FENCE)
    if not journal.logged:
        warnings.append(_SKIPPED)
    kept = journal.phase is RestorePhase.DONE and journal.keep_until is not None
    return RestoreResult(
        restore_id=journal.restore_id,
        backup_id=journal.backup_id,
        databases=journal.targets,
        restored_tables=tuple(sorted(restored)),
        dropped_tables=tuple(sorted(gone - set(restored))),
        rows_count=0,
        raw_size=0,
        size=0,
        verified_before=False,
        verified=False,
        recovery_point=journal.recovery_point,
        undo_until=journal.keep_until if kept else None,
        fence=report.fence,
        binary_log="off",
        duration=seconds,
        warnings=tuple(warnings),
    )


def _counted(
    result: RestoreResult, loads: Sequence[DatabaseLoad], manifest: Manifest
) -> RestoreResult:
    """Say how much was loaded."""
    tables = {(load.entry.name, one.name): one for load in loads for one in load.entry.tables}
    members = (member for member in manifest.members if (member.database, member.table) in tables)
    return replace(
        result,
        rows_count=sum(table.rows for table in tables.values()),
        raw_size=sum(table.raw_size for table in tables.values()),
        size=sum(member.size for member in members),
    )
