"""
Ranges of an object, read ahead of whoever reads one after the other.

A read that begins where an earlier one ended, or in what was fetched ahead of it, is the next of a series: what
follows is fetched before it is asked for, no more than the series has read so far, so that one small part costs no
more than itself. Several threads may read one series and pass each other, or each read a series of its own: whoever
leaves something out begins another series behind it, and no series fetches what another one has. Where one has read
up to the beginning of the next they are one.

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
# As many tables as are read side by side; what is ahead of a series that ended is dropped first.
_MOST_HELD_BYTES: Final = 4 * _MOST_AHEAD_BYTES
# What is known to have been read costs nothing but the look at it.
_MOST_SERIES: Final = 64

Fetch = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class _Extent:
    """A range that is being fetched, or a part of it that has gone to another series than the rest."""

    begin: int
    end: int
    data: "Future[bytes]"
    data_begin: int
    is_part: bool = False

    def cut(self, begin: int, end: int) -> "_Extent":
        """Return what lies inside of a range, which is some of it."""
        begin, end = max(begin, self.begin), min(end, self.end)
        if (begin, end) == (self.begin, self.end):
            return self
        return _Extent(begin, end, self.data, self.data_begin, is_part=True)


@dataclass(slots=True, eq=False)
class _Series:
    """Reads one after the other: from where, how far they came, and what was fetched beyond them."""

    begin: int
    read_until: int
    end: int  # of what was fetched or is being fetched
    read_bytes: int = 0
    extents: list[_Extent] = field(default_factory=list)

    @property
    def held_bytes(self) -> int:
        """Bytes that are held, or are being fetched."""
        return sum(extent.end - extent.begin for extent in self.extents)

    def goes_on_at(self, offset: int) -> bool:
        """Tell whether a read is of this series."""
        return self.read_until <= offset <= self.end

    def split(self, offset: int) -> "_Series":
        """Leave what begins at a place of what was fetched ahead to a series of its own."""
        extents = [extent.cut(offset, self.end) for extent in self.extents if extent.end > offset]
        made = _Series(offset, offset, self.end, self.read_bytes, extents)
        self.extents = [e.cut(self.begin, offset) for e in self.extents if e.begin < offset]
        self.end = offset
        return made

    def take(self, size: int) -> list[_Extent]:
        """Count a read, whose bytes are all held; return where they are, in order."""
        begin = self.read_until
        self.read_until += size
        self.read_bytes += size
        taken = [e for e in self.extents if e.begin < self.read_until and begin < e.end]
        self.extents = [extent for extent in self.extents if extent.end > self.read_until]
        return taken

    def drop(self) -> None:
        """Forget what was fetched ahead; what nobody fetches yet, and nobody waits for, is not fetched at all."""
        for extent in self.extents:
            if self.read_until <= extent.begin and not extent.is_part:
                extent.data.cancel()
        self.extents.clear()
        self.end = self.read_until


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

    @property
    def held_bytes(self) -> int:
        """Bytes that are held for whoever goes on, or are being fetched for them."""
        with self._lock:
            return sum(series.held_bytes for series in self._series)

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly these bytes; raises what `fetch` raises."""
        with self._lock:
            series = self._find(offset)
            is_first = series is None
            if series is None:
                series, extents = _Series(offset, offset + size, offset + size, size), []
                self._series.append(series)
            else:
                extents = self._take(series, size)
            self._bound(series)
        try:
            return (
                self._fetch(offset, size) if is_first else _joined(extents, offset, offset + size)
            )
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

    def _find(self, offset: int) -> _Series | None:
        """Find the series that a read goes on with, as the last one; the lock is held."""
        for series in reversed(self._series):
            if series.goes_on_at(offset):
                if series.read_until == offset:
                    self._series.remove(series)
                else:
                    series = series.split(offset)  # noqa: PLW2901 - the other one keeps its place
                self._series.append(series)
                return series
        return None

    def _take(self, series: _Series, size: int) -> list[_Extent]:
        """Have all of the next read of a series fetched, and some of what follows; the lock is held."""
        self._extend(series, series.read_until + size, size)
        extents = series.take(size)
        following = next((s for s in self._series if s.begin == series.read_until), None)
        if following is not None and following is not series and series.end == following.begin:
            following.begin = series.begin
            following.read_bytes += series.read_bytes
            self._series.remove(series)
        return extents

    def _extend(self, series: _Series, end: int, size: int) -> None:
        """Fetch what a read up to `end` wants now, and some of what nobody else has; the lock is held."""
        ahead = min(series.read_bytes, _MOST_AHEAD_BYTES)
        stop = min([s.begin for s in self._series if s.begin >= series.end], default=self._size)
        until = min(end + ahead, stop)
        # A few large ones: a request costs a store about as much as the bytes of 2 MiB do.
        usual = min(max(size, _LEAST_EXTENT_BYTES, ahead // _AT_ONCE), _EXTENT_BYTES)
        while series.end < end or series.end + min(usual, stop - series.end) <= until:
            length = min(usual, stop - series.end)
            length = max(length, end - series.end)  # all that is wanted now is one request
            if length == 0:
                break
            fetched = self._submit(series.end, length)
            extent = _Extent(series.end, series.end + length, fetched, series.end)
            series.extents.append(extent)
            series.end += length

    def _bound(self, latest: _Series) -> None:
        """Drop what is ahead of those that were read the longest ago; the lock is held."""
        held = sum(series.held_bytes for series in self._series)
        surplus = len(self._series) - _MOST_SERIES
        for number, series in enumerate(self._series):
            if series is latest or (held <= _MOST_HELD_BYTES and number >= surplus):
                break
            held -= series.held_bytes
            series.drop()
        del self._series[: max(surplus, 0)]

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
        memoryview(extent.data.result())[
            max(offset, extent.begin) - extent.data_begin : min(end, extent.end) - extent.data_begin
        ]
        for extent in extents
    )


def _look(future: "Future[bytes]") -> None:
    with suppress(BaseException):
        future.exception(timeout=0)
