"""What every request passes: limits on its body and of its client, and headers of its answer."""

import asyncio
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.concurrency import Bound
from app.errors import TooManyRequestsError


# The longest body that makes sense is a list of some hundred names.
MAX_BODY_BYTES: Final = 256 << 10
# Of the framework, which lets it pass where it reads a body.
_TOO_LARGE: Final = HTTPException(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BODY_BYTES} bytes"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_HSTS: Final = "max-age=31536000"


class SecurityHeaders:
    """Tells browsers to trust nothing; a route may set a header otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with more headers."""

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", _HSTS)
            await send(message)

        await self._app(scope, receive, send_more if scope["type"] == "http" else send)


class HeadAsGet:
    """
    Answers HEAD wherever there is a GET, by its status and headers.

    The server below keeps the body back. An answer that goes on, such as events, ends with its first
    piece: nobody reads it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as GET when it is HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = asyncio.Event()
        asked = {**scope, "method": "GET"}

        async def send_beginning(message: Message) -> None:
            if message["type"] != "http.response.body":
                scope.update({**asked, "method": "HEAD"})  # such as the route, for the audit
                await send(message)
            elif not ended.is_set():
                ended.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        answer = asyncio.ensure_future(self._app(asked, receive, send_beginning))
        waiting = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait((answer, waiting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            if ended.is_set() or not answer.done():
                answer.cancel()
            await asyncio.wait((answer, waiting))
        if not answer.cancelled():
            answer.result()


class BodyLimit:
    """
    Refuses bodies that are too large, before they are in memory.

    FastAPI's own `max_body_size` answers in plain text, past the audit and the headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as far as its body is allowed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        seen = 0

        async def receive_some() -> Message:
            nonlocal seen
            if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
                raise _TOO_LARGE
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                raise _TOO_LARGE
            return message

        await self._app(scope, receive_some, send)


class ClientLimit:
    """
    Refuses what a client asks while so many of its requests go on.

    Connections are limited by address where they are accepted; this is for clients behind a proxy that is
    trusted, whose connections say nothing. Not audited: that would be what a flood is good for.

    Args:
        limit: How many may go on.
        answer: Makes the answer of a failure.
    """

    def __init__(
        self, app: ASGIApp, limit: Bound, answer: Callable[[Request, Exception], ASGIApp]
    ) -> None:
        self._app = app
        self._limit = limit
        self._answer = answer
        self._going_on: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless too many of its client go on."""
        client = scope.get("client")
        if scope["type"] != "http" or not client:
            await self._app(scope, receive, send)
            return
        address, limit = str(client[0]), self._limit
        if self._going_on[address] >= limit.limit:
            limit.hits += 1
            error = TooManyRequestsError(
                f"{limit.limit} requests of this client go on already",
                hint="Wait until one is over; BACKSTAY_MAX_CLIENT_CONNECTIONS says how many.",
            )
            await self._answer(Request(scope), error)(scope, receive, send)
            return
        self._going_on[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._going_on[address] -= 1
            if not self._going_on[address]:
                del self._going_on[address]
