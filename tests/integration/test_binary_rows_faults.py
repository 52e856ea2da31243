"""What goes wrong while rows come by the binary protocol, and what of the connection is left then (hazard 193)."""

import asyncio
import time
from contextlib import aclosing

import pytest

from app.engine.flavor import DUMP_SESSION
from app.engine.native import Kind, RowText
from app.engine.rows import chunks
from app.engine.rows.binary import read_binary
from app.engine.rows.queries import TableSql
from app.engine.schema.tables import read_tables
from app.engine.server.row_reader import RowSource
from app.engine.server.server import Server as Target
from app.engine.sql.key_ranges import Range
from app.errors import ConnectionLostError, DatabaseError, StalledError, StatementError
from app.mysql.inflow import BLOCK_BYTES
from tests.fixtures.backstay import Backstay
from tests.fixtures.log_archive import until
from tests.fixtures.servers import Sql


NUMBERS = "SELECT id, id FROM numbers"
ROWS = 20_000


def make(_wires):
    """Take two integers for what they are."""
    return RowText([(Kind.INT32, 0), (Kind.INT32, 0)], 1 << 20)


def make_text(_wires):
    """Take a text."""
    return RowText([(Kind.TEXT, 0)], 1 << 20)


@pytest.fixture
def numbers(sql, database):
    """A table of many integers, and the name of its database."""
    sql.run("CREATE TABLE numbers (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL DEFAULT 'x')")
    values = ",".join(f"({n})" for n in range(ROWS))
    sql.run(f"INSERT INTO numbers (id) VALUES {values}")
    return database


async def test_an_error_in_the_middle_of_rows_leaves_the_connection_whole(server, numbers):
    """The server reports it instead of the next row; the next question gets its own answer."""
    target = Target(server.url)
    async with target.session() as session:
        await session.use(numbers)
        failing = f"{NUMBERS} WHERE id < {ROWS - 1} OR (SELECT 1 UNION SELECT id) = 1"

        with pytest.raises(StatementError):
            await session.read_rows(failing, (), make)

        assert await session.scalar("SELECT 7") == "7"
        found = await session.read_rows(f"{NUMBERS} WHERE id < 2", (), make)
        assert found is not None
        assert found.text == b"0,0),\n(1,1"
    await target.close()


async def test_a_column_that_was_altered_is_read_as_what_it_is_now(server, sql, numbers):
    """The query stays prepared, and the server says each time how its columns travel."""

    def make_any(wires):
        kinds = {3: Kind.INT32, 8: Kind.INT64}
        return RowText([(kinds[wire], 0) for wire, _ in wires], 1 << 20)

    target = Target(server.url)
    async with target.session() as session:
        await session.use(numbers)
        query = f"{NUMBERS} WHERE id < 2"
        first = await session.read_rows(query, (), make_any)
        sql.run("ALTER TABLE numbers MODIFY id BIGINT")
        second = await session.read_rows(query, (), make_any)
    await target.close()

    assert first == second
    assert first is not None
    assert first.text == b"0,0),\n(1,1"


@pytest.mark.differs("mysql", reason="it does not say what a session takes of its memory")
async def test_the_server_writes_as_much_at_once_as_is_taken(server, numbers):
    """Its buffer has grown by then, and each text is that of before."""
    memory = "SELECT MEMORY_USED FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()"
    target = Target(server.url)
    async with target.session() as session:
        await session.use(numbers)
        first = int(await session.scalar(memory))
        found = await session.read_rows(NUMBERS, (), make)
        again = await session.read_rows(NUMBERS, (), make)
        grown = int(await session.scalar(memory)) - first
    await target.close()

    assert found == again
    assert found is not None
    assert found.rows == ROWS
    assert BLOCK_BYTES // 2 < grown < 4 * BLOCK_BYTES


async def test_a_query_that_is_refused_leaves_the_connection_whole(server):
    """Before there is any row."""
    target = Target(server.url)
    async with target.session() as session:
        with pytest.raises(StatementError):
            await session.read_rows("SELECT nothing FROM nowhere.at_all", (), make)

        assert await session.scalar("SELECT 7") == "7"
    await target.close()


SLOW = "SELECT IF(id < 10000, v, CONCAT(v, SLEEP(0.01))) FROM numbers ORDER BY id"


@pytest.mark.parametrize("stop", ["cancel", "timeout", "kill"])
async def test_rows_that_stop_in_the_middle_end_the_connection(stop, server, sql, numbers):
    """Cancelled here, out of time here, or killed there: nothing goes on, here or there."""
    target = Target(server.url, timeout_seconds=1.0 if stop == "timeout" else 30.0)
    session = await target.open()
    await session.use(numbers)
    error = {
        "cancel": asyncio.CancelledError,
        "timeout": StalledError,
        "kill": ConnectionLostError,
    }[stop]
    reading = asyncio.create_task(session.read_rows(SLOW, (), make_text))
    await asyncio.sleep(0.3)
    if stop == "cancel":
        reading.cancel()
    if stop == "kill":
        sql.run(f"KILL {session.connection_id}")

    with pytest.raises(error):
        await reading

    with pytest.raises(DatabaseError):
        await session.scalar("SELECT 7")
    await asyncio.to_thread(wait_until_gone, sql, session.connection_id)
    await session.close()
    await target.close()


def wait_until_gone(sql, connection_id):
    """Wait for the server to end a connection; fails when it does not."""
    until = time.monotonic() + 60
    listed = f"SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {connection_id}"
    while sql.run(listed):
        assert time.monotonic() < until
        time.sleep(0.05)


async def test_a_table_is_prepared_once_for_all_of_its_ranges(server, sql, numbers):
    """Bounds that are integers are parameters, however many ranges there are."""
    target = Target(server.url, row_source=RowSource.NATIVE)
    async with target.session(chunks.reading_state(DUMP_SESSION, 1 << 20)) as session:
        (table,) = await read_tables(session, [numbers])
        queries = TableSql.of(table, session.flavor)
        status = "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'"
        before = int((await session.texts(status))[0][1])
        for lower in range(0, 1000, 100):
            part = Range((str(lower),), (str(lower + 100),))
            found = await read_binary(session, queries, part)
            assert found is not None
            assert found.rows == 100

        assert int((await session.texts(status))[0][1]) - before == 1
    await target.close()


async def test_a_row_larger_than_a_chunk_is_not_held(server, sql, database):
    """It is counted as it passes, and read in slices as ever; the pieces are those of the server."""
    sql.run("CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB) CHARACTER SET utf8mb4")
    sql.run("INSERT INTO blobs VALUES (1, 'a'), (2, REPEAT('x', 9000000)), (3, NULL)")
    found = []
    for source in (RowSource.NATIVE, RowSource.SERVER):
        target = Target(server.url, row_source=source)
        async with target.session(chunks.reading_state(DUMP_SESSION, 20_000)) as session:
            (table,) = await read_tables(session, [database])
            queries = TableSql.of(table, session.flavor)
            found.append([piece async for piece in chunks.read_range(session, queries, Range())])
        await target.close()

    assert found[0] == found[1]
    assert [type(piece) for piece in found[0]] == [chunks.Chunk, chunks.LargeRow, chunks.Chunk]


ODD_ROWS = {
    "none": [],
    "no text": ["(700, X'FF00C3', 'a')"],
    "large": ["(700, REPEAT('x', 90000), 'a')"],
    "two": ["(300, REPEAT('y', 90000), 'a')", "(900, X'C328', 'b')"],
    "first": ["(0, X'FF', 'a')"],
}


@pytest.mark.parametrize("odd", ODD_ROWS.values(), ids=ODD_ROWS)
async def test_a_table_without_a_key_is_read_until_a_row_is_odd(server, sql, database, odd):
    """From there on the server formats the rows; all pieces are those that it would make of all."""
    sql.run(
        "CREATE TABLE log (n INT, t LONGTEXT CHARACTER SET utf8mb4, a VARCHAR(20) CHARACTER SET ascii)"
    )
    rows = {n: f"({n}, CONCAT('text ', {n}), 'a')" for n in range(1000)}
    rows |= {int(row[1:].split(",")[0]): row for row in odd}
    sql.run("SET sql_mode=''")  # takes bytes that are no text
    sql.run(f"INSERT INTO log VALUES {','.join(rows[n] for n in sorted(rows))}")
    found, executed = [], []
    for source in (RowSource.NATIVE, RowSource.SERVER):
        target = Target(server.url, row_source=source)
        async with target.session(chunks.reading_state(DUMP_SESSION, 3000)) as session:
            (table,) = await read_tables(session, [database])
            queries = TableSql.of(table, session.flavor)
            found.append([piece async for piece in chunks.read_stream(session, queries, 3000)])
            status = await session.texts("SHOW SESSION STATUS LIKE 'Com_stmt_execute'")
            executed.append(int(status[0][1]))
        await target.close()

    assert found[0] == found[1]
    assert executed == [1, 0]
    assert sum(piece.rows for piece in found[0] if isinstance(piece, chunks.Chunk)) > 990


async def test_a_scan_that_nobody_reads_to_its_end_is_ended_on_the_server(server, sql, database):
    """Its connection goes, and what comes after has another."""
    sql.run("CREATE TABLE log (n INT, t TEXT) CHARACTER SET utf8mb4")
    sql.run(
        f"INSERT INTO log VALUES {','.join(f'({n}, {chr(39)}text{chr(39)})' for n in range(9000))}"
    )
    target = Target(server.url, row_source=RowSource.NATIVE)
    session = await target.open(chunks.reading_state(DUMP_SESSION, 1000))
    (table,) = await read_tables(session, [database])
    queries = TableSql.of(table, session.flavor)
    async with aclosing(chunks.read_stream(session, queries, 1000)) as pieces:
        first = await anext(pieces)

    assert isinstance(first, chunks.Chunk)
    with pytest.raises(DatabaseError):
        await session.query("SELECT 1")
    await session.close()
    await target.close()
    alive = f"SELECT id FROM information_schema.processlist WHERE id = {session.connection_id}"
    await until(lambda: not sql.run(alive), "the server ends the scan")


async def test_a_table_of_many_columns_is_read(server, sql, database):
    """Their number takes three bytes in the answer."""
    names = [f"c{n}" for n in range(300)]
    sql.run(f"CREATE TABLE wide (id INT PRIMARY KEY, {','.join(f'{n} INT' for n in names)})")
    sql.run("INSERT INTO wide (id, c7, c299) VALUES (1, -7, 299)")
    target = Target(server.url, row_source=RowSource.NATIVE)
    async with target.session(chunks.reading_state(DUMP_SESSION, 1 << 20)) as session:
        (table,) = await read_tables(session, [database])
        found = await read_binary(session, TableSql.of(table, session.flavor), Range())
    await target.close()

    values = ["NULL"] * 300
    values[7], values[299] = "-7", "299"
    assert found is not None
    assert found.text == f"1,{','.join(values)}".encode()


async def test_backups_hold_the_same_statements_and_prove_each_other(server, tmp_path, numbers):
    """Made in one way and proven in the other, both ways round."""
    hashes = {}
    for source, other in (("server", "native"), ("native", "server")):
        maker = Backstay(server.url, tmp_path / source, row_source=RowSource(source))
        manifest = await maker.backup(numbers, chunk_bytes=20_000, threads=1)
        hashes[source] = sorted(
            entry.sha256 for member in manifest.members for entry in member.statements if entry.rows
        )
        prover = Backstay(server.url, tmp_path / source, row_source=RowSource(other))
        copy = prover.new_name()
        result = await prover.restore(manifest, copy)
        assert result.verified
        await prover.close()
        await maker.close()

    assert len(hashes["native"]) > 5
    assert hashes["native"] == hashes["server"]


async def test_a_column_without_bytes_of_its_charset_is_noticed(server, sql: Sql, database):
    """Other bytes than ASCII in a column of that character set are in hex, as the server writes them."""
    sql.run("CREATE TABLE odd (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET ascii, t TEXT)")
    sql.run("INSERT INTO odd VALUES (1, 'plain', _utf8mb4 X'C3A9')")
    target = Target(server.url, row_source=RowSource.NATIVE)
    async with target.session(chunks.reading_state(DUMP_SESSION, 1 << 20)) as session:
        (table,) = await read_tables(session, [database])
        queries = TableSql.of(table, session.flavor)
        found = await read_binary(session, queries, Range())
        pieces = [piece async for piece in chunks.read_range(session, queries, Range())]
    await target.close()

    assert found is not None
    assert not found.has_odd_ascii
    assert pieces == [chunks.Chunk(Range(), 1, "1,'plain','é'".encode())]
