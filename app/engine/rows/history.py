"""
The end of current rows of system-versioned tables: the last moment that a server knows.

MariaDB 11.5 moved it from 2038 to 2106. A current row that comes from the other side would be one of the
past, or be refused (1525). So its end is written as this server's when it is loaded, and as the backup's
when it is read back for the proof.

Not guaranteed: servers of 32 bits, whose last moment stays that of 2038.
Source: https://mariadb.com/kb/en/timestamp/, /system-versioned-tables/
"""

import re
from dataclasses import dataclass
from itertools import count
from typing import Final

from app.engine.flavor import flavor_of
from app.engine.schema.tables import Table
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.quoting import quote


# One value of an INSERT, as `app.engine.sql.literals` writes it.
_VALUE: Final = re.compile(rb"(?:_\w+ )?X?'(?:[^'\\]|\\.)*+'|[^,()'\s;]+", re.DOTALL)
_EXPLICIT: Final = re.compile(r"GENERATED ALWAYS AS ROW END\b")


@dataclass(frozen=True, slots=True)
class RowEnds:
    """
    What the ends of current rows are in a backup, and on a server where they are others.

    Attributes:
        column: Number of the column, of those that an INSERT names.
        columns: How many it names.
        saved: Literal in the backup.
        live: Literal on the server.
    """

    column: int
    columns: int
    saved: bytes
    live: bytes

    def as_live(self, head: bytes, statement: bytes) -> bytes:
        """Return an INSERT of the backup, which begins with `head`, as this server needs it."""
        return self._replace(head, statement, self.saved, self.live)

    def as_saved(self, head: bytes, statement: bytes) -> bytes:
        """Return an INSERT that was made of live rows as the backup has it."""
        return self._replace(head, statement, self.live, self.saved)

    def bound(self, literals: tuple[str, ...]) -> tuple[str, ...]:
        """Return the bound of a range of keys as this server has it; a key may end with the end of a row."""
        saved, live = self.saved.decode(), self.live.decode()
        return tuple(live if literal == saved else literal for literal in literals)

    def _replace(self, head: bytes, statement: bytes, old: bytes, new: bytes) -> bytes:
        if old not in statement:
            return statement
        numbers = count()

        def replaced(found: re.Match[bytes]) -> bytes:
            is_end = next(numbers) % self.columns == self.column
            return new if is_end and found[0] == old else found[0]

        return head + _VALUE.sub(replaced, statement[len(head) :])


async def read_ends(session: Session, table: Table, version: str) -> RowEnds | None:
    """
    Find out whether the current rows of a live table have another end than in a backup.

    Args:
        session: On its server.
        table: Which.
        version: Of the server that was backed up.

    Returns:
        Both ends; None where they are the same, or the table has no history.
    """
    saved, live = flavor_of(version).last_moment, session.flavor.last_moment
    if not table.entry.history or saved == live:
        return None
    _, definition = (await session.texts(f"SHOW CREATE TABLE {table.sql}"))[0]
    _, items, _ = ddl.split_items(definition)
    named = [ddl.tokens(item)[0] for item in items if _is_row_end(item)]
    names = [quote(column.name) for column in table.loadable]
    # Without a name of its own it is hidden, and comes last.
    number = names.index(named[0]) if named else len(names) - 1
    return RowEnds(number, len(names), f"'{saved}'".encode(), f"'{live}'".encode())


def _is_row_end(item: str) -> bool:
    return bool(_EXPLICIT.search("".join(ddl.unquoted_parts(item))))
