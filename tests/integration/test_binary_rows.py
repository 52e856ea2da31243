"""
Rows by the binary protocol are, byte for byte, those that the server formats (hazard 193).

Both readings are of one snapshot: of every table of the corpora of types, and of drawn ones.
"""

import uuid
from dataclasses import replace

import pytest
from hypothesis import given, note, strategies as st

from app.engine.flavor import DUMP_SESSION
from app.engine.rows import chunks
from app.engine.rows.binary import read_binary
from app.engine.rows.queries import TableSql
from app.engine.schema.tables import read_tables
from app.engine.server.row_reader import RowSource
from app.engine.server.server import Server as Target
from app.engine.sql.key_ranges import Range
from tests.corpora import sizes, types, types_more
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.faker import schemas
from tests.fixtures.series import drawn, series
from tests.fixtures.servers import Sql


EXAMPLES = series(10, 2000)
CORPORA = [
    types.extreme_values,
    types.lossy_floats,
    types.binary_values,
    types.character_sets,
    types.invalid_text,
    types.dates_and_times,
    types.years,
    types_more.enums_and_sets,
    types_more.json_texts,
    types_more.shapes,
    types_more.bits,
    types_more.decimals,
    types_more.uuids_and_addresses,
    types_more.derived_columns,
    sizes.sparse_keys,
    sizes.collated_keys,
    sizes.unusual_keys,
]


class Readings:
    """
    One database, read in both ways.

    Attributes:
        tables: How many could be read by compiled code.
        native: How many were.
        whole: How many readings of a table without a key one query could do.
    """

    def __init__(self, url, database):
        self.url = url
        self.database = database
        self.tables = self.native = self.whole = 0

    async def compare(self, chunk_bytes):
        """Compare the pieces of every table."""
        found = {}
        for source in (RowSource.SERVER, RowSource.NATIVE):
            target = Target(self.url, row_source=source)
            async with target.session(chunks.reading_state(DUMP_SESSION, chunk_bytes)) as session:
                for table in await read_tables(session, [self.database]):
                    if table.has_rows:
                        # No server promises an order for a scan that may choose between indexes.
                        plain = replace(table, entry=replace(table.entry, index="", key=()))
                        pieces = await scanned(session, plain, chunk_bytes)
                        found[source, f"{table.name}, scan"] = pieces
                        whole = await whole_of(session, plain, chunk_bytes)
                        assert whole in (None, pieces), table.name
                        self.whole += whole is not None
                    if table.has_rows and table.entry.index:
                        sql = TableSql.of(table, session.flavor)
                        pieces = [piece async for piece in chunks.read_range(session, sql, Range())]
                        found[source, table.name] = pieces
                        if source is RowSource.NATIVE and not sql.stored and sql.columns:
                            self.tables += 1
                            self.native += await read_binary(session, sql, Range()) is not None
            await target.close()
        names = {name for _, name in found}
        for name in sorted(names):
            assert found[RowSource.NATIVE, name] == found[RowSource.SERVER, name], name


async def scanned(session, table, chunk_bytes):
    """Return the pieces of a table as one without a key is read."""
    sql = TableSql.of(table, session.flavor)
    return [piece async for piece in chunks.read_stream(session, sql, chunk_bytes)]


async def whole_of(session, table, chunk_bytes):
    """Return the pieces of such a table when one query reads it, None when it has to be streamed."""
    chunk = await chunks.read_whole(session, TableSql.of(table, session.flavor), chunk_bytes)
    return chunk and ([chunk] if chunk.rows else [])


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.__name__)
async def test_every_type_reads_the_same(corpus, server, sql, database):
    """At its ends, in the middle, and where it is NULL or no value at all."""
    sql.script(corpus())
    readings = Readings(server.url, database)

    await readings.compare(1 << 20)
    await readings.compare(300)

    assert readings.whole or IS_MYSQL
    # MariaDB sends no sign of a FLOAT's zero, so the server formats a table that has such a one.
    has_sign = corpus is types.lossy_floats and not IS_MYSQL
    assert readings.native == (readings.tables // 2 if has_sign else readings.tables)
    assert readings.tables > 0 or IS_MYSQL  # which has some of these types not at all


@pytest.mark.long
@drawn(EXAMPLES)
@given(schema=schemas(), chunk_bytes=st.sampled_from([1, 200, 1000, 1 << 20]))
async def test_drawn_tables_read_the_same(schema, chunk_bytes, server):
    """Tables, keys and values of any kind, in chunks of any size."""
    name = f"b_{uuid.uuid4().hex[:12]}"
    statements = schema.statements()
    note(";\n".join(statements))
    with Sql(server.url) as sql:
        sql.script([f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}"])
        try:
            sql.script(statements)
            await Readings(server.url, name).compare(chunk_bytes)
        finally:
            sql.run(f"DROP DATABASE {name}")
