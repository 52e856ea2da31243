"""Events of one file from blocks of bytes, by the rules of a log."""

import base64
from collections.abc import Iterator
from typing import NamedTuple

from app.binlog.events.groups import Group
from app.binlog.events.gtids import GtidState
from app.binlog.events.headers import CHECKSUM_BYTES, MAGIC, Kind, Malformed, split_events
from app.binlog.events.scan import Scan


class Walked(NamedTuple):
    """
    An event.

    Attributes:
        kind: Its type.
        body: Without its checksum, but for that of a format description.
        group: The transaction that it ends, if it does.
    """

    kind: int
    body: bytes
    group: Group | None


def scan_from(start: int, gtids: GtidState | None, format_event: str) -> Scan:
    """Begin to scan a file where a segment begins; its format description is base64, or empty."""
    described = base64.b64decode(format_event)
    return Scan(position=max(start, len(MAGIC)), format_event=described, gtids=gtids)


def walk(scan: Scan, blocks: Iterator[bytes], *, has_magic: bool) -> Iterator[Walked]:
    """
    Go through a part of a file.

    Args:
        scan: Stands where the part begins, and is changed.
        blocks: Its bytes; consumed once.
        has_magic: Whether it begins with the four bytes of every file.

    Yields:
        Each event, after the scan has taken it.

    Raises:
        Malformed: A rule is broken, also by an event that is cut short at the end; the scan stands before it.
    """
    for event in split_events(_behind_magic(blocks) if has_magic else blocks):
        group = scan.accept(event)
        assert scan.format is not None  # noqa: S101 - an event was taken
        is_cut = scan.format.has_checksums and event[4] != Kind.FORMAT
        yield Walked(event[4], event[:-CHECKSUM_BYTES] if is_cut else event, group)


def _behind_magic(blocks: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for block in blocks:
        head += block
        if len(head) >= len(MAGIC):
            if not head.startswith(MAGIC):
                raise Malformed("it does not begin as a binary log does")
            yield head[len(MAGIC) :]
            yield from blocks
            return
    if head:
        raise Malformed("it ends in its first four bytes")
