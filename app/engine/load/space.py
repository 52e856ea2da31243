"""The disk that a restore needs on the server, as far as it can be known."""

import asyncio
import shutil
import socket
from collections.abc import Sequence
from typing import Final

from app.domain.restores.dry_run import Space
from app.domain.restores.load import DatabaseLoad
from app.engine.server.connection import Session
from app.errors import AppError, StorageFullError


# Bytes of InnoDB for a byte of SQL, indexes included; the shop of the benchmarks takes a little less.
DISK_PER_SQL: Final = 1.5


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
