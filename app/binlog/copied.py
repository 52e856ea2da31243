"""
What lies of the archive in a store, by its names; `copying` says what they are.

All calls block.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from app.binlog.archive.documents import (
    HINT,
    MOST_BYTES,
    SEGMENTS,
    STREAMS,
    Segment,
    StreamDocument,
)
from app.binlog.archive.layout import (
    DATA,
    DOCUMENT,
    ENCRYPTED,
    FOLDER,
    Stem,
    is_stream_id,
    parse_name,
)
from app.binlog.archive.sealed import Sealed
from app.errors import BinlogDamagedError
from app.storage.remote.store import Store


# What a store takes in one step.
SMALL_BYTES: Final = 4 << 20
_TAIL: Final = re.compile(r"([0-9]{10}_[0-9]{12})\.([0-9]{12})(\.head|\.tail)")
_STREAM: Final = re.compile(r"stream\.([0-9]{6})\.json")
_WRITER: Final = re.compile(r"writer\.([0-9]{6})\.json")
# Of a segment whose usual name was taken.
_OTHER_DATA: Final = re.compile(r"([0-9]{10})_([0-9]{12})\.[0-9a-f]{12}(\.[a-z.]+)")
_DIGITS: Final = 12
_DATA: Final = frozenset(f"{data}{sealed}" for data in DATA.values() for sealed in ("", ENCRYPTED))


class CopiedTail(NamedTuple):
    """
    A copy of a tail.

    Attributes:
        stem: Of the segment that it grows into.
        end: Position up to which it reaches at least.
        kind: `.head` or `.tail`.
    """

    stem: str
    end: int
    kind: str


def parse_tail(name: str) -> CopiedTail | None:
    """Take the name of a copy of a tail apart; None when it is none."""
    found = _TAIL.fullmatch(name)
    return found and CopiedTail(found[1], int(found[2]), found[3])


def newest_document(names: Iterable[str]) -> int:
    """Return the highest number of a copy of `stream.json`; 0 when there is none."""
    found = filter(None, map(_STREAM.fullmatch, names))
    return max((int(match[1]) for match in found), default=0)


def document_name(number: int) -> str:
    """Return what a copy of `stream.json` is called."""
    return f"stream.{number:06}.json"


def writers_in(names: Iterable[str]) -> list[int]:
    """Return the numbers of those who began to write a copy, in no order."""
    return [int(match[1]) for match in filter(None, map(_WRITER.fullmatch, names))]


def writer_name(number: int) -> str:
    """Return what stands for one who writes a copy."""
    return f"writer.{number:06}.json"


def prefix_of(stream: str = "") -> str:
    """Return what the names of a stream, or of all, begin with in a store."""
    return f"{FOLDER}_{stream}_" if stream else f"{FOLDER}_"


def read_object(store: Store, name: str, size: int) -> Iterator[bytes]:
    """Read an object in blocks; raises ObjectNotFoundError, StorageError."""
    for offset in range(0, size, SMALL_BYTES):
        yield store.read(name, offset, min(SMALL_BYTES, size - offset))


def other_data_name(sealed: Sealed) -> str:
    """Return what the bytes of a segment are called where something else has their usual name."""
    stem = str(sealed.stem)
    return f"{stem}.{sealed.segment.sha256[:_DIGITS]}{sealed.data_name.removeprefix(stem)}"


def stem_in(name: str) -> Stem | None:
    """Return the segment that a name is of, whatever it names of it; None when it is of none."""
    found = parse_name(name)
    if found:
        return found[0]
    tail, other = parse_tail(name), _OTHER_DATA.fullmatch(name)
    if tail:
        named = parse_name(f"{tail.stem}{tail.kind}")
        return named and named[0]
    return Stem(int(other[1]), int(other[2])) if other else None


@dataclass(frozen=True)
class CopiedStream:
    """
    A stream in a store.

    Attributes:
        stream: Its id.
        sizes: Bytes of each object, by its name without what all of the stream begin with.
    """

    stream: str
    sizes: Mapping[str, int]

    @cached_property
    def documented(self) -> list[Stem]:
        """The segments of which there is a document, in order."""
        named = filter(None, map(parse_name, self.sizes))
        return sorted(stem for stem, kind in named if kind == DOCUMENT)

    @cached_property
    def data(self) -> dict[Stem, list[str]]:
        """The objects with bytes of segments, by these, in order."""
        found: dict[Stem, list[str]] = {}
        for name in sorted(self.sizes):
            named, other = parse_name(name), _OTHER_DATA.fullmatch(name)
            if (named and named[1] in _DATA) or (other and other[3] in _DATA):
                stem = named[0] if named else stem_in(name)
                assert stem is not None  # noqa: S101 - both patterns begin with one
                found.setdefault(stem, []).append(name)
        return dict(sorted(found.items()))

    def read(self, store: Store, name: str) -> bytes:
        """Read a small object whole; raises BinlogDamagedError where it is missing or too large, StorageError."""
        size = self.sizes.get(name)
        if size is None or size > MOST_BYTES:
            what = "is missing" if size is None else "is too large"
            raise BinlogDamagedError(f"{self.stream}: {name} {what} in the store", hint=HINT)
        return b"".join(read_object(store, prefix_of(self.stream) + name, size))

    def document(self, store: Store) -> StreamDocument:
        """Read what the stream is; raises BinlogDamagedError, StorageError."""
        name = document_name(newest_document(self.sizes))
        return STREAMS.parse(self.read(store, name), name)

    def segment(self, store: Store, stem: Stem) -> Segment:
        """Read what is known of a segment; raises BinlogDamagedError, StorageError."""
        name = f"{stem}{DOCUMENT}"
        return SEGMENTS.parse(self.read(store, name), name)


def copied_streams(store: Store) -> tuple[CopiedStream, ...]:
    """List the streams in a store; raises StorageError."""
    found: dict[str, dict[str, int]] = {}
    for stored in store.list(prefix_of()):
        stream, _, name = stored.name.removeprefix(prefix_of()).partition("_")
        if is_stream_id(stream):
            found.setdefault(stream, {})[name] = stored.size
    return tuple(CopiedStream(stream, found[stream]) for stream in sorted(found))
