"""Prepared statements, packet by packet."""

import pytest

from app.engine.native.prepared import (
    Prepared,
    can_bind,
    execution,
    read_count,
    read_prepared,
    read_warnings,
    read_wire,
)
from app.mysql.refusals import Refusal


def test_the_answer_to_prepare_is_read():
    """The statement's number, how many columns and parameters it has."""
    packet = b"\x00\x07\x00\x00\x00\x03\x00\x02\x00\x00\x00\x00"

    assert read_prepared(packet) == Prepared(number=7, columns=3, parameters=2)


def test_the_number_of_columns_may_take_two_bytes():
    """A table has up to 4,096 of them."""
    assert read_count(b"\xfa") == 250
    assert read_count(b"\xfc\x00\x10") == 4096


def test_a_column_says_its_type_and_sign():
    """Whatever stands before: MariaDB may put more there."""
    fixed = b"\x0c\x3f\x00\x14\x00\x00\x00\x08\x21\x10\x00\x00\x00"

    assert read_wire(b"\x03def\x00\x00\x00\x01a\x00" + fixed) == (8, True)


def test_the_end_says_how_many_warnings_there_were():
    """Of the whole statement."""
    assert read_warnings(b"\xfe\x02\x01\x22\x00") == 258


@pytest.mark.parametrize("read", [read_prepared, read_count, read_wire, read_warnings])
def test_what_is_cut_is_refused(read):
    """No server sends it."""
    with pytest.raises(Refusal):
        read(b"")


def test_integers_of_64_bits_are_bound_with_their_sign():
    """Both ends of both types."""
    packet = execution(5, [-(1 << 63), (1 << 64) - 1])

    assert packet == (
        b"\x05\x00\x00\x00\x00\x01\x00\x00\x00"
        b"\x00\x01"
        b"\x08\x00\x08\x80" + b"\x00" * 7 + b"\x80" + b"\xff" * 8
    )
    assert execution(5, []) == packet[:9]
    assert can_bind(-(1 << 63), (1 << 64) - 1)
    assert not can_bind(1 << 64)
    assert not can_bind(-(1 << 63) - 1)
