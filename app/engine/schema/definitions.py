"""
Definitions as the server prints them, with what it prints wrongly put right.

Servers write SHOW CREATE TABLE in utf8mb3: a character beyond U+FFFF in a label of an ENUM or SET, or
on MariaDB in a plain DEFAULT, comes out as a question mark. Where there is one, the server is asked for
the text itself: what the column makes of the number of each member, DEFAULT(column) of no row.
"""

import hashlib
from collections.abc import Sequence

from app.domain.backups.manifest import ColumnEntry
from app.engine.schema.tables import Table, show_create
from app.engine.server.connection import Session
from app.engine.sql import columns, ddl
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
        texts = columns.column_texts(exact, column.name)
        if any("?" in label for label in texts.labels):
            labels = await _labels(session, table, column, len(texts.labels))
            exact = columns.with_labels(exact, column.name, labels)
        if "?" in texts.default and not column.generated:
            default = await _default(session, table, column)
            exact = columns.with_default(exact, column.name, default)
    return printed, exact


async def sequence_position(session: Session, table: Table) -> tuple[bytes, ...]:
    """
    Read where a sequence stands.

    An INSERT says all of it, but is refused where the binary log holds statements (1665); so only one that
    has run out, and cannot be sent to a value of its own, is written like that.

    Returns:
        The statements that put it there.
    """
    values = await _sequence_values(session, table)
    name, (begin, least, most, *_, rounds) = quote(table.name), map(int, values)
    if not least <= begin <= most:
        return (_sequence_row(table, values),)
    restart = f"ALTER SEQUENCE {name} RESTART {begin};\n".encode()
    # How often it began again; what it has counted already is not taken back.
    again = f"DO SETVAL({name}, {begin}, 0, {rounds});\n".encode()
    return (restart, again) if rounds else (restart,)


async def sequence_digests(session: Session, table: Table) -> set[str]:
    """Digest where a sequence stands in every form in which a backup may say it."""
    row = _sequence_row(table, await _sequence_values(session, table))
    forms = (row, *(await sequence_position(session, table))[-1:])
    return {hashlib.sha256(form).hexdigest() for form in forms}


async def _sequence_values(session: Session, table: Table) -> tuple[str, ...]:
    (values,) = await session.texts(f"SELECT * FROM {table.sql}")
    return values


def _sequence_row(table: Table, values: Sequence[str]) -> bytes:
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
