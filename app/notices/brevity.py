"""
Answers of those who get messages, kept short.

The libraries below apprise read an answer whole, however long it is: one without an end, or one that swells
when it is unpacked, would take the memory that backups need.
"""

import smtplib
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol, cast

import requests.sessions
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError


if TYPE_CHECKING:
    from requests import PreparedRequest, Response
    from urllib3 import BaseHTTPResponse

# Whoever takes a message says so in a few words; a page about an error may be longer, and nobody reads it.
_MOST_BYTES: Final = 64 << 10
_get_reply: Final = smtplib.SMTP.getreply


def keep_answers_short() -> None:
    """Let these libraries read no more of any answer, whoever uses them."""
    # apprise makes their objects itself, and nobody can hand it others.
    requests.sessions.HTTPAdapter = _BriefAdapter  # type: ignore[attr-defined]  # see above
    smtplib.SMTP.getreply = _get_short_reply  # type: ignore[assignment,method-assign]  # see above


class _BriefAdapter(HTTPAdapter):
    """Reads the beginning of an answer, and ends the connection."""

    def build_response(self, req: "PreparedRequest", resp: "BaseHTTPResponse") -> "Response":
        try:
            beginning = resp.read(_MOST_BYTES, decode_content=True)
        except HTTPError as exc:
            raise requests.ConnectionError(str(exc)) from exc
        finally:
            resp.close()
        headers = resp.headers.copy()
        headers.discard("Content-Encoding")
        short = HTTPResponse(
            BytesIO(beginning), headers, resp.status, reason=resp.reason, preload_content=False
        )
        return super().build_response(req, short)


class _Lines(Protocol):
    def readline(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class _BriefLines:
    """Lines of a mail server, so many bytes in all."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._left = _MOST_BYTES
        self.close: Callable[[], None] = lines.close

    def readline(self, size: int) -> bytes:
        line = self._lines.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the mail server says more than there is to say")
        return line


def _get_short_reply(connection: smtplib.SMTP) -> tuple[int, bytes]:
    if connection.file is None and connection.sock is not None:
        connection.file = _BriefLines(cast("_Lines", connection.sock.makefile("rb")))
    return _get_reply(connection)
