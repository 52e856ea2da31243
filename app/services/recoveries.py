"""Recoveries: backups loaded again, and proven."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from app.archive.catalogue import Catalogue
from app.archive.reader import ArchiveReader
from app.archive.verification import VerifyLevel
from app.domain.ids import BackupId
from app.domain.manifest import DatabaseEntry, Manifest
from app.domain.ports import Clock
from app.domain.progress import Phase, Progress
from app.engine.accounts import load_accounts
from app.engine.chunks import max_reply_bytes
from app.engine.connection import Server, Session
from app.engine.flavor import LOAD_SESSION, Flavor
from app.engine.introspect import Table, matches, read_schemas
from app.engine.inventory import prove_inventory
from app.engine.load import Load
from app.engine.preflight import DatabaseLoad, check_target, check_trust, require_empty
from app.engine.privileges import missing_for_restore, read_grants, require
from app.engine.proof import prove_tables
from app.engine.quoting import quote
from app.engine.tasks import to_end
from app.errors import (
    AppError,
    DatabaseNotFoundError,
    InvalidRequestError,
    StatementError,
    TableNotFoundError,
)


_log: Final = logging.getLogger(__name__)
# Source: https://mariadb.com/kb/en/identifier-names/#maximum-length
_MOST_NAME_CHARACTERS: Final = 64
# Somebody else made it a moment ago, so it is not ours to remove.
_DATABASE_EXISTS: Final = 1007


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """
    What to restore, and how.

    Attributes:
        backup_id: Which backup; text of a user.
        into: Name of a new or empty database; empty = each database under its own name.
        databases: Exact names; empty = all of the backup.
        tables: Globs on `table` or `database.table`; empty = all.
        accounts: Whether accounts of the backup that the server has not are created.
        verify_before: Whether the whole file is checked before anything changes.
        verify_after: Whether every chunk is read back and compared.
        threads: Connections.
    """

    backup_id: str
    into: str = ""
    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    verify_before: bool = True
    verify_after: bool = True
    threads: int = 2
    accounts: bool = False


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """
    What a restore did.

    Attributes:
        backup_id: Of the backup.
        databases: Names of the databases that were filled.
        restored_tables: Names, `database.table`, sorted.
        rows_count: Rows loaded.
        verified: Whether all rows were read back and are equal, and every object is there.
        duration: Seconds.
        warnings: What is not as it was, and why.
    """

    backup_id: BackupId
    databases: tuple[str, ...]
    restored_tables: tuple[str, ...]
    rows_count: int
    verified: bool
    duration: float
    warnings: tuple[str, ...]


class RecoveryService:
    """Restores backups."""

    def __init__(self, server: Server, catalogue: Catalogue, clock: Clock) -> None:
        self._server = server
        self._catalogue = catalogue
        self._clock = clock

    async def restore(
        self, request: RestoreRequest, progress: Progress | None = None
    ) -> RestoreResult:
        """
        Restore into databases that are new or empty; when this returns, the data was compared.

        Args:
            request: What and how.
            progress: Written to as it goes.

        Returns:
            What was done.

        Raises:
            BackupNotFoundError: No such backup.
            TableNotFoundError: A pattern matches nothing in the backup.
            IncompatibleServerError: The server cannot take it; nothing was changed.
            TargetNotEmptyError: A target holds something; nothing was changed.
            ChecksumMismatchError: The backup is damaged; what was created is removed again.
            ProofFailedError: What was loaded differs; what was created is removed again.
        """
        progress = progress or Progress()
        began = self._clock.monotonic()
        progress.enter(Phase.CONNECT)
        flavor = await self._server.flavor()
        reader = await asyncio.to_thread(self._catalogue.open, request.backup_id)
        with reader:
            manifest = reader.manifest
            loads = plan_loads(manifest, request)
            targets = [load.target for load in loads]
            facts = {"backup_id": manifest.backup_id, "databases": targets}
            _log.info("Starting restore", extra={"facts": facts})
            progress.enter(Phase.PREFLIGHT)
            await self._preflight(flavor, reader, loads)
            if request.verify_before:
                progress.enter(Phase.VERIFY)
                await reader.verify(VerifyLevel.HASHES)
            warnings = await self._fill(flavor, reader, loads, request, progress)
            _log.info("Restore completed successfully", extra={"facts": facts})
        tables = [(load.target, table) for load in loads for table in load.entry.tables]
        return RestoreResult(
            backup_id=manifest.backup_id,
            databases=tuple(load.target for load in loads),
            restored_tables=tuple(sorted(f"{db}.{table.name}" for db, table in tables)),
            rows_count=sum(table.rows for _, table in tables),
            verified=request.verify_after,
            duration=round(self._clock.monotonic() - began, 3),
            warnings=tuple(warnings),
        )

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
        flavor = await self._server.flavor()
        reader = await asyncio.to_thread(self._catalogue.open, backup_id)
        with reader:
            manifest = reader.manifest
            loads = plan_loads(manifest, RestoreRequest(backup_id, into=into))
            warnings: list[str] = []
            async with self._sessions(manifest, threads) as sessions:
                for load in loads:
                    warnings += await prove_inventory(sessions[0], flavor, manifest, load)
                tables = [
                    (load.entry.name, Table(load.target, entry))
                    for load in loads
                    for entry in load.entry.tables
                ]
                await prove_tables(sessions, flavor, manifest, tables)
        return tuple(warnings)

    async def _preflight(
        self, flavor: Flavor, reader: ArchiveReader, loads: Sequence[DatabaseLoad]
    ) -> None:
        async with self._server.session() as session:
            grants = await read_grants(session)
            require(missing_for_restore(grants, [load.target for load in loads]))
            await check_target(session, flavor, reader.manifest, loads)
            is_super = grants.allows("SUPER")
            await check_trust(session, reader.manifest, reader, loads, is_super=is_super)

    async def _fill(
        self,
        flavor: Flavor,
        reader: ArchiveReader,
        loads: Sequence[DatabaseLoad],
        request: RestoreRequest,
        progress: Progress,
    ) -> Sequence[str]:
        """Create, load and prove the databases; on any failure remove what was created."""
        manifest = reader.manifest
        async with self._sessions(manifest, request.threads) as sessions, self._created(loads):
            load = Load(sessions, flavor, manifest, reader, progress, prove=request.verify_after)
            await load.run(loads)
            warnings = list(load.warnings)
            if request.verify_after:
                progress.enter(Phase.PROVE)
                for one in loads:
                    warnings += await prove_inventory(sessions[0], flavor, manifest, one)
            if request.accounts:
                warnings += await load_accounts(sessions[0], flavor, manifest, reader)
        return warnings

    @asynccontextmanager
    async def _sessions(self, manifest: Manifest, threads: int) -> AsyncIterator[Sequence[Session]]:
        """Open the connections of a load."""
        reply = max_reply_bytes(manifest.options.chunk_bytes)
        state = {**LOAD_SESSION, "group_concat_max_len": str(reply)}
        sessions: list[Session] = []
        try:
            while len(sessions) < threads:
                sessions.append(await self._server.open(state))
            yield sessions
        finally:
            for session in sessions:
                await session.close()

    @asynccontextmanager
    async def _created(self, loads: Sequence[DatabaseLoad]) -> AsyncIterator[None]:
        """Create the target databases for a block, and remove them again if it fails."""
        async with self._server.session() as session:
            before = {schema.name for schema in await read_schemas(session, ())}
            created: list[str] = []
            try:
                for load in loads:
                    # What others filled since the first look must not be taken for ours and dropped.
                    await require_empty(session, load.target)
                    created.append(load.target)
                    try:
                        await _create_database(session, load, exists=load.target in before)
                    except StatementError as exc:
                        if exc.errno == _DATABASE_EXISTS:
                            created.remove(load.target)
                        raise
                yield
            except BaseException as exc:
                removed = await to_end(self._clean_up(loads, created, before))
                if not removed and isinstance(exc, AppError):
                    names = ", ".join(created)
                    exc.hint = f"{exc.hint} Drop what is half-made before the next try: {names}."
                raise

    async def _clean_up(
        self, loads: Sequence[DatabaseLoad], created: Sequence[str], before: set[str]
    ) -> bool:
        """Remove what a failed restore made; False if even that fails, which hides no first error."""
        try:
            await self._remove(loads, created, before)
        except AppError as exc:
            facts = {"databases": list(created), "error": str(exc)}
            _log.warning(
                "Half-made databases could not be removed; drop them", extra={"facts": facts}
            )
            return False
        return True

    async def _remove(
        self, loads: Sequence[DatabaseLoad], created: Sequence[str], before: set[str]
    ) -> None:
        """Drop what a failed restore made; a database that was there empty is empty again."""
        async with self._server.session() as session:
            for load in loads:
                if load.target in created:
                    await session.query(
                        f"DROP DATABASE IF EXISTS {quote(load.target)}", patient=True
                    )
                    if load.target in before:
                        await _create_database(session, load, exists=False)


async def _create_database(session: Session, load: DatabaseLoad, *, exists: bool) -> None:
    verb = "ALTER DATABASE" if exists else "CREATE DATABASE"
    await session.query(
        f"{verb} {quote(load.target)} DEFAULT CHARACTER SET {load.entry.charset}"
        f" COLLATE {load.entry.collation}"
    )


def plan_loads(manifest: Manifest, request: RestoreRequest) -> list[DatabaseLoad]:
    """
    Reduce a backup to what is asked for, and name the targets.

    Returns:
        One load a database with anything to restore.

    Raises:
        DatabaseNotFoundError: The backup has no such database.
        TableNotFoundError: A pattern matches no table of the backup.
        InvalidRequestError: Several databases into one, or a name that no database can have.
    """
    _check_name(request.into)
    for name in request.databases:
        if name not in {database.name for database in manifest.databases}:
            raise DatabaseNotFoundError(f"the backup holds no database {name!r}")
    chosen = [
        _reduced(database, request.tables)
        for database in manifest.databases
        if not request.databases or database.name in request.databases
    ]
    for pattern in request.tables:
        if not any(
            matches(database.name, table.name, pattern)
            for database in chosen
            for table in database.tables
        ):
            raise TableNotFoundError(f"no table of the backup matches {pattern!r}")
    if request.tables:
        chosen = [database for database in chosen if database.tables]
    if request.into and len(chosen) > 1:
        raise InvalidRequestError(
            f"--into names one database, the backup holds {len(chosen)}",
            hint="Choose one with --database.",
        )
    return [DatabaseLoad(database, request.into or database.name) for database in chosen]


def _check_name(name: str) -> None:
    if len(name) > _MOST_NAME_CHARACTERS or name != name.rstrip() or "\0" in name:
        raise InvalidRequestError(
            f"no database can be named {name[:80]!r}",
            hint=f"Names have at most {_MOST_NAME_CHARACTERS} characters and do not end in a space.",
        )


def _reduced(database: DatabaseEntry, patterns: Sequence[str]) -> DatabaseEntry:
    """Keep the tables that match, with their triggers; all with everything when there is no pattern."""
    if not patterns:
        return database
    tables = tuple(
        table
        for table in database.tables
        if any(matches(database.name, table.name, pattern) for pattern in patterns)
    )
    names = {table.name for table in tables}
    return replace(
        database,
        tables=tables,
        objects=tuple(one for one in database.objects if one.table in names),
    )
