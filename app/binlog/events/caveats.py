"""What a replay of a transaction may do otherwise, event by event."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.binlog.events.executed import (
    changed_in,
    definers_in,
    differs,
    fills_otherwise,
    made_database,
    made_temporary,
    makes_code,
    may_use_temporary,
    names_directory,
    names_in,
    numbered,
    spanned,
)
from app.binlog.events.headers import HEADER_BYTES, Header, Kind, read_header, split_events
from app.binlog.events.payloads import inner_blocks
from app.binlog.events.rows import lacking_columns, read_table_map, table_number
from app.binlog.events.statements import AROUND, QUERIES, changes_rows, load_of, query_of
from app.domain.restores.log_archive import Caveats, Connection, LackingRows, TemporaryUse


# Segments say that nothing of this was found in them: raise it with every rule that finds more, of which those know
# nothing that were sealed before.
EDITION: Final = 10
# Of the header: the statement uses a temporary table, or the number of its connection.
_THREAD_SPECIFIC: Final = 0x04
# Both vendors write so what is around the rows of an XA transaction, and its id behind it the same way.
_XA_PREPARED: Final = "XA END "
_XA_ENDED: Final = ("XA COMMIT ", "XA ROLLBACK ")


def with_event(
    known: Caveats, header: Header, event: bytes, tables: Mapping[int, bytes]
) -> Caveats:
    """
    Add what there is to say of an event.

    Args:
        known: Of the events of the transaction before it.
        header: Of it.
        event: All of it, without its checksum.
        tables: The events of the transaction so far that describe tables, by the numbers of these.

    Returns:
        What is known with it.

    Raises:
        Malformed: It contradicts itself.
    """
    kind = header.kind
    if kind == Kind.EXECUTE_LOAD_QUERY:
        database, text = load_of(event)
        return known._replace(
            temporary=(*known.temporary, *_temporary(header, event, text)),
            executes=known.executes | changed_in(database, text),
            differs=known.differs or differs(text),
        )
    if kind in QUERIES:
        return _with_statement(known, header, event)
    if kind == Kind.PAYLOAD:
        return _with_payload(known, event)
    columns, lacking = lacking_columns(kind, event)
    if not lacking:
        return known
    described = tables.get(table_number(event))
    name = read_table_map(described)[1:3] if described else ("", "")
    return known._replace(lacking=known.lacking | {LackingRows(*name, columns, lacking)})


def _with_payload(known: Caveats, event: bytes) -> Caveats:
    """Add what there is to say of the events that MySQL has compressed into one."""
    tables: dict[int, bytes] = {}
    for inner in split_events(inner_blocks(event)):
        header = read_header(inner)
        if header.kind == Kind.TABLE_MAP:
            tables[table_number(inner)] = inner
        known = with_event(known, header, inner, tables)
    return known


def _with_statement(known: Caveats, header: Header, event: bytes) -> Caveats:
    database, text = query_of(event, is_compressed=header.kind == Kind.QUERY_COMPRESSED)
    if text.startswith(AROUND):
        return _with_xa(known, text)
    return known._replace(
        temporary=(*known.temporary, *_temporary(header, event, text)),
        spans=known.spans or spanned(database, text),
        executes=known.executes | changed_in(database, text),
        differs=known.differs
        or (changes_rows(text) and differs(text, database))
        or fills_otherwise(text),
        makes_database=known.makes_database or made_database(text),
        makes_code=known.makes_code or makes_code(text),
        names_directory=known.names_directory or names_directory(text),
        definers=known.definers | definers_in(text),
        numbers=known.numbers | numbered(database, text),
    )


def _with_xa(known: Caveats, text: str) -> Caveats:
    """Add which XA transaction a statement prepares or ends; nothing where it does not."""
    if text.startswith(_XA_PREPARED):
        return known._replace(prepares_xa=text.removeprefix(_XA_PREPARED))
    if text.startswith(_XA_ENDED):
        return known._replace(ends_xa=text.split(" ", 2)[2])
    return known


def _temporary(header: Header, event: bytes, text: str) -> Iterator[TemporaryUse]:
    """Say of a statement what it does with temporary tables; nothing where it does nothing."""
    if header.flags & _THREAD_SPECIFIC and may_use_temporary(text):
        number = int.from_bytes(event[HEADER_BYTES : HEADER_BYTES + 4], "little")
        connection = Connection(header.server_id, number)
        yield TemporaryUse(connection, made_temporary(text), names_in(text))
