"""
Proof that a restored table is the one that was backed up.

Every chunk is read back by the query that dumped it and made into the statement that is in the file;
its SHA-256 must be the one in the manifest. Rows outside of all chunks would show in COUNT(*).
"""

import hashlib
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final, NoReturn

from app.concurrency import share
from app.domain.backups.manifest import (
    Manifest,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
)
from app.domain.ports import Statement
from app.engine.rows.binary import SMALL_BYTES
from app.engine.rows.chunks import (
    Chunk,
    LargeRow,
    chunk_statement,
    read_range,
    read_stream,
    read_whole,
)
from app.engine.rows.large_rows import read_large_row
from app.engine.rows.queries import TableSql, count_rows
from app.engine.schema.tables import Table
from app.engine.server.connection import Session
from app.engine.sql.key_ranges import Range
from app.errors import ProofFailedError, SnapshotError


_COMPARED: Final = frozenset({StatementKind.INSERT, StatementKind.PIECE})


def compared(member: MemberEntry) -> list[StatementEntry]:
    """Return the statements of a data member that stand for rows."""
    return [entry for entry in member.statements if entry.kind in _COMPARED]


def reads_all(members: Sequence[MemberEntry]) -> bool:
    """
    Tell whether the proof of a table's members alone shows that there are no other rows.

    It does for a single range without bounds: `prove_member` reads whatever rows the table has, and
    compares all of them. Between bounds, or of a table that should be empty, rows may hide.

    Returns:
        Whether counting the rows would add nothing.
    """
    if len(members) != 1:
        return False
    insert = compared(members[0])[-1]
    return not (insert.lower or insert.upper or insert.sliced)


async def prove_tables(
    sessions: Sequence[Session],
    manifest: Manifest,
    tables: Sequence[tuple[str, Table]],
) -> None:
    """
    Compare the rows of live tables with a backup.

    Args:
        sessions: With a group_concat_max_len for the backup's chunks; they share the tables.
        manifest: Of the backup.
        tables: Name of the database in the backup, and the live table.

    Raises:
        ProofFailedError: Live rows are not those of the backup.
    """
    members: dict[tuple[str, str], list[MemberEntry]] = {}
    for member in manifest.members:
        if member.kind is MemberKind.DATA:
            members.setdefault((member.database, member.table), []).append(member)

    async def prove(session: Session, named: tuple[str, Table]) -> None:
        source, table = named
        if not table.has_rows or not table.entry.holds_rows:
            return
        sql = await TableSql.read(session, table, manifest.server.version)
        own = members.get((source, table.name), [])
        if table.entry.index:
            for member in own:
                await prove_member(session, sql, member)
        else:
            await prove_stream(session, sql, own, manifest.options.chunk_bytes)
        await prove_count(session, sql, own)

    await share(tables, sessions, prove)


async def prove_member(session: Session, sql: TableSql, member: MemberEntry) -> None:
    """
    Read the rows of one data member back and compare.

    Raises:
        ProofFailedError: The live rows are not those of the member.
    """
    entries = compared(member)
    insert = entries[-1]
    bounds = insert.lower, insert.upper
    lower, upper = map(sql.ends.bound, bounds) if sql.ends else bounds
    part = Range(lower, upper)
    found: list[Chunk | LargeRow] = [LargeRow(part)]
    if not insert.sliced:  # what was large for the server backed up may not be so for this one
        found = []
        async with aclosing(read_range(session, sql, part)) as pieces:
            async for piece in pieces:
                found.append(piece)
                if len(found) > 1:  # a live table may hold any number of rows more
                    break
    if len(found) != 1 or isinstance(found[0], LargeRow) is not insert.sliced:
        _fail(sql, f"a range holds other rows than the {insert.rows} of the backup")
    await _compare(session, sql, found[0], entries)


async def prove_stream(
    session: Session,
    sql: TableSql,
    members: Sequence[MemberEntry],
    chunk_bytes: int,
) -> None:
    """
    Read a table without a usable key back, whole and in order, and compare.

    Raises:
        ProofFailedError: The live rows are not those of the members.
    """
    expected = iter(members)
    inserts = [compared(member)[-1] for member in members]
    plain = sum(insert.rows for insert in inserts if not insert.sliced)
    if await _prove_whole(session, sql, members, chunk_bytes):
        return
    await session.query(sql.touch())
    async with aclosing(read_stream(session, sql, chunk_bytes, large_from=plain)) as pieces:
        async for piece in pieces:
            member = next(expected, None)
            if member is None:
                _fail(sql, "there are more rows than in the backup")
            await _compare(session, sql, piece, compared(member))
    if next(expected, None) is not None:
        _fail(sql, "there are fewer rows than in the backup")


async def _prove_whole(
    session: Session, sql: TableSql, members: Sequence[MemberEntry], chunk_bytes: int
) -> bool:
    """Prove a small table that is one chunk by one query; False when it has to be streamed."""
    if len(members) != 1 or members[0].raw_size >= SMALL_BYTES:
        return False
    entries = compared(members[0])
    chunk = None if entries[-1].sliced else await read_whole(session, sql, chunk_bytes)
    if chunk is not None:
        await _compare(session, sql, chunk, entries)
    return chunk is not None


async def prove_count(session: Session, sql: TableSql, members: Sequence[MemberEntry]) -> None:
    """
    Compare the number of rows, unless the proof of the members has read them all.

    Raises:
        ProofFailedError: It is not the backup's.
    """
    if reads_all(members):
        return
    rows = await count_rows(session, sql)
    if rows != sql.table.entry.rows:
        _fail(sql, f"{rows} rows, {sql.table.entry.rows} in the backup")


async def digest_rows(session: Session, table: Table, chunk_bytes: int) -> str:
    """
    Read a table, whole and in the order of its scan.

    Args:
        session: With a group_concat_max_len for the chunks.
        table: Which.
        chunk_bytes: Target size of a chunk, in bytes.

    Returns:
        SHA-256 of its rows; equal for two snapshots of one table that hold the same.
    """
    sql, digest = TableSql.of(table, session.flavor), hashlib.sha256()
    await session.query(sql.touch())
    async with aclosing(read_stream(session, sql, chunk_bytes)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Chunk):
                digest.update(chunk_statement(sql, piece).sql)
                continue
            async with aclosing(read_large_row(session, sql, piece)) as parts:
                async for part in parts:
                    digest.update(part.sql)
    return digest.hexdigest()


async def _compare(
    session: Session,
    sql: TableSql,
    piece: Chunk | LargeRow,
    entries: Sequence[StatementEntry],
) -> None:
    made: list[Statement] = []
    if isinstance(piece, Chunk):
        made.append(chunk_statement(sql, piece))
    else:
        try:
            async with aclosing(read_large_row(session, sql, piece)) as parts:
                made.extend([part async for part in parts if part.kind in _COMPARED])
        except SnapshotError as exc:  # not one row in its range
            _fail(sql, str(exc))
    if [hashlib.sha256(part.sql).hexdigest() for part in made] != [
        entry.sha256 for entry in entries
    ]:
        _fail(sql, f"{entries[-1].rows} rows differ from the backup's")
    stored = entries[-1].stored_sha256  # none in backups of earlier versions
    if stored and sql.stored and made[-1].stored_sha256 != stored:
        _fail_stored(sql)


def _fail_stored(sql: TableSql) -> NoReturn:
    columns = ", ".join(repr(column.name) for column in sql.table.stored)
    raise ProofFailedError(
        f"{sql.table.label}: this server computes other values for the stored generated columns"
        f" ({columns}) than are in the backup",
        hint="What was restored is not kept. Its version, time zone or global settings differ from"
        " those of the server that was backed up; --no-verify-after takes the values of this one.",
    )


def _fail(sql: TableSql, what: str) -> NoReturn:
    raise ProofFailedError(
        f"{sql.table.label}: {what}",
        hint="What was restored is not kept. Verify the backup, and look for writers or triggers.",
    )
