"""
One point in time, seen by several connections.

The ladder (`Flavor.rungs`) is climbed down until a rung holds; a rung gives up when a privilege is
missing or a lock is not granted in time, and says so in the warnings. Whatever rung it is, tables of
engines without transactions are read-locked by a connection of their own, before the point is
taken, until they have been read. Where a rung flushes tables or waits for their writers, that lock
comes afterwards: MySQL's flush waits for the lock itself, MariaDB's stages for a writer that waits for it.

Not guaranteed: protection from DDL. A table that changes after the point is noticed by the server
(error 1412), by `app.engine.dump.dump` or by `app.engine.schema.table_ids`, and ends the run. A connection that
dies ends it too: its snapshot is gone, and a new one would be of another point. Nor is DDL protected
from us: without the right to switch `sql_log_bin` off (BINLOG ADMIN), a server with a binary log lets
an ALTER of a table already read wait until all are read.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from app.concurrency import together
from app.domain.backups.manifest import ConsistencyEntry, PositionEntry
from app.engine.dump.snapshot import Snapshot
from app.engine.dump.statements import is_in_use
from app.engine.flavor import DUMP_SESSION, Rung
from app.engine.rows.chunks import reading_state
from app.engine.schema.table_ids import Identities, Ids, is_known_in_files, read_ids
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session
from app.engine.server.heartbeat import awake
from app.engine.server.server import Server
from app.engine.sql.quoting import quote_text
from app.errors import PermissionDeniedError, SnapshotError, StatementError


# A writer must never wait longer for us than this; seconds, used as lock_wait_timeout.
_LOCK_SECONDS: Final = 5
# A global lock that is waited for lets no writer begin a statement. The one it waits for may itself wait
# for the row of a transaction that can then not go on: such a wait is in vain, so it is short, and tried
# again after the writers had some time.
_FLUSH_SECONDS: Final = 1
_FLUSH_TRIES: Final = 5
_FLUSH_PAUSE_SECONDS: Final = 0.3
# Nobody but other DDL waits while DDL is waited for.
_DDL_SECONDS: Final = 60
# The lock-free rung: with a commit every few milliseconds three tries were enough when measured.
_LOCK_FREE_TRIES: Final = 30
# InnoDB then reads without snapshots, and needs none: nobody can write.
_NO_ROW_CHANGES: Final = "SELECT @@GLOBAL.innodb_read_only OR @@GLOBAL.innodb_force_recovery >= 5"
_NOT_GRANTED: Final = frozenset({1205, 1969, 3024, 4145, 1064, 1192, 1223})
_IN_TRANSACTION: Final = 1568
_BLIND: Final = "without PROCESS, a table that RENAME replaces during the backup is not noticed"


@dataclass(slots=True)
class _Attempt:
    """What one rung works with."""

    server: Server
    snapshot: Snapshot
    locker: Session
    tables: Sequence[TableRef]
    position: PositionEntry = field(default_factory=PositionEntry)
    tries: int = 1
    lock_seconds: float = 0.0
    ids: Ids | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def sessions(self) -> list[Session]:
        """Return the connections that are to see the point."""
        return self.snapshot.sessions

    async def lock_unsafe(self) -> None:
        """Read-lock what no snapshot covers; without the right, go on and say so."""
        unsafe = [table for table in self.tables if table.is_unsafe]
        if not unsafe or self.snapshot.table_lock is not None:
            return
        holder = await self.server.open({**DUMP_SESSION, "lock_wait_timeout": str(_LOCK_SECONDS)})
        self.snapshot.holders.append(holder)
        try:
            await holder.query(f"LOCK TABLES {', '.join(f'{table.sql} READ' for table in unsafe)}")
        except (PermissionDeniedError, StatementError) as exc:
            names = ", ".join(table.label for table in unsafe[:10])
            self.notes.append(f"not of the snapshot's point, could not be locked: {names} ({exc})")
            self.snapshot.holders.remove(holder)
            await holder.close()
            return
        self.snapshot.table_lock = holder


@asynccontextmanager
async def open_snapshot(
    server: Server,
    tables: Sequence[TableRef],
    *,
    threads: int,
    chunk_bytes: int,
) -> AsyncIterator[Snapshot]:
    """
    Open a snapshot for the length of a block.

    Args:
        server: Where.
        tables: What will be read; those without transactions are locked.
        threads: Connections wanted; the last rung has one.
        chunk_bytes: Target size of a reply.

    Yields:
        A snapshot whose connections all see the same point.

    Raises:
        SnapshotError: No rung held.
        ConnectionFailedError: A connection could not be opened.
    """
    state = reading_state(DUMP_SESSION, chunk_bytes)
    snapshot = Snapshot(
        sessions=[],
        consistency=ConsistencyEntry(method="", consistent=False, tries=0, lock_seconds=0.0),
        position=PositionEntry(),
        warnings=[],
        identities=Identities(ids=None),
    )
    try:
        for _ in range(threads):
            snapshot.sessions.append(await server.open(state))
            await _leave_binary_log(snapshot.sessions[-1])
        await _climb(server, snapshot, tables)
        snapshot.warnings.extend(_blind_spots(snapshot, tables))
        for session in snapshot.sessions:
            await session.query("SAVEPOINT backstay")
        async with awake(*snapshot.sessions, *snapshot.holders):
            yield snapshot
    finally:
        await snapshot.close()


def _blind_spots(snapshot: Snapshot, tables: Sequence[TableRef]) -> Iterator[str]:
    """Say which tables might be replaced during the backup without being noticed."""
    if snapshot.consistency.method == Rung.INSTANCE_LOCK:
        return
    if snapshot.identities.ids is None:
        yield _BLIND
        return
    names = [table.label for table in tables if not is_known_in_files(snapshot.flavor, table)]
    if names:
        shown = ", ".join(names[:10])
        yield f"that RENAME replaces one of these during the backup is not noticed: {shown}"


async def _leave_binary_log(session: Session) -> None:
    """
    Let ROLLBACK TO SAVEPOINT release metadata locks.

    With a binary log MariaDB keeps them until the transaction ends, for any session that logs; one
    without the right to stop logging holds up DDL for as long as it reads.
    """
    with suppress(PermissionDeniedError):
        await session.query("SET SESSION sql_log_bin = 0")


async def _climb(
    server: Server,
    snapshot: Snapshot,
    tables: Sequence[TableRef],
) -> None:
    """Try the rungs in order."""
    rungs = list(snapshot.flavor.rungs)
    if len(snapshot.sessions) == 1 and Rung.LOCK_FREE in rungs:
        # One connection needs no lock, and this rung still knows the exact position.
        rungs.sort(key=lambda rung: rung is not Rung.LOCK_FREE)
    for rung in rungs:
        locker = await server.open({**DUMP_SESSION, "lock_wait_timeout": str(_LOCK_SECONDS)})
        attempt = _Attempt(server, snapshot, locker, tables)
        try:
            await _RUNGS[rung](attempt)
        except (PermissionDeniedError, StatementError, SnapshotError) as exc:
            await locker.close()
            await snapshot.release_table_locks()  # the next rung may have to flush first
            if isinstance(exc, StatementError) and exc.errno not in _NOT_GRANTED:
                raise
            if rung is not Rung.LOCK_FREE or len(snapshot.sessions) > 1:
                snapshot.warnings.append(f"snapshot by {rung} was not possible: {exc}")
            continue
        except BaseException:
            await locker.close()
            raise
        if rung is Rung.INSTANCE_LOCK:
            snapshot.holders.append(locker)
        else:
            await locker.close()
        snapshot.position = attempt.position
        snapshot.identities.ids = attempt.ids
        snapshot.warnings.extend(attempt.notes)
        snapshot.consistency = ConsistencyEntry(
            rung, consistent=True, tries=attempt.tries, lock_seconds=round(attempt.lock_seconds, 4)
        )
        return
    raise SnapshotError("no way to a consistent snapshot worked", hint="; ".join(snapshot.warnings))


async def _begin(session: Session) -> None:
    """Start a transaction that sees this moment, and prove that it did start."""
    await session.query("ROLLBACK")
    await session.query("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    if await session.scalar(_NO_ROW_CHANGES) == "1":
        await session.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    else:  # any warning says that there is no snapshot
        await session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    try:
        await session.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    except StatementError as exc:
        if exc.errno == _IN_TRANSACTION:
            return
        raise
    raise SnapshotError("the server did not begin a transaction")


async def _begin_all(attempt: _Attempt) -> None:
    await together(*(_begin(session) for session in attempt.sessions))


async def _by_backup_stage(attempt: _Attempt) -> None:
    """Hold commits for the few milliseconds that the snapshots take (MariaDB)."""
    for stage in ("START", "FLUSH", "BLOCK_DDL"):
        await attempt.locker.query(f"BACKUP STAGE {stage}")
    await attempt.lock_unsafe()
    attempt.ids = await read_ids(attempt.locker)
    begin = time.monotonic()
    await attempt.locker.query("BACKUP STAGE BLOCK_COMMIT")
    await _begin_all(attempt)
    attempt.position = await _position(attempt)
    await attempt.locker.query("BACKUP STAGE END")
    attempt.lock_seconds = time.monotonic() - begin


async def _by_instance_lock(attempt: _Attempt) -> None:
    """Keep DDL out for the whole run, and writers for a moment (MySQL 8)."""
    await attempt.locker.query(f"SET SESSION lock_wait_timeout = {_DDL_SECONDS}")
    await attempt.locker.query("LOCK INSTANCE FOR BACKUP")
    await _by_flush_lock(attempt)
    attempt.ids = None  # nobody can put another table behind a name


async def _by_flush_lock(attempt: _Attempt) -> None:
    """Stop every writer for a moment; flushing first makes the moment shorter."""
    begin = await _flush(attempt)
    await attempt.lock_unsafe()
    await _begin_all(attempt)
    attempt.position = await _position(attempt)
    await attempt.locker.query("UNLOCK TABLES")
    attempt.lock_seconds = time.monotonic() - begin


async def _flush(attempt: _Attempt) -> float:
    """Get the global lock; returns since when writers may have had to wait for it."""
    locker = attempt.locker
    await locker.query(f"SET SESSION lock_wait_timeout = {_FLUSH_SECONDS}")
    for attempt.tries in range(1, _FLUSH_TRIES + 1):
        if locker.flavor.flush_bars and await is_in_use(locker):
            continue
        try:
            await locker.query("FLUSH NO_WRITE_TO_BINLOG TABLES")
            attempt.ids = await read_ids(locker)
            begin = time.monotonic()
            await locker.query("FLUSH TABLES WITH READ LOCK")
        except StatementError as exc:
            if exc.errno not in _NOT_GRANTED:
                raise
            await asyncio.sleep(_FLUSH_PAUSE_SECONDS)
        else:
            return begin
    raise SnapshotError(f"the global read lock was not granted in {_FLUSH_TRIES} tries")


async def _by_table_locks(attempt: _Attempt) -> None:
    """Lock every table that will be read, for those without RELOAD (MySQL)."""
    begin = time.monotonic()
    locks = ", ".join(f"{table.sql} READ" for table in attempt.tables)
    if locks:
        await attempt.locker.query(f"LOCK TABLES {locks}")
    await attempt.lock_unsafe()
    attempt.ids = await read_ids(attempt.locker)
    await _begin_all(attempt)
    attempt.position = await _position(attempt)
    await attempt.locker.query("UNLOCK TABLES")
    attempt.lock_seconds = time.monotonic() - begin


async def _lock_free(attempt: _Attempt) -> None:
    """Begin until all connections report the same binary log position (MariaDB)."""
    await attempt.lock_unsafe()
    for attempt.tries in range(1, _LOCK_FREE_TRIES + 1):
        attempt.ids = await _ids_at_rest(attempt.locker)
        await _begin_all(attempt)
        seen = {await _snapshot_position(session) for session in attempt.sessions}
        if len(seen) == 1:
            file, position = seen.pop()
            if not file:
                raise SnapshotError("the server writes no binary log")
            call = f"SELECT BINLOG_GTID_POS({quote_text(file)}, {position})"
            gtid = await attempt.locker.scalar(call)
            prepared = await _count_prepared(attempt.locker)
            if await _snapshot_position(attempt.locker) != (file, position):
                prepared = None  # whoever committed meanwhile may have ended one
            attempt.position = PositionEntry(file, position, gtid, prepared)
            return
    raise SnapshotError(f"commits were faster than {_LOCK_FREE_TRIES} tries to meet between them")


async def _snapshot_position(session: Session) -> tuple[str, int]:
    rows = await session.texts("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'")
    status = {row[0].lower(): row[1] for row in rows}
    file = status.get("binlog_snapshot_file", "")
    return file, int(status.get("binlog_snapshot_position") or 0) if file else 0


async def _single(attempt: _Attempt) -> None:
    """Fall back to one connection: slow and consistent."""
    for session in attempt.sessions[1:]:
        await session.close()
    del attempt.sessions[1:]
    await attempt.lock_unsafe()
    attempt.ids = await _ids_at_rest(attempt.locker)
    await _begin(attempt.sessions[0])


async def _ids_at_rest(session: Session) -> Ids | None:
    """Read ids until twice they are the same: a table that is renamed behind the reader's back is passed over."""
    before = await read_ids(session)
    for _ in range(_LOCK_FREE_TRIES):
        ids = await read_ids(session)
        if ids == before:
            return ids
        before = ids
    raise SnapshotError(f"tables were renamed faster than {_LOCK_FREE_TRIES} tries to name them")


async def _position(attempt: _Attempt) -> PositionEntry:
    """Read the position while commits wait; a backup without it is still a backup."""
    try:
        return await read_position(attempt.locker)
    except PermissionDeniedError as exc:
        attempt.notes.append(f"the binary log position is not known: {exc}")
        return PositionEntry()


_RUNGS: Final[dict[Rung, Callable[[_Attempt], Awaitable[None]]]] = {
    Rung.BACKUP_STAGE: _by_backup_stage,
    Rung.INSTANCE_LOCK: _by_instance_lock,
    Rung.FLUSH_LOCK: _by_flush_lock,
    Rung.LOCK_FREE: _lock_free,
    Rung.TABLE_LOCKS: _by_table_locks,
    Rung.SINGLE: _single,
}


async def read_position(session: Session) -> PositionEntry:
    """Read where the binary log stands; empty when the server writes none. Raises PermissionDeniedError."""
    rows = await session.texts(session.flavor.position)
    if not rows:
        return PositionEntry()
    gtid = (await session.scalar(f"SELECT {session.flavor.gtid}")).replace("\n", "")
    return PositionEntry(rows[0][0], int(rows[0][1]), gtid, await _count_prepared(session))


async def with_end(session: Session, position: PositionEntry) -> PositionEntry:
    """Add to a position where the server stands now, as far as that may be known; raises DatabaseError."""
    if not position.binlog_file:
        return position
    try:
        rows = await session.texts(session.flavor.position)
    except PermissionDeniedError:
        return position
    (file, end, *_), *_ = rows
    # Source: https://dev.mysql.com/doc/refman/8.4/en/server-status-variables.html#statvar_Connections; the number
    # that the newest one got, that of the event scheduler's included.
    ((_, newest),) = await session.texts("SHOW GLOBAL STATUS LIKE 'Connections'")
    return replace(position, end_file=file, end_position=int(end), end_connection=int(newest))


async def _count_prepared(session: Session) -> int | None:
    """Count the XA transactions that are prepared and not ended; None where that may not be seen."""
    try:
        return len((await session.query("XA RECOVER")).rows)
    except (PermissionDeniedError, StatementError):  # MySQL has a right for it, XA_RECOVER_ADMIN
        return None
