"""
The footer: the manifest once more, inside the file, as comment lines of the last member.

    -- {"footer":1,"json_bytes":B,"json_sha256":"..."}
    -- |first piece of the JSON
    -- |second piece
    -- footer bytes: 00000000000000012345

The JSON is pure ASCII without control characters, so that no name can end a line; a client takes
all of it as comments. The last line tells where a plain file's footer begins.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Final

from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import decode
from app.domain.backups.thinning import thinned
from app.domain.document import adapter_of
from app.errors import ChecksumMismatchError, ManifestError


# Longer lines make the mysql client grow its buffer; shorter ones cost nothing either.
LINE_BYTES: Final = 16 << 10
TRAILER_BYTES: Final = len(b"-- footer bytes: ") + 20 + 1

_PREFIX: Final = b"-- |"
_PIECE_BYTES: Final = LINE_BYTES - len(_PREFIX) - 1
_TRAILER: Final = re.compile(rb"-- footer bytes: ([0-9]{20})\n")
_HEAD: Final = re.compile(
    rb'-- \{"footer":1,"json_bytes":([0-9]{1,12}),"json_sha256":"([0-9a-f]{64})"\}\n'
)


def write_footer(draft: Manifest, *, before: int = 0) -> Iterator[bytes]:
    """
    Encode a manifest as the text of the footer.

    Args:
        draft: Everything before the footer: members, sizes and checksum up to it.
        before: Bytes of other lines in the footer member, before this text.

    Yields:
        Whole lines of at most `LINE_BYTES`, ASCII; in all, the JSON is in memory once.
    """
    body = adapter_of(Manifest).dump_json(thinned(draft), ensure_ascii=True)
    head = {
        "footer": 1,
        "json_bytes": len(body),
        "json_sha256": hashlib.sha256(body).hexdigest(),
    }
    line = b"-- " + json.dumps(head, separators=(",", ":")).encode() + b"\n"
    size = before + len(line)
    yield line
    for start in range(0, len(body), _PIECE_BYTES):
        line = _PREFIX + body[start : start + _PIECE_BYTES] + b"\n"
        size += len(line)
        yield line
    yield b"-- footer bytes: %020d\n" % (size + TRAILER_BYTES)


def footer_size(tail: bytes, *, source: str) -> int:
    """
    Read how long the footer member is, uncompressed, from the end of the plain text.

    Args:
        tail: The last `TRAILER_BYTES` bytes, or all that there are.
        source: Names the file in messages.

    Returns:
        Bytes, at least those of the trailer.

    Raises:
        ManifestError: No footer ends here: the file was cut, or is not ours.
    """
    match = _TRAILER.fullmatch(tail[-TRAILER_BYTES:])
    if match is None:
        raise ManifestError(f"{source}: does not end with a footer")
    return int(match[1])


def read_footer(raw: bytes, *, source: str) -> Manifest:
    """
    Decode the manifest in the text of a footer member.

    Returns:
        What `write_footer` was given.

    Raises:
        ChecksumMismatchError: The JSON is damaged.
        ManifestError: Not a footer, or of a newer format.
    """
    if footer_size(raw, source=source) != len(raw):
        raise ManifestError(f"{source}: the footer is {len(raw)} bytes, says otherwise")
    head = _HEAD.search(raw)
    if head is None:
        raise ManifestError(f"{source}: no manifest in the footer")
    lines = raw[head.end() : -TRAILER_BYTES].splitlines()
    body = b"".join(line.removeprefix(_PREFIX) for line in lines)
    if (b"%d" % len(body), hashlib.sha256(body).hexdigest().encode()) != head.groups():
        raise ChecksumMismatchError(f"{source}: the manifest in the footer is damaged")
    return decode(body, source=source)
