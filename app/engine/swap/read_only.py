"""What is read-only: a server for everybody or for most, or a database of MySQL."""

from collections.abc import Iterable
from typing import Final

from app.engine.schema.databases import exists
from app.engine.server.connection import Session
from app.engine.server.grants import Grants
from app.engine.sql import ddl
from app.engine.sql.quoting import quote
from app.errors import AppError, ConflictError


_UNSET: Final = "Restore on the server that it replicates, or without that setting."
# As SHOW CREATE DATABASE prints it.
# Source: https://dev.mysql.com/doc/refman/8.4/en/alter-database.html#alter-database-read-only
_READ_ONLY: Final = "/* READ ONLY = 1 */"


async def find_read_only(
    session: Session, grants: Grants, databases: Iterable[str]
) -> list[AppError]:
    """
    Find out whether this user may not write to a server, or nobody to a database.

    Args:
        session: On the server.
        grants: Of the user.
        databases: Names; they need not exist.

    Returns:
        One refusal at most.
    """
    rights = session.flavor.fence_rights
    if variable := await _read_only_for_all(session):
        return [ConflictError(f"nobody may write to the server ({variable})", hint=_UNSET)]
    if not any(map(grants.allows, rights)) and await is_read_only(session):
        return [
            ConflictError(
                "the server is read-only (read_only)",
                hint=f"Restore on the server that it replicates, or SET GLOBAL read_only = 0; with {rights[0]}"
                " this user may write all the same.",
            )
        ]
    for name in sorted(set(databases)):
        if await exists(session, name) and await _is_closed(session, name):
            return [
                ConflictError(
                    f"database {name!r} is READ ONLY, so its tables cannot change places",
                    hint=f"ALTER DATABASE {quote(name)} READ ONLY = 0, then restore again.",
                )
            ]
    return []


async def is_read_only(session: Session) -> bool:
    """Tell whether only administrators may write to the server anyway."""
    return await session.scalar("SELECT @@GLOBAL.read_only") != "0"


async def _read_only_for_all(session: Session) -> str:
    """Return the variable by which nobody at all may write to the server; empty = some may."""
    # Each vendor has some of them.
    rows = await session.texts(
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_read_only', 'super_read_only')"
    )
    return next((name for name, value in rows if value == "ON"), "")


async def _is_closed(session: Session, database: str) -> bool:
    ((_, definition),) = await session.texts(f"SHOW CREATE DATABASE {quote(database)}")
    return any(part.endswith(_READ_ONLY) for part in ddl.unquoted_parts(definition))
