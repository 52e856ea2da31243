"""The header: one form, one owner, and bounds."""

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from app.age.header import MAX_HEADER_BYTES, Stanza, parse_header, write_header
from app.age.malformed import MalformedError
from app.age.passphrase import Passphrase
from app.age.x25519 import Identity
from app.errors import DecryptionFailedError, NoIdentityError
from tests.fixtures.age_files import AgeFile, vectors


FILE_KEY = bytes(range(16))
PARSED = [
    vector
    for vector in vectors()
    if vector.fact("expect") not in {"header failure", "armor failure"}
    and "armored" not in vector.facts
]


class Told:
    """A recipient that says what its stanza is."""

    def __init__(self, *arguments, body=b""):
        self.stanza = Stanza(arguments, body)

    def wrap(self, file_key):
        """Wrap nothing."""
        return self.stanza


ARGUMENT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9)


@given(st.lists(st.tuples(st.lists(ARGUMENT, min_size=1, max_size=3), st.binary(max_size=150)), min_size=1, max_size=4))  # fmt: skip
def test_what_is_written_is_what_is_parsed(stanzas):
    """Whatever the kinds of recipients, and however long their bodies are."""
    told = [Told(*arguments, body=body) for arguments, body in stanzas]
    if len(told) > 1 and any(recipient.stanza.kind == "scrypt" for recipient in told):
        with pytest.raises(MalformedError):
            write_header(told, FILE_KEY)
        return

    data = write_header(told, FILE_KEY)
    header = parse_header(data + b"the payload\n")

    assert header.stanzas == tuple(recipient.stanza for recipient in told)
    assert header.size == len(data)
    header.check(FILE_KEY)
    with pytest.raises(MalformedError, match="MAC"):
        header.check(bytes(16))


@pytest.mark.parametrize("vector", PARSED, ids=str)
def test_a_header_of_others_is_written_the_same_by_us(vector):
    """Stanzas and MAC, byte for byte, by the key of the file that the vector tells."""
    header = parse_header(vector.data)
    told = [Told(*stanza.arguments, body=stanza.body) for stanza in header.stanzas]
    written = write_header(told, bytes.fromhex(vector.fact("file key")))

    if vector.fact("expect") == "HMAC failure":
        assert written != vector.data[: header.size]
    else:
        assert written == vector.data[: header.size]


def test_every_bit_of_a_header_counts():
    """Whichever is flipped, the file is refused: by its form, its MAC, or as somebody else's."""
    file = AgeFile(b"text")
    accepted = []
    for place in range(file.start * 8):
        changed = bytearray(file.stored)
        changed[place // 8] ^= 1 << place % 8
        with suppress(DecryptionFailedError, NoIdentityError):
            file.open(bytes(changed))
            accepted.append(place)

    assert accepted == []


def test_a_header_is_bounded():
    """One that has no end in 64 KiB is not searched on, and none is written that nobody could read."""
    recipients = [Identity.new().recipient] * 500
    assert parse_header(write_header(recipients, FILE_KEY)).size < MAX_HEADER_BYTES

    with pytest.raises(MalformedError, match="no end in 65536 bytes"):
        write_header(recipients * 2, FILE_KEY)
    with pytest.raises(MalformedError, match="no end in 65536 bytes"):
        parse_header(b"age-encryption.org/v1\n-> x\n" + b"A" * (1 << 20))


@pytest.mark.parametrize(
    "text", [b"", b"age-encryption.org/v2\n", b"SQLite format 3\0", b"\x1f\x8b"]
)
def test_what_is_no_age_file_is_said_to_be_none(text):
    """Before anything else of it is looked at."""
    with pytest.raises(MalformedError, match="header"):
        parse_header(text)


def test_a_passphrase_stands_alone():
    """Whoever knows it can rely on nobody else having encrypted the file."""
    phrase = Passphrase("x", work_factor=1)

    assert len(parse_header(write_header([phrase], FILE_KEY)).stanzas) == 1
    with pytest.raises(MalformedError, match="others beside a passphrase"):
        write_header([phrase, Identity.new().recipient], FILE_KEY)
    with pytest.raises(MalformedError, match="no recipient"):
        write_header([], FILE_KEY)
