"""
Which table stands behind a name.

RENAME gives a name to another table without touching its rows, so neither the server nor SHOW CREATE
notices when two tables of the same definition change places after the snapshot: one of them would be
in the backup twice, the other not at all. InnoDB's table ids tell them apart.

A connection that has read a table holds its metadata lock until `Snapshot.release`. What the names
stand for is compared just before, so it is what was read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.engine.connection import Session
from app.engine.flavor import Flavor
from app.engine.introspect import Table, TableRef
from app.engine.quoting import quote_text
from app.errors import PermissionDeniedError, SnapshotError, StatementError


Ids = Mapping[str, frozenset[int]]

_TRANSACTIONAL: Final = "innodb"


@dataclass(slots=True)
class Identities:
    """
    What the names stood for at the snapshot's point.

    Attributes:
        ids: Table ids by encoded `database/table`, one a partition; None when they cannot be seen.
    """

    flavor: Flavor
    ids: Ids | None
    _touched: dict[int, list[TableRef]] = field(default_factory=lambda: defaultdict(list))

    def touch(self, session: Session, table: TableRef) -> None:
        """Remember that a connection has read a table and holds its metadata lock."""
        if self.ids is not None and not table.is_unsafe:
            self._touched[session.connection_id].append(table)

    async def check(self, session: Session) -> None:
        """
        Compare the tables that a connection has read since the last call.

        Raises:
            SnapshotError: A name stands for another table than at the snapshot's point.
        """
        tables = self._touched.pop(session.connection_id, [])
        if not tables or self.ids is None:
            return
        now = await read_ids(session, self.flavor) or {}
        for table, key in zip(tables, await _keys(session, tables), strict=True):
            if now.get(key) != self.ids.get(key):
                raise SnapshotError(
                    f"{table.label} was replaced by another table while it was backed up",
                    hint="Keep ALTER, TRUNCATE, RENAME and DROP away from the time of the backup.",
                )


async def read_ids(session: Session, flavor: Flavor) -> Ids | None:
    """Read the ids of all tables; None without the PROCESS privilege."""
    try:
        found = await session.texts(flavor.table_ids)
    except PermissionDeniedError:
        return None
    ids: dict[str, set[int]] = defaultdict(set)
    for name, number in found:
        ids[name.replace("#p#", "#P#").partition("#P#")[0]].add(int(number))
    return {name: frozenset(numbers) for name, numbers in ids.items()}


async def _keys(session: Session, tables: Iterable[TableRef]) -> list[str]:
    """Encode names as the server's files are; only the server knows how."""
    parts = [
        f"CAST(CONVERT({quote_text(part)} USING filename) AS BINARY)"
        for table in tables
        for part in (table.database, table.name)
    ]
    found: list[str] = []
    for start in range(0, len(parts), _MOST_COLUMNS):
        found += (await session.texts(f"SELECT {', '.join(parts[start : start + _MOST_COLUMNS])}"))[
            0
        ]
    return [f"{database}/{name}" for database, name in zip(found[::2], found[1::2], strict=True)]


# A result has at most 4096 columns; even, because two make a name.
_MOST_COLUMNS = 1000


async def find_missed(
    session: Session, planned: Sequence[Table], now: Sequence[TableRef]
) -> TableRef | None:
    """
    Find a table that the snapshot shows although it was not among the names.

    information_schema shows a RENAME of several tables half done, with one that has no name. A table
    that came after the snapshot is told apart by InnoDB, which refuses it to the snapshot (1412).

    Args:
        session: In the snapshot.
        planned: What was seen when names were read.
        now: What is there now, at the end.

    Returns:
        The first one; None when none was missed. Tables of other engines have no snapshot to ask.
    """
    seen = {(table.database, table.entry.name) for table in planned}
    for ref in now:
        if (ref.database, ref.name) in seen or ref.engine.lower() != _TRANSACTIONAL:
            continue
        try:
            await session.query(f"SELECT 1 FROM {ref.sql} LIMIT 1")
        except (StatementError, PermissionDeniedError):
            continue
        return ref
    return None
