"""
The rows of all tables, read by every connection of a snapshot at once.

The connections walk the same list of tables and take ranges of the first one that has any left, so
they work on one large table together and on small ones side by side.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from app.concurrency import together
from app.domain.backups.manifest import MemberKind, StatementKind
from app.domain.ports import Statement
from app.domain.runs.progress import Progress
from app.engine.dump.changes import changed_table
from app.engine.dump.definitions import SchemaDump
from app.engine.dump.snapshot import Snapshot
from app.engine.rows.chunks import Chunk, LargeRow, chunk_statement, read_range, read_stream
from app.engine.rows.large_rows import read_large_row, value_bytes
from app.engine.rows.planner import Planner, planner
from app.engine.rows.queries import TableSql, count_rows
from app.engine.schema.tables import Table
from app.engine.server.connection import Session
from app.engine.sql.key_ranges import Range
from app.engine.sql.preludes import member_prelude
from app.errors import SnapshotError


# Chunks of one connection that are compressed while the next one is read.
_IN_FLIGHT: Final = 2
# Metadata locks are let go of after this many seconds at the latest; DDL waits for them.
_RELEASE_SECONDS: Final = 0.5
# With very many tables letting go takes long; then it is done less often, this many times its length.
_RELEASE_SHARE: Final = 10
# What a packet holds besides the statement.
_PACKET_SLACK: Final = 1024


@dataclass(slots=True)
class TableResult:
    """
    What was written of one table.

    Attributes:
        rows: Rows in the file.
        raw_size: Bytes of its statements before compression.
        max_packet: Largest packet a server must accept to load it, in bytes; 0 without rows.
    """

    rows: int = 0
    raw_size: int = 0
    max_packet: int = 0

    def add(self, rows: int, size: int, packet: int) -> None:
        """Count one statement."""
        self.rows += rows
        self.raw_size += size
        self.max_packet = max(self.max_packet, packet + _PACKET_SLACK)


@dataclass(slots=True)
class _Job:
    """One table on its way through the connections."""

    sql: TableSql
    plan: Planner | None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    given_out: bool = False
    active: int = 0
    ranges: int = 0
    seen_rows: int = 0
    result: TableResult = field(default_factory=TableResult)
    settled: set[int] = field(default_factory=set)

    @property
    def table(self) -> Table:
        return self.sql.table


class RowDump:
    """Dumps the rows of a list of tables; used once."""

    def __init__(
        self,
        snapshot: Snapshot,
        schema: SchemaDump,
        progress: Progress,
        chunk_bytes: int,
    ) -> None:
        self._snapshot = snapshot
        self._schema = schema
        self._sink = schema.sink
        self._progress = progress
        self._chunk_bytes = chunk_bytes
        self._jobs: list[_Job] = []
        self._unsafe_left = 0
        self.warnings: list[str] = []

    async def run(self, tables: Sequence[TableSql]) -> dict[str, TableResult]:
        """
        Dump definitions and rows.

        Args:
            tables: With rows of their own.

        Returns:
            Results by label.

        Raises:
            SnapshotError: A table changed, or its rows do not add up.
        """
        chosen = sorted(
            tables, key=lambda sql: (not sql.table.ref.is_unsafe, -sql.table.bytes_estimate)
        )
        self._jobs = [_Job(sql, self._planner(sql)) for sql in chosen]
        self._unsafe_left = sum(sql.table.ref.is_unsafe for sql in chosen)
        self._progress.expect(
            tables=len(chosen),
            rows=sum(sql.table.rows_estimate for sql in chosen),
            size=sum(sql.table.bytes_estimate for sql in chosen),
        )
        if not self._unsafe_left:
            await self._snapshot.release_table_locks()
        await together(*(self._work(session) for session in self._snapshot.sessions))
        return {job.table.label: job.result for job in self._jobs}

    def _planner(self, sql: TableSql) -> Planner | None:
        return planner(sql, self._chunk_bytes) if sql.table.entry.index else None

    async def _work(self, session: Session) -> None:
        """Be one connection: go through the tables and take what is left of each."""
        loop = asyncio.get_running_loop()
        released, cost = loop.time(), 0.0
        room = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as writes:
            for job in self._jobs:
                await self._work_on(session, job, writes, room)
                began = loop.time()
                if began - released > max(_RELEASE_SECONDS, _RELEASE_SHARE * cost):
                    await self._snapshot.release(session)
                    released = loop.time()
                    cost = released - began
        await self._snapshot.release(session)

    async def _work_on(
        self,
        session: Session,
        job: _Job,
        writes: asyncio.TaskGroup,
        room: asyncio.Semaphore,
    ) -> None:
        """Read ranges of one table until there are none left."""
        with changed_table(job.table):
            while (part := await self._claim(session, job)) is not None:
                if job.plan is None:
                    await self._dump_stream(session, job)
                else:
                    await self._dump_range(session, job, part, writes, room)
                await self._settle(session, job)
                job.active -= 1
                if job.given_out and job.active == 0:
                    await self._finish(session, job)

    async def _settle(self, session: Session, job: _Job) -> None:
        """Put the definition before the rows; once a connection, when it has read the table."""
        if session.connection_id in job.settled:
            return
        async with job.lock:
            await self._schema.settle(session, job.table)
        job.settled.add(session.connection_id)
        self._snapshot.identities.touch(session, job.table.ref)

    async def _claim(self, session: Session, job: _Job) -> Range | None:
        """Take the next range of a table; streams are one range."""
        async with job.lock:
            if job.given_out:
                return None
            part: Range | None = Range()
            if job.plan is not None:
                part = await job.plan.next(session)
            job.given_out = part is None or not part.upper
            if part is not None:
                job.active += 1
                job.ranges += 1
            return part

    async def _dump_range(
        self,
        session: Session,
        job: _Job,
        part: Range,
        writes: asyncio.TaskGroup,
        room: asyncio.Semaphore,
    ) -> None:
        """Read a range; compression and writing go on while the next one is read."""
        rows = size = 0
        async with aclosing(read_range(session, job.sql, part)) as pieces:
            async for piece in pieces:
                await self._settle(session, job)
                if isinstance(piece, LargeRow):
                    await self._write_large(session, job, piece)
                    rows += 1
                    continue
                rows += piece.rows
                size += len(piece.body)
                job.seen_rows += piece.rows
                await room.acquire()
                # Handed over as a statement: what waits to be written holds its rows once, not twice.
                statement = self._statement(job, piece)
                writes.create_task(self._write_and_release(job, statement, room))
        if job.plan is not None:
            job.plan.learn(part, rows, size)

    async def _dump_stream(self, session: Session, job: _Job) -> None:
        """Read a whole table in the order in which it must be written and loaded."""
        await session.query(job.sql.touch())  # nothing else can be asked while rows stream
        await self._settle(session, job)
        async with aclosing(read_stream(session, job.sql, self._chunk_bytes)) as pieces:
            async for piece in pieces:
                if isinstance(piece, LargeRow):
                    await self._write_large(session, job, piece)
                else:
                    job.seen_rows += piece.rows
                    await self._write(job, self._statement(job, piece))

    def _statement(self, job: _Job, chunk: Chunk) -> Statement:
        """Make the statement of a chunk, and count it."""
        if not chunk.valid:
            self._warn_invalid(job)
        statement = chunk_statement(job.sql, chunk)
        job.result.add(chunk.rows, len(statement.sql), len(statement.sql))
        return statement

    async def _write_and_release(
        self, job: _Job, statement: Statement, room: asyncio.Semaphore
    ) -> None:
        try:
            await self._write(job, statement)
        finally:
            room.release()

    async def _write(self, job: _Job, statement: Statement) -> None:
        await self._sink.append(
            MemberKind.DATA,
            [*self._prelude(job), statement],
            database=job.table.database,
            table=job.table.name,
        )
        self._progress.moved(job.table.label, rows=statement.rows, size=len(statement.sql))

    async def _write_large(self, session: Session, job: _Job, row: LargeRow) -> None:
        """Write a row that is too large for one statement, slice by slice."""
        job.seen_rows += 1

        async def statements() -> AsyncIterator[Statement]:
            for statement in self._prelude(job):
                yield statement
            value = 0
            async with aclosing(read_large_row(session, job.sql, row)) as parts:
                async for part in parts:
                    size = len(part.sql)
                    first = part.kind is StatementKind.PIECE and b"CONCAT(" not in part.sql[:64]
                    value = value_bytes(part.sql) + (0 if first else value)
                    # Put together, a value must fit into one packet, but with nothing around it.
                    job.result.add(part.rows, size, max(size, value - _PACKET_SLACK))
                    self._progress.moved(job.table.label, rows=part.rows, size=size)
                    yield part

        await self._sink.stream(
            MemberKind.DATA, statements(), database=job.table.database, table=job.table.name
        )

    async def _finish(self, session: Session, job: _Job) -> None:
        """Prove that no row is missing, and count the table."""
        if job.plan is None or job.ranges > 1:
            rows = await count_rows(session, job.sql)
            if rows != job.seen_rows:
                raise SnapshotError(
                    f"{job.table.label}: read {job.seen_rows} rows of {rows}",
                    hint="Report this; a backup with missing rows is never kept.",
                )
        if job.table.ref.is_unsafe:
            self._unsafe_left -= 1
            if not self._unsafe_left:
                await self._snapshot.release_table_locks()
        self._progress.finished_table(job.table.label)

    def _prelude(self, job: _Job) -> list[Statement]:
        return member_prelude(
            job.table.database, single=self._schema.single, history=job.table.entry.history
        )

    def _warn_invalid(self, job: _Job) -> None:
        text = (
            f"{job.table.label} has text with bytes that are no valid text; they are kept as they"
            " are, but no server takes them back"
        )
        if text not in self.warnings:
            self.warnings.append(text)
