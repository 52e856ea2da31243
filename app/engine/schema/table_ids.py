"""
Which table stands behind a name.

RENAME gives a name to another table without touching its rows, so neither the server nor SHOW CREATE
notices when two tables of the same definition change places after the snapshot: one of them would be
in the backup twice, the other not at all. InnoDB's table ids tell them apart.

A connection that has read a table holds its metadata lock until `Snapshot.release`. What the names
stand for is compared just before, so it is what was read.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.engine.flavor import Flavor
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session
from app.engine.sql.quoting import quote_text
from app.errors import PermissionDeniedError, SnapshotError


Ids = Mapping[str, frozenset[int]]

# Source: https://dev.mysql.com/doc/refman/8.4/en/identifier-mapping.html
_ODD_IN_FILES: Final = re.compile("[^0-9A-Za-z_]")
# A result has at most 4096 columns.
_MOST_COLUMNS: Final = 1000
NO_DDL_HINT: Final = "Keep ALTER, TRUNCATE, RENAME and DROP away from the time of the backup."


@dataclass(slots=True)
class Identities:
    """
    What the names stood for at the snapshot's point.

    Attributes:
        ids: Table ids by encoded `database/table`, one a partition; None when they cannot be seen.
    """

    ids: Ids | None
    _touched: dict[int, list[TableRef]] = field(default_factory=lambda: defaultdict(list))

    def touch(self, session: Session, table: TableRef) -> None:
        """Record that a connection has read a table and holds its metadata lock."""
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
        keys = await names_in_files(session, tables)
        now = await read_ids(session, sorted(keys.values())) or {}
        for table in tables:
            key = keys.get(table, "")
            if now.get(key) != self.ids.get(key):
                raise SnapshotError(
                    f"{table.label} was replaced by another table while it was backed up",
                    hint=NO_DDL_HINT,
                )


async def read_ids(session: Session, keys: Sequence[str] = ()) -> Ids | None:
    """
    Read the ids of tables.

    Args:
        session: Any.
        keys: Encoded `database/table`; empty = all. Others may be among the answer.

    Returns:
        Ids by key; None without the PROCESS privilege.
    """
    where = ""
    if keys:  # of very many tables, a few were read since the last time
        wanted = ", ".join(map(quote_text, keys))
        where = f" WHERE SUBSTRING_INDEX(REPLACE(NAME, '#p#', '#P#'), '#P#', 1) IN ({wanted})"
    return await _read_ids(session, where)


async def read_table_ids(session: Session, tables: Sequence[TableRef]) -> dict[str, str]:
    """
    Read the ids of the tables of one database as texts that can be kept and compared.

    Returns:
        Ids by name, those of partitions in order; without what InnoDB does not keep or whose name in
        the files is not known, and empty without the PROCESS privilege.
    """
    keys = await names_in_files(session, tables)
    if not keys:
        return {}
    database = quote_text(next(iter(keys.values())).partition("/")[0])
    found = await _read_ids(session, f" WHERE SUBSTRING_INDEX(NAME, '/', 1) = {database}") or {}
    return {
        table.name: ",".join(map(str, sorted(found[key])))
        for table, key in keys.items()
        if key in found
    }


async def _read_ids(session: Session, where: str) -> Ids | None:
    try:
        found = await session.texts(session.flavor.table_ids + where)
    except PermissionDeniedError:
        return None
    ids: dict[str, set[int]] = defaultdict(set)
    for name, number in found:
        ids[name.replace("#p#", "#P#").partition("#P#")[0]].add(int(number))
    return {name: frozenset(numbers) for name, numbers in ids.items()}


def is_known_in_files(flavor: Flavor, table: TableRef) -> bool:
    """Tell whether what a table is called in the server's files can be found out."""
    return bool(flavor.name_in_files) or f"{table.database}{table.name}".isascii()


async def names_in_files(session: Session, tables: Sequence[TableRef]) -> dict[TableRef, str]:
    """
    Encode names as the server's files are.

    Returns:
        `database/table` of each; how letters beyond ASCII change only the server knows, and without one
        that tells such tables are left out.
    """
    tables = [table for table in tables if is_known_in_files(session.flavor, table)]
    parts = {part for table in tables for part in (table.database, table.name)}
    encoded = {part: _ODD_IN_FILES.sub(_encoded, part) for part in parts if part.isascii()}
    encoded |= await _ask(session, session.flavor.name_in_files, parts - encoded.keys())
    return {table: f"{encoded[table.database]}/{encoded[table.name]}" for table in tables}


async def names_from_files(session: Session, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Decode `database/table` as the server's files are called; what is no table's is left out."""
    pairs = {key: (key.partition("/")[0], key.partition("/")[2]) for key in keys if "/" in key}
    odd = {part for pair in pairs.values() for part in pair if "@" in part}
    names = await _ask(session, session.flavor.name_from_files, odd)
    return {
        key: (names.get(database, database), names.get(table, table))
        for key, (database, table) in pairs.items()
    }


async def _ask(session: Session, template: str, parts: Collection[str]) -> dict[str, str]:
    """Let the server turn each text into another."""
    turned: dict[str, str] = {}
    odd = sorted(parts)
    for start in range(0, len(odd), _MOST_COLUMNS):
        some = odd[start : start + _MOST_COLUMNS]
        columns = [template.format(quote_text(part)) for part in some]
        (row,) = await session.texts(f"SELECT {', '.join(columns)}")
        turned |= zip(some, row, strict=True)
    return turned


def _encoded(sign: re.Match[str]) -> str:
    return f"@{ord(sign[0]):04x}"
