"""The room that a restore needs on the server, as far as it can be known: on disk, in the binary log's caches."""

import asyncio
import shutil
import socket
from collections.abc import Mapping, Sequence
from typing import Final

from app.domain.backups.manifest import Manifest, MemberEntry, StatementKind
from app.domain.restores.dry_run import Space
from app.domain.restores.load import DatabaseLoad
from app.engine.server.connection import Session
from app.errors import AppError, StorageFullError


# Bytes of InnoDB for a byte of SQL, indexes included; the shop of the benchmarks takes a little less.
DISK_PER_SQL: Final = 1.5
# A number of two characters of SQL takes up to eight bytes of a row event; and what stands before the rows.
_EVENT_BYTES_PER_VALUE: Final = 8
_EVENT_OVERHEAD: Final = 16384
_CACHE_STEP: Final = 4096
_CACHES: Final[Mapping[bool, str]] = {
    True: "max_binlog_cache_size",
    False: "max_binlog_stmt_cache_size",
}
_TRANSACTIONAL: Final = "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'"


async def estimate_space(session: Session, loads: Sequence[DatabaseLoad]) -> Space:
    """Estimate the disk that is needed; free space is known where the server is on this machine."""
    size = sum(table.raw_size for load in loads for table in load.entry.tables)
    directory, host = (await session.texts("SELECT @@GLOBAL.datadir, @@GLOBAL.hostname"))[0]
    free = await asyncio.to_thread(_free_bytes, directory) if host == socket.gethostname() else None
    return Space(int(size * DISK_PER_SQL), free)


def _free_bytes(directory: str) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:  # not on this machine after all, or not for this user to see
        return None


def too_large(space: Space) -> list[AppError]:
    """Return the problem of a restore for which there is too little, if that is known."""
    if space.free is None or space.free >= space.needed:
        return []
    return [
        StorageFullError(
            f"the server has {space.free} bytes free, the restore needs about {space.needed}",
            hint="Free some space on the server; old tables are kept beside the new ones for an undo.",
        )
    ]


async def too_long_for_log(
    session: Session, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[str]:
    """
    Find tables whose rows come in transactions that the binary log does not take (errors 1197 and 1705).

    What an event takes is known to the server alone, and only afterwards; so this is what it takes at most.

    Args:
        session: On the server.
        manifest: Of the backup.
        loads: What is to be restored, written to the binary log.

    Returns:
        A finding for each cache that is too small, in words: the table that needs most of it.

    Source: https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html
    """
    row = (
        await session.texts(f"SELECT @@GLOBAL.log_bin, {', '.join(map(_global, _CACHES.values()))}")
    )[0]
    if row[0] == "0":
        return []
    transactional = {name.lower() for (name,) in await session.texts(_TRANSACTIONAL)}
    tables = {
        (load.entry.name, table.name): (load.target, table)
        for load in loads
        if load.include_rows
        for table in load.entry.tables
    }
    needed: dict[bool, tuple[int, str]] = {}
    for member in manifest.members:
        if found := tables.get((member.database, member.table)):
            target, table = found
            kind = table.engine.lower() in transactional
            size = _largest_transaction(member, len(table.columns))
            needed[kind] = max(needed.get(kind, (0, "")), (size, f"{target}.{table.name}"))
    return [
        f"rows of {label} come in transactions of up to {size} bytes, and {name} is {limit}"
        for (kind, name), limit in zip(_CACHES.items(), map(int, row[1:]), strict=True)
        for size, label in [needed.get(kind, (0, ""))]
        if size > limit
    ]


def _global(name: str) -> str:
    return f"@@GLOBAL.{name}"


def _largest_transaction(member: MemberEntry, columns: int) -> int:
    """Return what an INSERT of a member takes in the binary log at most, with the pieces before it; 0 = none."""
    largest = pieces = 0
    for statement in member.statements:
        if statement.kind is StatementKind.PIECE:
            pieces += statement.raw_size
        elif statement.kind is StatementKind.INSERT:
            values = statement.rows * columns * _EVENT_BYTES_PER_VALUE
            largest = max(largest, statement.raw_size + pieces + values + _EVENT_OVERHEAD)
            pieces = 0
    return -(-largest // _CACHE_STEP) * _CACHE_STEP
