"""A private server with a small shop, and what the hot pieces work on."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.domain.backups.manifest import Codec
from app.engine.flavor import DUMP_SESSION, LOAD_SESSION, Flavor, flavor_of
from app.engine.rows.chunks import Chunk, chunk_statement, read_range, reading_state
from app.engine.rows.queries import TableSql
from app.engine.schema.tables import read_tables
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.sql.key_ranges import Range
from benchmarks import dataset, shop
from benchmarks.server import BenchServer


SCHEMA = "bench"
# Enough for a chunk of a MiB of each of the tables.
MEGABYTES = 10
CHUNK_BYTES = 1 << 20
# Rows that make about a MiB of SQL, by table.
ROWS = {"order_items": 36_000, "users": 4_700, "products": 490}


@dataclass(slots=True)
class World:
    """
    One connection and the tables behind it.

    Attributes:
        runner: Runs coroutines; the connection belongs to its loop.
        session: In the state of a dump, with the settings of a load where they do not clash.
        tables: Queries by table name.
    """

    runner: asyncio.Runner
    session: Session
    tables: dict[str, TableSql]

    def chunk(self, table: str) -> Chunk:
        """Read the first chunk of a table, about a MiB of it."""
        part = Range((), (str(1 + ROWS[table]),))
        return self.runner.run(_read(self.session, self.tables[table], part))

    def statement(self, table: str) -> bytes:
        """Return the first chunk of a table as it stands in a backup."""
        return chunk_statement(self.tables[table], self.chunk(table)).sql


@pytest.fixture(scope="session")
def bench_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BenchServer]:
    """A private server with ordinary settings and a small shop."""
    with BenchServer(tmp_path_factory.mktemp("server")) as server:
        dataset.load(server, SCHEMA, shop.tables(MEGABYTES))
        yield server


@pytest.fixture(scope="session")
def world(bench_server: BenchServer) -> Iterator[World]:
    """The tables of the shop, ready to be read."""
    with asyncio.Runner() as runner:
        server = Server(f"mysql://root@localhost/?unix_socket={bench_server.socket}")
        state = reading_state({**DUMP_SESSION, **LOAD_SESSION}, CHUNK_BYTES)
        session = runner.run(server.open(state, loads=True))
        flavor = flavor_of(runner.run(session.scalar("SELECT VERSION()")))
        tables = runner.run(_tables(session, flavor))
        yield World(runner, session, tables)
        runner.run(session.close())
        runner.run(server.close())


@pytest.fixture(params=[Codec.GZIP, Codec.ZSTD], ids=str)
def codec(request: pytest.FixtureRequest) -> Codec:
    """Each codec that compresses."""
    return Codec(request.param)


async def _tables(session: Session, flavor: Flavor) -> dict[str, TableSql]:
    tables = await read_tables(session, [SCHEMA])
    return {table.name: TableSql.of(table, flavor) for table in tables}


async def _read(session: Session, sql: TableSql, part: Range) -> Chunk:
    pieces = [piece async for piece in read_range(session, sql, part)]
    (chunk,) = pieces
    assert isinstance(chunk, Chunk)
    return chunk
