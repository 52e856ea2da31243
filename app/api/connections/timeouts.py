"""
How long a connection may keep the service waiting: for headers, for a body, and for its answer to be taken.

And that a request says once how long it is: whatever stands in front of the service may go by the other one.
"""

import asyncio
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from app.concurrency import Bound


_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
# As uvicorn has it.
_MOST_HEAD_BYTES: Final = 64 << 10
_LENGTHS: Final = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """
    How long is waited, in seconds; the bounds count how often that was too short.

    Attributes:
        header: From the first moment of a connection, or the first byte of its next request.
        body: From the last header to the end of the body.
        answer: For room to send more of an answer, when nobody reads it.
    """

    header: Bound
    body: Bound
    answer: Bound

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """Return what makes the protocol of a connection, for uvicorn."""

        def make(*args: object, **options: object) -> asyncio.Protocol:
            return _TimedProtocol(self, *args, **options)

        return cast("type[asyncio.Protocol]", make)


class _UnambiguousConnection(h11.Connection):
    """
    Refuses a request that has a length beside chunks, which ends its connection.

    Source:
        https://www.rfc-editor.org/rfc/rfc9112#section-6.3: such a message ought to be handled as an error.
    """

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return what comes next; raises RemoteProtocolError."""
        event = super().next_event()
        if isinstance(event, h11.Request) and {name for name, _ in event.headers} >= _LENGTHS:
            raise h11.RemoteProtocolError("a length beside chunks")
        return event


class _TimedProtocol(H11Protocol):
    """HTTP/1.1 that ends connections which keep us waiting."""

    def __init__(self, timeouts: Timeouts, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type] # as uvicorn gives them
        self.conn = _UnambiguousConnection(h11.SERVER, _MOST_HEAD_BYTES)
        self._timeouts = timeouts
        self._reading: asyncio.TimerHandle | None = None
        self._awaited: Bound | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._await(self._timeouts.header)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and wait for what must come next."""
        if self.conn.their_state is h11.IDLE:
            self._await(self._timeouts.header)
        super().data_received(data)

    def handle_events(self) -> None:
        """Take what has come, also what came ahead of an answer, and wait for what must come next."""
        super().handle_events()
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._await(self._timeouts.body)
        elif state is not h11.IDLE:
            self._await(None)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, also in the middle of a body; nobody else answers that request any more."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if self.conn.our_state is h11.IDLE and _is_too_long(sys.exception()):
            self.transport.write(_TOO_LONG)
            self.transport.close()
        elif self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:  # an answer has begun
            self.transport.close()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._await(None)
        self._stop_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for somebody who reads."""
        super().pause_writing()
        if self._writing is None:
            wait = self._timeouts.answer
            self._writing = self.loop.call_later(wait.limit, self._abandon, wait)

    def resume_writing(self) -> None:
        """Somebody has read."""
        self._stop_writing()
        super().resume_writing()

    def _await(self, wait: Bound | None) -> None:
        """Wait for something else; for the same, the time goes on."""
        if wait is self._awaited:
            return
        self._awaited = wait
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if wait is not None:
            self._reading = self.loop.call_later(wait.limit, self._give_up, wait)

    def _give_up(self, wait: Bound) -> None:
        wait.hits += 1
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            self.transport.write(_TOO_SLOW)
        self.transport.close()

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _abandon(self, wait: Bound) -> None:
        """End it at once: closing would wait for what nobody reads."""
        wait.hits += 1
        self.transport.abort()


def _is_too_long(error: BaseException | None) -> bool:
    """Tell whether it was the length of a head: uvicorn has caught this error, and passes on no more than a text."""
    hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 0
    return hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
