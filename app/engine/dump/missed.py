"""
Which tables a snapshot shows although they were not among the names that were read.

MariaDB lists the tables of its directory: in the middle of a RENAME of several, one of them has no name.
A backup of what is listed would be short, and nothing that it reads would say so.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from app.engine.dump.snapshot import Snapshot
from app.engine.schema.listing import scope_of
from app.engine.schema.table_ids import Ids, names_from_files, names_in_files, read_ids
from app.engine.schema.tables import Table, TableRef, read_refs
from app.engine.server.connection import Session
from app.engine.sql.quoting import qualified
from app.errors import PermissionDeniedError, StatementError


_TRANSACTIONAL: Final = "innodb"
# What InnoDB keeps beside a table: of full-text indexes, and of an ALTER that is not done.
# Source: https://mariadb.com/kb/en/information-schema-innodb_sys_tables-table/
_INTERNAL: Final = re.compile(r"#|/FTS_[0-9a-f]{16}_")


async def find_missed(
    snapshot: Snapshot,
    session: Session,
    databases: Sequence[str],
    planned: Sequence[Table],
    wanted: Callable[[str, str], bool],
) -> str | None:
    """
    Find a table that the snapshot shows although it was not among the names.

    Args:
        snapshot: All that was read is of it.
        session: Any other connection.
        databases: What is backed up.
        planned: What was seen when names were read.
        wanted: Which databases and names are meant.

    Returns:
        The first one, for people; None when none was missed. Without the PROCESS privilege, and of
        engines without transactions, one is found only if it has its name now.
    """
    if not databases:
        return None
    new = await _read_new(session, databases, planned, wanted)
    for ref in new:
        if ref.engine.lower() == _TRANSACTIONAL and await _shows(snapshot.sessions[0], ref.sql):
            return ref.label
    if snapshot.identities.ids is None or not snapshot.flavor.name_from_files:
        return None  # nobody could rename, or the server's names are never half done
    return await _find_unnamed(session, snapshot.identities.ids, databases, planned, wanted)


async def _read_new(
    session: Session,
    databases: Sequence[str],
    planned: Sequence[Table],
    wanted: Callable[[str, str], bool],
) -> list[TableRef]:
    """Name the tables with rows that were not there when names were read; broken ones are left out."""
    # Names alone come from the directory; to tell engines the server opens every table.
    rows = await session.texts(
        f"SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE {scope_of(databases)}"
    )
    seen = {(table.database, table.name) for table in planned}
    new = {(database, name) for database, name in rows if wanted(database, name)} - seen
    names = {name for _, name in new}
    refs = await read_refs(session, databases, names) if names else []
    return [ref for ref in refs if (ref.database, ref.name) in new]


async def _shows(session: Session, name: str) -> bool:
    """Tell whether a connection can read a table; a snapshot refuses one that came later (1412)."""
    try:
        await session.query(f"SELECT 1 FROM {name} LIMIT 1")
    except StatementError as exc:
        if exc.is_passing:
            raise
        return False
    except PermissionDeniedError:
        return False
    return True


async def _find_unnamed(
    session: Session,
    ids: Ids,
    databases: Sequence[str],
    planned: Sequence[Table],
    wanted: Callable[[str, str], bool],
) -> str | None:
    """Find a table that InnoDB had at the snapshot's point, whatever its name was then and is now."""
    refs = [table.ref for table in planned]
    known = set((await names_in_files(session, refs)).values())
    others = [key for key in ids if key not in known and not _INTERNAL.search(key)]
    names = await names_from_files(session, others)
    meant = {key: name for key, name in names.items() if name[0] in databases and wanted(*name)}
    for key in sorted(meant):
        if not await _is_orphan(session, key, ids, meant[key]):
            return ".".join(meant[key])
    return None


async def _is_orphan(session: Session, key: str, ids: Ids, name: tuple[str, str]) -> bool:
    """Tell whether InnoDB is known to keep a table that the server does not know."""
    # One that is renamed meanwhile is unknown, too, and may have its old name again when one looks next.
    # Nobody renames to or from a name that is locked, and one that nothing has can be; who wants to makes
    # the SELECT a deadlock. Source: https://mariadb.com/kb/en/backup-lock/
    try:
        await session.query(f"BACKUP LOCK {qualified(*name)}")
    except (StatementError, PermissionDeniedError):
        return False
    try:
        now = await read_ids(session, [key]) or {}
        is_orphan = now.get(key) == ids[key] and not await _shows(session, qualified(*name))
    except StatementError:
        is_orphan = False
    await session.query("BACKUP UNLOCK")
    return is_orphan
