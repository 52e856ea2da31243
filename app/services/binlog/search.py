"""Transactions of the archive, found by time, table and statement."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Timer
from typing import Final

from app.binlog.archive.keys import LogKeys
from app.binlog.archive.pruning import LeasedStream, leased_streams
from app.concurrency import run_in_thread
from app.domain.restores.log_archive import (
    FoundTransactions,
    LoggedTransaction,
    NearTransactions,
    TransactionQuery,
)


# As late as the calendar of the program goes.
_END_MS: Final = 253_402_300_799_000
# Whoever looks around a moment waits no longer.
_LOOK_SECONDS: Final = 8.0
# No log tells a time more exactly.
_TICK: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_SPANS: Final = tuple(timedelta(seconds=count) for count in (1, 10, 100, 1000, 10_000, 100_000))


async def search(backups: Path, keys: LogKeys, query: TransactionQuery) -> FoundTransactions:
    """
    Look for transactions.

    Args:
        backups: The backup directory.
        keys: Who reads the archive in it.
        query: What is looked for.

    Returns:
        Those that were found.

    Raises:
        BinlogDamagedError: What would have to be read is damaged.
        StorageError: The medium does not answer.
    """
    stop = Event()

    def look() -> FoundTransactions:
        with leased_streams(backups, keys) as streams:
            return _search(streams, query, stop)

    return await run_in_thread(look, stop=stop)


async def search_around(
    backups: Path, keys: LogKeys, query: TransactionQuery, moment: datetime, within: timedelta
) -> NearTransactions:
    """
    Look for transactions around a moment; reads no longer than some seconds.

    Args:
        backups: The backup directory.
        keys: Who reads the archive in it.
        query: What is looked for; its times are passed over, and its limit is that of either side.
        moment: It.
        within: How far from it they may be.

    Returns:
        Those next to it on both sides.

    Raises:
        BinlogDamagedError: What would have to be read is damaged.
        StorageError: The medium does not answer.
    """
    stop = Event()
    timer = Timer(_LOOK_SECONDS, stop.set)
    timer.start()

    def look() -> NearTransactions:
        with leased_streams(backups, keys) as streams:
            return _around(streams, query, moment, within, stop)

    try:
        return await run_in_thread(look, stop=stop)
    finally:
        timer.cancel()


def _around(
    streams: Sequence[LeasedStream],
    query: TransactionQuery,
    moment: datetime,
    within: timedelta,
    stop: Event,
) -> NearTransactions:
    # The archive knows its own moments, such as its end, by milliseconds: what one of them has is before it.
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000 + 999)
    after = _search(
        streams, replace(query, since=moment + _TICK, until=moment + within), stop
    ).transactions
    before: tuple[LoggedTransaction, ...] = ()
    # The nearest are at the end of what is read: begin close to the moment, so that it is little.
    for span in (*(span for span in _SPANS if span < within), within):
        nearer: deque[LoggedTransaction] = deque(maxlen=query.limit)
        for found in _between(streams, replace(query, since=moment - span, until=moment)):
            if stop.is_set():
                return NearTransactions(before, after, is_whole=False)
            if query.takes(found):
                nearer.append(found)
        before = tuple(nearer)
        if len(before) == query.limit:
            break
    return NearTransactions(before, after, is_whole=not stop.is_set())


def _search(
    streams: Sequence[LeasedStream], query: TransactionQuery, stop: Event
) -> FoundTransactions:
    found: list[LoggedTransaction] = []
    for transaction in _between(streams, query):
        if stop.is_set():
            break
        if not query.takes(transaction):
            continue
        if len(found) == query.limit:
            return FoundTransactions(tuple(found), is_cut=True)
        found.append(transaction)
    return FoundTransactions(tuple(found), is_cut=False)


def _between(
    streams: Sequence[LeasedStream], query: TransactionQuery
) -> Iterator[LoggedTransaction]:
    since = _ms(query.since) if query.since else 0
    until = _ms(query.until) if query.until else _END_MS
    for stream in streams:
        # One that has ended before, damaged or not, has none of them.
        if query.since is None or stream.ended is None or stream.ended >= query.since:
            for found in stream.open().committed_between(since, until):
                if _is_within(found.committed_at, query):
                    yield found


def _is_within(moment: datetime, query: TransactionQuery) -> bool:
    """Tell whether a moment is wanted to the microsecond; the archive is looked through by milliseconds."""
    return (query.since is None or query.since <= moment) and (
        query.until is None or moment <= query.until
    )


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
