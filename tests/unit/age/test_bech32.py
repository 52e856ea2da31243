"""Texts of keys: every slip is found, and each key has one text."""

import pytest
from hypothesis import given, strategies as st

from app.age import bech32
from app.age.malformed import MalformedError


# Source: BIP 173, and the examples of https://age-encryption.org/v1
VALID = [
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    "?1ezyfcl",
    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
]
INVALID = [
    "", "1", "pzry9x0s0muk", "1pzry9x0s0muk", "x1b4n0q5v", "li1dgmt3", "A1G7SGD8", "10a06t8", "1qzzfhee",
    "A12uEL5L", "a12uel5\xe9", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3x",
    "de1lg7wt\xff", "a" * 5000 + "12uel5l",
]  # fmt: skip


@pytest.mark.parametrize("text", VALID)
def test_a_valid_text_comes_back(text):
    """Decoded and encoded again it is the same, small or capital."""
    assert bech32.encode(*bech32.decode(text)) == text


@pytest.mark.parametrize("text", INVALID)
def test_an_invalid_text_is_refused_and_not_repeated(text):
    """No checksum, no prefix, a strange character, both cases."""
    with pytest.raises(MalformedError) as caught:
        bech32.decode(text)
    assert not text or text not in str(caught.value)


def test_bits_that_belong_to_no_byte_are_refused():
    """A text whose digits are not whole bytes is not another text of the same key."""
    with pytest.raises(MalformedError, match="no byte"):
        bech32.decode("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3pjxtptv")


@given(st.sampled_from(["age", "AGE-SECRET-KEY-"]), st.binary(max_size=80))
def test_any_bytes_come_back(prefix, data):
    """Under a small prefix in small letters, under a capital one in capital ones."""
    text = bech32.encode(prefix, data)

    assert bech32.decode(text) == (prefix, data)
    assert text in {text.lower(), text.upper()}


@given(st.integers(0, 61), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_a_wrong_character_is_always_found(place, letter):
    """Wherever it stands."""
    text = VALID[6]
    wrong = text[:place] + letter + text[place + 1 :]
    if wrong == text:
        assert bech32.decode(wrong)[0] == "age"
        return
    with pytest.raises(MalformedError):
        bech32.decode(wrong)
