"""The manifest inside the file."""

import hashlib
import json

import pytest
from hypothesis import given, strategies as st

from app.archive.file.footer import (
    LINE_BYTES,
    TRAILER_BYTES,
    footer_size,
    read_footer,
    write_footer,
)
from app.domain.backups.manifest import Codec, Manifest
from app.errors import ChecksumMismatchError, IntegrityError, ManifestError
from tests.fixtures.archives import backup_id_of, draft_of


def draft(names=("users",)):
    return draft_of(backup_id_of(0), Codec.GZIP, dict.fromkeys(names, 0))


def footer(manifest: Manifest, **options: int) -> bytes:
    """Return the text of a footer in one piece."""
    return b"".join(write_footer(manifest, **options))


NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), unique=True)


@given(names=NAMES)
def test_no_name_can_end_a_line(names):
    """Line breaks, NUL, U+2028 and quotes in names stay inside comment lines of pure ASCII."""
    text = footer(draft(["\n; DROP TABLE x; --", "\u2028\x85\x1a", *names]))

    assert text.isascii()
    assert all(32 <= byte < 127 or byte == 10 for byte in text.replace(b"\x7f", b""))
    assert all(line.startswith(b"-- ") for line in text.splitlines())


def test_lines_are_short_and_the_text_comes_back():
    """However many tables there are."""
    manifest = draft([f"table_{number}" for number in range(1000)])
    text = footer(manifest)

    assert max(len(line) for line in text.splitlines(keepends=True)) <= LINE_BYTES
    assert len(text.splitlines()) > 10
    assert read_footer(text, source="x") == manifest


def test_lines_before_the_footer_belong_to_the_member():
    """A footer member may begin with SQL that closes the session."""
    closing = b"SET FOREIGN_KEY_CHECKS=1;\n"
    text = closing + footer(draft(), before=len(closing))

    assert footer_size(text, source="x") == len(text)
    assert read_footer(text, source="x") == draft()


def test_the_length_of_a_footer_is_read_from_its_end():
    """The last line alone tells where a plain file's footer begins."""
    text = footer(draft())

    assert footer_size(text[-TRAILER_BYTES:], source="x") == len(text)


@pytest.mark.parametrize("tail", [b"", b"\n", b"-- footer bytes: 1\n", b"x" * 100])
def test_a_file_without_a_footer_is_told(tail):
    """A cut file is not mistaken for a whole one."""
    with pytest.raises(ManifestError):
        footer_size(tail, source="x")


def test_any_changed_byte_is_noticed():
    """Not one of them gives another manifest."""
    text = footer(draft())
    for position in range(len(text)):
        damaged = bytearray(text)
        damaged[position] ^= 1
        with pytest.raises(IntegrityError):
            read_footer(bytes(damaged), source="x")


def test_a_footer_that_is_no_manifest_is_told():
    """JSON of something else, whole as it may be."""

    def footer_of(body: bytes) -> bytes:
        head = {
            "footer": 1,
            "json_bytes": len(body),
            "json_sha256": hashlib.sha256(body).hexdigest(),
        }
        lines = b"-- " + json.dumps(head, separators=(",", ":")).encode() + b"\n-- |" + body + b"\n"
        return lines + b"-- footer bytes: %020d\n" % (len(lines) + TRAILER_BYTES)

    for body in (b"{}", b"[]", b"[" * 200_000, b'{"format":"backstay","format_version":4}'):
        with pytest.raises(ManifestError):
            read_footer(footer_of(body), source="x")
    text = b"-- no head\n"
    with pytest.raises(ManifestError, match="no manifest"):
        read_footer(text + b"-- footer bytes: %020d\n" % (len(text) + TRAILER_BYTES), source="x")
    damaged = footer(draft()).replace(b"users", b"user5")
    with pytest.raises(ChecksumMismatchError):
        read_footer(damaged, source="x")
