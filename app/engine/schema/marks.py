"""
What tables are known by, and whether they are as they were.

InnoDB's table ids outlive a RENAME and no other table ever has them. Of MyISAM, Aria and MEMORY the
server keeps the second of their creation, which a RENAME leaves as it is. MySQL does so for InnoDB as
well; MariaDB tells there when the definition's file last changed, which a RENAME does.

The second of the last committed write is kept in memory for InnoDB: none means that nobody wrote since
the server began to hold the table, or that it does not remember.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from app.domain.restores.journal import SchemaSwap, TableMark
from app.engine.schema.listing import ARE_TABLES, open_signed, scope_of
from app.engine.schema.table_ids import read_table_ids
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session


# It writes when it has time, and its file changes though nobody wrote to the table.
_LATE_WRITERS: Final = frozenset({"archive"})
# Their handlers answer with a creation time of the table itself.
_DATED: Final = frozenset({"myisam", "aria", "memory"})
_DATE: Final = "created "


async def read_marks(
    session: Session, database: str, names: Collection[str] = ()
) -> dict[str, TableMark]:
    """
    Read by what the tables and sequences of a database are known.

    Args:
        session: Any.
        database: Which.
        names: Of which tables; empty = all.

    Returns:
        Marks by name.
    """
    query = (
        "SELECT TABLE_NAME, ENGINE, CREATE_TIME, UNIX_TIMESTAMP(UPDATE_TIME)"
        f" FROM information_schema.TABLES WHERE {scope_of([database], names)} AND {ARE_TABLES}"
    )
    rows = await session.texts(query)
    if await open_signed(session, [(database, row[0]) for row in rows if not row[1]]):
        rows = await session.texts(query)
    ids = await read_table_ids(session, [TableRef(database, row[0], row[1]) for row in rows])
    marks = {}
    for name, engine, created, updated in rows:
        is_dated = session.flavor.keeps_dates or engine.lower() in _DATED
        identity = ids.get(name) or (f"{_DATE}{created}" if is_dated and created else "")
        if engine.lower() in _LATE_WRITERS:
            marks[name] = TableMark(identity, "", 0)
        else:
            marks[name] = TableMark(identity, created, int(float(updated or 0)))
    return marks


async def with_identities(session: Session, swap: SchemaSwap) -> SchemaSwap:
    """Note what the tables of a swap are known by, before they change places."""
    return replace(
        swap,
        incoming_ids=await _read_identities(session, swap.source, swap.incoming),
        outgoing_ids=await _read_identities(session, swap.target, swap.outgoing),
    )


async def _read_identities(session: Session, database: str, names: Sequence[str]) -> dict[str, str]:
    """Read identities, and open no table whose id is known without."""
    refs = [TableRef(database, name, engine="") for name in names]
    found = await read_table_ids(session, refs)
    if rest := [name for name in names if name not in found]:
        marks = await read_marks(session, database, rest)
        found |= {name: mark.identity for name, mark in marks.items() if mark.identity}
    return found


def is_certain(identity: str) -> bool:
    """Tell whether no other table can have an identity; tables of one second have one date."""
    return bool(identity) and not identity.startswith(_DATE)


def is_one(before: str, now: str) -> bool:
    """Tell whether two identities may be one table's; one by id and one by date cannot be compared."""
    comparable = before and now and before.startswith(_DATE) == now.startswith(_DATE)
    return not comparable or before == now


def is_same(before: TableMark, now: TableMark) -> bool:
    """
    Tell whether nothing shows that a table was replaced, changed or written to.

    Returns:
        True as well where the time of the last write is not remembered any more.
    """
    return (
        is_one(before.identity, now.identity)
        and before.created in {"", now.created}
        and now.updated in {0, before.updated}
    )
