"""Relay logs applied by a scratch server, and what it has applied compared with what the log holds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from app.binlog.archive.layout import file_number
from app.binlog.archive.reading import ArchivedStream
from app.binlog.events.gtids import parsed_state
from app.binlog.events.headers import Place
from app.binlog.replayed import ENFORCED
from app.domain.backups.manifest import Manifest
from app.domain.restores.log_archive import LoggedTransaction
from app.domain.restores.points import Cut
from app.domain.runs.progress import Progress
from app.engine.flavor import flavor_of
from app.engine.replay import applier
from app.engine.replay.applier import ApplierStatus, RelayPlace, ReplayStart
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.sql.quoting import quote_text
from app.errors import RecoverMismatchError, ReplayFailedError, StalledError, StorageFullError
from app.services.point_in_time.disk import MORE_ROOM


# Takes the file and the position where an applier has ended, and the GTIDs that it has applied.
Describe: TypeAlias = Callable[[str, int, str], str]
_POLL_SECONDS: Final = 0.1
# Of both vendors: the disk is full, or a table is, which on a scratch server means the same.
_NO_ROOM: Final = frozenset({1021, 1114})
_NOT_TAKEN: Final = (
    "Something changed the data past the binary log, or it needs what the base has not. Recover to before it,"
    " from a newer backup, or all databases where some were chosen; 'backstay recover --drill' finds such changes in time."
)
_DIFFERS: Final = "Nothing was published; keep the archive and the base for whoever looks into it."


async def replay(
    server: Server, start: ReplayStart, cut: Cut, progress: Progress, describe: Describe
) -> None:
    """
    Apply the relay logs of a scratch server to their end.

    Args:
        server: The scratch server.
        start: Where it begins.
        cut: Where it ends.
        progress: Written to as it goes.
        describe: Names the transaction that was not taken; blocks.

    Raises:
        ReplayFailedError: A transaction was not taken; none is ever left out.
        RecoverMismatchError: Other transactions were applied than the log holds.
        StorageFullError: The disk of the scratch server is full.
        StalledError: It did not go on for as long as a statement may take.
    """
    async with server.session() as session:
        await applier.begin(session, start)
        status = await _watch(session, start.relay_end, server.timeout_seconds, progress)
        if status.errno in _NO_ROOM:
            raise StorageFullError(
                f"the state directory had no room left behind {status.file}:{status.position} of the binary log",
                hint=MORE_ROOM,
            )
        if status.errno:
            applied = await applier.read_applied(session)
            failed = await asyncio.to_thread(describe, status.file, status.position, applied)
            raise ReplayFailedError(
                f"{failed} was not taken: error {status.errno}", hint=_NOT_TAKEN
            )
        await _compare(session, cut, status)
        await applier.end(session)


@asynccontextmanager
async def enforced_engine(server: Server, settings: Mapping[str, str]) -> AsyncIterator[None]:
    """Let tables be made in the engine that the source enforces, for a block: what was there before may have others."""
    name = settings.get(ENFORCED)
    if not name:
        yield
        return
    async with server.session() as session:
        await session.query(f"SET GLOBAL {ENFORCED} = {quote_text(name)}")
        yield
        await session.query(f"SET GLOBAL {ENFORCED} = DEFAULT")


async def _watch(
    session: Session, end: RelayPlace, timeout_seconds: float, progress: Progress
) -> ApplierStatus:
    """Wait until nothing happens any more."""
    loop = asyncio.get_running_loop()
    seen, moved_at = ("", 0), loop.time()
    while True:
        status = await applier.read_status(session)
        if status.is_over(end):
            return status
        here = (status.file, status.position)
        if here != seen:
            progress.moved(status.file, rows=0, size=max(0, here[1] - seen[1]))
            seen, moved_at = here, loop.time()
        elif loop.time() - moved_at > timeout_seconds:
            raise StalledError(
                f"the replay has not gone on for {timeout_seconds:g} seconds behind"
                f" {status.file}:{status.position}",
                hint="A single transaction may be that large: raise BACKSTAY_TIMEOUT.",
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _compare(session: Session, cut: Cut, status: ApplierStatus) -> None:
    """Prove that every transaction was applied, and no other: a position alone would look right."""
    is_mariadb = session.flavor.vendor == "mariadb"
    applied = parsed_state(await applier.read_applied(session), is_mariadb=is_mariadb).position
    expected = parsed_state(cut.applied, is_mariadb=is_mariadb).position
    if applied != expected:
        raise RecoverMismatchError(
            f"the scratch server has applied {applied or 'nothing'}, the binary log holds"
            f" {expected or 'nothing'}",
            hint=_DIFFERS,
        )
    taken = status.taken
    if taken is not None and cut.transactions not in taken:
        raise RecoverMismatchError(
            f"the scratch server has taken {taken[-1]} transactions, the binary log holds"
            f" {cut.transactions}",
            hint=_DIFFERS,
        )


def describe_failed(
    stream: ArchivedStream, base: Manifest, file: str, position: int, applied: str
) -> str:
    """
    Name the transaction that an applier did not take; blocks.

    Args:
        stream: The archived binary log.
        base: Where the replay began.
        file: Where it has ended, by the applier; MariaDB's is exact.
        position: Offset in it.
        applied: GTIDs that were applied; MySQL's are exact.

    Returns:
        GTID, place and what it did, without any value.
    """
    state = parsed_state(applied, is_mariadb=stream.is_mariadb)
    begin = Place(base.position.binlog_file, base.position.binlog_position)
    for found, gtid in told(stream.transactions(begin), base):
        here = (found.number, found.start) >= (file_number(file) or 0, position)
        if here if stream.is_mariadb else not state.has(gtid):
            did = found.statement or ", ".join(f"{t.database}.{t.table}" for t in found.tables)
            name = f"transaction {found.gtid}" if found.gtid else "the transaction"
            return f"{name} at {found.file}:{found.start} ({did})"
    return f"the transaction behind {file}:{position}"


def told(
    transactions: Iterator[LoggedTransaction], base: Manifest
) -> Iterator[tuple[LoggedTransaction, str]]:
    """
    Pair transactions with the GTIDs by which an applier tells them: it numbers those that have none.

    Args:
        transactions: Those that follow a base, in the order of the log.
        base: It.

    Yields:
        Each, and its GTID.
    """
    unnamed, count = flavor_of(base.server.version).replication.unnamed, 0
    for transaction in transactions:
        count += not transaction.gtid
        yield transaction, transaction.gtid or f"{unnamed}:{count}"
