"""
The rows, indexes and proof of every table, on all connections at once.

Each INSERT is its own transaction and is checked: no warning, as many rows as the index says. Where
the server allows it, the rows of an INSERT go through LOAD DATA LOCAL instead (`app.engine.sql.load_data`),
under the same check and with the INSERT itself as the way out.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from app.domain.backups.manifest import MemberEntry, StatementEntry, StatementKind, TableEntry
from app.domain.runs.progress import Progress
from app.engine.flavor import Flavor
from app.engine.load.read_ahead import ReadAhead
from app.engine.load.work_queue import TableSteps, Unit
from app.engine.rows.proof import prove_count, prove_member, prove_stream
from app.engine.rows.queries import TableSql
from app.engine.schema.tables import Table
from app.engine.server.connection import Reply, Session
from app.engine.sql import ddl
from app.engine.sql.load_data import bulk_pieces, bulk_statement, is_bulk
from app.engine.sql.quoting import quote
from app.errors import ManifestError, StatementError


# Lock wait timeout and deadlock: the statement was undone and may be run again.
_RETRYABLE: Final = frozenset({1205, 1213})
# Seconds between tries.
_PAUSES: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
# The server can add this index only to a copy of the table.
_NOT_IN_PLACE: Final = frozenset({1845, 1846})
# The innodb_autoinc_lock_mode in which no statement waits for another one's counter.
_INTERLEAVED: Final = "2"
# An ENUM's index 0 loads back as index 0, with this warning.
_TOLERATED: Final = frozenset({1265})


@dataclass(slots=True)
class LoadJob:
    """
    One table to load.

    Attributes:
        database: Where it is loaded to.
        target: Database that it is meant for, for people.
        entry: What the manifest says about it.
        staged: Its definition in the order that loads fastest.
        members: Its rows.
        head: What each of its INSERT statements begins with.
        bulk: LOAD DATA statement; empty when its rows must be inserted.
    """

    database: str
    target: str
    entry: TableEntry
    staged: ddl.StagedTable
    members: list[MemberEntry]
    head: bytes = b""
    bulk: str = ""

    @property
    def table(self) -> Table:
        """Return the table as it is on the target."""
        return Table(self.database, self.entry, shown=self.target)


@dataclass(frozen=True, slots=True)
class LoadRules:
    """
    What a server says about how rows are loaded into it.

    Attributes:
        flavor: What it is.
        allowed: Whether it takes LOAD DATA LOCAL.
        locks_counters: Whether that keeps others out of a table with an AUTO_INCREMENT column.
    """

    flavor: Flavor
    allowed: bool
    locks_counters: bool

    @classmethod
    async def read(cls, session: Session) -> "LoadRules":
        """Ask the server."""
        rows = await session.texts(
            "SELECT @@GLOBAL.local_infile, @@GLOBAL.innodb_autoinc_lock_mode"
        )
        infile, mode = rows[0]
        return cls(session.flavor, infile == "1", mode != _INTERLEAVED)


class RowLoader:
    """Makes the steps of each table for the board."""

    def __init__(
        self,
        source: ReadAhead,
        progress: Progress,
        *,
        chunk_bytes: int,
        prove: bool,
        bulk: LoadRules,
    ) -> None:
        """
        Take what loading works with.

        Args:
            source: Members of the backup.
            progress: Told as it goes.
            chunk_bytes: Of the backup; the proof must read chunks of the same size.
            prove: Whether every chunk is read back and compared.
            bulk: What the server says about LOAD DATA LOCAL.
        """
        self._source = source
        self._progress = progress
        self._chunk_bytes = chunk_bytes
        self._prove = prove
        self._bulk = bulk

    def track(self, job: LoadJob) -> TableSteps:
        """Make the steps of a table: rows; indexes and proof; the number of rows."""
        sql = TableSql.of(job.table, self._bulk.flavor)
        if self._bulk.allowed and job.entry.engine == "InnoDB" and not job.entry.history:
            job.bulk = bulk_statement(job.entry.name, sql.columns)
        job.head = sql.head
        ordered = sorted(job.members, key=lambda member: member.offset)
        self._source.expect(ordered)
        load: list[Unit] = [partial(self._load_member, job, member) for member in ordered]
        if not job.entry.index:  # the order of a stream is part of its proof
            load = [partial(self._load_in_order, job, ordered)] if ordered else []
        prove: list[Unit] = []
        count: list[Unit] = []
        if self._prove and job.table.has_rows and not job.entry.partial:
            prove = [partial(self._prove_member, sql, member) for member in ordered]
            if not job.entry.index:
                prove = [partial(self._prove_stream, sql, ordered)]
            count = [lambda session: prove_count(session, sql, ordered)]
        return TableSteps(
            [load, *self._proven(job, prove), count],
            partial(self._progress.finished_table, job.table.label),
            single_file=self._bulk.locks_counters and bool(job.bulk) and job.staged.has_counter,
        )

    def _proven(self, job: LoadJob, prove: list[Unit]) -> list[list[Unit]]:
        """
        Job indexes and proof.

        They go side by side where an index is added beside the rows and the proof goes by the primary
        key, which is there from the start. A server that wants to copy the rows for an index gets the
        proof once more, of the copy.

        Returns:
            Steps, one after the other.
        """
        staged = job.staged
        if staged.fulltext or job.entry.index != "PRIMARY":
            index: list[Unit] = [partial(self._build_indexes, job)] if _has_indexes(job) else []
            return [index, prove]
        if not staged.indexes:
            return [prove]
        return [[partial(self._index_in_place, job, prove), *prove]]

    async def _load_in_order(
        self, job: LoadJob, members: Sequence[MemberEntry], session: Session
    ) -> None:
        for member in members:
            await self._load_member(job, member, session)

    async def _load_member(self, job: LoadJob, member: MemberEntry, session: Session) -> None:
        """Execute the statements of a data member that stand for rows."""
        await session.use(job.database)
        if any(entry.sliced for entry in member.statements):
            entries = iter(member.statements)
            async for text in self._source.iter_statements(member):
                await self._insert(session, job, next(entries), text)
            return
        for entry, text in zip(member.statements, await self._source.read(member), strict=True):
            await self._insert(session, job, entry, text)

    async def _insert(
        self, session: Session, job: LoadJob, entry: StatementEntry, text: bytes
    ) -> None:
        """Execute one INSERT or PIECE; the server must take all of it, without a warning."""
        if entry.kind is StatementKind.PIECE:
            _require(text.startswith(b"SET @backstay_"), job, "a piece")
            await session.execute(text, redact=True)
            return
        if entry.kind is StatementKind.SESSION:
            _require(text.startswith(b"SET @backstay_1 = NULL"), job, "a session statement")
            await session.query(text)
            return
        if entry.kind is not StatementKind.INSERT:
            return
        _require(text.startswith(job.head) and text.endswith(b");\n"), job, "an INSERT")
        await self._insert_rows(session, job, entry, text)
        self._progress.moved(job.table.label, rows=entry.rows, size=len(text))

    async def _insert_rows(
        self, session: Session, job: LoadJob, entry: StatementEntry, text: bytes
    ) -> None:
        """Insert, and refuse any difference from what the index says."""
        if job.bulk and not entry.sliced and await _load_bulk(session, job, entry, text):
            return
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

    async def _index_in_place(self, job: LoadJob, prove: Sequence[Unit], session: Session) -> None:
        """Add the indexes while others read; when the rows must be copied for that, prove the copy."""
        try:
            await alter(session, job, [*job.staged.indexes, "ALGORITHM=INPLACE"])
        except StatementError as exc:
            if exc.errno not in _NOT_IN_PLACE:
                raise
            await alter(session, job, job.staged.indexes)
            for unit in prove:
                await unit(session)

    async def _build_indexes(self, job: LoadJob, session: Session) -> None:
        await alter(session, job, job.staged.indexes)
        for clause in job.staged.fulltext:
            await alter(session, job, [clause])

    async def _prove_member(self, sql: TableSql, member: MemberEntry, session: Session) -> None:
        await prove_member(session, sql, member)

    async def _prove_stream(
        self, sql: TableSql, members: Sequence[MemberEntry], session: Session
    ) -> None:
        await prove_stream(session, sql, members, self._chunk_bytes)


async def alter(session: Session, job: LoadJob, clauses: Sequence[str]) -> None:
    """Add indexes or keys in one statement."""
    if clauses:
        await session.use(job.database)
        sql = f"ALTER TABLE {quote(job.entry.name)} {', '.join(clauses)}"
        await session.query(sql, no_timeout=True)


async def _load_bulk(session: Session, job: LoadJob, entry: StatementEntry, text: bytes) -> bool:
    """Load the rows of an INSERT by LOAD DATA; False when that left no trace and it must run."""
    if not is_bulk(text):
        return False
    await session.query("START TRANSACTION")
    try:
        reply = await session.load_local(job.bulk, bulk_pieces(text, job.head))
    except StatementError:
        await session.query("ROLLBACK")
        return False
    if reply.warnings or reply.affected != entry.rows:
        await session.query("ROLLBACK")
        return False
    await session.query("COMMIT")
    return True


async def _insert_patiently(session: Session, text: bytes) -> Reply:
    """Run an INSERT that is its own transaction; again when another session was in its way."""
    for pause in _PAUSES:
        try:
            return await session.query(text, redact=True)
        except StatementError as exc:
            if exc.errno not in _RETRYABLE:
                raise
        await asyncio.sleep(pause)
    return await session.query(text, redact=True)


def _require(condition: bool, job: LoadJob, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Refuse a statement that is not of the kind the manifest says."""
    if not condition:
        raise ManifestError(f"{job.table.label}: what is listed as {what} is none")


def _has_indexes(job: LoadJob) -> bool:
    return bool(job.staged.indexes or job.staged.fulltext)
