"""
What a server holds, read in a few set queries.

Definitions come verbatim from SHOW CREATE; information_schema only says what to ask for and how to
read the rows.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from app.domain.backups.manifest import (
    LOST_HISTORY,
    TRANSACTION_HISTORY,
    ColumnEntry,
    TableEntry,
)
from app.engine.flavor import Flavor
from app.engine.schema.listing import (
    ARE_TABLES,
    in_tables,
    list_elsewhere,
    open_signed,
    scope_of,
)
from app.engine.server.connection import Session
from app.engine.sql.ddl import without_charsets, without_remarks
from app.engine.sql.literals import can_bound
from app.engine.sql.quoting import qualified
from app.engine.storage_engines import (
    CONNECT,
    ROWLESS_ENGINES,
    SNAPSHOT_ENGINES,
    no_rows_of,
    shows_others,
)
from app.errors import StatementError, UnsupportedObjectError


_PERIOD: Final = frozenset({"ROW START", "ROW END"})
# InnoDB's number of a row in full-text indexes, where a table has it as a column of its own: it takes
# rows in this order only, once there is such an index.
# Source: https://dev.mysql.com/doc/refman/8.4/en/innodb-fulltext-index.html
DOCUMENT_ID: Final = "FTS_DOC_ID"
_SIZES: Final = ", TABLE_ROWS, DATA_LENGTH, CREATE_OPTIONS, TABLE_COMMENT"
# An index, and its rows of information_schema.STATISTICS.
_Key: TypeAlias = tuple[str, list[tuple[str, ...]]]
_ROW_START: Final = ColumnEntry("row_start", "timestamp", "timestamp(6)", nullable=False)
_ROW_END: Final = ColumnEntry("row_end", "timestamp", "timestamp(6)", nullable=False)
UNOPENED_HINT: Final = "Repair or drop the table, or leave it out with --exclude-table."


@dataclass(frozen=True, slots=True)
class TableRef:
    """
    A table by name, with the engine that says how it must be read.

    Attributes:
        outside: Whether it shows rows that others keep, though its engine keeps some too.
    """

    database: str
    name: str
    engine: str
    outside: bool = False

    @property
    def sql(self) -> str:
        """Return its quoted, qualified name."""
        return qualified(self.database, self.name)

    @property
    def label(self) -> str:
        """Return its name for people."""
        return f"{self.database}.{self.name}"

    @property
    def has_rows(self) -> bool:
        """Tell whether the table's rows are its own."""
        return self.engine not in ROWLESS_ENGINES and not self.outside

    @property
    def is_unsafe(self) -> bool:
        """Tell whether a transaction's snapshot does not cover its rows."""
        return self.has_rows and self.engine not in SNAPSHOT_ENGINES


@dataclass(frozen=True, slots=True)
class Table:
    """
    One table or sequence of a live server.

    Attributes:
        database: Where it is.
        entry: What the manifest will say; rows and sizes are filled in by the dump.
        rows_estimate: The server's guess, for progress.
        bytes_estimate: The server's guess of the size of its data.
        shown: Name of the database for people, where the table waits in another one; else empty.
        partitioned: Whether it has partitions; known of those that `read_tables` reads.
    """

    database: str
    entry: TableEntry
    rows_estimate: int = 0
    bytes_estimate: int = 0
    shown: str = ""
    partitioned: bool = False

    @property
    def name(self) -> str:
        """Return its name."""
        return self.entry.name

    @property
    def ref(self) -> TableRef:
        """Return its name and engine."""
        outside = self.entry.engine == CONNECT and bool(self.entry.partial)
        return TableRef(self.database, self.entry.name, self.entry.engine, outside)

    @property
    def sql(self) -> str:
        """Return its quoted, qualified name."""
        return qualified(self.database, self.entry.name)

    @property
    def label(self) -> str:
        """Return its name for people."""
        return f"{self.shown or self.database}.{self.entry.name}"

    @property
    def loadable(self) -> tuple[ColumnEntry, ...]:
        """Return the columns that an INSERT names."""
        return tuple(column for column in self.entry.columns if not column.generated)

    @property
    def stored(self) -> tuple[ColumnEntry, ...]:
        """Return the generated columns whose values are kept with the rows."""
        return tuple(column for column in self.entry.columns if column.stored)

    @property
    def has_rows(self) -> bool:
        """Tell whether the table's rows are its own."""
        return not self.entry.sequence and self.ref.has_rows

    @property
    def is_unsafe(self) -> bool:
        """Tell whether a transaction's snapshot does not cover its rows."""
        return not self.entry.sequence and self.ref.is_unsafe


async def read_refs(
    session: Session, databases: Sequence[str], names: Collection[str] = ()
) -> list[TableRef]:
    """Name tables with rows, all or those of some names, cheaply; broken ones are left out."""
    if not databases:
        return []
    rows = await session.texts(
        "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES"
        f" WHERE {scope_of(databases, names)} AND ENGINE IS NOT NULL"
        " AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
    )
    refs = [TableRef(database, name, engine) for database, name, engine in rows]
    if not (connected := [ref for ref in refs if ref.engine == CONNECT]):
        return refs
    rows = await _list(
        session, in_tables((ref.database, ref.name) for ref in connected), ", CREATE_OPTIONS"
    )
    outside = {(row[0], row[1]) for row in rows if shows_others(CONNECT, row[4])}
    return [replace(ref, outside=(ref.database, ref.name) in outside) for ref in refs]


async def has_rows(session: Session, table: TableRef) -> bool:
    """Tell whether a table has any row."""
    return await session.scalar(f"SELECT EXISTS (SELECT 1 FROM {table.sql})") == "1"


async def read_tables(
    session: Session,
    databases: Sequence[str],
    wanted: Callable[[TableRef], bool] = lambda _: True,
    names: Collection[str] = (),
) -> list[Table]:
    """
    Read tables and sequences of some databases, without definitions.

    Args:
        session: Any.
        databases: Exact names.
        wanted: Which of them; others may be broken or unreadable.
        names: If any, only tables of these names are read.

    Returns:
        Sorted by database and name, without views.

    Raises:
        UnsupportedObjectError: The server itself cannot open a table.
    """
    if not databases:
        return []
    scope = scope_of(databases, names)
    listing, keys = await _read_listing(session, scope)
    columns = await _read_columns(session, scope)
    return [
        _table(row, session.flavor, columns[row[0], row[1]], keys[row[0], row[1]])
        for row in listing
        if wanted(TableRef(row[0], row[1], row[3], shows_others(row[3], row[6])))
    ]


async def _read_listing(
    session: Session, scope: str
) -> tuple[list[tuple[str, ...]], Mapping[tuple[str, str], list[_Key]]]:
    """Read sizes and keys of tables; of those that are elsewhere only while they answer."""
    try:
        return await _list(session, scope, _SIZES), await _read_keys(session, scope)
    except StatementError:
        elsewhere = await list_elsewhere(session, scope)
        if not elsewhere:
            raise
    others = [
        (*row, "", "", "", "") for row in await _list(session, in_tables(elsewhere), columns="")
    ]
    scope += f" AND NOT {in_tables(elsewhere)}"
    return sorted([*await _list(session, scope, _SIZES), *others]), await _read_keys(session, scope)


async def _list(session: Session, scope: str, columns: str) -> list[tuple[str, ...]]:
    query = (
        f"SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE{columns}"
        f" FROM information_schema.TABLES WHERE {scope} AND {ARE_TABLES}"
        " ORDER BY TABLE_SCHEMA, TABLE_NAME"
    )
    rows = await session.texts(query)
    if await open_signed(session, [(row[0], row[1]) for row in rows if not row[3]]):
        return await session.texts(query)
    return rows


async def list_without_engine(session: Session, database: str) -> list[str]:
    """Name the tables of a database whose engine the server does not know."""
    listing, _ = await _read_listing(session, scope_of([database]))
    return [row[1] for row in listing if not row[3]]


async def show_create(session: Session, table: Table) -> str:
    """Return the definition of a table or sequence as the server prints it."""
    return await show_definition(session, table.ref, sequence=table.entry.sequence)


async def show_definition(session: Session, ref: TableRef, *, sequence: bool) -> str:
    """
    Read the definition of what a name stands for.

    MySQL prints texts of expressions in their own character sets, but takes all of it for utf8mb3: on the
    way to ours an emoji becomes a question mark, and so does anything under another introducer.

    Returns:
        What the server prints; bytes that are no UTF-8 as surrogate escapes.
    """
    query = f"SHOW CREATE {'SEQUENCE' if sequence else 'TABLE'} {ref.sql}"
    printed = (await session.texts(query))[0][1]
    if "?" in printed and session.flavor.spoils_expressions:
        await session.query("SET SESSION character_set_results = NULL")
        printed = (await session.texts(query))[0][1]
        await session.query("SET SESSION character_set_results = utf8mb4")
    return without_charsets(printed) if session.flavor.repeated_charsets else printed


async def _read_columns(
    session: Session, scope: str
) -> Mapping[tuple[str, str], list[tuple[ColumnEntry, str]]]:
    """Read columns with the expression of generated ones."""
    rows = await session.texts(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE,"
        " CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, GENERATION_EXPRESSION"
        f" FROM information_schema.COLUMNS WHERE {scope}"
        " ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
    )
    found: dict[tuple[str, str], list[tuple[ColumnEntry, str]]] = defaultdict(list)
    for row in rows:  # interned: the same few texts in thousands of tables
        schema, table, name, data_type, column_type, nullable, *rest = map(sys.intern, row[:8])
        charset, collation = rest
        extra = row[8].upper()
        column = ColumnEntry(
            name=name,
            data_type=data_type.lower(),
            column_type=without_remarks(column_type),
            nullable=nullable.upper() == "YES",
            charset=charset,
            collation=collation,
            generated="VIRTUAL GENERATED" in extra or "STORED GENERATED" in extra,
            # A period's columns say so, too; as columns with history they are loaded as they are.
            stored="STORED GENERATED" in extra and row[9].upper() not in _PERIOD,
        )
        found[schema, table].append((column, row[9].upper()))
    return found


async def _read_keys(
    session: Session,
    scope: str,
) -> Mapping[tuple[str, str], list[_Key]]:
    """Read unique B-tree indexes, the primary key first, each with its rows of STATISTICS."""
    rows = await session.texts(
        "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART"
        f" FROM information_schema.STATISTICS WHERE {scope} AND NON_UNIQUE = 0"
        f" AND INDEX_TYPE = 'BTREE' AND NOT ({session.flavor.unusable_index})"
        " ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX",
    )
    found: dict[tuple[str, str], dict[str, list[tuple[str, ...]]]] = defaultdict(dict)
    for row in rows:
        found[row[0], row[1]].setdefault(row[2], []).append(row)
    return defaultdict(list, {where: list(keys.items()) for where, keys in found.items()})


def _table(
    row: Sequence[str],
    flavor: Flavor,
    columns: list[tuple[ColumnEntry, str]],
    keys: list[_Key],
) -> Table:
    database, name, kind, engine, rows, size, options, comment = row
    label = f"{database}.{name}"
    if not engine:
        raise UnsupportedObjectError(
            f"the server cannot open table {label!r}: {comment}", hint=UNOPENED_HINT
        )
    sequence = kind == "SEQUENCE"
    entry = TableEntry(
        name=name,
        sequence=sequence,
        engine=engine,
        columns=() if sequence else tuple(column for column, _ in columns),
        index="",
        key=(),
        ordered=False,
        history=False,
        partial="",
        rows=0,
        raw_size=0,
        max_packet=0,
        definition_sha256="",
    )
    if kind == "SYSTEM VERSIONED":
        entry = _with_history(entry, columns, flavor)
    elif not sequence:
        entry = _with_key(entry, keys, partitioned="partitioned" in options)
    if not sequence and (engine in ROWLESS_ENGINES or shows_others(engine, options)):
        entry = replace(entry, partial=no_rows_of(engine))
    partitioned = "partitioned" in options
    return Table(database, entry, int(rows or 0), int(size or 0), partitioned=partitioned)


def _with_key(entry: TableEntry, keys: list[_Key], *, partitioned: bool) -> TableEntry:
    """Choose the index to cut the table by: the first whose columns all make safe bounds."""
    by_name = {column.name: column for column in entry.columns}
    if DOCUMENT_ID in by_name:
        keys = sorted(keys, key=lambda key: key[1][0][3] != DOCUMENT_ID)
    for index, parts in keys:
        names = [part[3] for part in parts]
        whole = all(part[3] and not part[4] for part in parts)
        if whole and all(name in by_name and can_bound(by_name[name]) for name in names):
            # Only InnoDB keeps the rows of one partition in the order of its key.
            ordered = entry.engine not in SNAPSHOT_ENGINES or partitioned
            return replace(entry, index=index, key=tuple(names), ordered=ordered)
    return entry


def _with_history(
    entry: TableEntry,
    columns: list[tuple[ColumnEntry, str]],
    flavor: Flavor,
) -> TableEntry:
    """Include the past of a system-versioned table where it can be loaded again."""
    period = [column for column, expression in columns if expression in _PERIOD]
    if any(column.data_type == "bigint" for column in period):
        return replace(entry, partial=TRANSACTION_HISTORY)
    if not flavor.history:
        return replace(entry, partial=LOST_HISTORY)
    if not period:
        return replace(entry, columns=(*entry.columns, _ROW_START, _ROW_END), history=True)
    kept = tuple(
        replace(column, generated=column.generated and column not in period)
        for column, _ in columns
    )
    return replace(entry, columns=kept, history=True)
