"""Rows out of packets, however the network cut them."""

import pymysql
import pytest
from hypothesis import given, strategies as st

from app.engine.server.packets import EventPackets, RowPackets, whole_packets
from tests.fixtures.wire import sized


END = b"\xfe\x00\x00\x02\x00"
WHOLE = 0xFFFFFF
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.sampled_from([b"", b"\xfb", b"\xfe" * 4, b"x" * 250, b"x" * 251, b"y" * 70_000]),
)


def payload(value):
    """Write a value as the server does."""
    if value is None:
        return b"\xfb"
    return sized(value)


def packets(payloads, sequence):
    """Put headers before payloads, and cut those that are too long for one packet."""
    out = []
    for body in payloads:
        starts = range(0, len(body) + 1, WHOLE)
        for start in starts:
            part = body[start : start + WHOLE]
            out.append(len(part).to_bytes(3, "little") + bytes([sequence & 0xFF]) + part)
            sequence += 1
    return b"".join(out)


def cut(data, sizes):
    """Cut bytes into pieces of some sizes, the rest in one."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@given(st.lists(VALUES, max_size=30), st.integers(0, 255), st.lists(st.integers(1, 5000)))
def test_rows_are_what_was_sent(values, sequence, sizes):
    """Any values, any cuts, any number to begin with; and the end is seen, not before."""
    rows = RowPackets(sequence)
    found = []
    for data in cut(packets([*map(payload, values), END], sequence), sizes):
        assert not rows.over or not data
        found += rows.feed(data)

    assert found == values
    assert rows.over


def test_a_value_longer_than_a_packet_is_put_together():
    """A row of 16 MiB and more comes in several packets; one that fits exactly has an empty last."""
    for size in (WHOLE - 4, WHOLE + 10):
        value = b"z" * size
        rows = RowPackets(3)

        assert rows.feed(packets([payload(value), END], 3)) == [value]
        assert rows.over


def test_a_cut_packet_says_how_much_is_missing():
    """So that a long row is waited for, not looked at again with each piece."""
    data = packets([payload(b"x" * 1000)], 1)
    rows = RowPackets(1)

    assert rows.missing == 4
    rows.feed(data[:2])
    assert rows.missing == 2
    rows.feed(data[2:10])
    assert rows.missing == len(data) - 10
    assert rows.feed(data[10:]) == [b"x" * 1000]


def test_an_error_among_the_rows_is_raised():
    """The server may fail in the middle; without its words a short answer would look whole."""
    error = b"\xff\x69\x05#70100" + b"Query execution was interrupted"

    with pytest.raises(pymysql.err.Error) as caught:
        RowPackets(1).feed(packets([payload(b"1"), error], 1))

    assert caught.value.args[0] == 1385


def test_a_packet_out_of_order_is_refused():
    """Something was lost between, or this is not an answer."""
    with pytest.raises(pymysql.err.InternalError):
        RowPackets(1).feed(packets([payload(b"1")], 2))


@pytest.mark.parametrize("sizes", [[], [3, 4, 5, 6, WHOLE, 7], [1 << 22] * 5])
def test_events_are_what_was_sent(sizes):
    """Short ones, those that fill a packet, and those that need two; however they were cut."""
    sent = [b"", b"short", b"e" * (WHOLE - 2), b"e" * (WHOLE - 1), b"e" * (WHOLE + 10), b"last"]
    events = EventPackets(254)
    found = []
    for data in cut(packets([b"\0" + event for event in sent], 254), sizes):
        found += events.feed(data)

    assert found == sent


def test_the_end_of_a_log_and_errors_are_no_events():
    """Neither is taken for one."""
    with pytest.raises(EOFError):
        EventPackets(0).feed(packets([b"\0event", END], 0))
    with pytest.raises(pymysql.err.Error):
        EventPackets(0).feed(packets([b"\xff\x69\x05#70100gone"], 0))


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.integers(0, 255))
def test_short_packets_are_cut_out_of_what_has_come(bodies, sequence):
    """All of them or none, and what is behind stays."""
    bodies = [b"x" + body for body in bodies]
    data = packets(bodies, sequence)

    assert whole_packets(data, len(bodies), sequence) == (bodies, len(data))
    assert whole_packets(bytearray(data + b"more"), len(bodies), sequence) == (bodies, len(data))
    for size in range(len(data)):
        assert whole_packets(data[:size], len(bodies), sequence) == ([], 0)


@pytest.mark.parametrize(
    "data",
    [
        packets([b"one", b"\xff\x01\x00refused"], 7),
        packets([b"one", b""], 7),
        packets([b"one"], 7) + packets([b"two"], 9),
        packets([b"one", b"x" * WHOLE], 7),
    ],
    ids=["an error", "an empty one", "one out of order", "one that goes on"],
)
def test_what_is_no_short_packet_is_left(data):
    """To what reads packets one by one."""
    assert whole_packets(data, 2, 7) == ([], 0)
