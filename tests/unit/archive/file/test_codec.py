"""Compression of single members."""

import contextlib
import subprocess

import pytest
from hypothesis import given, settings, strategies as st

from app.archive.file import codec as codecs
from app.domain.backups.backup import LEVELS
from app.domain.backups.manifest import Codec
from app.errors import ChecksumMismatchError, TruncatedFileError


CODECS = st.sampled_from(Codec)
CHOICES = st.sampled_from([(codec, level) for codec in LEVELS for level in (None, *LEVELS[codec])])
ENDS = [(codec, known[end]) for codec, known in LEVELS.items() if known for end in (0, -1)]
# What compresses as rows do: words that come back, and numbers that do not.
ROWS = b"".join(b"(%d,'word %d of many',X'%x'),\n" % (n, n % 7, n**5) for n in range(20_000))
COMPRESSED = st.sampled_from([Codec.GZIP, Codec.ZSTD])


@given(codec=CODECS, pieces=st.lists(st.binary(max_size=5000)), cut=st.integers(1, 4000))
def test_every_codec_gives_the_bytes_back(codec, pieces, cut):
    """Any pieces come back whole and in blocks, whatever the blocks are."""
    raw = b"".join(pieces)
    data = codecs.compress(codec, pieces)
    blocks = [data[start : start + cut] for start in range(0, len(data), cut)]

    assert codecs.inflate(codec, data, raw_size=len(raw), source="x") == raw
    parts = list(codecs.inflated(codec, blocks, raw_size=len(raw), source="x", block=997))
    assert b"".join(parts) == raw
    assert codec is Codec.NONE or all(0 < len(part) <= 997 for part in parts)


@settings(deadline=None)
@given(choice=CHOICES, pieces=st.lists(st.binary(max_size=5000)))
def test_every_level_gives_the_bytes_back(choice, pieces):
    """Whoever reads needs to know of no level."""
    codec, level = choice
    raw = b"".join(pieces)
    data = codecs.compress(codec, pieces, level)

    assert codecs.inflate(codec, data, raw_size=len(raw), source="x") == raw
    assert codecs.compress(codec, pieces, level) == data


@pytest.mark.parametrize(("codec", "level"), ENDS)
def test_members_of_the_ends_of_each_range_are_read_by_everybody(codec, level, tmp_path):
    """The ordinary tools give the rows back, without an option."""
    path = tmp_path / "member"
    path.write_bytes(codecs.compress(codec, [ROWS], level))

    command = [str(codec), "-dc"]
    with path.open("rb") as file:
        done = subprocess.run(command, stdin=file, check=True, capture_output=True)

    assert done.stdout == ROWS


def test_the_highest_level_is_smaller_than_the_default():
    """In between nothing is promised: not every level is smaller than the one below it."""
    for codec in (Codec.GZIP, Codec.ZSTD):
        highest = LEVELS[codec][-1]
        assert len(codecs.compress(codec, [ROWS], highest)) < len(codecs.compress(codec, [ROWS]))


def test_the_default_is_a_level_of_its_codec():
    """Level 2 of gzip and level 1 of zstd, byte for byte."""
    for codec, level in ((Codec.GZIP, 2), (Codec.ZSTD, 1)):
        assert codecs.compress(codec, [ROWS]) == codecs.compress(codec, [ROWS], level)


@pytest.mark.parametrize("level", LEVELS[Codec.ZSTD])
def test_no_level_of_zstd_needs_a_large_window(level):
    """Neither who writes nor who reads holds more than 1 MiB of it (RFC 8878, 3.1.1.1.2)."""
    member = codecs.compress(Codec.ZSTD, [bytes(8 << 20)], level)

    assert not member[4] & 0b10_0000  # not a single segment, which has no window of its own
    assert 1 << 10 + (member[5] >> 3) <= 1 << 20


@given(codec=COMPRESSED, raw=st.binary(min_size=1, max_size=3000), data=st.data())
def test_a_member_that_is_cut_is_truncated(codec, raw, data):
    """Any missing tail is noticed, also the last byte of the checksum."""
    member = codecs.compress(codec, [raw])
    size = data.draw(st.integers(0, len(member) - 1))

    with pytest.raises(TruncatedFileError):
        codecs.inflate(codec, member[:size], raw_size=len(raw), source="x")


@given(codec=COMPRESSED, raw=st.binary(min_size=1, max_size=3000), data=st.data())
def test_a_flipped_bit_never_gives_other_bytes(codec, raw, data):
    """The member's own checksum finds it, or the bytes are right (fields that mean nothing)."""
    member = bytearray(codecs.compress(codec, [raw]))
    position = data.draw(st.integers(0, len(member) - 1))
    member[position] ^= 1 << data.draw(st.integers(0, 7))

    with contextlib.suppress(ChecksumMismatchError):
        assert codecs.inflate(codec, bytes(member), raw_size=len(raw), source="x") == raw


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("tail", [b"x", b"\0" * 8, None])
def test_bytes_after_the_member_are_an_error(codec, tail):
    """Also a second, valid member: the index says that there is one."""
    member = codecs.compress(codec, [b"SELECT 1;\n"])

    with pytest.raises(ChecksumMismatchError):
        codecs.inflate(codec, member + (tail or member), raw_size=10, source="x")


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("raw_size", [0, 9, 11, 1 << 40])
def test_another_raw_size_is_an_error(codec, raw_size):
    """One byte more or less than promised is damage."""
    member = codecs.compress(codec, [b"SELECT 1;\n"])

    with pytest.raises(ChecksumMismatchError):
        codecs.inflate(codec, member, raw_size=min(raw_size, 1 << 20), source="x")


def test_equal_statements_give_equal_members():
    """No clock and no name leaks into a gzip header."""
    assert codecs.compress(Codec.GZIP, [b"x"])[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_a_zstd_frame_carries_its_checksum():
    """Bit 2 of the frame header descriptor (RFC 8878, 3.1.1.1.1)."""
    assert codecs.compress(Codec.ZSTD, [b"x" * 100])[4] & 0b100


@pytest.mark.parametrize("codec", Codec)
def test_no_legal_member_exceeds_the_ratio_guard(codec):
    """The most compressible bytes there are stay below it."""
    raw = bytes(4 << 20)

    assert len(raw) <= len(codecs.compress(codec, [raw])) * codecs.MAX_RATIO[codec]


def test_nothing_is_decompressed_after_the_end():
    """A stream that goes on after the member tells how much."""
    stream = codecs.MemberStream(Codec.GZIP)
    member = codecs.compress(Codec.GZIP, [b"one"])

    assert b"".join(stream.pieces(member + b"rest", source="x")) == b"one"
    assert (stream.eof, stream.unused) == (True, 4)
    assert list(stream.pieces(b"more", source="x")) == []
    assert stream.unused == 4


def test_plain_streams_have_no_end():
    """Bytes pass as they are; an empty block gives nothing."""
    stream = codecs.MemberStream(Codec.NONE)

    assert list(stream.pieces(b"one", source="x")) == [b"one"]
    assert list(stream.pieces(b"", source="x")) == []
    assert not stream.eof
