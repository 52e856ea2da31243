"""Keys: told apart, and never shown by accident."""

import pytest
from hypothesis import given, strategies as st

from app.age import bech32
from app.age.malformed import MalformedError
from app.age.x25519 import Identity, Recipient


# Source: the example of https://age-encryption.org/v1
SECRET = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
# Points with which every key agrees on zero. Source: https://cr.yp.to/ecdh.html#validate
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def test_an_identity_has_the_recipient_of_the_specification():
    """Its own example, in both directions."""
    identity = Identity.parse(SECRET)

    assert str(identity.recipient) == PUBLIC
    assert identity.secret_text() == SECRET
    assert Recipient.parse(PUBLIC) == identity.recipient


def test_an_identity_does_not_show_itself():
    """Only `secret_text` does."""
    identity = Identity.parse(SECRET)

    for text in (repr(identity), str(identity), f"{identity}", repr([identity])):
        assert SECRET[20:40].lower() not in text.lower()
        assert PUBLIC in text


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_a_recipient_that_everybody_could_read_is_refused(point):
    """When the setting is read, not in the first backup."""
    with pytest.raises(MalformedError, match="everybody"):
        Recipient.parse(bech32.encode("age", point))


@pytest.mark.parametrize(
    "text",
    [
        PUBLIC.upper(), SECRET.lower(), SECRET, PUBLIC[:-1], PUBLIC + "q", bech32.encode("age", bytes(31)),
        bech32.encode("age1pq", bytes(32)), bech32.encode("age1tag", bytes(33)), "ssh-ed25519 AAAA", "",
    ],
)  # fmt: skip
def test_what_is_no_recipient_is_refused_and_not_repeated(text):
    """Identities, other kinds, other lengths, other letters."""
    with pytest.raises(MalformedError) as caught:
        Recipient.parse(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [SECRET.lower(), PUBLIC, SECRET[:-1] + "Y", bech32.encode("AGE-SECRET-KEY-PQ-", bytes(32)), ""],
)
def test_what_is_no_identity_is_refused_and_not_repeated(text):
    """A slip, another kind, the public half."""
    with pytest.raises(MalformedError) as caught:
        Identity.parse(text)
    assert not text or text not in str(caught.value)


@given(st.binary(min_size=16, max_size=16))
def test_a_key_is_unwrapped_by_its_identity_alone(file_key):
    """Differently wrapped each time."""
    identity, other = Identity.new(), Identity.new()
    stanza = identity.recipient.wrap(file_key)

    assert identity.unwrap(stanza) == file_key
    assert other.unwrap(stanza) is None
    assert identity.recipient.wrap(file_key) != stanza
