"""Armor: one form for each file."""

import pytest
from hypothesis import given, strategies as st

from app.age.armor import armor, dearmor, is_armored
from app.age.malformed import MalformedError
from tests.fixtures.age_files import vectors


ARMORED = [vector for vector in vectors() if "armored" in vector.facts]
GOOD = [vector for vector in ARMORED if vector.fact("expect") != "armor failure"]


@given(st.binary(max_size=400))
def test_any_bytes_come_back(data):
    """In lines of 64 columns, with an end."""
    text = armor(data)

    assert dearmor(text) == data
    assert dearmor(b" \r\n\t" + text.replace(b"\n", b"\r\n") + b"\n \n") == data
    assert is_armored(text)
    assert max(map(len, text.splitlines()[1:-1]), default=0) <= 64


@pytest.mark.parametrize("vector", GOOD, ids=str)
def test_what_others_have_armored_comes_back_the_same(vector):
    """But for line ends and white space around it."""
    assert armor(dearmor(vector.data)) == vector.data.strip().replace(b"\r\n", b"\n") + b"\n"


@pytest.mark.parametrize(
    "text",
    [b"", b"\n", b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----END AGE ENCRYPTED FILE-----\n"],
)
def test_half_of_an_armor_is_none(text):
    """The first or the last line is missing."""
    with pytest.raises(MalformedError, match="first or last"):
        dearmor(text)
