"""
The rows of all tables, read by every connection of a snapshot at once.

The connections walk the same list of tables and take ranges of the first one that has any left, so
they work on one large table together and on small ones side by side.
"""

import asyncio
import logging
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
from app.engine.rows.binary import SMALL_BYTES
from app.engine.rows.chunks import (
    Chunk,
    LargeRow,
    Piece,
    chunk_statement,
    read_range,
    read_stream,
    read_whole,
)
from app.engine.rows.large_rows import read_large_row, value_bytes
from app.engine.rows.planner import Planner, build_planner
from app.engine.rows.queries import TableSql, count_rows
from app.engine.schema.tables import DOCUMENT_ID, Table
from app.engine.server.connection import Session
from app.engine.sql.key_ranges import Range
from app.engine.sql.literals import may_lose_types
from app.errors import SnapshotError


_log: Final = logging.getLogger(__name__)
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
class _TableDump:
    """
    One table on its way through the connections.

    Attributes:
        sql: Its queries.
        plan: Where to cut it; None for a table that is read as one stream.
        lock: Held to take a range, and to write or prove the definition.
        given_out: Whether no range is left to take.
        active: Connections that read it now.
        ranges: How many were given out.
        seen_rows: Rows that were read.
        is_counted: Whether the query that read all of them has counted them, too.
        changed_json: Rows whose JSON the file does not bring back as it is.
        result: What was written.
        proven_by: Ids of the connections whose rows are known to be of the definition that was written.
    """

    sql: TableSql
    plan: Planner | None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    given_out: bool = False
    active: int = 0
    ranges: int = 0
    seen_rows: int = 0
    is_counted: bool = False
    changed_json: int = 0
    result: TableResult = field(default_factory=TableResult)
    proven_by: set[int] = field(default_factory=set)

    @property
    def table(self) -> Table:
        return self.sql.table

    @property
    def in_order(self) -> bool:
        """Tell whether the server takes the rows in the order of their key only."""
        return any(column.name == DOCUMENT_ID for column in self.table.entry.columns)


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
        self._dumps: list[_TableDump] = []
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
            tables, key=lambda sql: (not sql.table.is_unsafe, -sql.table.bytes_estimate)
        )
        self._dumps = [_TableDump(sql, self._plan(sql)) for sql in chosen]
        self._unsafe_left = sum(sql.table.is_unsafe for sql in chosen)
        self._progress.expect(
            tables=len(chosen),
            rows=sum(sql.table.rows_estimate for sql in chosen),
            size=sum(sql.table.bytes_estimate for sql in chosen),
        )
        if not self._unsafe_left:
            await self._snapshot.release_table_locks()
        await together(*(self._read_tables(session) for session in self._snapshot.sessions))
        return {dump.table.label: dump.result for dump in self._dumps}

    def _plan(self, sql: TableSql) -> Planner | None:
        return build_planner(sql, self._chunk_bytes) if sql.table.entry.index else None

    async def _read_tables(self, session: Session) -> None:
        """Be one connection: go through the tables and take what is left of each."""
        loop = asyncio.get_running_loop()
        released, cost = loop.time(), 0.0
        room = asyncio.Semaphore(_IN_FLIGHT)
        async with asyncio.TaskGroup() as writes:
            for dump in self._dumps:
                await self._read_ranges(session, dump, writes, room)
                began = loop.time()
                if began - released > max(_RELEASE_SECONDS, _RELEASE_SHARE * cost):
                    await self._snapshot.release(session)
                    released = loop.time()
                    cost = released - began
        await self._snapshot.release(session)

    async def _read_ranges(
        self,
        session: Session,
        dump: _TableDump,
        writes: asyncio.TaskGroup,
        room: asyncio.Semaphore,
    ) -> None:
        """Read ranges of one table until there are none left."""
        with changed_table(dump.table):
            while (part := await self._claim(session, dump)) is not None:
                if dump.plan is None:
                    await self._dump_stream(session, dump, writes)
                else:
                    await self._dump_range(session, dump, part, writes, room)
                await self._write_definition(session, dump)
                dump.active -= 1
                if dump.given_out and dump.active == 0:
                    await self._finish(session, dump)

    async def _write_definition(self, session: Session, dump: _TableDump) -> None:
        """Put the definition before the rows; once a connection, when it has read the table."""
        if session.connection_id in dump.proven_by:
            return
        async with dump.lock:
            await self._schema.write_or_prove(session, dump.table)
        dump.proven_by.add(session.connection_id)
        self._snapshot.identities.touch(session, dump.table.ref)

    async def _claim(self, session: Session, dump: _TableDump) -> Range | None:
        """Take the next range of a table; streams are one range."""
        async with dump.lock:
            if dump.given_out or (dump.in_order and dump.active):
                return None
            part: Range | None = Range()
            if dump.plan is not None:
                part = await dump.plan.next(session)
            dump.given_out = part is None or not part.upper
            if part is not None:
                if not dump.ranges:
                    # Names are no part of its shape: of thousands of tables a minute logs some.
                    _log.info("Backing up table: %s", dump.table.label)
                dump.active += 1
                dump.ranges += 1
            return part

    async def _dump_range(
        self,
        session: Session,
        dump: _TableDump,
        part: Range,
        writes: asyncio.TaskGroup,
        room: asyncio.Semaphore,
    ) -> None:
        """Read a range; compression and writing go on while the next one is read."""
        rows = size = 0
        async with aclosing(read_range(session, dump.sql, part)) as pieces:
            async for piece in pieces:
                await self._write_definition(session, dump)
                await self._count_changed(session, dump, piece)
                if isinstance(piece, LargeRow):
                    await self._write_large(session, dump, piece)
                    rows += 1
                    continue
                rows += piece.rows
                size += len(piece.body)
                dump.seen_rows += piece.rows
                if dump.in_order:
                    await self._write(dump, self._statement(dump, piece))
                    continue
                await room.acquire()
                # Handed over as a statement: what waits to be written holds its rows once, not twice.
                statement = self._statement(dump, piece)
                writes.create_task(self._write_and_release(dump, statement, room))
        if dump.plan is not None:
            dump.plan.learn(part, rows, size)

    async def _dump_stream(
        self, session: Session, dump: _TableDump, writes: asyncio.TaskGroup
    ) -> None:
        """Read a whole table in the order in which it must be written and loaded."""
        if await self._dump_whole(session, dump):
            return
        await session.query(dump.sql.touch())  # nothing else can be asked while rows stream
        await self._write_definition(session, dump)
        # One chunk is compressed while the next one is read; two would overtake each other.
        turn = asyncio.Semaphore(1)
        async with aclosing(read_stream(session, dump.sql, self._chunk_bytes)) as pieces:
            async for piece in pieces:
                await turn.acquire()
                if isinstance(piece, LargeRow):
                    await self._write_large(session, dump, piece)
                    turn.release()
                else:
                    dump.seen_rows += piece.rows
                    statement = self._statement(dump, piece)
                    writes.create_task(self._write_and_release(dump, statement, turn))
        await turn.acquire()
        if dump.sql.changed_json:
            await self._count_changed(session, dump, LargeRow(Range()))

    async def _dump_whole(self, session: Session, dump: _TableDump) -> bool:
        """Read a small table as one chunk; False when it has to be streamed."""
        if dump.table.bytes_estimate >= SMALL_BYTES:
            return False
        chunk = await read_whole(session, dump.sql, self._chunk_bytes)
        if chunk is None:
            return False
        await self._write_definition(session, dump)
        dump.seen_rows, dump.is_counted = chunk.rows, True
        if chunk.rows:
            await self._write(dump, self._statement(dump, chunk))
        return True

    async def _count_changed(self, session: Session, dump: _TableDump, piece: Piece) -> None:
        """Count the rows of a piece whose JSON comes back with other numbers, or without its types."""
        sql = dump.sql
        if sql.changed_json and (isinstance(piece, LargeRow) or may_lose_types(piece.body)):
            query = sql.count_changed_json(piece.part)
            reply = await session.query(query, redact=True, no_timeout=True)
            dump.changed_json += int(reply.rows[0][0] or 0)

    def _statement(self, dump: _TableDump, chunk: Chunk) -> Statement:
        """Make the statement of a chunk, and count it."""
        if not chunk.valid:
            self._warn_invalid(dump)
        statement = chunk_statement(dump.sql, chunk)
        dump.result.add(chunk.rows, len(statement.sql), len(statement.sql))
        return statement

    async def _write_and_release(
        self, dump: _TableDump, statement: Statement, room: asyncio.Semaphore
    ) -> None:
        try:
            await self._write(dump, statement)
        finally:
            room.release()

    async def _write(self, dump: _TableDump, statement: Statement) -> None:
        await self._sink.append(
            MemberKind.DATA,
            [*self._prelude(dump), statement],
            database=dump.table.database,
            table=dump.table.name,
        )
        self._progress.moved(dump.table.label, rows=statement.rows, size=len(statement.sql))

    async def _write_large(self, session: Session, dump: _TableDump, row: LargeRow) -> None:
        """Write a row that is too large for one statement, slice by slice."""
        dump.seen_rows += 1

        async def statements() -> AsyncIterator[Statement]:
            for statement in self._prelude(dump):
                yield statement
            value = 0
            async with aclosing(read_large_row(session, dump.sql, row)) as parts:
                async for part in parts:
                    size = len(part.sql)
                    first = part.kind is StatementKind.PIECE and b"CONCAT(" not in part.sql[:64]
                    value = value_bytes(part.sql) + (0 if first else value)
                    # Put together, a value must fit into one packet, but with nothing around it.
                    dump.result.add(part.rows, size, max(size, value - _PACKET_SLACK))
                    self._progress.moved(dump.table.label, rows=part.rows, size=size)
                    yield part

        await self._sink.stream(
            MemberKind.DATA, statements(), database=dump.table.database, table=dump.table.name
        )

    async def _finish(self, session: Session, dump: _TableDump) -> None:
        """Prove that no row is missing, and count the table."""
        if not dump.is_counted and (dump.plan is None or dump.ranges > 1):
            rows = await count_rows(session, dump.sql)
            if rows != dump.seen_rows:
                raise SnapshotError(
                    f"{dump.table.label}: read {dump.seen_rows} rows of {rows}",
                    hint="Report this; a backup with missing rows is never kept.",
                )
        if dump.changed_json:
            self.warnings.append(
                f"{dump.table.label}: {dump.changed_json} rows hold JSON that its text does not bring back"
                " as it is: exact decimals become doubles; dates, times and binary values become strings"
            )
        if dump.table.is_unsafe:
            self._unsafe_left -= 1
            if not self._unsafe_left:
                await self._snapshot.release_table_locks()
        self._progress.finished_table(dump.table.label)

    def _prelude(self, dump: _TableDump) -> list[Statement]:
        return self._schema.prelude(dump.table)

    def _warn_invalid(self, dump: _TableDump) -> None:
        text = (
            f"{dump.table.label} has text with bytes that are no valid text; they are kept as they"
            " are, but no server takes them back"
        )
        if text not in self.warnings:
            self.warnings.append(text)
