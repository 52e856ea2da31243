"""How large a backup will be, and whether there is room for it, before it begins."""

import asyncio
from math import ceil
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.backup import BackupRequest, CatalogueEntry
from app.domain.backups.manifest import Codec
from app.domain.backups.size_anomaly import is_wanted_again
from app.domain.places.sizes import size
from app.engine.dump.dump import DumpPlan
from app.errors import StorageFullError
from app.storage import layout


# Data grows between two backups, and the manifest needs room as well.
GROWTH: Final = 1.2
# Where there is none to go by: no codec makes typical SQL smaller than a tenth.
_LEAST_SHARE: Final = 0.1
# SQL is longer than the rows in the server's files, but hardly by more; so what was deleted since the
# last backup does not keep the next one from being made.
_MOST_SHARE: Final = 2
# Of its SQL, what nothing compresses: that is written as hexadecimal, of which gzip leaves 0.57.
_LEFT_OF_SQL: Final = 0.6


async def require_space(catalogue: Catalogue, request: BackupRequest, plan: DumpPlan) -> int:
    """
    Refuse a backup that would fill the disk.

    Args:
        catalogue: Where it will lie, and what lies there.
        request: What is asked for.
        plan: What it comes to; the server's estimates of the tables' sizes are believed.

    Returns:
        Bytes of its file, at most, about.

    Raises:
        StorageFullError: Less is free than it is likely to need; nothing was written.
    """
    data = sum(table.bytes_estimate for table in plan.tables) if request.include_data else 0
    last = await asyncio.to_thread(_last, catalogue, request)
    free = await asyncio.to_thread(catalogue.directory.free_bytes)
    needed, by = data * _LEAST_SHARE, f"there are about {size(data)} of data"
    if last is not None and min(last.size * GROWTH, data * _MOST_SHARE) > needed:
        needed = min(last.size * GROWTH, data * _MOST_SHARE)
        by = f"the last one, {last.backup_id}, has {size(last.size)}"
    if free is not None and free < needed:
        raise StorageFullError(
            f"{size(free)} are free where backups are kept, and the next one needs about"
            f" {size(needed)}: {by}",
            hint="Free some space, or set BACKSTAY_BACKUP_DIR to a larger disk."
            if catalogue.disk
            else "Free some space there, or name another store.",
        )
    return most_bytes(data, request.codec, last)


def most_bytes(data: int, codec: Codec, last: CatalogueEntry | None) -> int:
    """
    Say how large a file will be at most, about.

    Args:
        data: Bytes of the tables, as the server has them.
        codec: How it is compressed.
        last: The newest backup of the same, which tells how well that does; None = there is none.

    Returns:
        Bytes.
    """
    left = 1.0 if codec is Codec.NONE else _LEFT_OF_SQL
    if last is not None and last.raw_size:
        left = min(left, last.size / last.raw_size)
    grown = last.size * GROWTH if last is not None else 0
    return ceil(max(data * _MOST_SHARE * left, grown))


def _last(catalogue: Catalogue, request: BackupRequest) -> CatalogueEntry | None:
    """Return the newest backup that was asked for and compressed in the same way."""
    for entry in catalogue.read().survey.entries:
        name = layout.parse(entry.file)
        if name and name.codec is request.codec and is_wanted_again(entry, request):
            return entry
    return None
