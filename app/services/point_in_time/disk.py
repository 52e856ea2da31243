"""The disk that a scratch server needs: for the base, for the log since then, and for itself."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from app.domain.places.sizes import size
from app.domain.restores.dry_run import Space
from app.domain.restores.points import RecoverPlan
from app.engine.load.space import DISK_PER_SQL
from app.errors import StorageFullError


MORE_ROOM: Final = "Free some space there, set BACKSTAY_STATE_DIR to a larger disk, or recover from a newer backup."
# An empty server: its system tables, and the logs and the temporary space that it makes at once.
_EMPTY_BYTES: Final = 160 << 20


def measured(plan: RecoverPlan, root: Path) -> RecoverPlan:
    """
    Estimate the disk that a recovery needs; blocks.

    Args:
        plan: Of it.
        root: Where scratch servers live; need not be there yet.

    Returns:
        The plan, with what is needed and free there, and with what is wrong where that is too little.
    """
    data = sum(
        table.raw_size
        for database in plan.base.databases
        if not plan.databases or database.name in plan.databases
        for table in database.tables
    )
    # The log lies there as it is, and what it inserts comes to the data.
    needed = int((data + plan.log_bytes) * DISK_PER_SQL) + plan.log_bytes + _EMPTY_BYTES
    place = next(path for path in (root, *root.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    if free >= needed:
        return replace(plan, space=Space(needed, free))
    lack = StorageFullError(
        f"{size(free)} are free in the state directory, the recovery needs about {size(needed)}",
        hint=MORE_ROOM,
    )
    return replace(plan, space=Space(needed, free), problems=(*plan.problems, lack))
