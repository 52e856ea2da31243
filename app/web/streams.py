"""How many pages of a browser are told of news as they come; further ones ask for them every other second."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


MEDIA_TYPE: Final = "text/event-stream"
# The last event of every stream; a page whose login is over leads to a new one.
DONE: Final = "event: done\ndata:\n\n"
LOGIN_OVER: Final = "event: done\ndata: login\n\n"
# A browser has six connections to a host by HTTP/1.1, and pages want some as well.
MOST_STREAMS: Final = 3


class Streams:
    """Counts the streams of each login."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, session_id: str) -> Iterator[bool]:
        """Take a place for the length of a block; yields whether there was one."""
        if self._open[session_id] >= MOST_STREAMS:
            yield False
            return
        self._open[session_id] += 1
        try:
            yield True
        finally:
            self._open[session_id] -= 1
            if not self._open[session_id]:
                del self._open[session_id]  # logins come and go
