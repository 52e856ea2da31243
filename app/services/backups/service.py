"""Backups: made, listed, verified, deleted."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.writer import ArchiveWriter
from app.concurrency import on_own_loop, run_in_thread
from app.domain.backups.backup import BackupFilter, BackupRequest
from app.domain.backups.base import RecoveredState
from app.domain.backups.catalogue import BackupPage, Survey
from app.domain.backups.check_notes import Check, VerifyLevel, VerifyReport
from app.domain.backups.manifest import Manifest, MemberKind
from app.domain.ids import BackupId, new_backup_id, parse_backup_id
from app.domain.ports import Clock
from app.domain.runs.progress import Phase, Progress
from app.domain.stores import Page
from app.engine.dump.changes import kept_snapshot
from app.engine.dump.dump import Dump, DumpPlan, choose
from app.engine.dump.ladder import open_snapshot, with_end
from app.engine.dump.missed import find_missed
from app.engine.dump.snapshot import Snapshot
from app.engine.flavor import VIRTUAL_SCHEMAS
from app.engine.schema.databases import folds_names, list_strays, read_schemas
from app.engine.schema.tables import TableRef, read_refs, read_tables
from app.engine.server.connection import Session
from app.engine.server.grants import missing_for_backup, read_grants, require
from app.engine.server.server import Server
from app.engine.sql.quoting import matches
from app.errors import (
    AppError,
    BackupNotFoundError,
    IntegrityError,
    InvalidRequestError,
    NoIdentityError,
    SnapshotError,
    StorageError,
    StorageFullError,
)
from app.services.backups.check_notes import record_check
from app.services.backups.draft import completed, draft_manifest, header_of
from app.services.backups.space import require_space


_log: Final = logging.getLogger(__name__)
_ATTEMPTS: Final = 3


class BackupService:
    """Everything that is done with backups of one `server`, except restoring them."""

    def __init__(
        self,
        server: Server,
        catalogue: Catalogue,
        clock: Clock,
        recovered: RecoveredState | None = None,
    ) -> None:
        """
        Make the service.

        Args:
            server: Which is backed up.
            catalogue: Where backups lie.
            clock: Of this machine.
            recovered: What the server holds, when that is a state of another one; None = its own data.
        """
        self.server = server
        self._recovered = recovered
        self._catalogue = catalogue
        self._clock = clock

    async def create(self, request: BackupRequest, progress: Progress | None = None) -> Manifest:
        """
        Make a backup; when this returns, it exists and was read back.

        Args:
            request: What and how.
            progress: Written to as it goes.

        Returns:
            The manifest as published.

        Raises:
            ConnectionFailedError: The server does not answer or refuses the login.
            DatabaseNotFoundError: A database is not there.
            TableNotFoundError: A pattern matches nothing.
            PermissionDeniedError: A privilege is missing; the hint holds the GRANT.
            SnapshotError: Tables changed during each of three attempts.
            StorageFullError: There is not enough room.
            StorageError: The directory is read-only or missing. Nothing is left behind.
        """
        progress = progress or Progress()
        progress.enter(Phase.CONNECT)
        try:
            manifest = await on_own_loop(self._attempts(request, progress, left=_ATTEMPTS))
        except StorageFullError:
            await self._sweep_uploads()  # for the room of the next one
            raise
        await asyncio.to_thread(self._catalogue.refresh, manifest)
        await self._sweep_uploads()
        facts = {"backup_id": manifest.backup_id, "duration": manifest.duration}
        _log.info("Database backup completed successfully", extra={"facts": facts})
        return manifest

    async def list(self, wanted: BackupFilter, page: Page) -> BackupPage:
        """
        List backups.

        Args:
            wanted: Which backups.
            page: Sorted by `created_at`, `size`, `duration` or `rows_count`.

        Returns:
            That part of it.

        Raises:
            StorageError: The directory cannot be read.
        """
        return await asyncio.to_thread(self._page, wanted, page)

    async def info(self, backup_id: str) -> Manifest:
        """
        Read the manifest of one backup.

        Returns:
            All that is known about it.

        Raises:
            BackupNotFoundError: No such backup.
            IntegrityError: Its manifest is damaged or of a newer format.
            NoIdentityError: It is encrypted for others.
        """
        return await asyncio.to_thread(self._catalogue.manifest, backup_id)

    async def verify(
        self,
        backup_id: str,
        level: VerifyLevel = VerifyLevel.CONTENT,
        progress: Progress | None = None,
    ) -> VerifyReport:
        """
        Prove that a backup is what was written; what was found is recorded beside it.

        Returns:
            What was read.

        Raises:
            BackupNotFoundError: No such backup.
            IntegrityError: A byte differs, the file is shorter or longer, or the manifest is damaged.
            NoIdentityError: It is encrypted for others, and more is asked for than its hashes.
            StorageError: The medium does not answer.
        """
        progress, began = progress or Progress(), self._clock.monotonic()

        async def record(error: str = "") -> None:
            seconds = round(self._clock.monotonic() - began, 3)
            check = Check(self._clock.now(), success=not error, seconds=seconds, error=error)
            await asyncio.to_thread(
                record_check, self._catalogue, BackupId(backup_id), level, check
            )

        try:
            report = await self._verify(backup_id, level, progress)
        except (IntegrityError, StorageError, BackupNotFoundError) as exc:
            if self._catalogue.disk or not isinstance(exc, StorageError):  # a store may be away
                await record(exc.code)
            raise
        await record()
        return report

    async def delete(self, backup_id: str) -> None:
        """
        Remove a backup, manifest first; waits for its end even when cancelled.

        Raises:
            BackupNotFoundError: No such backup.
            BackupInUseError: It is being restored or verified.
        """
        found = parse_backup_id(backup_id)
        # Whoever is cancelled meanwhile waits: what is deleted afterwards would be called kept.
        await run_in_thread(partial(self._catalogue.delete, found))

    async def _verify(self, backup_id: str, level: VerifyLevel, progress: Progress) -> VerifyReport:
        try:
            reader = await asyncio.to_thread(self._catalogue.open, backup_id)
        except NoIdentityError:
            if level.depth > VerifyLevel.HASHES.depth:
                raise
            return await self._prove_stored(backup_id, level, progress)
        with reader:
            progress.enter(Phase.VERIFY)
            progress.expect(tables=0, rows=0, size=reader.manifest.raw_size)
            report = await reader.verify(
                level,
                listener=lambda member: progress.moved(member.table, rows=0, size=member.raw_size),
            )
        return replace(report, bytes_read=reader.bytes_read)

    async def _prove_stored(
        self, backup_id: str, level: VerifyLevel, progress: Progress
    ) -> VerifyReport:
        """Prove the bytes of a backup that nobody here can read."""
        began = self._clock.monotonic()
        with await asyncio.to_thread(self._catalogue.stored, backup_id) as archive:
            size = archive.published.size if level is VerifyLevel.HASHES else 0
            if size:
                progress.enter(Phase.VERIFY)
                progress.expect(tables=0, rows=0, size=size)
                await archive.prove(lambda count: progress.moved("", rows=0, size=count))
        return VerifyReport(
            level=level,
            size=size,
            raw_size=0,
            members=0,
            statements=0,
            rows=0,
            seconds=self._clock.monotonic() - began,
            bytes_read=archive.bytes_read,
        )

    def _page(self, wanted: BackupFilter, page: Page) -> BackupPage:
        if not self._catalogue.directory.is_there():  # nothing was ever backed up
            return BackupPage((), 0, Survey((), (), ()), {})
        reading = self._catalogue.read()
        found = sorted(
            (entry for entry in reading.survey.entries if wanted.takes(entry)),
            key=attrgetter(page.sort.removeprefix("-"), "backup_id"),
            reverse=page.sort.startswith("-"),
        )
        shown = found[page.offset : page.offset + page.limit]
        names = [entry.backup_id for entry in shown]
        proven = reading.proven(names)
        return BackupPage(
            tuple((entry, proven[entry.backup_id]) for entry in shown),
            len(found),
            reading.survey,
            reading.pins(names),
        )

    # -- one attempt ------------------------------------------------------------------------------

    def _prepare_directory(self) -> None:
        self._catalogue.directory.prepare()
        self._catalogue.sweep()

    async def _sweep_uploads(self) -> None:
        """Remove uploads that nobody completes; not before, as what finds them in S3 takes 12 MB of memory."""
        try:
            await asyncio.to_thread(self._catalogue.sweep_uploads)
        except AppError as exc:  # the backup exists
            facts = {"error": str(exc)}
            _log.warning("Unfinished uploads are left to the next sweep", extra={"facts": facts})

    async def _attempts(self, request: BackupRequest, progress: Progress, *, left: int) -> Manifest:
        """Try again from the start when a table changed under the snapshot."""
        try:
            with kept_snapshot():
                return await self._attempt(request, progress)
        except SnapshotError as exc:
            if left == 1:
                raise
            progress.note(f"begun again: {exc}")
        return await self._attempts(request, progress, left=left - 1)

    async def _attempt(self, request: BackupRequest, progress: Progress) -> Manifest:
        began_at, began = self._clock.now(), self._clock.monotonic()
        names, request = await self._names(request)
        await asyncio.to_thread(self._prepare_directory)  # not for a server that does not answer
        newest = await asyncio.to_thread(self._catalogue.newest_id)
        backup_id = new_backup_id(began_at, newest)
        _log.info("Starting database backup", extra={"facts": {"backup_id": backup_id}})
        progress.name(backup_id=backup_id)
        progress.enter(Phase.SNAPSHOT)
        refs = await self._refs(request, names)
        threads = request.threads
        async with open_snapshot(
            self.server, refs, threads=threads, chunk_bytes=request.chunk_bytes
        ) as snapshot:
            plan = await self._plan(snapshot.sessions[0], request, names)
            _require_all(refs, plan)
            estimate = await require_space(self._catalogue, request, plan)
            asked = replace(request, databases=self._wanted(request))
            draft = await draft_manifest(self.server, snapshot, plan, asked, backup_id, began_at)
            draft = self._recovered.described_in(draft) if self._recovered else draft
            async with ArchiveWriter(
                self._catalogue.directory,
                backup_id,
                request.codec,
                self._catalogue.keys,
                level=request.level,
                threads=threads,
                estimate_bytes=estimate,
            ) as writer:
                await writer.append(MemberKind.HEADER, header_of(draft, plan))
                dump = Dump(snapshot, plan, writer, progress)
                databases = await dump.run()
                await self._require_none_missed(snapshot, plan, request, names)
                if self._recovered is None:
                    position = await with_end(snapshot.sessions[0], draft.position)
                    draft = replace(draft, position=position)
                await snapshot.require_locks()
                await snapshot.close()
                progress.enter(Phase.VERIFY if request.verify else Phase.PUBLISH)
                manifest = await writer.finish(
                    completed(draft, databases, (*snapshot.warnings, *dump.warnings)),
                    verify=request.verify,
                    closing=b"-- Backup completed\n",
                    duration=lambda: round(self._clock.monotonic() - began, 3),
                )
                self._catalogue.remember(manifest)
                return manifest

    async def _names(self, request: BackupRequest) -> tuple[Sequence[str], BackupRequest]:
        """Find the databases that are meant, and refuse when a privilege for them is missing."""
        wanted = self._wanted(request)
        _refuse_virtual(wanted)
        async with self.server.session() as session:
            names = [schema.name for schema in await read_schemas(session, wanted)]
            grants = await read_grants(session)
            if await folds_names(session):
                request = request.in_lower_case()
        require(missing_for_backup(grants, names, only_tables=bool(request.tables)))
        return names, replace(request, databases=tuple(names) if wanted else ())

    def _wanted(self, request: BackupRequest) -> tuple[str, ...]:
        """Return the names that are asked for, by the request or the address; empty = all."""
        return request.databases or ((self.server.database,) if self.server.database else ())

    async def _refs(self, request: BackupRequest, names: Sequence[str]) -> Sequence[TableRef]:
        """Name the tables before the snapshot: some must be locked for it."""
        async with self.server.session() as session:
            refs = await read_refs(session, names)
        return [ref for ref in refs if _is_wanted(request, ref.database, ref.name)]

    async def _require_none_missed(
        self, snapshot: Snapshot, plan: DumpPlan, request: BackupRequest, names: Sequence[str]
    ) -> None:
        """Refuse a snapshot with a table that had no name when names were read; it would be short."""
        wanted = partial(_is_wanted, request)
        async with self.server.session() as session:
            missed = await find_missed(snapshot, session, names, plan.tables, wanted)
        if missed:
            raise SnapshotError(
                f"{missed} was renamed while the backup began",
                hint="Keep ALTER, TRUNCATE, RENAME and DROP away from the time of the backup.",
            )

    async def _plan(
        self, session: Session, request: BackupRequest, names: Sequence[str]
    ) -> DumpPlan:
        """Read what there is at the snapshot's point."""
        schemas = await read_schemas(session, names) if names else []
        every = not self._wanted(request)
        tables = await read_tables(
            session, names, lambda ref: _is_wanted(request, ref.database, ref.name)
        )
        return DumpPlan(
            schemas,
            choose(tables, request.tables, request.exclude_tables),
            include_data=request.include_data,
            include=request.tables,
            exclude=request.exclude_tables,
            chunk_bytes=request.chunk_bytes,
            accounts=request.accounts,
            strays=await list_strays(session, names, every=every),
        )


def _refuse_virtual(names: Sequence[str]) -> None:
    for name in names:
        if name.lower() in VIRTUAL_SCHEMAS:
            raise InvalidRequestError(
                f"{name!r} holds nothing of its own: the server shows there what it knows",
                hint="Back up the databases themselves.",
            )


def _is_wanted(request: BackupRequest, database: str, name: str) -> bool:
    """Apply the patterns of a request to one table."""
    included = not request.tables or any(
        matches(database, name, pattern) for pattern in request.tables
    )
    return included and not any(
        matches(database, name, pattern) for pattern in request.exclude_tables
    )


def _require_all(refs: Sequence[TableRef], plan: DumpPlan) -> None:
    """Refuse a snapshot that a table did not live to be read from."""
    if gone := sorted(set(refs) - {table.ref for table in plan.tables}, key=lambda ref: ref.label):
        raise SnapshotError(
            f"{gone[0].label} was dropped, renamed or rebuilt while the backup began",
            hint="Keep ALTER, TRUNCATE, RENAME and DROP away from the time of the backup.",
        )
