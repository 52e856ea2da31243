"""
Definitions as the server prints them, with what it prints wrongly put right.

Servers write SHOW CREATE TABLE in utf8mb3: a character beyond U+FFFF in a label of an ENUM or SET, or
on MariaDB in a plain DEFAULT, comes out as a question mark. Where there is one, the server is asked for
the text itself: what the column makes of the number of each member, DEFAULT(column) of no row.
"""

from collections.abc import Sequence

from app.domain.backups.manifest import ColumnEntry
from app.engine.schema.tables import Table, show_create
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.quoting import quote


async def exact_definition(session: Session, table: Table) -> tuple[str, str]:
    """
    Read a table's definition.

    Returns:
        What SHOW CREATE prints, and the same with all texts as they are.
    """
    printed = await show_create(session, table)
    exact = ddl.utf8_only(printed)
    if "?" not in printed:
        return printed, exact
    for column in table.entry.columns:
        texts = ddl.column_texts(exact, column.name)
        if any("?" in label for label in texts.labels):
            labels = await _labels(session, table, column, len(texts.labels))
            exact = ddl.with_labels(exact, column.name, labels)
        if "?" in texts.default and not column.generated:
            default = await _default(session, table, column)
            exact = ddl.with_default(exact, column.name, default)
    return printed, exact


async def sequence_position(session: Session, table: Table) -> bytes:
    """
    Read where a sequence stands.

    Returns:
        The statement that puts it there; unlike SETVAL it keeps how often the sequence began again.
    """
    (values,) = await session.texts(f"SELECT * FROM {table.sql}")
    return f"INSERT INTO {quote(table.name)} VALUES ({', '.join(values)});\n".encode()


async def _labels(session: Session, table: Table, column: ColumnEntry, count: int) -> Sequence[str]:
    """Let the server turn the number of each member into its label."""
    query = session.flavor.member_labels.format(
        table=table.sql,
        column=quote(column.name),
        count=count,
        next="n + 1" if column.data_type == "enum" else "1 << n",
    )
    rows = await session.texts(query)
    return [bytes.fromhex(text).decode() for row in rows for text in row[0].split(",")]


async def _default(session: Session, table: Table, column: ColumnEntry) -> str:
    """Read a default from a row that is not there."""
    reply = await session.texts(
        f"SELECT HEX(CONVERT(DEFAULT(t.{quote(column.name)}) USING utf8mb4))"
        f" FROM (SELECT 1) AS one LEFT JOIN {table.sql} AS t ON FALSE"
    )
    return bytes.fromhex(reply[0][0]).decode()
