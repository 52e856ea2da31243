"""
Load: from an archive into databases that are empty.

1. Definitions: sequences, then tables without foreign keys and without the indexes that load faster
   after the rows.
2. Table by table, largest first, on all connections: rows, indexes, proof (`app.engine.board`).
3. Foreign keys, when every table is there.
4. Views, routines, triggers, events; events are enabled last of all.

Each INSERT is its own transaction and is checked: no warning, as many rows as the index says. Only
statements that the manifest lists are executed, by their kind.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from app.domain.manifest import (
    Manifest,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
    TableEntry,
)
from app.domain.ports import MemberSource
from app.domain.progress import Phase, Progress
from app.engine import ddl
from app.engine.board import Board, Track, Unit
from app.engine.connection import Reply, Session
from app.engine.flavor import Flavor
from app.engine.introspect import Table
from app.engine.objectsql import uncommented
from app.engine.preflight import DatabaseLoad
from app.engine.proof import prove_count, prove_member, prove_stream
from app.engine.quoting import quote
from app.engine.tablesql import TableSql
from app.engine.tasks import together
from app.errors import ManifestError, StatementError


# From this many rows on, building an index at once is faster than row by row.
_DEFER_FROM_ROWS: Final = 10_000
# Lock wait timeout and deadlock: the statement was undone and may be run again.
_RETRYABLE: Final = frozenset({1205, 1213})
# Seconds between tries.
_PAUSES: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
# An ENUM's index 0 loads back as index 0, with this warning.
_TOLERATED: Final = frozenset({1265})
# What a member of objects may do besides creating its own kind.
_OBJECT_KINDS: Final = frozenset(
    {
        StatementKind.SESSION,
        StatementKind.PLACEHOLDER,
        StatementKind.VIEW,
        StatementKind.TRIGGER,
        StatementKind.ROUTINE,
        StatementKind.EVENT,
        StatementKind.ENABLE_EVENT,
    },
)


@dataclass(slots=True)
class _Job:
    """One table to load."""

    database: str
    source: str
    entry: TableEntry
    staged: ddl.StagedTable
    members: list[MemberEntry]

    @property
    def table(self) -> Table:
        return Table(self.database, self.entry)


class Load:
    """One load; used once."""

    def __init__(
        self,
        sessions: Sequence[Session],
        flavor: Flavor,
        manifest: Manifest,
        source: MemberSource,
        progress: Progress,
        *,
        prove: bool = True,
    ) -> None:
        """
        Take what a load works with.

        Args:
            sessions: Connections in the loading state, with a group_concat_max_len for the proof.
            flavor: The target's.
            manifest: Of the backup.
            source: Its members.
            progress: Told as it goes.
            prove: Whether every chunk is read back and compared.
        """
        self._sessions = sessions
        self._flavor = flavor
        self._manifest = manifest
        self._source = source
        self._progress = progress
        self._prove = prove
        self._jobs: list[_Job] = []
        self.warnings: list[str] = []

    async def run(self, loads: Sequence[DatabaseLoad]) -> None:
        """
        Load databases that exist and are empty.

        Raises:
            ProofFailedError: What was loaded is not what was backed up.
            StatementError: The server refused a statement, or took it with a warning.
            ChecksumMismatchError: The archive is damaged.
            ManifestError: A member holds a statement that has no place there.
        """
        self._progress.enter(Phase.LOAD)
        for load in loads:
            await self._create_tables(load)
        await self._load_rows()
        self._progress.enter(Phase.INDEX)
        for job in self._jobs:
            await self._alter(self._sessions[0], job, job.staged.foreign_keys)
        self._progress.enter(Phase.OBJECTS)
        for load in loads:
            await self._create_objects(load)

    # -- definitions ------------------------------------------------------------------------------

    async def _create_tables(self, load: DatabaseLoad) -> None:
        """Create the tables of one database, sequences first because defaults name them."""
        schema = _by_table(self._manifest, load.entry.name, MemberKind.SCHEMA)
        data = _by_table(self._manifest, load.entry.name, MemberKind.DATA)
        for session in self._sessions:
            await session.query(f"USE {quote(load.target)}")
        tables = sorted(load.entry.tables, key=lambda table: not table.sequence)
        pending = iter(tables)
        sequences = sum(table.sequence for table in tables)
        for _ in range(sequences):
            await self._create(self._sessions[0], load, next(pending), schema, data)

        async def work(session: Session) -> None:
            for entry in pending:
                await self._create(session, load, entry, schema, data)

        await together(*(work(session) for session in self._sessions))

    async def _create(
        self,
        session: Session,
        load: DatabaseLoad,
        entry: TableEntry,
        schema: dict[str, list[MemberEntry]],
        data: dict[str, list[MemberEntry]],
    ) -> None:
        """Create one table or sequence from its schema member."""
        members = schema.get(entry.name, [])
        if len(members) != 1:
            raise ManifestError(f"{load.entry.name}.{entry.name} has {len(members)} definitions")
        texts = await self._source.read(members[0])
        wanted = StatementKind.SEQUENCE if entry.sequence else StatementKind.TABLE
        own = [
            text.decode().removesuffix(";\n")
            for listed, text in zip(members[0].statements, texts, strict=True)
            if listed.kind is wanted
        ]
        prefix = f"CREATE {wanted.value.upper()} {quote(entry.name)} "
        if not own or not own[0].startswith(prefix):
            raise ManifestError(f"{load.entry.name}.{entry.name} has no definition of its own")
        if load.target != load.entry.name:
            own = [ddl.unqualify(text, load.entry.name) for text in own]
        if entry.sequence:
            insert = f"INSERT INTO {quote(entry.name)} VALUES ("
            if not all(text.startswith(insert) for text in own[1:]):
                raise ManifestError(f"{load.entry.name}.{entry.name} is no plain sequence")
            for text in own:
                await session.query(text)
            return
        self._warn_of_directories(load, entry, own[0])
        defer = not entry.history and entry.engine == "InnoDB" and entry.rows >= _DEFER_FROM_ROWS
        staged = ddl.staged(own[0], defer_indexes=defer)
        await session.query(staged.create)
        self._jobs.append(
            _Job(load.target, load.entry.name, entry, staged, data.get(entry.name, [])),
        )

    def _warn_of_directories(self, load: DatabaseLoad, entry: TableEntry, sql: str) -> None:
        if ddl.without_directories(sql) != sql:
            self.warnings.append(
                f"{load.target}.{entry.name}: DATA DIRECTORY and INDEX DIRECTORY were left out"
            )

    # -- rows -------------------------------------------------------------------------------------

    async def _load_rows(self) -> None:
        """Load, index and prove all tables, largest first."""
        self._jobs.sort(key=lambda job: -job.entry.raw_size)
        self._progress.expect(
            tables=len(self._jobs),
            rows=sum(job.entry.rows for job in self._jobs),
            size=sum(job.entry.raw_size for job in self._jobs),
        )
        if any(job.entry.history for job in self._jobs):
            for session in self._sessions:
                await session.query("SET SESSION system_versioning_insert_history = 1")
        board = Board([self._track(job) for job in self._jobs])
        await together(*(board.work(session) for session in self._sessions))

    def _track(self, job: _Job) -> Track:
        sql = TableSql.of(job.table, self._flavor)
        ordered = sorted(job.members, key=lambda member: member.offset)
        load: list[Unit] = [partial(self._load_member, job, member) for member in ordered]
        if not job.entry.index:  # the order of a stream is part of its proof
            load = [partial(self._load_in_order, job, ordered)] if ordered else []
        index: list[Unit] = [partial(self._build_indexes, job)] if _has_indexes(job) else []
        prove: list[Unit] = []
        if self._prove and job.table.has_rows and not job.entry.partial:
            prove = [partial(self._prove_member, sql, member) for member in ordered]
            if not job.entry.index:
                prove = [partial(self._prove_stream, sql, ordered)]
            prove.append(lambda session: prove_count(session, sql))
        return Track([load, index, prove], partial(self._progress.finished_table, job.table.label))

    async def _load_in_order(
        self, job: _Job, members: Sequence[MemberEntry], session: Session
    ) -> None:
        for member in members:
            await self._load_member(job, member, session)

    async def _load_member(self, job: _Job, member: MemberEntry, session: Session) -> None:
        """Execute the statements of a data member that stand for rows."""
        await session.query(f"USE {quote(job.database)}")
        if any(entry.sliced for entry in member.statements):
            entries = iter(member.statements)
            async for text in self._source.iter_statements(member):
                await self._insert(session, job, next(entries), text)
            return
        for entry, text in zip(member.statements, await self._source.read(member), strict=True):
            await self._insert(session, job, entry, text)

    async def _insert(
        self, session: Session, job: _Job, entry: StatementEntry, text: bytes
    ) -> None:
        """Execute one INSERT or PIECE; the server must take all of it, without a warning."""
        if entry.kind is StatementKind.PIECE:
            _require(text.startswith(b"SET @backstay_"), job, "a piece")
            await session.execute(text, quiet=True)
            return
        if entry.kind is StatementKind.SESSION:
            _require(text.startswith(b"SET @backstay_1 = NULL"), job, "a session statement")
            await session.query(text)
            return
        if entry.kind is not StatementKind.INSERT:
            return
        head = f"INSERT INTO {quote(job.entry.name)} (".encode()
        _require(text.startswith(head), job, "an INSERT")
        await self._insert_rows(session, job, entry, text)
        self._progress.moved(job.table.label, rows=entry.rows, size=len(text))

    async def _insert_rows(
        self, session: Session, job: _Job, entry: StatementEntry, text: bytes
    ) -> None:
        """Insert, and refuse any difference from what the index says."""
        try:
            reply = await _insert_patiently(session, text)
        except StatementError as exc:
            raise StatementError(
                f"{job.table.label}: {exc}", errno=exc.errno, hint=exc.hint
            ) from exc
        codes = {code for code, _ in await session.warnings()} if reply.warnings else set()
        refused = codes - _TOLERATED
        if refused or reply.affected != entry.rows:
            problem = (
                f"warning {min(refused)}" if refused else f"{reply.affected} of {entry.rows} rows"
            )
            raise StatementError(
                f"{job.table.label}: an INSERT gave {problem}", errno=min(refused, default=0)
            )

    async def _build_indexes(self, job: _Job, session: Session) -> None:
        await self._alter(session, job, job.staged.indexes)
        for clause in job.staged.fulltext:
            await self._alter(session, job, [clause])

    async def _alter(self, session: Session, job: _Job, clauses: Sequence[str]) -> None:
        """Add indexes or keys in one statement."""
        if clauses:
            await session.query(f"USE {quote(job.database)}")
            sql = f"ALTER TABLE {quote(job.entry.name)} {', '.join(clauses)}"
            await session.query(sql, patient=True)

    async def _prove_member(self, sql: TableSql, member: MemberEntry, session: Session) -> None:
        await prove_member(session, sql, self._flavor, member)

    async def _prove_stream(
        self, sql: TableSql, members: Sequence[MemberEntry], session: Session
    ) -> None:
        await prove_stream(session, sql, self._flavor, members, self._manifest.options.chunk_bytes)

    # -- objects ----------------------------------------------------------------------------------

    async def _create_objects(self, load: DatabaseLoad) -> None:
        """Create what is wanted of the objects member, in its order."""
        wanted = {one.name for one in load.entry.objects}
        session = self._sessions[0]
        await session.query(f"USE {quote(load.target)}")
        for member in self._manifest.members:
            if member.kind is not MemberKind.OBJECTS or member.database != load.entry.name:
                continue
            texts = await self._source.read(member)
            for entry, text in zip(member.statements, texts, strict=True):
                if not entry.name or entry.name in wanted:
                    await self._create_object(session, load, entry, text)

    async def _create_object(
        self, session: Session, load: DatabaseLoad, entry: StatementEntry, text: bytes
    ) -> None:
        if entry.kind is StatementKind.INVALID_VIEW:
            await self._try_invalid_view(session, load, entry, text)
        elif entry.kind in _OBJECT_KINDS:
            if load.target != load.entry.name and entry.kind is StatementKind.VIEW:
                text = ddl.unqualify(text.decode(), load.entry.name).encode()
            await session.query(text, patient=True)

    async def _try_invalid_view(
        self, session: Session, load: DatabaseLoad, entry: StatementEntry, text: bytes
    ) -> None:
        """Create a view that the source could not use either; if it cannot be, say so."""
        try:
            await session.query(uncommented(text))
        except StatementError as exc:
            self.warnings.append(
                f"view {load.target}.{entry.name} could not be created: it was unusable when it was"
                f" backed up ({exc})"
            )


async def _insert_patiently(session: Session, text: bytes) -> Reply:
    """Run an INSERT that is its own transaction; again when another session was in its way."""
    for pause in _PAUSES:
        try:
            return await session.query(text, quiet=True)
        except StatementError as exc:
            if exc.errno not in _RETRYABLE:
                raise
        await asyncio.sleep(pause)
    return await session.query(text, quiet=True)


def _require(condition: bool, job: _Job, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Refuse a statement that is not of the kind the manifest says."""
    if not condition:
        raise ManifestError(f"{job.source}.{job.entry.name}: what is listed as {what} is none")


def _has_indexes(job: _Job) -> bool:
    return bool(job.staged.indexes or job.staged.fulltext)


def _by_table(manifest: Manifest, database: str, kind: MemberKind) -> dict[str, list[MemberEntry]]:
    found: dict[str, list[MemberEntry]] = {}
    for member in manifest.members:
        if member.kind is kind and member.database == database:
            found.setdefault(member.table, []).append(member)
    return found
