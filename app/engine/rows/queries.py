"""The queries that read one table, made once and used for every chunk."""

from dataclasses import dataclass, replace

from app.domain.backups.manifest import ColumnEntry
from app.engine.flavor import Flavor
from app.engine.rows.history import RowEnds, read_ends
from app.engine.schema.tables import Table
from app.engine.server.connection import Session
from app.engine.sql import literals
from app.engine.sql.key_ranges import Range
from app.engine.sql.quoting import quote


# Each is itself: what is kept by it need not compare all its texts.
@dataclass(frozen=True, slots=True, eq=False)
class TableSql:
    """
    How one table is read and written.

    Attributes:
        table: Which one.
        columns: Those an INSERT names.
        select: How its queries begin. A table without transactions is read under a read lock of ours, and
            MariaDB lets an ordinary query wait for a writer that waits for that lock.
        head: What stands before the first row of an INSERT.
        row: Expression for the text of one row, NULL when it is too large.
        fast_row: The same where warnings are seen.
        parsed_row: The same with JSON as it is once it was loaded; empty where that is nothing else.
        hex_row: The same with all texts as hex, for bytes that are no valid text.
        source: What follows FROM.
        order: ORDER BY list inside a chunk; empty when the index keeps the order.
        key_row: Comma-separated expressions for the literals of the key.
        key_order: ORDER BY list of the key; empty for tables read as a stream.
        stored: Expression for the text of what a row holds in stored generated columns; may be empty.
        odd_ascii: Condition for other bytes than ASCII in columns of that character set; may be empty.
        changed_json: Condition for JSON that its text does not bring back as it is; may be empty.
        integer_key: Whether the first key column is an integer, so that bounds can be computed.
        ends: How its rows are made those of a backup whose current rows end at another moment.
    """

    table: Table
    columns: tuple[ColumnEntry, ...]
    select: str
    head: bytes
    row: str
    fast_row: str
    parsed_row: str
    hex_row: str
    source: str
    order: str
    key_row: str
    key_order: str
    stored: str
    odd_ascii: str
    changed_json: str
    integer_key: bool
    ends: RowEnds | None = None

    @classmethod
    def of(cls, table: Table, flavor: Flavor) -> "TableSql":
        """
        Prepare the queries of a table.

        Returns:
            All of them.

        Raises:
            UnsupportedObjectError: A column's type is unknown.
        """
        entry = table.entry
        by_name = {column.name: column for column in entry.columns}
        key = [by_name[name] for name in entry.key]
        key_order = ", ".join(quote(column.name) for column in key)
        period = " FOR SYSTEM_TIME ALL" if entry.history else ""
        has_parsed = literals.has_parsed(table.loadable, flavor)
        hint = f" FORCE INDEX ({quote(entry.index)})" if entry.index else " USE INDEX ()"
        return cls(
            table=table,
            columns=table.loadable,
            select="SELECT HIGH_PRIORITY" if table.is_unsafe else "SELECT",
            head=literals.insert_head(entry.name, table.loadable),
            row=literals.row(literals.stream_rows(table.loadable, flavor, as_hex=False)),
            fast_row=_fast_row(table, flavor, parsed=False),
            parsed_row=_fast_row(table, flavor, parsed=True) if has_parsed else "",
            hex_row=literals.row(literals.stream_rows(table.loadable, flavor, as_hex=True)),
            source=f"{table.sql}{period}{hint}",
            order=key_order if entry.ordered else "",
            key_row=", ".join(literals.key_literal(column, flavor) for column in key),
            key_order=key_order,
            stored=literals.stored_row(table.stored, flavor),
            odd_ascii=" OR ".join(
                flavor.odd_ascii.replace("{}", quote(column.name))
                for column in table.loadable
                if column.charset == "ascii"
            ),
            changed_json=literals.changed_json(table.loadable, flavor) if has_parsed else "",
            integer_key=bool(key) and key[0].data_type in literals.INTEGER_TYPES,
        )

    @classmethod
    async def read(cls, session: Session, table: Table, version: str) -> "TableSql":
        """Prepare those of a live table that is compared with a backup of a server of `version`; raises as `of`."""
        ends = await read_ends(session, table, version)
        return replace(cls.of(table, session.flavor), ends=ends)

    @property
    def computes(self) -> bool:
        """Tell whether the table has generated columns."""
        return any(column.generated for column in self.table.entry.columns)

    def chunk(self, part: Range, *, row: str = "") -> str:
        """Return the query for the rows of a range, as `row` or fast: count, text and digest in a row."""
        row = row or self.fast_row
        where = part.where(self.table.entry.key)
        source = f"{self.source}{where}"
        return literals.chunk(self.select, row, source, order=self.order, stored=self.stored)

    def count(self) -> str:
        """Return the query for the number of rows."""
        period = " FOR SYSTEM_TIME ALL" if self.table.entry.history else ""
        return f"{self.select} COUNT(*) FROM {self.table.sql}{period}"

    def touch(self) -> str:
        """Return a query without rows, which takes the metadata lock as one with rows does."""
        return f"{self.select} 1 FROM {self.table.sql} LIMIT 0"

    def extent(self) -> str:
        """Return the query for the least and greatest first key column; both NULL when empty."""
        first = quote(self.table.entry.key[0])
        return f"{self.select} MIN({first}), MAX({first}) FROM {self.source}"

    def boundary(self, part: Range, offset: int) -> str:
        """Return the query for the key that has `offset` rows of the range before it."""
        where = part.where(self.table.entry.key)
        return (
            f"{self.select} {self.key_row} FROM {self.source}{where} "
            f"ORDER BY {self.key_order} LIMIT 1 OFFSET {offset}"
        )

    def odd_rows(self, part: Range) -> str:
        """Return a query with a row if ascii columns hold other bytes; empty without such columns."""
        if not self.odd_ascii:
            return ""
        where = part.where(self.table.entry.key) or " WHERE TRUE"
        return f"{self.select} 1 FROM {self.source}{where} AND ({self.odd_ascii}) LIMIT 1"

    def invalid_text(self, part: Range) -> str:
        """Return a query with a row if UTF-8 columns hold bytes that are none; empty without such."""
        columns = [column for column in self.columns if column.charset in literals.CHECKED_CHARSETS]
        if not columns:
            return ""
        where = part.where(self.table.entry.key) or " WHERE TRUE"
        odd = " OR ".join(
            f"CAST({name} AS BINARY) <>"
            f" CAST(CONVERT(CAST({name} AS BINARY) USING {column.charset}) AS BINARY)"
            for column in columns
            for name in [quote(column.name)]
        )
        return f"{self.select} 1 FROM {self.source}{where} AND ({odd}) LIMIT 1"

    def minus_zero(self, part: Range) -> str:
        """Return a query with a row if a FLOAT is -0; there must be such columns."""
        where = part.where(self.table.entry.key) or " WHERE TRUE"
        found = " OR ".join(
            literals.minus_zero(column)
            for column in self.columns
            if column.data_type == literals.FLOAT
        )
        return f"{self.select} 1 FROM {self.source}{where} AND ({found}) LIMIT 1"

    def count_changed_json(self, part: Range) -> str:
        """Return the query for the number of rows whose JSON does not come back as it is."""
        where = part.where(self.table.entry.key) or " WHERE TRUE"
        return f"{self.select} COUNT(*) FROM {self.source}{where} AND ({self.changed_json})"

    def rows(self, *, as_hex: bool = False) -> str:
        """
        Return the query for all rows one by one, for tables without a usable key.

        Returns:
            A query of one column: the text of a row; behind it, where there are any, a separator and
            what it holds in stored generated columns.
        """
        row = self.hex_row if as_hex else self.row
        if self.stored:
            row = f"CONCAT({row}, {literals.SEPARATOR_SQL}, {self.stored})"
        # History has no order of its own that survives a load.
        order = " ORDER BY 1" if self.table.entry.history else ""
        return f"{self.select} {row} FROM {self.source}{order}"


def _fast_row(table: Table, flavor: Flavor, *, parsed: bool) -> str:
    texts = [literals.literal(column, flavor, parsed=parsed) for column in table.loadable]
    return literals.fast_row(texts)


async def find_boundary(
    session: Session, sql: TableSql, part: Range, offset: int
) -> tuple[str, ...]:
    """Return the key with `offset` rows of the range before it, empty when there is none."""
    rows = await session.texts(sql.boundary(part, offset))
    return rows[0] if rows else ()


async def count_rows(session: Session, sql: TableSql) -> int:
    """Count the rows of a table; may take long."""
    return int((await session.query(sql.count(), no_timeout=True)).rows[0][0] or 0)
