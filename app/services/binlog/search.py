"""Transactions of the archive, found by time, table and statement."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from threading import Event
from typing import Final

from app.binlog.archive.reading import ArchivedStream
from app.concurrency import run_in_thread
from app.domain.restores.log_archive import (
    FoundTransactions,
    LoggedTransaction,
    TransactionQuery,
)


# As late as the calendar of the program goes.
_END_MS: Final = 253_402_300_799_000


async def search(
    open_streams: Callable[[], Sequence[ArchivedStream]], query: TransactionQuery
) -> FoundTransactions:
    """
    Look for transactions.

    Args:
        open_streams: Opens the streams, the oldest first; blocks.
        query: What is looked for.

    Returns:
        Those that were found.

    Raises:
        BinlogDamagedError: What would have to be read is damaged.
        StorageError: The medium does not answer.
    """
    stop = Event()
    return await run_in_thread(lambda: _search(open_streams(), query, stop), stop=stop)


def _search(
    streams: Sequence[ArchivedStream], query: TransactionQuery, stop: Event
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
    streams: Sequence[ArchivedStream], query: TransactionQuery
) -> Iterator[LoggedTransaction]:
    since = _ms(query.since) if query.since else 0
    until = _ms(query.until) if query.until else _END_MS
    for stream in streams:
        yield from stream.committed_between(since, until)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
