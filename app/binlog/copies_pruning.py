"""
What lies in a store of the beginning of a stream, removed when nobody needs it any more.

Of the copies of `stream.json` the newest stays; a stream of which nothing stays gets one more first that says
so, so that what a crash leaves of it is fetched by nobody. Each document goes before its bytes; the last one
before the beginning stays without them, for the time of the last commit that it tells. All calls block.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from app.binlog.archive.documents import STREAMS
from app.binlog.archive.layout import BEHIND_ALL, DOCUMENT, Stem
from app.binlog.copied import (
    CopiedStream,
    document_name,
    newest_document,
    prefix_of,
    stem_in,
    writer_name,
    writers_in,
)
from app.errors import AlreadyThereError, ObjectLockedError
from app.storage.remote.store import Store


def goes_before(copied: CopiedStream, first: Stem) -> tuple[int, int]:
    """Count the segments whose bytes lie before a beginning, and those bytes."""
    names = [names for stem, names in copied.data.items() if stem < first]
    return len(names), sum(copied.sizes[name] for group in names for name in group)


def prune_copy(store: Store, copied: CopiedStream, first: Stem) -> None:
    """
    Remove what lies before a beginning; again is harmless. What the store keeps itself stays.

    Raises:
        StorageError: The store refused; the next time removes the rest.
    """
    newest = newest_document(copied.sizes)
    with suppress(ObjectLockedError):
        for name in _before(copied, first):
            store.delete(prefix_of(copied.stream) + name)
        for number in range(1, newest):
            name = document_name(number)
            if name in copied.sizes:
                store.delete(prefix_of(copied.stream) + name)


def remove_copy(store: Store, copied: CopiedStream) -> None:
    """Remove all of a stream; raises as `prune_copy`, and BinlogDamagedError where nobody knows what it is."""
    document = copied.document(store)
    prefix, newest = prefix_of(copied.stream), newest_document(copied.sizes)
    if document.first_number != BEHIND_ALL.number:
        ended = replace(
            document, first_file="", first_number=BEHIND_ALL.number, first_start=BEHIND_ALL.start
        )
        newest += 1
        with suppress(AlreadyThereError):  # of another prune
            store.put(prefix + document_name(newest), STREAMS.dump(ended), create=True)
    with suppress(ObjectLockedError):
        for name in _before(copied, BEHIND_ALL):
            store.delete(prefix + name)
        for number in writers_in(copied.sizes):
            store.delete(prefix + writer_name(number))
        for number in range(1, newest + 1):
            store.delete(prefix + document_name(number))


def _before(copied: CopiedStream, first: Stem) -> Iterator[str]:
    """Name what lies before a beginning, the oldest first, each document before what it is about."""
    named = [(stem, name) for name in copied.sizes if (stem := stem_in(name)) and stem < first]
    documented = [stem for stem in copied.documented if stem < first]
    kept = f"{documented[-1]}{DOCUMENT}" if documented and first != BEHIND_ALL else ""
    for _, name in sorted(
        named, key=lambda pair: (pair[0], not pair[1].endswith(DOCUMENT), pair[1])
    ):
        if name != kept:
            yield name
