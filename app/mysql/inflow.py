"""
What a server sends, given to a function as it comes.

A stream of asyncio copies all of it twice, and wakes a task for each block; of a backup's rows there are
thousands.
"""

import asyncio
from collections.abc import Callable
from typing import Final


# Called with each block, in the event loop; tells whether that was all. The block is gone afterwards.
Take = Callable[[memoryview], bool]

# As much as waits in a socket of Linux by default (208 KiB), and a little more. A server writes 16 KiB at once,
# until it has had a packet that is larger: `Driver.widen`.
BLOCK_BYTES: Final = 256 << 10


class Inflow(asyncio.BufferedProtocol):
    """Stands in for the protocol of a connection until all has come."""

    def __init__(self, transport: asyncio.WriteTransport, block: memoryview) -> None:
        """Take the connection, and memory that is used for each block."""
        self._transport = transport
        self._block = block
        self._usual = transport.get_protocol()
        self._ended = asyncio.get_running_loop().create_future()

    async def run(self, take: Take) -> None:
        """
        Give blocks away until one was the last.

        Raises:
            EOFError: The server has closed the connection.
            OSError: It broke.
        """
        self._take = take
        self._transport.set_protocol(self)
        try:
            await self._ended
        finally:
            self._leave()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - theirs
        """See `asyncio.BufferedProtocol`."""
        return self._block

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        try:
            if self._take(self._block[:nbytes]):
                self._end(None)
        except Exception as exc:  # noqa: BLE001 - belongs to whoever waits, not to the event loop
            self._end(exc)

    def eof_received(self) -> bool | None:
        """See `asyncio.BufferedProtocol`."""
        self._end(EOFError("the server closed the connection"))
        return self._usual.eof_received()  # type: ignore[attr-defined,no-any-return]  # a stream's has it

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._end(exc or EOFError("the server closed the connection"))
        self._usual.connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._usual.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._usual.resume_writing()

    def _end(self, error: BaseException | None) -> None:
        self._leave()  # at once: what comes from here on is another's
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)

    def _leave(self) -> None:
        if self._transport.get_protocol() is self:
            self._transport.set_protocol(self._usual)
