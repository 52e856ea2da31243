"""What tells the lines of one request from those of others in the log."""

import secrets
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.context import afresh


# Enough to find one among the requests of a log that is kept.
_ID_BYTES: Final = 6
HEADER: Final = "X-Request-Id"


class RequestNames:
    """
    Gives every request an id, which stands on its lines and in its answer.

    Nothing else is on them at first: the next request of a connection may be begun by the task of the
    one before it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(_ID_BYTES)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with afresh(request_id=request_id):
            await self._app(scope, receive, send_named)
