"""
Reading tables: which rows make one statement, and the proof that none is missing.

A table with a usable key is cut into half-open key ranges. `Planner` says where to cut: integer keys
by arithmetic that adapts to the density seen, all others by asking the server for the next key.
`read_range` reads one range and splits it when the reply was too large:

1. One query returns all rows by the binary protocol, and compiled code makes their text; or, where that
   code is missing or not worth it, one returns COUNT(*) and all rows as text (`app.engine.rows.binary`).
2. The separators of a text are counted. As many rows as COUNT(*), and no warning: the chunk is good.
3. Else the reply was cut, or a row was too large to format. Halve the range and read both halves.
4. A range of one row that is still too large is read in slices (`app.engine.rows.large_rows`).

A table without a usable key is read as one stream, on one connection: by the binary protocol until a row
comes that the server has to format, and from there on row by row. A small one is tried by one query before.

Not guaranteed: a stable order for tables without a key in engines that do not keep one.
"""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from app.domain.backups.manifest import StatementKind
from app.domain.ports import Statement
from app.engine.native import is_utf8
from app.engine.rows.binary import is_streamable, is_worthwhile, read_binary, stream_binary
from app.engine.rows.queries import TableSql, find_boundary
from app.engine.server.connection import Session
from app.engine.server.driver import Value
from app.engine.sql import literals
from app.engine.sql.key_ranges import Range
from app.errors import SnapshotError, StatementError


# How far above its target a statement may grow before it is split. Not a power of two on purpose:
# some servers return nothing when group_concat_max_len is 2^28 or 2^29.
_SLACK: Final = 4
_CUT: Final = frozenset({1260, 1301})
# A generated column depends on sql_mode: MariaDB says so whenever it opens the table.
_OPENED: Final = frozenset({1105, 1901})


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Rows of one statement.

    Attributes:
        part: Range they were read from; open for streams.
        rows: How many.
        body: Their text, between the first and the last parenthesis.
        valid: False when text columns held bytes that are no text, now in hex.
        stored_sha256: Digest of what they hold in stored generated columns; empty without such.
    """

    part: Range
    rows: int
    body: bytes
    valid: bool = True
    stored_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LargeRow:
    """
    One row too large for a statement.

    Attributes:
        part: Range that holds just this row; open for streams.
        ordinal: Position in the stream, from 0.
    """

    part: Range
    ordinal: int = 0


Piece = Chunk | LargeRow


def reading_state(state: Mapping[str, str], chunk_bytes: int) -> dict[str, str]:
    """Return a session state in which chunks of a target size are read: no reply may exceed it by more."""
    return {**state, "group_concat_max_len": str(_SLACK * chunk_bytes + 1021)}


async def read_range(
    session: Session, sql: TableSql, part: Range, *, binary: bool = True
) -> AsyncGenerator[Piece]:
    """
    Read one range.

    Args:
        session: With a group_concat_max_len for the chunks.
        sql: The table's.
        part: Which.
        binary: Whether the binary protocol may be used. It sends all of a range that is too large, where
            the server's own text is cut.

    Yields:
        Pieces in key order that together are the range; nothing for an empty range.

    Raises:
        SnapshotError: The table changed under the snapshot.
        StatementError: The reply contradicts itself for no known reason.
    """
    rows, chunk = await _chunk(session, sql, part, binary=binary)
    if rows == 0:
        return
    if chunk is not None:
        yield chunk
        return
    if rows == 1:
        yield LargeRow(part)
        return
    middle = await find_boundary(session, sql, part, rows // 2)
    if not middle or middle == part.lower:
        raise SnapshotError(f"{sql.table.label}: its key does not separate its rows")
    for half in (Range(part.lower, middle), Range(middle, part.upper)):
        async for piece in read_range(session, sql, half, binary=False):
            yield piece


@dataclass(frozen=True, slots=True)
class _Reading:
    """
    A range as it was read once.

    Attributes:
        rows: How many.
        chunk: Them; None when their text was cut.
        odd_ascii: Whether columns of character set ascii hold other bytes; None = the server knows.
    """

    rows: int
    chunk: Chunk | None
    odd_ascii: bool | None = None


async def _chunk(
    session: Session, sql: TableSql, part: Range, *, binary: bool
) -> tuple[int, Chunk | None]:
    """Return the number of rows of a range, and the rows unless the reply was cut."""
    reading = await _read(session, sql, part, binary=binary)
    chunk = reading.chunk
    if chunk is not None and sql.parsed_row and literals.may_differ_parsed(chunk.body):
        reading = await _read(session, sql, part, row=sql.parsed_row)
        chunk = reading.chunk
    if chunk is None or chunk.body.isascii() or not await _is_odd(session, sql, reading):
        return reading.rows, chunk
    valid = is_utf8(chunk.body) or not await _has_invalid_text(session, sql, part)
    reading = await _read(session, sql, part, row=sql.hex_row)
    chunk = reading.chunk
    return reading.rows, None if chunk is None else replace(chunk, valid=valid)


async def _has_invalid_text(session: Session, sql: TableSql, part: Range) -> bool:
    """Tell whether texts hold bytes that no server takes back; those of ascii columns it does."""
    query = sql.invalid_text(part)
    return bool(query) and bool((await session.query(query, redact=True, no_timeout=True)).rows)


async def _is_odd(session: Session, sql: TableSql, reading: _Reading) -> bool:
    """Tell whether texts hold bytes that are none; a column of character set ascii may, too."""
    assert reading.chunk is not None  # noqa: S101 - nobody asks then
    if not is_utf8(reading.chunk.body):
        return True
    if reading.odd_ascii is not None:
        return reading.odd_ascii
    query = sql.odd_rows(reading.chunk.part)
    return bool(query) and bool(await session.texts(query))


async def _read(
    session: Session, sql: TableSql, part: Range, *, row: str = "", binary: bool = False
) -> _Reading:
    """Read a range once."""
    if binary and is_worthwhile(session, sql, part):
        found = await read_binary(session, sql, part)
        if found is not None:
            cut = bool(found.warnings) and await _was_cut(session, sql)
            text = None if cut else found.text
            chunk = None if text is None else Chunk(part, found.rows, text)
            return _Reading(found.rows, chunk, found.has_odd_ascii)
    reply = await session.query(sql.chunk(part, row=row), redact=True)
    count, body, digest = reply.rows[0]
    rows = int(count or 0)
    if reply.warnings and await _was_cut(session, sql):
        return _Reading(rows, None)
    if rows == 0:
        return _Reading(0, Chunk(part, 0, b""))
    text = None if body is None else literals.joined(body, rows)
    if text is None:
        return _Reading(rows, None)
    return _Reading(rows, Chunk(part, rows, text, stored_sha256=(digest or b"").decode()))


async def _was_cut(session: Session, sql: TableSql) -> bool:
    """Tell whether the last query warned that its text is not all; any other warning is an error."""
    codes = {code for code, _ in await session.warnings()}
    if odd := codes - _CUT - _OPENED:
        raise StatementError(
            f"{sql.table.label}: reading it raised warning {min(odd)}", errno=min(odd)
        )
    return bool(codes & _CUT)


async def read_whole(session: Session, sql: TableSql, chunk_bytes: int) -> Chunk | None:
    """
    Read a table without a usable key by one query.

    Returns:
        The one chunk that `read_stream` would make of it; None where that has to read it, since there is more
        or what is no plain text.

    Raises:
        StatementError: The reply contradicts itself for no known reason.
    """
    if sql.stored or sql.parsed_row or sql.table.entry.history:
        return None
    reading = await _read(session, sql, Range())
    chunk = reading.chunk
    if chunk is None or len(chunk.body) >= chunk_bytes:
        return None
    is_plain = chunk.body.isascii() or not await _is_odd(session, sql, reading)
    return chunk if is_plain else None


async def read_stream(
    session: Session,
    sql: TableSql,
    chunk_bytes: int,
    *,
    large_from: int | None = None,
) -> AsyncGenerator[Piece]:
    """
    Read a table without a usable key.

    Args:
        session: Has touched the table: a stream that is refused costs the connection, and a table may open
            only in another sql_mode.
        sql: The table's.
        chunk_bytes: Target size of a chunk.
        large_from: For a proof, the position from which on the rows are large: what is too large
            for one server may not be so for another.

    Yields:
        Chunks in the order of the scan; then, from a second scan, the rows with bytes that are no
        UTF-8, in hex; then the large rows by their position.
    """
    done, is_left = 0, True
    if large_from is None and is_streamable(session, sql):
        is_left = False
        async with aclosing(stream_binary(session, sql, chunk_bytes, _SLACK * chunk_bytes)) as rows:
            async for found in rows:
                is_left = found.text is None
                done += found.rows
                if found.text is not None:
                    yield Chunk(Range(), found.rows, found.text)
    if is_left:
        async with aclosing(_read_formatted(session, sql, chunk_bytes, large_from, done)) as pieces:
            async for piece in pieces:
                yield piece


async def _read_formatted(
    session: Session, sql: TableSql, chunk_bytes: int, large_from: int | None, done: int
) -> AsyncGenerator[Piece]:
    """Read a table without a usable key row by row; `done` rows are in chunks already."""
    scan = _Scan(chunk_bytes, large_from, done, has_stored=bool(sql.stored))
    async with aclosing(session.stream(sql.rows())) as replies:
        async for chunk in scan.chunks(replies, scan.plain):
            yield chunk
    if scan.odd:
        valid = not await _has_invalid_text(session, sql, Range())
        async with aclosing(session.stream(sql.rows(as_hex=True))) as replies:
            async for chunk in scan.chunks(replies, scan.in_hex):
                yield replace(chunk, valid=valid)
    for ordinal in scan.large:
        yield LargeRow(Range(), ordinal)


class _Scan:
    """Sorts the rows of a scan: what goes into chunks, what is read again, what is too large."""

    def __init__(
        self, chunk_bytes: int, large_from: int | None, done: int, *, has_stored: bool
    ) -> None:
        self._chunk_bytes = chunk_bytes
        self._done = done  # rows that are in chunks already
        self._large_from = large_from
        self._has_stored = has_stored
        self.odd: set[int] = set()
        self.large: list[int] = []

    def plain(self, position: int, text: bytes | None) -> bool:
        """Tell whether a row goes into a chunk as it is; record it when it does not."""
        if position < self._done:
            return False
        if text is None or self._is_large(position, text):
            self.large.append(position)
            return False
        if is_utf8(text):
            return True
        self.odd.add(position)
        return False

    def _is_large(self, position: int, text: bytes) -> bool:
        if self._large_from is None:
            return len(text) > _SLACK * self._chunk_bytes
        return position >= self._large_from

    def in_hex(self, position: int, text: bytes | None) -> bool:
        """Tell whether a row of the second scan goes into a chunk."""
        if position not in self.odd:
            return False
        if text is None:
            self.large.append(position)
        return text is not None

    async def chunks(
        self,
        replies: AsyncIterator[list[Value]],
        wanted: Callable[[int, bytes | None], bool],
    ) -> AsyncIterator[Chunk]:
        """Join the wanted rows of a scan to chunks."""
        batch: list[bytes] = []
        kept: list[bytes] = []  # of the same rows, what their stored generated columns hold
        size = position = 0
        async for reply in replies:
            rows, stored = self._split(reply)
            all_plain = wanted == self.plain and self._are_plain(position, rows)
            for place, text in enumerate(rows):
                if all_plain or wanted(position, text):
                    batch.append(text or b"")
                    kept += stored[place : place + 1]
                    size += len(batch[-1]) + 1
                position += 1
                if size >= self._chunk_bytes:
                    yield _stream_chunk(batch, kept)
                    batch, kept, size = [], [], 0
        if batch:
            yield _stream_chunk(batch, kept)

    def _split(self, rows: list[Value]) -> tuple[list[Value], list[bytes]]:
        """Take the text of stored generated columns off each row's."""
        if not self._has_stored:
            return rows, []
        parts = [(row or b"").partition(literals.SEPARATOR) for row in rows]
        texts = [None if row is None else part[0] for row, part in zip(rows, parts, strict=True)]
        return texts, [part[2] for part in parts]

    def _are_plain(self, position: int, rows: list[Value]) -> bool:
        """Tell of many rows at once that each goes into a chunk as it is, which nearly all do."""
        texts = [text for text in rows if text is not None]
        return (
            len(texts) == len(rows)
            and position >= self._done
            and not self._is_large(position + len(rows) - 1, max(texts, key=len))
            and is_utf8(literals.ROW_JOIN.join(texts))
        )


def _stream_chunk(batch: list[bytes], stored: list[bytes]) -> Chunk:
    digest = hashlib.sha256(literals.SEPARATOR.join(stored)).hexdigest() if stored else ""
    return Chunk(Range(), len(batch), literals.ROW_JOIN.join(batch), stored_sha256=digest)


def chunk_statement(sql: TableSql, chunk: Chunk) -> Statement:
    """Make the INSERT of one chunk; dump and proof must make the same one."""
    text = literals.insert(sql.head, chunk.body)
    return Statement(
        StatementKind.INSERT,
        sql.ends.as_saved(sql.head, text) if sql.ends else text,
        rows=chunk.rows,
        lower=chunk.part.lower,
        upper=chunk.part.upper,
        stored_sha256=chunk.stored_sha256,
    )
