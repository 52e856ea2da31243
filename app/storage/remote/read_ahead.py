"""
Ranges of an object, read ahead of whoever reads one after the other.

A read that begins where an earlier one ended is the next of a series: what follows is fetched before it is
asked for, no more than the series has read so far, so that one small part costs no more than itself.

Not guaranteed: anything for reads in another order; each is one request then.
"""

from collections import OrderedDict, deque
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
# As many tables are read side by side; what is ahead of a series that ended is dropped.
_MOST_SERIES: Final = 4

Fetch = Callable[[int, int], bytes]


@dataclass(slots=True)
class _Series:
    """Reads one after the other: how much they were, and what was fetched beyond them."""

    read_bytes: int = 0
    end: int = 0  # of what was fetched or is being fetched
    extents: "deque[tuple[int, Future[bytes]]]" = field(default_factory=deque)

    def drop(self) -> None:
        for _, future in self.extents:
            future.cancel()
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
        # By where the next read of each begins.
        self._series: OrderedDict[int, _Series] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly these bytes; raises what `fetch` raises."""
        with self._lock:
            series = self._series.pop(offset, None)
        if series is None:
            data = self._fetch(offset, size)
            series = _Series(end=offset + size)
        else:
            data = self._read_on(series, offset, size)
        series.read_bytes += size
        self._keep(offset + size, series)
        return data

    def close(self) -> None:
        """Drop what was fetched ahead, without waiting for requests on their way; no read may be under way."""
        with self._lock:
            pool, self._pool = self._pool, None
            for series in self._series.values():
                series.drop()
            self._series.clear()
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _keep(self, end: int, series: _Series) -> None:
        with self._lock:
            replaced = self._series.pop(end, None)
            self._series[end] = series
            ended = [replaced] if replaced else []
            while len(self._series) > _MOST_SERIES:
                ended.append(self._series.popitem(last=False)[1])
        for other in ended:
            other.drop()

    def _read_on(self, series: _Series, offset: int, size: int) -> bytes:
        ahead = min(series.read_bytes, _MOST_AHEAD_BYTES)
        until = min(offset + size + ahead, self._size)
        while series.end < until:
            length = min(max(size, _LEAST_EXTENT_BYTES), _EXTENT_BYTES, self._size - series.end)
            if series.end + length < offset + size:  # all that is wanted now is one request
                length = offset + size - series.end
            series.extents.append((series.end, self._submit(series.end, length)))
            series.end += length
        return self._take(series, offset, size)

    def _take(self, series: _Series, offset: int, size: int) -> bytes:
        """Put bytes together of what was fetched, and forget what is behind them."""
        pieces: list[memoryview] = []
        end = offset + size
        while series.extents:
            begin, future = series.extents[0]
            data = memoryview(future.result())
            pieces.append(data[max(offset - begin, 0) : end - begin])
            if begin + len(data) > end:
                break
            series.extents.popleft()
            if begin + len(data) == end:
                break
        return b"".join(pieces)

    def _submit(self, offset: int, size: int) -> "Future[bytes]":
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="read-ahead")
            future = self._pool.submit(self._fetch, offset, size)
        # An error of what nobody asks for is nobody's; who asks gets it by the result.
        future.add_done_callback(_look)
        return future


def _look(future: "Future[bytes]") -> None:
    with suppress(BaseException):
        future.exception(timeout=0)
