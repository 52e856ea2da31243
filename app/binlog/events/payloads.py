"""
Transactions that MySQL has compressed: one event with others in it.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html
"""

import sys
from collections.abc import Iterator
from typing import Final

from app.binlog.events.headers import HEADER_BYTES, Malformed
from app.binlog.events.rows import lenenc


if sys.version_info >= (3, 14):  # until then from a package of the same interface
    from compression import zstd
else:
    from backports import zstd


_END, _SIZE, _COMPRESSION, _RAW_SIZE = 0, 1, 2, 3
_ZSTD, _PLAIN = 0, 255
_BLOCK_BYTES: Final = 1 << 20


def inner_blocks(event: bytes) -> Iterator[bytes]:
    """
    Decompress what a Transaction_payload event holds.

    Args:
        event: Without its checksum.

    Yields:
        Bytes of events, which have no checksums of their own.

    Raises:
        Malformed: It cannot be read.
    """
    fields, offset = _fields(event)
    data = event[offset:]
    if fields.get(_COMPRESSION, _PLAIN) == _PLAIN:
        yield data
        return
    if fields[_COMPRESSION] != _ZSTD:
        raise Malformed(f"a transaction is compressed in an unknown way ({fields[_COMPRESSION]})")
    left = fields.get(_RAW_SIZE, 0)
    stream = zstd.ZstdDecompressor()
    try:
        while not stream.eof:
            block = stream.decompress(data, _BLOCK_BYTES)
            data = b""
            left -= len(block)
            if left < 0 or (not block and stream.needs_input):
                break
            yield block
    except zstd.ZstdError:
        raise Malformed("a compressed transaction cannot be read") from None
    if left or not stream.eof:
        raise Malformed("a compressed transaction has another length than it says")


def _fields(event: bytes) -> tuple[dict[int, int], int]:
    fields: dict[int, int] = {}
    offset = HEADER_BYTES
    try:
        while True:
            kind, offset = lenenc(event, offset)
            if kind == _END:
                return fields, offset
            size, offset = lenenc(event, offset)
            fields[kind], _ = lenenc(event, offset)
            offset += size
    except IndexError:
        raise Malformed("a compressed transaction is cut short") from None
