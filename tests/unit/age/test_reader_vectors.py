"""The public vectors of the format: what succeeds, what fails, and where."""

import hashlib

import pytest

from app.age.armor import dearmor
from app.age.header import parse_header
from app.age.malformed import MalformedError
from app.age.opening import open_head
from app.age.passphrase import Passphrase
from app.age.reader import open_file
from app.age.stream import CHUNK_BYTES, SEALED_BYTES
from app.age.x25519 import Identity
from app.errors import DecryptionFailedError, NoIdentityError
from tests.fixtures.age_files import read_all, vectors
from tests.fixtures.pages import DOCS, section


VECTORS = vectors()
# What is not built, by the beginning of the name, and why; the format lets each be left out.
SKIPPED = {
    "hybrid": "post-quantum: Debian's age does not read it, and a backup must be readable by that",
    "armor_hybrid": "the same, in armor",
}
READ = [vector for vector in VECTORS if not vector.name.startswith(tuple(SKIPPED))]
UNREAD = [vector for vector in VECTORS if vector.name.startswith(tuple(SKIPPED))]
FACTS = {
    "expect",
    "payload",
    "file key",
    "identity",
    "passphrase",
    "armored",
    "compressed",
    "comment",
}


def _identities(vector):
    return [
        *map(Identity.parse, vector.facts.get("identity", [])),
        *map(Passphrase, vector.facts.get("passphrase", [])),
    ]


def _open(vector, identities):
    data = dearmor(vector.data) if "armored" in vector.facts else vector.data
    return open_file(
        lambda offset, size: data[offset : offset + size], len(data), identities, source="x"
    )


def _streamed(key, body):
    """Return what comes before the failure where a stream is read whose size nobody knows."""
    plain = b""
    for number, at in enumerate(range(0, len(body) + 1, SEALED_BYTES)):
        chunk = body[at : at + SEALED_BYTES]
        # A full chunk may be the last one, one that is not full must be.
        kinds = (False, True) if len(chunk) == SEALED_BYTES else (True,)
        texts = {is_last: _chunk(key, number, chunk, is_last=is_last) for is_last in kinds}
        plain += texts.get(False) or texts[True] or b""
        if texts.get(False) is None:
            break
    return plain


def _chunk(key, number, chunk, *, is_last):
    out = bytearray(max(0, len(chunk) - 16))
    try:
        key.open_into(number, chunk, memoryview(out), is_last=is_last)
    except (MalformedError, ValueError):
        return None
    return bytes(out)


def _of(*expected):
    return [vector for vector in READ if vector.fact("expect") in expected]


def test_no_vector_is_left_out_but_those_of_the_table():
    """Of all, those are read whose features are built, and none has a fact that nobody knows."""
    assert (len(VECTORS), len(READ), len(UNREAD)) == (143, 124, 19)
    text = section((DOCS / "encryption.md").read_text(), "The format")
    assert "143 public vectors 124 are read" in text
    assert all(f"`{vector.name}`" in text for vector in UNREAD)
    assert {name for vector in VECTORS for name in vector.facts} == FACTS
    kinds = (
        "success",
        "no match",
        "HMAC failure",
        "header failure",
        "armor failure",
        "payload failure",
    )
    assert [len(_of(kind)) for kind in kinds] == [21, 8, 1, 53, 22, 19]


@pytest.mark.parametrize("vector", _of("success"), ids=str)
def test_what_is_right_is_read(vector):
    """All of it, and chunk by chunk."""
    file = _open(vector, _identities(vector))
    plain = file.read(0, file.size)

    assert hashlib.sha256(plain).hexdigest() == vector.fact("payload")
    pieces = [file.read(at, CHUNK_BYTES) for at in range(0, file.size, CHUNK_BYTES)]
    assert b"".join(pieces) == plain


@pytest.mark.parametrize("vector", _of("no match"), ids=str)
def test_what_is_for_others_is_not_read(vector):
    """It is not called damaged."""
    with pytest.raises(NoIdentityError):
        _open(vector, _identities(vector))


@pytest.mark.parametrize("vector", _of("HMAC failure"), ids=str)
def test_a_header_that_was_changed_is_refused_by_its_mac(vector):
    """It parses, and its key is unwrapped."""
    assert parse_header(vector.data).stanzas
    with pytest.raises(DecryptionFailedError, match="MAC"):
        _open(vector, _identities(vector))


@pytest.mark.parametrize("vector", _of("header failure"), ids=str)
def test_a_header_that_is_wrong_is_refused_by_its_form(vector):
    """Not by its MAC, nor as somebody else's: what is wrong is not hidden by what is built on it."""
    identities = _identities(vector) or [Identity.new()]
    with pytest.raises(DecryptionFailedError) as caught:
        _open(vector, identities)
    assert "MAC does not match" not in str(caught.value)
    assert "chunk" not in str(caught.value)


@pytest.mark.parametrize("vector", _of("armor failure"), ids=str)
def test_an_armor_that_is_wrong_is_refused(vector):
    """Before anything in it is looked at."""
    with pytest.raises(MalformedError, match="armor"):
        dearmor(vector.data)


@pytest.mark.parametrize("vector", _of("payload failure"), ids=str)
def test_a_payload_that_is_wrong_is_not_read_as_a_whole(vector):
    """Opened or not: what is read of it before the failure is never more than what is right."""
    with pytest.raises(DecryptionFailedError) as caught:
        read_all(_open(vector, _identities(vector)))
    assert "header" not in str(caught.value)


@pytest.mark.parametrize("vector", _of("payload failure"), ids=str)
def test_a_payload_is_right_up_to_where_it_is_wrong(vector):
    """Its chunks one after another, as a stream is read that knows no size: the vector has the digest."""
    data = dearmor(vector.data) if "armored" in vector.facts else vector.data
    opening = open_head(data, _identities(vector), source="x")
    plain = _streamed(opening.key, data[opening.start :])

    assert hashlib.sha256(plain).hexdigest() == vector.fact("payload")


@pytest.mark.parametrize("vector", UNREAD, ids=str)
def test_what_is_not_built_is_refused_and_never_misread(vector):
    """By everybody who has an identity of another kind; those of its own kind are not taken."""
    with pytest.raises((DecryptionFailedError, NoIdentityError)):
        _open(vector, [Identity.new(), Passphrase("password")])
    with pytest.raises(MalformedError, match="not an identity of X25519"):
        Identity.parse(vector.facts["identity"][-1 if "PQ" in vector.facts["identity"][-1] else 0])
