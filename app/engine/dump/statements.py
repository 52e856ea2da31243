"""Statements of others that a FLUSH TABLES would wait for."""

import asyncio
from typing import Final

from app.engine.server.connection import Session


# Without PROCESS only the user's own are seen.
_RUNNING: Final = (
    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()"
    " AND COMMAND IN ('Query', 'Execute')"
)
# The server counts whole seconds.
_SECONDS: Final = 1.1


async def is_in_use(session: Session) -> bool:
    """
    Tell whether others run long statements; what runs now is given a second to end.

    A flush that is given up after waiting for one goes on to bar the way to its tables, for everybody.

    Not guaranteed: what is longer than it looks, because it began within the last second.

    Returns:
        Whether one of them runs for longer than that.

    Source:
        https://dev.mysql.com/doc/refman/8.4/en/flush.html
    """
    if await session.scalar(_RUNNING) == "0":
        return False
    await asyncio.sleep(_SECONDS)
    return await session.scalar(f"{_RUNNING} AND TIME > 0") != "0"
