"""What a transaction did: its tables, how many rows of each, and the statement it began with."""

from collections.abc import Callable
from typing import Final

from app.binlog.events.headers import HEADER_BYTES, Kind, split_events
from app.binlog.events.payloads import inner_blocks
from app.binlog.events.rows import ROWS, Counts, TableMap, count_rows, read_table_map, table_number
from app.binlog.events.statements import (
    AROUND,
    QUERIES,
    changes_rows,
    masked,
    masked_in_any_mode,
    query_of,
)
from app.domain.restores.log_archive import LoggedRows


_TEXTS: Final = frozenset({Kind.ANNOTATE_ROWS, Kind.ROWS_QUERY})
_LOADS: Final = frozenset({Kind.EXECUTE_LOAD_QUERY, Kind.BEGIN_LOAD_QUERY, Kind.APPEND_BLOCK})


class Contents:
    """
    One transaction, event by event.

    Attributes:
        database: That of its first statement; empty when it had none.
        statement: Without values; empty when the log does not have it.
        has_statement_dml: Whether rows come of statements that are executed again.
    """

    def __init__(self, *, counts: bool = True) -> None:
        self.database = ""
        self.statement = ""
        self.has_statement_dml = False
        self._counts = counts
        self._maps: dict[int, TableMap] = {}
        self._changed: dict[tuple[str, str], Counts] = {}

    @property
    def tables(self) -> tuple[LoggedRows, ...]:
        """What it did to each table, in the order of their first use."""
        return tuple(LoggedRows(*name, *counts) for name, counts in self._changed.items())

    def accept(self, kind: int, event: bytes) -> None:
        """
        Take the next event of the transaction.

        Args:
            kind: Its type.
            event: Without its checksum.

        Raises:
            Malformed: It contradicts itself.
        """
        if kind == Kind.TABLE_MAP:
            self._open(read_table_map(event))
        elif kind in ROWS:
            self._count(kind, event)
        elif kind in QUERIES:
            self._take_query(*query_of(event, is_compressed=kind == Kind.QUERY_COMPRESSED))
        elif kind in _TEXTS:
            skipped = HEADER_BYTES + (kind == Kind.ROWS_QUERY)
            self._name(event[skipped:].decode("utf-8", "replace"), masked_in_any_mode)
        elif kind in _LOADS:
            self.has_statement_dml = True
            self._name("LOAD DATA")
        elif kind == Kind.PAYLOAD:
            for inner in split_events(inner_blocks(event)):
                self.accept(inner[4], inner)

    def _open(self, table: TableMap) -> None:
        self._maps[table.number] = table
        self._changed.setdefault((table.database, table.table), Counts())

    def _count(self, kind: int, event: bytes) -> None:
        table = self._maps.get(table_number(event))
        if table is None or not self._counts:  # an event without rows may end a statement
            return
        name = (table.database, table.table)
        found = count_rows(kind, event, table)
        self._changed[name] = Counts(*map(_sum, self._changed[name], found))

    def _take_query(self, database: str, text: str) -> None:
        if text.startswith(AROUND):
            return
        self.has_statement_dml |= changes_rows(text)
        self.database = self.database or database
        self._name(text)

    def _name(self, text: str, mask: Callable[[str], str] = masked) -> None:
        if not self.statement and self._counts:
            self.statement = mask(text)


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
