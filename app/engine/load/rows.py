"""
The rows, indexes and proof of every table, on all connections at once.

Each INSERT is its own transaction and is checked: no warning, as many rows as the index says. Where
the server allows it, the rows of an INSERT go through LOAD DATA LOCAL instead (`app.engine.sql.load_data`),
under the same check and with the INSERT itself as the way out.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final

from app.domain.backups.manifest import MemberEntry, StatementEntry, StatementKind, TableEntry
from app.domain.runs.progress import Progress
from app.engine.flavor import Flavor
from app.engine.load.read_ahead import ReadAhead
from app.engine.load.work_queue import TableSteps, Unit
from app.engine.rows.history import RowEnds
from app.engine.rows.proof import prove_count, prove_member, prove_stream
from app.engine.rows.queries import TableSql
from app.engine.rows.stored import computing, without_zone
from app.engine.schema.tables import Table
from app.engine.server.clock import ServerClock
from app.engine.server.connection import Session
from app.engine.server.driver import Reply
from app.engine.server.errors import about
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
# To read so much back takes about a second.
_LARGE_BYTES: Final = 64 << 20
# A row costs the server as much, whatever is in it, as so many bytes of its text; with its indexes.
_ROW_BYTES: Final = 100
# The innodb_autoinc_lock_mode in which no statement waits for another one's counter.
_INTERLEAVED: Final = "2"
# An ENUM's index 0 loads back as index 0, with this warning.
_TOLERATED: Final = frozenset({1265})


@dataclass(slots=True)
class TableLoad:
    """
    One table to load.

    Attributes:
        database: Where it is loaded to.
        target: Database that it is meant for, for people.
        entry: What the manifest says about it.
        staged: Its definition in the order that loads fastest.
        members: Its rows.
        ends: How its current rows get another end than in the backup; None where they keep it.
        head: What each of its INSERT statements begins with.
        bulk: LOAD DATA statement; empty when its rows must be inserted.
        proven_from: Second of the server's clock in which the proof began; 0 = there was none.
    """

    database: str
    target: str
    entry: TableEntry
    staged: ddl.StagedTable
    members: list[MemberEntry]
    ends: RowEnds | None = None
    head: bytes = b""
    bulk: str = ""
    proven_from: int = 0

    @property
    def computes(self) -> bool:
        """Tell whether an INSERT has columns computed."""
        return any(column.generated for column in self.entry.columns)

    @property
    def live(self) -> Table:
        """Return the table as it is on the target."""
        return Table(self.database, self.entry, shown=self.target)

    def queries(self, flavor: Flavor) -> TableSql:
        """Return how it is read and written on the target."""
        return replace(TableSql.of(self.live, flavor), ends=self.ends)


@dataclass(frozen=True, slots=True)
class LoadRules:
    """
    What a server says about how rows are loaded into it.

    Attributes:
        flavor: What it is.
        allowed: Whether it takes LOAD DATA LOCAL.
        locks_counters: Whether that keeps others out of a table with an AUTO_INCREMENT column.
        clock: Its clock.
    """

    flavor: Flavor
    allowed: bool
    locks_counters: bool
    clock: ServerClock

    @classmethod
    async def read(cls, session: Session) -> "LoadRules":
        """Ask the server."""
        rows = await session.texts(
            "SELECT @@GLOBAL.local_infile, @@GLOBAL.innodb_autoinc_lock_mode"
        )
        infile, mode = rows[0]
        clock = await ServerClock.read(session)
        return cls(session.flavor, infile == "1", mode != _INTERLEAVED, clock)


class RowLoader:
    """Makes the steps of each table for the work queue."""

    def __init__(
        self,
        source: ReadAhead,
        progress: Progress,
        *,
        chunk_bytes: int,
        prove: bool,
        rules: LoadRules,
    ) -> None:
        """
        Take what loading works with.

        Args:
            source: Members of the backup.
            progress: Told as it goes.
            chunk_bytes: Of the backup; the proof must read chunks of the same size.
            prove: Whether every chunk is read back and compared.
            rules: What the server says about how rows are loaded.
        """
        self._source = source
        self._progress = progress
        self._chunk_bytes = chunk_bytes
        self._prove = prove
        self._rules = rules
        self.clock = rules.clock

    def build_steps(self, table: TableLoad) -> TableSteps:
        """Make the steps of a table: rows; indexes and proof; the number of rows."""
        sql = table.queries(self._rules.flavor)
        if self._rules.allowed and table.entry.engine == "InnoDB" and not table.entry.history:
            table.bulk = bulk_statement(table.entry.name, sql.columns)
        table.head = sql.head
        ordered = sorted(table.members, key=lambda member: member.place)
        self._source.expect(ordered)
        load: list[Unit] = [partial(self._load_member, table, member) for member in ordered]
        if not table.entry.index:  # the order of a stream is part of its proof
            load = [partial(self._load_in_order, table, ordered)] if ordered else []
        prove, count = self._build_proof(table, sql, ordered)
        compute, index = self._compute(table), self._index_and_prove(table, prove)
        return TableSteps(
            [load, compute, *index, count],
            partial(self._progress.finished_table, table.live.label),
            single_file=self._rules.locks_counters
            and bool(table.bulk)
            and table.staged.has_counter,
            clock=self._rules.clock if prove else None,
            is_large=table.entry.raw_size >= _LARGE_BYTES,
            weight=table.entry.raw_size + _ROW_BYTES * table.entry.rows,
            unrested=_has_indexes(table) and not compute,
        )

    def _compute(self, table: TableLoad) -> list[Unit]:
        """Have stored generated columns computed again by the session they are of."""
        session = table.entry.session
        if session == without_zone(session) or not table.members:
            return []
        return [lambda session: alter(session, table, ["FORCE", "ALGORITHM=COPY"])]

    def _build_proof(
        self, table: TableLoad, sql: TableSql, ordered: Sequence[MemberEntry]
    ) -> tuple[list[Unit], list[Unit]]:
        """Make the units that read rows back, and the one that counts them."""
        if not self._prove or not table.live.has_rows or not table.entry.holds_rows:
            return [], []

        def timed(unit: Unit) -> Unit:
            async def prove(session: Session) -> None:
                table.proven_from = table.proven_from or self._rules.clock.earliest()
                await unit(session)

            return prove

        prove: list[Unit] = [partial(self._prove_member, sql, member) for member in ordered]
        if not table.entry.index:
            prove = [partial(self._prove_stream, sql, ordered)]
        count: Unit = lambda session: prove_count(session, sql, ordered)  # noqa: E731
        return [timed(unit) for unit in prove], [timed(count)]

    async def prove_again(self, table: TableLoad, session: Session) -> None:
        """Read a table back once more, from a later second on."""
        sql = table.queries(self._rules.flavor)
        ordered = sorted(table.members, key=lambda member: member.place)
        table.proven_from = 0
        for unit in chain(*self._build_proof(table, sql, ordered)):
            await unit(session)

    def _index_and_prove(self, table: TableLoad, prove: list[Unit]) -> list[list[Unit]]:
        """
        Put indexes and proof in order.

        They go side by side where an index is added beside the rows and the proof goes by the primary
        key, which is there from the start. A server that wants to copy the rows for an index gets the
        proof once more, of the copy.

        Returns:
            Steps, one after the other.
        """
        staged = table.staged
        if staged.fulltext or table.entry.index != "PRIMARY":
            index: list[Unit] = [partial(self._build_indexes, table)] if _has_indexes(table) else []
            return [index, prove]
        if not staged.indexes:
            return [prove]
        return [[partial(self._index_in_place, table, prove), *prove]]

    async def _load_in_order(
        self, table: TableLoad, members: Sequence[MemberEntry], session: Session
    ) -> None:
        for member in members:
            await self._load_member(table, member, session)

    async def _load_member(self, table: TableLoad, member: MemberEntry, session: Session) -> None:
        """Execute the statements of a data member that stand for rows."""
        await session.use(table.database)
        async with computing(session, without_zone(table.entry.session)):
            if any(entry.sliced for entry in member.statements):
                entries = iter(member.statements)
                async for text in self._source.iter_statements(member):
                    await self._insert(session, table, next(entries), text)
                return
            texts = await self._source.read(member)
            for entry, text in zip(member.statements, texts, strict=True):
                await self._insert(session, table, entry, text)

    async def _insert(
        self, session: Session, table: TableLoad, entry: StatementEntry, text: bytes
    ) -> None:
        """Execute one INSERT or PIECE; the server must take all of it, without a warning."""
        if entry.kind is StatementKind.PIECE:
            _require(text.startswith(b"SET @backstay_"), table, "a piece")
            await session.execute(text, redact=True)
            return
        if entry.kind is StatementKind.SESSION:
            _require(text.startswith(b"SET @backstay_1 = NULL"), table, "a session statement")
            await session.query(text)
            return
        if entry.kind is not StatementKind.INSERT:
            return
        _require(text.startswith(table.head) and text.endswith(b");\n"), table, "an INSERT")
        if table.ends:
            text = table.ends.as_live(table.head, text)
        await self._insert_rows(session, table, entry, text)
        self._progress.moved(table.live.label, rows=entry.rows, size=len(text))

    async def _insert_rows(
        self, session: Session, table: TableLoad, entry: StatementEntry, text: bytes
    ) -> None:
        """Insert, and refuse any difference from what the index says."""
        if table.bulk and not entry.sliced and await _load_bulk(session, table, entry, text):
            return
        with about(table.live.label):
            reply = await _insert_with_retries(session, text)
        codes = {code for code, _ in await session.warnings()} if reply.warnings else set()
        # An expression may warn of what is in the rows, such as a text that is no number.
        refused = set() if table.computes else codes - _TOLERATED
        if refused or reply.affected != entry.rows:
            problem = (
                f"warning {min(refused)}" if refused else f"{reply.affected} of {entry.rows} rows"
            )
            raise StatementError(
                f"{table.live.label}: an INSERT gave {problem}", errno=min(refused, default=0)
            )

    async def _index_in_place(
        self, table: TableLoad, prove: Sequence[Unit], session: Session
    ) -> None:
        """Add the indexes while others read; when the rows must be copied for that, prove the copy."""
        try:
            await alter(session, table, [*table.staged.indexes, "ALGORITHM=INPLACE"])
        except StatementError as exc:
            if exc.errno not in _NOT_IN_PLACE:
                raise
            await alter(session, table, table.staged.indexes)
            for unit in prove:
                await unit(session)

    async def _build_indexes(self, table: TableLoad, session: Session) -> None:
        await alter(session, table, table.staged.indexes)
        for clause in table.staged.fulltext:
            await alter(session, table, [clause])

    async def _prove_member(self, sql: TableSql, member: MemberEntry, session: Session) -> None:
        await prove_member(session, sql, member)

    async def _prove_stream(
        self, sql: TableSql, members: Sequence[MemberEntry], session: Session
    ) -> None:
        await prove_stream(session, sql, members, self._chunk_bytes)


async def alter(session: Session, table: TableLoad, clauses: Sequence[str]) -> None:
    """Change a table in one statement, in a session that computes its columns as they are."""
    if clauses:
        await session.use(table.database)
        sql = f"ALTER TABLE {quote(table.entry.name)} {', '.join(clauses)}"
        async with computing(session, table.entry.session):
            with about(table.live.label):
                await session.query(sql, no_timeout=True)


async def _load_bulk(
    session: Session, table: TableLoad, entry: StatementEntry, text: bytes
) -> bool:
    """Load the rows of an INSERT by LOAD DATA; False when that left no trace and it must run."""
    if not is_bulk(text):
        return False
    await session.query("START TRANSACTION")
    try:
        reply = await session.load_local(table.bulk, bulk_pieces(text, table.head))
    except StatementError:
        await session.query("ROLLBACK")
        return False
    refused = bool(reply.warnings and await session.warnings())
    if refused or reply.affected != entry.rows:
        await session.query("ROLLBACK")
        return False
    await session.query("COMMIT")
    return True


async def _insert_with_retries(session: Session, text: bytes) -> Reply:
    """Run an INSERT that is its own transaction; again when another session was in its way."""
    for pause in _PAUSES:
        try:
            return await session.query(text, redact=True)
        except StatementError as exc:
            if exc.errno not in _RETRYABLE:
                raise
        await asyncio.sleep(pause)
    return await session.query(text, redact=True)


def _require(condition: bool, table: TableLoad, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Refuse a statement that is not of the kind the manifest says."""
    if not condition:
        raise ManifestError(f"{table.live.label}: what is listed as {what} is none")


def _has_indexes(table: TableLoad) -> bool:
    return bool(table.staged.indexes or table.staged.fulltext)
