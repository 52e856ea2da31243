"""
Ranges of an object, read ahead of whoever reads one after the other.

A read that begins where an earlier one ended, or in what was fetched ahead of it, is the next of a series: what
follows is fetched before it is asked for, no more than the series has read so far, so that one small part costs no
more than itself. Several threads may read one series, and pass each other: what one has left out waits for it.

Not guaranteed: anything for reads in another order; each is one request then.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Final


# 50 ms away, four of them keep a link of 100 MB/s busy.
_EXTENT_BYTES: Final = 2 << 20
_LEAST_EXTENT_BYTES: Final = 128 << 10
_AT_ONCE: Final = 4
_MOST_AHEAD_BYTES: Final = _AT_ONCE * _EXTENT_BYTES
# How far behind the furthest read something waits that was left out.
_MOST_BEHIND_BYTES: Final = _EXTENT_BYTES
# As many tables are read side by side; what is ahead of a series that ended is dropped.
_MOST_SERIES: Final = 4

Fetch = Callable[[int, int], bytes]


@dataclass(slots=True)
class _Extent:
    """A range that is being fetched, and how many of its bytes nobody has asked for yet."""

    begin: int
    end: int
    data: "Future[bytes]"
    left: int


@dataclass(slots=True, eq=False)
class _Series:
    """Reads one after the other: how much they were, how far they came, and what was fetched beyond them."""

    read_bytes: int
    read_until: int
    end: int  # of what was fetched or is being fetched
    extents: list[_Extent] = field(default_factory=list)

    def goes_on_at(self, offset: int, size: int) -> bool:
        """Tell whether a read is of this series: nothing of it was dropped before."""
        end = min(offset + size, self.end)
        held = sum(max(0, min(end, e.end) - max(offset, e.begin)) for e in self.extents)
        return offset <= self.end and held == end - offset

    def take(self, offset: int, size: int) -> list[_Extent]:
        """Count a read, whose bytes are all held; return where they are, in order."""
        end = offset + size
        taken = [extent for extent in self.extents if extent.begin < end and offset < extent.end]
        for extent in taken:
            extent.left -= min(end, extent.end) - max(offset, extent.begin)
        self.read_bytes += size
        self.read_until = max(self.read_until, end)
        behind = self.read_until - _MOST_BEHIND_BYTES
        self.extents = [e for e in self.extents if e.left > 0 and e.end > behind]
        return taken

    def drop(self) -> None:
        for extent in self.extents:
            extent.data.cancel()
        self.extents.clear()


class ReadAhead:
    """
    Reads one object; safe from several threads.

    Args:
        fetch: Reads a range of it, offset and size; blocks.
        size: Bytes in it.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._lock = Lock()
        # The one that was read last is the last.
        self._series: list[_Series] = []
        self._pool: ThreadPoolExecutor | None = None

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly these bytes; raises what `fetch` raises."""
        with self._lock:
            series = self._find(offset, size)
            extents = series.take(offset, size) if series else []
        if series is None:
            data = self._fetch(offset, size)
            self._begin(_Series(size, offset + size, offset + size))
            return data
        try:
            return _joined(extents, offset, offset + size)
        except BaseException:
            with self._lock, suppress(ValueError):  # to ask once more is to fetch once more
                self._series.remove(series)
            raise

    def close(self) -> None:
        """Drop what was fetched ahead, without waiting for requests on their way; no read may be under way."""
        with self._lock:
            pool, self._pool = self._pool, None
            for series in self._series:
                series.drop()
            self._series.clear()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _find(self, offset: int, size: int) -> _Series | None:
        """Find the series that a read goes on with, and have all of it fetched; the lock is held."""
        for series in reversed(self._series):
            if series.goes_on_at(offset, size):
                self._series.remove(series)
                self._series.append(series)
                self._extend(series, offset + size, size)
                return series
        return None

    def _begin(self, series: _Series) -> None:
        with self._lock:
            self._series.append(series)
            while len(self._series) > _MOST_SERIES:
                self._series.pop(0).drop()

    def _extend(self, series: _Series, end: int, size: int) -> None:
        """Fetch what a read up to `end` wants now, and some of what follows; the lock is held."""
        ahead = min(series.read_bytes, _MOST_AHEAD_BYTES)
        until = min(max(end, series.read_until) + ahead, self._size)
        while series.end < until:
            length = min(max(size, _LEAST_EXTENT_BYTES), _EXTENT_BYTES, self._size - series.end)
            length = max(length, end - series.end)  # all that is wanted now is one request
            fetched = self._submit(series.end, length)
            series.extents.append(_Extent(series.end, series.end + length, fetched, length))
            series.end += length

    def _submit(self, offset: int, size: int) -> "Future[bytes]":
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="read-ahead")
        future = self._pool.submit(self._fetch, offset, size)
        # An error of what nobody asks for is nobody's; who asks gets it by the result.
        future.add_done_callback(_look)
        return future


def _joined(extents: list[_Extent], offset: int, end: int) -> bytes:
    """Wait for extents, and put bytes together of them."""
    return b"".join(
        memoryview(extent.data.result())[max(offset - extent.begin, 0) : end - extent.begin]
        for extent in extents
    )


def _look(future: "Future[bytes]") -> None:
    with suppress(BaseException):
        future.exception(timeout=0)
