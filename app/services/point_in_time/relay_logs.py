"""Archived binary logs in the data directory of a scratch server, as relay logs that it has not read yet."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from app.binlog.archive.reading import ArchivedFile, ArchivedStream
from app.binlog.events.executed import made_database, names_in
from app.binlog.events.headers import (
    CHECKSUM_BYTES,
    HEADER_BYTES,
    MAGIC,
    Kind,
    read_format,
    split_events,
)
from app.binlog.events.payloads import inner_blocks
from app.binlog.events.statements import query_of
from app.domain.restores.points import Place
from app.engine.replay.applier import RelayPlace, ReplayStart
from app.engine.schema.databases import SCRATCH, is_scratch_of


_INDEX: Final = "relay.index"
_BLOCK_BYTES: Final = 1 << 20
# Of any event: time, type, server, size, its end in the file, flags.
_HEADER: Final = struct.Struct("<IBIIIH")
# It stands in no file of the source, like those that a server makes for its replicas.
_ARTIFICIAL: Final = 0x20
_NO_GTIDS: Final = bytes(8)


def lay_relay_logs(stream: ArchivedStream, base: Place, end: Place, data: Path) -> ReplayStart:
    """
    Write the logs between two places; blocks.

    The first file has its format description and what follows the base; positions of relay logs are not
    those of the source, so nothing of what stood before is needed. The last one ends at `end`.

    Args:
        stream: The archived binary log.
        base: Border where the replay begins.
        end: Border where it ends.
        data: Data directory of the server.

    Returns:
        Where its applier begins.

    Raises:
        BinlogDamagedError: The archive is not what was written.
        OSError: The disk is full.
    """
    archived = [file for file in stream.files if base.number <= file.number <= end.number]
    head = _head(stream, archived[0])
    names = []
    for count, found in enumerate(archived, start=1):
        names.append(f"relay.{count:06}")
        with (data / names[-1]).open("xb") as file:
            start, stop = 0, end.position if found.number == end.number else found.end
            if found.number == base.number:
                file.write(head)
                start = max(base.position, len(head))
            if start < stop:
                stream.copy(found.number, start, stop, file.write)
    (data / _INDEX).write_text("".join(f"./{name}\n" for name in names))
    last = RelayPlace(names[-1], (data / names[-1]).stat().st_size)
    return ReplayStart(archived[0].name, base.position, len(head), last)


def _head(stream: ArchivedStream, file: ArchivedFile) -> bytes:
    """Make the beginning of a file: its format description, and of MySQL that no GTID is known before it."""
    described = stream.format_event(file.number)
    if stream.is_mariadb:
        return MAGIC + described
    has_checksum = read_format(described).has_checksums
    size = HEADER_BYTES + len(_NO_GTIDS) + CHECKSUM_BYTES * has_checksum
    event = _HEADER.pack(0, Kind.PREVIOUS_GTIDS, 0, size, 0, _ARTIFICIAL) + _NO_GTIDS
    checksum = zlib.crc32(event).to_bytes(CHECKSUM_BYTES, "little") if has_checksum else b""
    return MAGIC + described + event + checksum


def read_statements(data: Path) -> Iterator[tuple[str, str]]:
    """
    Read the statements of the relay logs once more; blocks.

    Args:
        data: Data directory of the server.

    Yields:
        Database and text of each statement that was logged as one, in the order of the log.
    """
    for path in sorted(data.glob("relay.[0-9]*")):
        with path.open("rb") as file:
            file.seek(len(MAGIC))
            yield from _statements(split_events(iter(lambda: file.read(_BLOCK_BYTES), b"")))


def _statements(events: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    cut = 0  # in a payload no event has a checksum
    for event in events:
        kind = event[4]
        if kind == Kind.FORMAT:
            cut = CHECKSUM_BYTES * read_format(event).has_checksums
        elif kind in {Kind.QUERY, Kind.QUERY_COMPRESSED}:
            body = event[: len(event) - cut]
            yield query_of(body, is_compressed=kind == Kind.QUERY_COMPRESSED)
        elif kind == Kind.PAYLOAD:
            yield from _statements(split_events(inner_blocks(event[: len(event) - cut])))


def databases_used(data: Path, chosen: Sequence[str]) -> set[str]:
    """
    Find the databases that must be there, empty or not; blocks.

    Args:
        data: Data directory of the server, with the logs.
        chosen: What is recovered.

    Returns:
        Those in which statements were executed, and those that our restores had made beside the chosen ones before
        the base and drop now; what the logs themselves make is not among them.
    """
    used: set[str] = set()
    made: set[str] = set()
    for database, text in read_statements(data):
        used.add(database)
        made.add(made_database(text))
        used.update(
            name
            for name in (names_in(text) if "__bk_" in text else ())
            if any(is_scratch_of(name, wanted.lower()) for wanted in chosen)
        )
    return {name for name in used if name and not (SCRATCH.search(name) and name.lower() in made)}
