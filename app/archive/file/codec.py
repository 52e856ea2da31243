"""
Compression of members.

Every member is one gzip member (RFC 1952), one zstd frame (RFC 8878, with its checksum) or plain
bytes, so that the whole file is what `gunzip`, `zstd -d` or `cat` read.
Decompression never makes more bytes than it was told to expect.
"""

import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, assert_never, cast

from isal import igzip_lib, isal_zlib

from app.domain.backups.manifest import Codec
from app.errors import ChecksumMismatchError, TruncatedFileError


if sys.version_info >= (3, 14):  # until then from a package of the same interface
    from compression import zstd
else:
    from backports import zstd


# isal level 2 with the largest blocks: 350 to 500 MB/s a core on our SQL. Level 1 is up to a tenth faster and
# makes 0.5 % more; level 3 would make 1.4 % less, at two thirds of the speed.
_GZIP_LEVEL: Final = 2
# Of what small tables share, where each repeats the others: 16 % less than by level 2, for 0.02 ms a table more.
SHARED_LEVEL: Final[Mapping[Codec, int]] = {Codec.GZIP: 3}
# Above it zlib compresses. Its levels 1 to 3 would make larger members, in three times the time of isal's.
_MOST_OF_ISAL: Final = 3
_GZIP_WBITS: Final = 31
_GZIP_MEMORY: Final = 9
# zstd level 1: 445 MB/s a core, ratio 2.6.
_ZSTD_LEVEL: Final = 1
# A member is mostly a chunk of 1 MiB: nothing is won by looking back further.
_ZSTD_WINDOW_LOG: Final = 20
# From here on tables for up to 8 MiB would take up to 80 MB a thread; these, as large as that window
# can use them, take 12 MiB. zstd would make them so itself if it knew how long a member becomes.
_ZSTD_FAR_LEVEL: Final = 9
_ZSTD_HASH_LOG: Final = 20
_ZSTD_CHAIN_LOG: Final = 21

# What the formats themselves can reach at most: a larger claim is a lie, told before any byte is
# inflated. Deflate: 258 bytes in 2 bits. zstd: a block of 128 KiB in 3 bytes of header and 1 byte.
MAX_RATIO: Final = {Codec.GZIP: 1032, Codec.ZSTD: 32768, Codec.NONE: 1}
# Blocks that streams are read and inflated in: few calls, small memory.
BLOCK_BYTES: Final = 1 << 18

# isal's stub declares its error as an instance; it is a class.
_DECODE_ERRORS: Final[tuple[type[Exception], ...]] = (
    cast("type[Exception]", igzip_lib.IsalError),
    zstd.ZstdError,
)
# The hint of every error about bytes that are not what was written.
DAMAGED_HINT: Final = "Restore from another backup; this file is damaged."


class Compressor(Protocol):
    """One member being compressed."""

    def compress(self, data: bytes, /) -> bytes:
        """Take the next bytes; may return nothing yet."""
        ...

    def flush(self) -> bytes:
        """End the member and return what is left of it."""
        ...


class _Inflater(Protocol):
    """The common part of the three decompressors; all stop at the end of one member."""

    @property
    def eof(self) -> bool:
        """Whether the end of the member was seen, its checksum included."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Bytes given after the end of the member."""
        ...

    def feed(self, data: bytes, limit: int) -> bytes:
        """Inflate into at most `limit` bytes; what does not fit is kept for the next call."""
        ...


class _Plain:
    """No compression."""

    def compress(self, data: bytes, /) -> bytes:
        """Pass on."""
        return data

    def flush(self) -> bytes:
        """Nothing is kept back."""
        return b""


def compressor(codec: Codec, level: int | None = None) -> Compressor:
    """
    Begin one member.

    Args:
        codec: How it is compressed.
        level: One of `LEVELS`; None = the default.

    Returns:
        What its bytes go through, in memory that does not grow with them.
    """
    match codec:
        case Codec.GZIP:
            return _gzip(_GZIP_LEVEL if level is None else level)
        case Codec.ZSTD:
            return zstd.ZstdCompressor(options=_zstd_options(level or _ZSTD_LEVEL))
        case Codec.NONE:
            return _Plain()
        case _:
            assert_never(codec)


def _gzip(level: int) -> Compressor:
    # Both write mtime 0: equal statements give equal members.
    if level <= _MOST_OF_ISAL:
        return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _GZIP_WBITS, _GZIP_MEMORY)
    return zlib.compressobj(level, zlib.DEFLATED, _GZIP_WBITS, _GZIP_MEMORY)


def _zstd_options(level: int) -> Mapping[int, int]:
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    if level != _ZSTD_LEVEL:
        options[zstd.CompressionParameter.window_log] = _ZSTD_WINDOW_LOG
    if level >= _ZSTD_FAR_LEVEL:
        options[zstd.CompressionParameter.hash_log] = _ZSTD_HASH_LOG
        options[zstd.CompressionParameter.chain_log] = _ZSTD_CHAIN_LOG
    return options


def compress(codec: Codec, pieces: Iterable[bytes], level: int | None = None) -> bytes:
    """Compress the pieces, one after the other, into one member; releases the GIL."""
    press = compressor(codec, level)
    out = [press.compress(piece) for piece in pieces]
    out.append(press.flush())
    return b"".join(out)


class _GzipInflater:
    def __init__(self) -> None:
        self._inner = isal_zlib.decompressobj(_GZIP_WBITS)
        self._rest = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes, limit: int) -> bytes:
        out = self._inner.decompress(self._rest + data if self._rest else data, limit)
        self._rest = self._inner.unconsumed_tail
        return out


class _ZstdInflater:
    def __init__(self) -> None:
        self._inner = zstd.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def feed(self, data: bytes, limit: int) -> bytes:
        return self._inner.decompress(data, limit)


def _inflater(codec: Codec) -> _Inflater:
    return _GzipInflater() if codec is Codec.GZIP else _ZstdInflater()


def inflate(codec: Codec, data: bytes, *, raw_size: int, source: str) -> bytes:
    """
    Decompress one whole member.

    Args:
        codec: How it was compressed.
        data: Its bytes in the file, no more and no less.
        raw_size: How long the result must be; more is never made.
        source: Names the member in messages.

    Returns:
        Exactly `raw_size` bytes; for plain members `data` itself.

    Raises:
        TruncatedFileError: The member ends too early.
        ChecksumMismatchError: Its own checksum fails, it is no member, it is of another length, or
            something follows it.
    """
    if codec is Codec.NONE:
        _check_length(len(data), raw_size, source)
        return data
    out = list(inflated(codec, (data,), raw_size=raw_size, source=source, block=raw_size + 1))
    return out[0] if len(out) == 1 else b"".join(out)


def inflated(
    codec: Codec,
    blocks: Iterable[bytes],
    *,
    raw_size: int,
    source: str,
    block: int = BLOCK_BYTES,
) -> Iterator[bytes]:
    """
    Decompress one member piece by piece.

    Args:
        codec: How it was compressed.
        blocks: Its bytes in the file in order; consumed once.
        raw_size: How long the result must be; at most one `block` more is made, never yielded.
        source: Names the member in messages.
        block: Largest piece, in bytes.

    Yields:
        Pieces of at most `block` bytes, none empty; trust them only after the last one.

    Raises:
        TruncatedFileError: The member ends too early.
        ChecksumMismatchError: As for `inflate`.
    """
    done = 0
    stream = MemberStream(codec)
    for data in blocks:
        for piece in stream.pieces(data, source=source, block=block):
            done += len(piece)
            if done > raw_size:
                _check_length(done, raw_size, source)
            yield piece
        if stream.unused:
            raise ChecksumMismatchError(f"{source}: bytes after its end", hint=DAMAGED_HINT)
    if codec is not Codec.NONE and not stream.eof:
        raise TruncatedFileError(f"{source}: ends too early", hint=DAMAGED_HINT)
    _check_length(done, raw_size, source)


class MemberStream:
    """
    One member being decompressed from a stream that may go on after it.

    Attributes:
        eof: Whether its end was seen; never for plain members, which have no end of their own.
        unused: How many of the bytes given last lie after its end.
    """

    def __init__(self, codec: Codec) -> None:
        self.eof = False
        self.unused = 0
        self._inner = None if codec is Codec.NONE else _inflater(codec)

    def pieces(self, data: bytes, *, source: str, block: int = BLOCK_BYTES) -> Iterator[bytes]:
        """
        Decompress what `data` adds; nothing is decompressed after the end of the member.

        Args:
            data: The next bytes of the file.
            source: Names the member in messages.
            block: Largest piece, in bytes.

        Yields:
            Pieces of at most `block` bytes, none empty.

        Raises:
            ChecksumMismatchError: Not a member, or its own checksum fails.
        """
        if self._inner is None:
            if data:
                yield data
            return
        if self.eof:
            self.unused = len(data)
            return
        piece = self._feed(data, block, source)
        while len(piece) == block and not self._inner.eof:
            yield piece
            piece = self._feed(b"", block, source)
        if piece:
            yield piece
        self.eof = self._inner.eof
        self.unused = len(self._inner.unused_data)

    def _feed(self, data: bytes, block: int, source: str) -> bytes:
        assert self._inner is not None  # noqa: S101 - narrows; plain members never get here
        try:
            return self._inner.feed(data, block)
        except _DECODE_ERRORS as exc:
            raise ChecksumMismatchError(f"{source}: {exc}", hint=DAMAGED_HINT) from exc


def _check_length(actual: int, raw_size: int, source: str) -> None:
    if actual != raw_size:
        more = "more than" if actual > raw_size else f"{actual} instead of"
        raise ChecksumMismatchError(f"{source}: {more} {raw_size} bytes inside", hint=DAMAGED_HINT)
