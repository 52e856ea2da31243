"""What a server sends is given away as it comes, and the connection is as before afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.mysql.inflow import BLOCK_BYTES, Inflow


@asynccontextmanager
async def connected(send) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.WriteTransport]]:
    """A connection whose other end does what `send` does with its writer."""

    async def serve(_reader, writer):
        try:
            await send(writer)
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer.transport
        finally:
            writer.transport.abort()


def inflow(transport):
    return Inflow(transport, memoryview(bytearray(BLOCK_BYTES)))


async def sent(writer):
    writer.write(b"a" * 300_000 + b"z")


async def test_blocks_come_in_order_until_one_was_the_last():
    """And the stream that stood there before goes on behind them."""
    more = asyncio.Event()
    seen = bytearray()

    async def send(writer):
        await sent(writer)
        await more.wait()
        writer.write(b"then")

    def take(block):
        seen.extend(block)
        return seen.endswith(b"z")

    async with connected(send) as (reader, transport):
        await inflow(transport).run(take)
        more.set()
        assert await reader.readexactly(4) == b"then"

    assert seen == b"a" * 300_000 + b"z"


async def test_an_error_of_the_taker_is_whose_it_is():
    """It is raised where the rows are waited for, and the connection stays open."""

    def take(_block):
        raise ValueError("no row")

    async with connected(sent) as (_reader, transport):
        with pytest.raises(ValueError, match="no row"):
            await inflow(transport).run(take)
        assert not transport.is_closing()


@pytest.mark.parametrize("end", ["write_eof", "close", "abort"])
async def test_a_server_that_goes_is_an_end_of_file(end):
    """Also for whoever reads from the stream afterwards."""

    async def send(writer):
        writer.write(b"half")
        await writer.drain()
        getattr(writer.transport, end)()

    async with connected(send) as (reader, transport):
        with pytest.raises((EOFError, OSError)):
            await inflow(transport).run(lambda _block: False)
        with pytest.raises((EOFError, OSError)):
            await reader.readexactly(1)


async def test_who_is_cancelled_leaves_the_stream_as_it_was():
    """What comes later is the stream's."""
    more = asyncio.Event()

    async def send(writer):
        await more.wait()
        writer.write(b"late")

    async with connected(send) as (reader, transport):
        usual = transport.get_protocol()
        running = asyncio.create_task(inflow(transport).run(lambda _block: False))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert transport.get_protocol() is usual
        more.set()
        assert await reader.readexactly(4) == b"late"
