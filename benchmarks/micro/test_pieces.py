"""
The hot pieces of backup and restore, each alone on about a MiB of SQL.

`bytes` in the results is the SQL that a call works on, so MB/s of all pieces compare.
"""

import hashlib
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from app.archive.file import codec as codecs
from app.domain.backups.manifest import Codec
from app.engine.sql import literals
from app.engine.sql.key_ranges import Range
from app.engine.sql.load_data import bulk_pieces, bulk_statement
from app.storage.local import LocalDirectory
from benchmarks.micro.conftest import ROWS, SCHEMA, World


TABLES = tuple(ROWS)
COPY = "copied"


@pytest.mark.parametrize("table", TABLES)
def test_chunk_query(benchmark: BenchmarkFixture, world: World, table: str) -> None:
    """The server formats a chunk and sends it."""
    sql = world.tables[table].chunk(Range((), (str(1 + ROWS[table]),)))

    reply = benchmark(lambda: world.runner.run(world.session.query(sql, redact=True)))

    benchmark.extra_info["bytes"] = len(reply.rows[0][1])
    assert int(reply.rows[0][0]) == ROWS[table]


@pytest.mark.parametrize("table", TABLES)
def test_statement(benchmark: BenchmarkFixture, world: World, table: str) -> None:
    """A reply becomes an INSERT: separators are replaced, head and end are put around it."""
    head = world.tables[table].head
    body = world.chunk(table).body.replace(literals.ROW_JOIN, literals.SEPARATOR)

    def make() -> bytes:
        joined = literals.joined(body, ROWS[table])
        return literals.insert(head, joined or b"")

    made = benchmark(make)

    benchmark.extra_info["bytes"] = len(made)
    assert made == world.statement(table)


@pytest.mark.parametrize("table", TABLES)
def test_compress(benchmark: BenchmarkFixture, world: World, codec: Codec, table: str) -> None:
    """A statement becomes a member."""
    statement = world.statement(table)

    packed = benchmark(codecs.compress, codec, [statement])

    benchmark.extra_info["bytes"] = len(statement)
    assert len(packed) < len(statement)


@pytest.mark.parametrize("table", TABLES)
def test_decompress(benchmark: BenchmarkFixture, world: World, codec: Codec, table: str) -> None:
    """A member becomes a statement again."""
    statement = world.statement(table)
    packed = codecs.compress(codec, [statement])

    found = benchmark(codecs.inflate, codec, packed, raw_size=len(statement), source=table)

    benchmark.extra_info["bytes"] = len(statement)
    assert found == statement


def test_hash(benchmark: BenchmarkFixture, world: World) -> None:
    """A statement gets its SHA-256."""
    statement = world.statement("order_items")

    digest = benchmark(lambda: hashlib.sha256(statement).hexdigest())

    benchmark.extra_info["bytes"] = len(statement)
    assert len(digest) == 64


def test_write(benchmark: BenchmarkFixture, world: World, tmp_path: Path) -> None:
    """A compressed member is appended to the file; the sync comes once, at the end of a backup."""
    statement = world.statement("order_items")
    packed = codecs.compress(Codec.GZIP, [statement])

    with LocalDirectory(tmp_path).create("backup") as file:
        benchmark.pedantic(file.write, args=(packed,), rounds=300)
        written = file.size

    benchmark.extra_info["bytes"] = len(statement)
    assert written % len(packed) == 0


@pytest.mark.parametrize("way", ["bulk", "insert"])
@pytest.mark.parametrize("table", TABLES)
def test_load(benchmark: BenchmarkFixture, world: World, table: str, way: str) -> None:
    """The server takes one statement into an empty table without secondary indexes."""
    sql = world.tables[table]
    statement = world.statement(table).replace(f"`{table}`".encode(), f"`{COPY}`".encode(), 1)
    head = literals.insert_head(COPY, sql.columns)
    bulk = bulk_statement(COPY, sql.columns)

    def empty() -> None:
        for query in (
            f"USE {SCHEMA}",
            f"DROP TABLE IF EXISTS {COPY}",
            f"CREATE TABLE {COPY} AS SELECT * FROM {table} LIMIT 0",
            f"ALTER TABLE {COPY} ADD PRIMARY KEY (id)",
        ):
            world.runner.run(world.session.query(query))

    def load() -> int:
        session = world.session
        if way == "bulk":
            reply = world.runner.run(session.load_local(bulk, bulk_pieces(statement, head)))
        else:
            reply = world.runner.run(session.query(statement, redact=True))
        return reply.affected

    affected = benchmark.pedantic(load, setup=empty, rounds=10)

    benchmark.extra_info["bytes"] = len(statement)
    assert affected == ROWS[table]
