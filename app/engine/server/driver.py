"""
The driver's side of a connection: statements as bytes, replies with their warnings, rows as packets.

aiomysql converts what it returns, keeps no count of warnings, and holds or parses each row by itself.
So this module uses what it has inside; it is the only one that does, and raises what the driver raises.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from pymysql.constants.COMMAND import COM_QUERY, COM_SET_OPTION

from app.engine.native.prepared import (
    CLOSE,
    EXECUTE,
    PREPARE,
    Prepared,
    Wire,
    execution,
    read_count,
    read_prepared,
    read_wire,
)
from app.engine.server.packets import RowPackets, whole_packets
from app.errors import StatementError
from app.mysql.connection import Connection
from app.mysql.inflow import BLOCK_BYTES, Inflow, Take
from app.mysql.refusals import file_refused, understood


Value = bytes | None
Row = tuple[Value, ...]

# What a stream reads at once: enough to make the await cheap, little enough to bound memory.
_STREAM_BYTES: Final = 256 << 10
_READ_AHEAD_BYTES: Final = 1 << 20
_NOT_ALLOWED: Final = 1148
_MULTI_STATEMENTS_OFF: Final = b"\x01\x00"
_QUIT: Final = b"\x01\x00\x00\x00\x01"  # length, number and command of its packet


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The server's answer to one statement.

    Attributes:
        rows: All rows, every value as the bytes that the server sent.
        affected: Rows changed, or the number of `rows`.
        warnings: Warnings it raised.
        columns: Their names.
    """

    rows: tuple[Row, ...]
    affected: int
    warnings: int
    columns: tuple[str, ...]


class Driver:
    """
    One driver connection.

    Attributes:
        connection_id: The server's number of it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Nothing is decoded or converted on the way: SHOW CREATE is not always valid UTF-8.
        connection.use_unicode = False
        connection.decoders = {}
        # asyncio pauses a stream at twice this; at its default of 64 KiB a chunk pauses eight times.
        connection._reader._limit = _READ_AHEAD_BYTES  # noqa: SLF001
        self._block = memoryview(bytearray())
        self._definitions_read: list[bytes] = []
        self._wires_read: list[Wire] = []
        self.connection_id: int = connection.thread_id()

    async def forbid_lists(self) -> None:
        """
        Let the server refuse a second statement behind a `;`.

        The driver allows lists of statements whatever it is told, and what a backup holds as one
        statement must be one.

        Source:
            https://mariadb.com/kb/en/com_set_option
        """
        await self._connection._execute_command(COM_SET_OPTION, _MULTI_STATEMENTS_OFF)  # noqa: SLF001
        await self._connection._read_packet()  # noqa: SLF001

    async def query(self, sql: str | bytes) -> Reply:
        """Run one statement and hold its whole answer."""
        await self._connection.query(sql)
        return self._reply()

    async def load_local(self, sql: str, pieces: Iterable[bytes]) -> Reply:
        """Run a LOAD DATA LOCAL with `pieces` as the file; StatementError if the server wants none."""
        connection = self._connection
        await connection._execute_command(COM_QUERY, sql)  # noqa: SLF001
        with understood():
            is_asked = (await connection._read_packet()).is_load_local_packet()  # noqa: SLF001
        if not is_asked:
            raise StatementError("LOAD DATA LOCAL is not allowed", errno=_NOT_ALLOWED)
        if not connection.loads:
            connection.close()
            raise file_refused()
        for piece in pieces:
            connection.write_packet(piece)
            await connection._writer.drain()  # noqa: SLF001
        connection.write_packet(b"")
        await connection._read_query_result()  # noqa: SLF001
        return self._reply()

    async def begin_stream(self, sql: str) -> RowPackets:
        """Run a query of one column; its rows come out of what `next_bytes` returns."""
        await self._connection.query(sql, unbuffered=True)
        return RowPackets(self._connection._next_seq_id)  # noqa: SLF001

    async def prepare(self, sql: str) -> tuple[Prepared, list[Wire]]:
        """Prepare a query; its number and parameters, and how its columns travel."""
        await self._connection._execute_command(PREPARE, sql)  # noqa: SLF001
        prepared = read_prepared(await self._packet())
        await self._definitions(prepared.parameters)
        return prepared, await self._definitions(prepared.columns)

    async def execute(self, prepared: Prepared, values: Sequence[int]) -> tuple[int, list[Wire]]:
        """
        Execute a query, whose rows `receive` gives away.

        Returns:
            The number of the first row's packet, and how the columns travel.
        """
        command = execution(prepared.number, values)
        await self._connection._execute_command(EXECUTE, command)  # noqa: SLF001
        count = read_count(await self._packet())
        wires = await self._known_definitions(count) if count else []
        wires = wires or await self._definitions(count)
        return self._connection._next_seq_id, wires  # noqa: SLF001

    async def forget(self, prepared: Prepared) -> None:
        """Let the server forget a query; it does not answer."""
        number = prepared.number.to_bytes(4, "little")
        await self._connection._execute_command(CLOSE, number)  # noqa: SLF001

    async def widen(self) -> None:
        """
        Let the server send as much at once as is received at once.

        It writes whenever its buffer is full, which has 16 KiB, and has grown to the largest packet that it has
        had from us: each write costs both sides, and here it wakes the event loop. It must take such packets.
        A statement that does nothing and ends in spaces is one for every proxy, too, and short in every log.

        Source:
            https://mariadb.com/kb/en/server-system-variables/#net_buffer_length
        """
        await self.ask(COM_QUERY, b"DO 0".ljust(BLOCK_BYTES - 1))

    async def ask(self, command: int, payload: bytes) -> None:
        """Run a command that is no statement, and is answered by one packet."""
        await self.send(command, payload)
        await self._packet()

    async def send(self, command: int, payload: bytes) -> int:
        """Send a command whose answer comes out of `next_bytes`; returns the number of its first packet."""
        await self._connection._execute_command(command, payload)  # noqa: SLF001
        sequence: int = self._connection._next_seq_id  # noqa: SLF001
        return sequence

    async def _definitions(self, count: int) -> list[Wire]:
        found = [read_wire(await self._packet()) for _ in range(count)]
        if count:
            await self._packet()  # the end of them
        return found

    async def _known_definitions(self, count: int) -> list[Wire]:
        """
        Read what `_definitions` reads, if all of it has come.

        Those of a chunk are a dozen packets, for each of which the driver waits twice: a sixth of what this
        side does for it in Python.

        Returns:
            How the columns travel; none where nothing was read.
        """
        connection = self._connection
        reader = cast("asyncio.StreamReader", connection._reader)  # noqa: SLF001
        first = connection._next_seq_id  # noqa: SLF001
        received = reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001
        packets, size = whole_packets(received, count + 1, first)
        if not packets:
            return []
        await reader.readexactly(size)  # never waits then
        connection._next_seq_id = (first + count + 1) % 256  # noqa: SLF001
        if packets != self._definitions_read:  # they seldom are others than those of the last chunk
            self._definitions_read = packets
            self._wires_read = [read_wire(packet) for packet in packets[:-1]]
        return self._wires_read

    async def _packet(self) -> bytes:
        packet = await self._connection._read_packet()  # noqa: SLF001
        data: bytes = packet.get_all_data()  # type: ignore[no-untyped-call]  # half a stub
        return data

    async def next_bytes(self, least: int) -> bytes:
        """Wait for bytes of the server: what is there, or as many as are needed when that is more."""
        reader = cast("asyncio.StreamReader", self._connection._reader)  # noqa: SLF001
        if least > _STREAM_BYTES:
            return await reader.readexactly(least)
        if not (data := await reader.read(_STREAM_BYTES)):
            raise EOFError("the server closed the connection")
        return data

    async def receive(self, take: Take) -> None:
        """Give what the server sends to `take`, until that was all; the next bytes are another's."""
        reader = cast("asyncio.StreamReader", self._connection._reader)  # noqa: SLF001
        while reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001 - never waits then
            if take(memoryview(await reader.read(_STREAM_BYTES))):
                return
        if (broken := reader.exception()) is not None:
            raise broken
        if reader.at_eof():
            raise EOFError("the server closed the connection")
        self._block = self._block or memoryview(bytearray(BLOCK_BYTES))
        await Inflow(self._connection._writer.transport, self._block).run(take)  # noqa: SLF001

    def end_stream(self) -> None:
        """Tell the driver that nothing is left to read."""
        self._connection._result.unbuffered_active = False  # noqa: SLF001

    def close(self) -> None:
        """Take leave and close the connection; no answer is waited for."""
        if not self._connection.closed:
            # Without it the server counts an aborted client, and writes a warning into its log.
            self._connection._writer.write(_QUIT)  # noqa: SLF001
        self._connection.close()

    def _reply(self) -> Reply:
        result = self._connection._result  # noqa: SLF001 - the only place that has the warning count
        rows = cast("tuple[Row, ...]", result.rows or ())
        result.rows = None  # the driver would keep them until the next statement
        columns = tuple(column[0] for column in result.description or ())
        return Reply(rows, result.affected_rows or 0, result.warning_count, columns)
