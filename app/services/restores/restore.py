"""One restore, from the lock on its databases to the proof of what is in them."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.reader import ArchiveReader
from app.concurrency import shielded
from app.domain.backups.backup import BackupRequest
from app.domain.backups.check_notes import VerifyLevel
from app.domain.ports import Clock
from app.domain.restores.dry_run import Proof
from app.domain.restores.journal import (
    Journal,
    RestoreId,
    RestoreKind,
    RestorePhase,
    SchemaSwap,
)
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.load.inventory import prove_definitions, prove_inventory
from app.engine.load.load import Load
from app.engine.schema import foreign_keys
from app.engine.schema.accounts import load_accounts
from app.engine.schema.databases import create_database, is_empty, kept_name, list_tables
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Server, Session
from app.engine.swap.plan import SwapDraft, plan_swaps
from app.engine.swap.rename import await_snapshots
from app.errors import AppError, PermissionDeniedError, StalledError, TargetNotEmptyError
from app.services.backups.service import BackupService
from app.services.restores.connections import awake, load_sessions
from app.services.restores.plan import wanted_objects
from app.services.restores.preflight import Preflight
from app.services.restores.swap import SwapReport, Swaps


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What recoveries work with."""

    server: Server
    catalogue: Catalogue
    clock: Clock
    backups: BackupService
    swaps: Swaps
    preflight: Preflight
    undo_minutes: float


class Restoration:
    """
    One restore; used once.

    Attributes:
        warnings: What is not as it was, and why.
    """

    def __init__(
        self,
        parts: Parts,
        reader: ArchiveReader,
        request: RestoreRequest,
        progress: Progress,
    ) -> None:
        self._parts = parts
        self._reader = reader
        self._request = request
        self._progress = progress
        self.warnings: list[str] = []

    async def run(
        self, restore_id: RestoreId, loads: Sequence[DatabaseLoad], *, logged: bool
    ) -> tuple[Journal, SwapReport]:
        """
        Restore; afterwards everything is in its place and proven, or as it was.

        Args:
            restore_id: Whose staging schemas the loads name.
            loads: What to load, and for which targets.
            logged: Whether it is written to the binary log.

        Returns:
            What was done.

        Raises:
            AppError: What went wrong; the live databases are as they were, or the hint says how to
                make them so.
        """
        targets = [load.target for load in loads]
        async with self._parts.swaps.locked(targets, logged=logged) as session:
            self._progress.enter(Phase.PREFLIGHT)
            findings = await self._parts.preflight.require(self._reader, loads, self._request)
            loads = findings.loads
            self.warnings += findings.warnings
            await self.verify()
            async with awake(session):
                point = await self._recovery_point(loads)
            journal = self._journal(restore_id, loads, point, logged=logged)
            try:
                return await self._replace(session, journal, loads)
            except BaseException as exc:
                await shielded(self._put_right(session, journal.restore_id, exc))
                raise

    # -- steps ------------------------------------------------------------------------------------

    async def verify(self) -> None:
        """
        Check the whole file, unless that is not wanted.

        Raises:
            ChecksumMismatchError: It is damaged.
        """
        if self._request.verify_before:
            self._progress.enter(Phase.VERIFY)
            await self._reader.verify(VerifyLevel.HASHES)

    async def _recovery_point(self, loads: Sequence[DatabaseLoad]) -> str:
        """Back up what the restore will replace."""
        if not self._request.create_backup or self._request.into:
            return ""
        databases: list[str] = []
        tables: list[str] = []
        async with self._parts.server.session() as session:
            for load in loads:
                chosen = {table.name for table in load.entry.tables}
                live = {table.name for table in await list_tables(session, load.target)} & chosen
                if live or (load.whole and not await is_empty(session, load.target)):
                    databases.append(load.target)
                    tables += [f"{load.target}.{name}" for name in sorted(live) if not load.whole]
        if not databases:
            return ""
        self._progress.enter(Phase.RECOVERY_POINT)
        options = self._reader.manifest.options
        request = BackupRequest(
            databases=tuple(databases),
            tables=tuple(tables),
            description=f"Before the restore of {self._reader.manifest.backup_id}",
            codec=options.codec,
            threads=self._request.threads,
            chunk_bytes=options.chunk_bytes,
            recovery_point=True,
        )
        return (await self._parts.backups.create(request, self._progress)).backup_id

    async def _replace(
        self, session: Session, journal: Journal, loads: Sequence[DatabaseLoad]
    ) -> tuple[Journal, SwapReport]:
        """Load beside the live databases, prove, swap, prove again."""
        await self._parts.swaps.note(journal)
        load = await self.load(session, loads, logged=journal.logged)
        drafts = [await self._draft(session, one, load, journal) for one in loads]
        swaps = await plan_swaps(session, drafts)
        if self._request.into:
            _require_free(swaps)
        await self._count_orphans(swaps)
        self._progress.enter(Phase.SWAP)
        await self._await_snapshots(session)
        journal, report = await self._parts.swaps.swap(session, replace(journal, swaps=swaps))
        if self._request.verify_after:
            self._progress.enter(Phase.PROVE)
            manifest = self._reader.manifest
            for one in loads:
                self.warnings += await prove_inventory(session, manifest, one)
                self.warnings += await prove_definitions(
                    [session], manifest, one, load.unfinished, live=True
                )
        if self._request.accounts:
            self.warnings += await load_accounts(session, self._reader.manifest, self._reader)
        journal = await self._parts.swaps.complete(
            session, journal, minutes=self._parts.undo_minutes
        )
        return journal, report

    async def load(self, held: Session, loads: Sequence[DatabaseLoad], *, logged: bool) -> Load:
        """
        Load into staging schemas and prove what is in them; the caller drops them on failure.

        Args:
            held: Connection that holds the locks; kept from being forgotten meanwhile.
            loads: What to load, and where.
            logged: Whether it is written to the binary log.

        Returns:
            The load, which knows what is left to do.
        """
        manifest = self._reader.manifest
        threads = self._request.threads
        async with (
            awake(held),
            load_sessions(self._parts.server, manifest, threads, logged=logged) as sessions,
        ):
            for one in loads:
                entry = one.entry
                await create_database(sessions[0], one.place, entry.charset, entry.collation)
            load = Load(
                sessions,
                manifest,
                self._reader,
                self._progress,
                prove=self._request.verify_after,
            )
            await load.run(loads)
            self.warnings += load.warnings
            if self._request.verify_after:
                self._progress.enter(Phase.PROVE)
                for one in loads:
                    names = {table.name for table in one.entry.tables} - load.unfinished
                    self.warnings += await prove_definitions(sessions, manifest, one, names)
        return load

    async def _draft(
        self, session: Session, one: DatabaseLoad, load: Load, journal: Journal
    ) -> SwapDraft:
        return SwapDraft(
            target=one.target,
            source=one.place,
            kept=kept_name(one.target, journal.restore_id),
            wanted=await wanted_objects(session, self._reader, one),
            whole=one.whole,
            foreign_keys=tuple(key for key in load.deferred if key.database == one.target),
        )

    async def _await_snapshots(self, session: Session) -> None:
        """Let transactions end that would read the new tables half loaded, or warn of them."""
        if self._request.into:  # nobody reads there yet
            return
        try:
            count = await await_snapshots(session)
        except PermissionDeniedError:
            self.warnings.append("without PROCESS this user cannot see transactions that are open")
            return
        if count:
            self.warnings.append(
                f"{count} transactions from before the swap are still open; if they now read restored"
                " tables, they may see them as they were while they were loaded"
            )

    async def _count_orphans(self, swaps: Sequence[SchemaSwap]) -> None:
        """Warn of rows that have no parent once the tables have changed places."""
        places = {(swap.target, name): swap.source for swap in swaps for name in swap.incoming}
        for key in [key for swap in swaps for key in swap.foreign_keys]:
            child, parent = (key.database, key.table), (key.parent_database, key.parent)
            try:
                async with self._parts.server.session() as session:
                    count = await foreign_keys.count_orphans(
                        session,
                        key,
                        TableRef(places.get(child, child[0]), child[1], ""),
                        TableRef(places.get(parent, parent[0]), parent[1], ""),
                    )
            except StalledError:
                count = -1
            label = f"foreign key {key.name} of {key.database}.{key.table}"
            if count < 0:
                self.warnings.append(f"{label} was not checked: that took too long")
            elif count:
                self.warnings.append(f"{label}: {count} rows without a parent")

    # -- ends -------------------------------------------------------------------------------------

    async def _put_right(
        self, session: Session, restore_id: RestoreId, failure: BaseException
    ) -> None:
        """Undo what was begun; when even that fails, say so in the hint and hide no first error."""
        await session.close()  # another one takes the locks over
        try:
            await self._parts.swaps.recover(restore_id, forward=False)
        except AppError as exc:
            facts = {"restore_id": restore_id, "error": str(exc)}
            _log.warning("A failed restore could not be put right", extra={"facts": facts})
            point_to_repair(failure)

    def _journal(
        self,
        restore_id: RestoreId,
        loads: Sequence[DatabaseLoad],
        point: str,
        *,
        logged: bool,
    ) -> Journal:
        return Journal(
            restore_id=restore_id,
            kind=RestoreKind.RESTORE,
            backup_id=self._reader.manifest.backup_id,
            server=self._parts.server.where,
            began_at=self._parts.clock.now(),
            phase=RestorePhase.LOADING,
            swaps=tuple(
                SchemaSwap(one.target, one.place, kept_name(one.target, restore_id))
                for one in loads
            ),
            logged=logged,
            recovery_point=point,
        )

    async def record(
        self, kind: str, loads: Sequence[DatabaseLoad], seconds: float, *, error: str = ""
    ) -> None:
        """Keep with the backup what this restore has shown; a medium that refuses hides no result."""
        tables = [table for load in loads for table in load.entry.tables]
        manifest = self._reader.manifest
        wanted, done = self._request, sum(len(database.tables) for database in manifest.databases)
        proof = Proof(
            at=self._parts.clock.now(),
            by=kind,
            success=not error,
            seconds=seconds,
            server=self._parts.server.label,
            tables=len(tables),
            rows=sum(table.rows for table in tables),
            raw_size=sum(table.raw_size for table in tables),
            whole=len(tables) == done
            and wanted.verify_after
            and not (wanted.schema_only or wanted.data_only),
            error=error,
        )
        try:
            await asyncio.to_thread(self._parts.catalogue.add_proof, manifest.backup_id, proof)
        except AppError as exc:
            self.warnings.append(f"the result could not be kept with the backup: {exc}")


def point_to_repair(failure: BaseException) -> None:
    """Say in the hint of a failure what puts right what could not be put right at once."""
    if isinstance(failure, AppError):
        failure.hint = (
            f"{failure.hint} When the server answers again, 'backstay doctor --repair' puts"
            " everything back as it was."
        ).strip()


def _require_free(swaps: Sequence[SchemaSwap]) -> None:
    """Refuse to take the place of what others have put under the new name meanwhile."""
    for swap in swaps:
        for name in (*swap.outgoing, *(entry.name for entry in swap.present.entries)):
            raise TargetNotEmptyError(
                f"{swap.target}.{name} was made by others while the restore went on",
                hint="Choose another name with --into, or drop what is there.",
            )
