"""Rows of the binary protocol as text: every kind of column, however the network cut or damaged them."""

import math
import struct
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, strategies as st

from app.engine.native import IS_BUILT, Kind, RowText, State, is_utf8
from tests.fixtures.wire import sized


END = b"\xfe\x00\x00\x02\x00"
WHOLE = 0xFFFFFF
LIMIT = 1 << 20
LARGE = 70_000
INTEGERS = (
    (Kind.INT8, "b"), (Kind.UINT8, "B"), (Kind.INT16, "h"), (Kind.UINT16, "H"),
    (Kind.INT32, "i"), (Kind.UINT32, "I"), (Kind.INT64, "q"), (Kind.UINT64, "Q"),
)  # fmt: skip


def row(*values):
    """Write the payload of a row; None for NULL."""
    nulls = bytearray((len(values) + 9) // 8)
    for place, value in enumerate(values, 2):
        if value is None:
            nulls[place // 8] |= 1 << place % 8
    return b"".join((b"\0", nulls, *(value for value in values if value is not None)))


def packets(payloads, sequence=0):
    """Put headers before payloads, and cut those that are too long for one packet."""
    out = []
    for body in payloads:
        for start in range(0, len(body) + 1, WHOLE):
            part = body[start : start + WHOLE]
            out.append(len(part).to_bytes(3, "little") + bytes([sequence & 0xFF]) + part)
            sequence += 1
    return b"".join(out)


def reader(*kinds, limit=LIMIT, full=0, sequence=0):
    """Make one that begins; a kind may come with its digits."""
    made = RowText([kind if isinstance(kind, tuple) else (kind, 0) for kind in kinds], limit, full)
    made.begin(sequence)
    return made


def text_of(kind, value, decimals=0):
    """Make the text of one value."""
    made = reader((kind, decimals))
    assert made.feed(packets([row(value), END])) == State.OVER
    assert made.rows == 1
    return made.text.decode()


def test_the_module_is_built():
    """Where tests run there is a compiler; without the module nothing here were tested."""
    assert IS_BUILT


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.INT8, b"\x80", "-128"),
        (Kind.UINT8, b"\xff", "255"),
        (Kind.INT16, b"\x00\x80", "-32768"),
        (Kind.UINT16, b"\xff\xff", "65535"),
        (Kind.INT32, b"\x00\x00\x00\x80", "-2147483648"),
        (Kind.UINT32, b"\xff\xff\xff\xff", "4294967295"),
        (Kind.INT64, b"\x00" * 7 + b"\x80", "-9223372036854775808"),
        (Kind.UINT64, b"\xff" * 8, "18446744073709551615"),
        (Kind.YEAR, b"\x00\x00", "0000"),
        (Kind.YEAR, b"\xd5\x07", "2005"),
        (Kind.BARE, sized(b"-00.10"), "-00.10"),
        (Kind.LITERAL, sized(b"_sjis X'5C'"), "_sjis X'5C'"),
        (Kind.BIT, sized(b"\x01\x00"), "256"),
        (Kind.BIT, sized(b"\xff" * 8), "18446744073709551615"),
        (Kind.TEXT, sized(b"a'b\\c\0d\x1ae\r\n"), "'a\\'b\\\\c\\0d\\Ze\r\n'"),
        (Kind.TEXT, sized(b"12345678'"), "'12345678\\''"),
        (Kind.ASCII, sized(b""), "''"),
        (Kind.BINARY, sized(b"\x00\xab\xff"), "X'00ABFF'"),
        (Kind.BINARY, sized(b""), "X''"),
    ],
)
def test_a_value_is_the_literal_of_the_server(kind, value, text):
    """At the ends of its type."""
    assert text_of(kind, value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "'0'"),
        (-0.0, "'-0'"),
        (0.1, "'0.1'"),
        (1e15, "'1e15'"),
        (123456789012345.0, "'123456789012345'"),
        (1234567890123456.7, "'1234567890123456.8'"),
        (9007199254740992.0, "'9.007199254740992e15'"),
        (1e-15, "'0.000000000000001'"),
        (1e-16, "'1e-16'"),
        (1e22, "'1e22'"),
        (5e-324, "'5e-324'"),
        (-1.7976931348623157e308, "'-1.7976931348623157e308'"),
    ],
)
def test_a_double_has_the_spelling_of_the_server(value, text):
    """Its shortest digits, and an exponent where the server writes one."""
    assert text_of(Kind.DOUBLE, struct.pack("<d", value)) == text


@given(st.integers(0, 10**15), st.integers(0, 8), st.sampled_from([1, -1]))
def test_a_double_of_a_few_digits_has_those(number, places, sign):
    """Found by another way than the others, and so are its neighbours that are no such."""
    value = sign * number / 10**places
    for double in (value, math.nextafter(value, math.inf), math.nextafter(value, 0)):
        if double and 1e-15 < abs(double) < 1e15:
            plain = format(Decimal(repr(double)), "f")
            plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
            assert text_of(Kind.DOUBLE, struct.pack("<d", double)) == f"'{plain}'"


@given(st.integers(0, 64).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)), st.data())
def test_an_integer_of_any_length_has_its_digits(number, data):
    """Of any type, with and without a sign."""
    kind, form = data.draw(st.sampled_from(INTEGERS))
    bits = 8 * struct.calcsize(form)
    value = number % (1 << bits)
    if form.islower():
        value -= 1 << (bits - 1)

    assert text_of(kind, struct.pack(f"<{form}", value)) == str(value)


@given(
    st.lists(
        st.sampled_from([b"'", b"\\", b"\0", b"\x1a", b"x", b"y" * 15, b"z" * 17]), max_size=12
    ),
    st.integers(0, 40),
)
def test_a_text_is_escaped_wherever_it_must_be(parts, behind):
    """Looked through in blocks, as far as the row has so many bytes."""
    text = b"".join(parts)
    made = reader(Kind.TEXT, Kind.BARE)
    assert made.feed(packets([row(sized(text), sized(b"1" * behind)), END])) == State.OVER

    escapes = {b"'": b"\\'", b"\\": b"\\\\", b"\0": b"\\0", b"\x1a": b"\\Z"}
    quoted = b"".join(escapes.get(part, part) for part in parts)
    assert made.text == b"'%b',%b" % (quoted, b"1" * behind)


def test_a_float_is_widened_and_keeps_minus_zero():
    """By a number that is too small for it."""
    assert text_of(Kind.FLOAT, struct.pack("<f", 0.1)) == "'0.10000000149011612'"
    assert text_of(Kind.FLOAT, struct.pack("<f", -0.0)) == "'-1e-46'"


@pytest.mark.parametrize(
    ("kind", "value", "decimals", "text"),
    [
        (Kind.DATE, b"\x00", 0, "'0000-00-00'"),
        (Kind.DATE, b"\x04\x0f\x27\x0c\x1f", 0, "'9999-12-31'"),
        (Kind.DATETIME, b"\x00", 3, "'0000-00-00 00:00:00.000'"),
        (Kind.DATETIME, b"\x04\xe8\x07\x02\x1d", 0, "'2024-02-29 00:00:00'"),
        (Kind.DATETIME, b"\x07\xe8\x07\x02\x1d\x17\x3b\x01", 0, "'2024-02-29 23:59:01'"),
        (
            Kind.DATETIME,
            b"\x0b\xe8\x07\x02\x1d\x17\x3b\x01\x40\xe2\x01\x00",
            6,
            "'2024-02-29 23:59:01.123456'",
        ),
        (Kind.TIME, b"\x00", 0, "'00:00:00'"),
        (Kind.TIME, b"\x08\x01\x22\x00\x00\x00\x16\x3b\x3b", 0, "'-838:59:59'"),
        (Kind.TIME, b"\x0c\x00\x00\x00\x00\x00\x01\x02\x03\x40\xe2\x01\x00", 2, "'01:02:03.12'"),
    ],
)
def test_a_time_has_all_of_its_digits(kind, value, decimals, text):
    """Also those that the protocol leaves out because they are zero."""
    assert text_of(kind, value, decimals) == text


def test_null_is_a_word_and_rows_are_joined():
    """As an INSERT needs them, over more columns than a byte of NULLs has bits for."""
    made = reader(*[Kind.UINT8] * 20)
    values = [None if place % 3 else bytes([place]) for place in range(20)]

    assert made.feed(packets([row(*values), row(*values), END])) == State.OVER

    line = ",".join("NULL" if place % 3 else str(place) for place in range(20))
    assert made.text.decode() == f"{line}),\n({line}"
    assert made.rows == 2
    assert made.packet == END


def test_what_needs_a_second_look_is_told():
    """A FLOAT of zero, bytes that are no ASCII; not a DOUBLE of zero, and nothing of that when there is none."""
    zero, odd = reader(Kind.FLOAT, Kind.ASCII), reader(Kind.DOUBLE, Kind.ASCII)
    zero.feed(packets([row(bytes(4), sized(b"a"))]))
    odd.feed(packets([row(bytes(8), sized(b"\xc3\xa9"))]))

    assert (zero.has_zero, zero.has_odd_ascii) == (True, False)
    assert (odd.has_zero, odd.has_odd_ascii) == (False, True)
    odd.begin(0)
    assert not odd.has_odd_ascii


def test_text_beyond_the_limit_is_dropped_and_rows_are_counted():
    """One byte between two rows counts, as for the server's own limit."""
    data = packets([row(sized(b"x" * 10)), row(sized(b"y" * 10)), END])
    for limit, is_cut in ((25, False), (24, True)):
        made = reader(Kind.TEXT, limit=limit)

        assert made.feed(data) == State.OVER
        assert (made.is_cut, made.rows) == (is_cut, 2)
        assert bool(made.text) is not is_cut


def test_a_literal_that_is_null_was_too_large_to_format():
    """So that its rows are read in another way."""
    made = reader(Kind.LITERAL)
    made.feed(packets([row(None), END]))

    assert made.is_cut


@pytest.mark.parametrize("size", [WHOLE - 14, WHOLE - 6, WHOLE + 10, 2 * WHOLE])
def test_a_row_of_several_packets_is_put_together(size):
    """Also one that fills its packet, and has an empty last one."""
    value = b"z" * size
    data = packets([row(sized(value)), row(sized(b"a")), END], 250)
    made = reader(Kind.TEXT, limit=1 << 26, sequence=250)
    states = [made.feed(data[at : at + (1 << 20)]) for at in range(0, len(data), 1 << 20)]

    assert states[-1] == State.OVER
    assert made.text == b"'" + value + b"'),\n('a'"


def test_a_row_beyond_the_limit_is_counted_without_being_kept():
    """It may be a gigabyte: of it only the next rows are waited for."""
    made = reader(Kind.BINARY, limit=1000)
    data = packets([row(sized(b"a" * (3 * WHOLE))), row(sized(b"b")), END])
    states = [made.feed(data[at : at + LARGE]) for at in range(0, len(data), LARGE)]

    assert states[-1] == State.OVER
    assert (made.rows, made.is_cut, made.text) == (2, True, b"")


VALUES = st.one_of(st.none(), st.binary(max_size=20).map(sized))


@given(
    st.lists(st.tuples(VALUES, st.none() | st.binary(min_size=8, max_size=8)), max_size=20),
    st.lists(st.integers(1, 50), max_size=80),
    st.integers(0, 255),
)
def test_no_cut_changes_anything(rows, sizes, sequence):
    """Any bytes may be the last of a piece."""
    data = packets([*(row(*values) for values in rows), END], sequence)
    whole = reader(Kind.TEXT, Kind.DOUBLE, sequence=sequence)
    cut = reader(Kind.TEXT, Kind.DOUBLE, sequence=sequence)
    state = State.MORE
    rest = data
    for size in sizes:
        if rest:
            state = cut.feed(rest[:size])
            rest = rest[size:]
    if rest:
        state = cut.feed(rest)

    assert whole.feed(data) == state == State.OVER
    assert (cut.rows, cut.text) == (whole.rows, whole.text)


@given(st.data())
def test_damaged_packets_are_refused_or_read(data):
    """Never more rows than there are packets, never another end than one that is named."""
    good = packets([row(sized(b"text"), bytes(8)), row(None, bytes(8)), END])
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    made = reader(Kind.TEXT, Kind.DATETIME)
    state = made.feed(bytes(bad[: data.draw(st.integers(0, len(bad)))]))

    assert state in set(State)
    assert made.rows <= 2


@pytest.mark.parametrize(
    ("payload", "state"),
    [
        (b"\xff\x15\x04#HY000no", State.REFUSED),
        (b"", State.MALFORMED),
        (b"\x01", State.MALFORMED),
        (b"\x00", State.MALFORMED),
        (row(sized(b"a")) + b"x", State.MALFORMED),
        (row(b"\x05a"), State.MALFORMED),
        (row(b"\xfb"), State.MALFORMED),
        (row(b"\xfe" + b"\xff" * 8), State.MALFORMED),
    ],
)
def test_what_is_no_row_is_told_apart(payload, state):
    """A refusal of the server keeps its packet; what claims more than there is allocates nothing."""
    made = reader(Kind.TEXT)

    assert made.feed(packets([payload])) == state
    assert made.packet == (payload if state is State.REFUSED else b"")


def test_packets_come_in_order():
    """One that is missing is noticed."""
    assert reader(Kind.TEXT).feed(packets([END], 1)) == State.OUT_OF_ORDER


def test_nothing_follows_the_end():
    """What does is an answer to a question that nobody has asked."""
    assert reader(Kind.TEXT).feed(packets([END, END])) == State.MALFORMED


@pytest.mark.parametrize("column", [(20, 0), (-1, 0), (0, 7), (0, -1)])
def test_a_kind_that_is_none_is_refused(column):
    """The caller's mistake."""
    with pytest.raises(ValueError, match="no such column"):
        RowText([column], LIMIT)


def test_text_is_given_out_in_pieces():
    """Each ends with the row that fills it, counting a byte behind each row; the last is what is left."""
    made = reader(Kind.TEXT, full=10)
    data = packets([row(sized(text)) for text in (b"abc", b"def", b"g" * 20, b"h")] + [END])
    pieces = []
    while (state := made.feed(data)) == State.FULL:
        pieces.append((made.rows, made.text))
        data = data[made.consumed :]
        made.resume()

    assert state == State.OVER
    assert pieces == [(2, b"'abc'),\n('def'"), (1, b"'" + b"g" * 20 + b"'")]
    assert (made.rows, made.text, made.is_cut) == (1, b"'h'", False)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.TEXT, sized(b"x" * 60)), (Kind.ASCII, sized(b"\xe9")), (Kind.LITERAL, None)],
    ids=["too long", "no ASCII", "no literal"],
)
def test_an_odd_row_ends_the_pieces(kind, value):
    """What comes after it is counted only, and the end says that it was cut."""
    made = reader(kind, limit=50, full=1000)
    data = packets([row(sized(b"a")), row(value), row(sized(b"b")), END])

    assert made.feed(data) == State.ODD
    made.drain()
    assert made.feed(data[made.consumed :]) == State.OVER
    assert made.is_cut
    assert made.rows == 1


@given(
    texts=st.lists(st.binary(max_size=40), max_size=30),
    full=st.integers(1, 300),
    cut=st.integers(1, 50),
)
def test_pieces_are_the_whole_however_it_is_cut(texts, full, cut):
    """Joined they are the text of all rows, and none is shorter than it must be but the last."""
    data = packets([row(sized(text)) for text in texts] + [END])
    whole = reader(Kind.BINARY)
    whole.feed(data)
    made, pieces, rest = reader(Kind.BINARY, full=full), [], data
    state = State.MORE
    while rest and state != State.OVER:
        state = made.feed(rest[:cut])
        rest = rest[made.consumed :]
        if state == State.FULL:
            pieces.append((made.rows, made.text))
            made.resume()
    if made.rows:
        pieces.append((made.rows, made.text))

    assert sum(rows for rows, _ in pieces) == whole.rows
    assert b"),\n(".join(text for _, text in pieces) == whole.text
    assert all(len(text) - 3 * (rows - 1) + 1 >= full for rows, text in pieces[:-1])


def is_decoded(body):
    """Tell whether Python takes bytes for UTF-8."""
    return body.decode("utf-8", "replace").encode() == body


def test_utf8_is_what_python_decodes():
    """Each first byte, with each second one, and third and fourth ones at the borders of what they may be."""
    borders = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    cases = [bytes(pair) for pair in product(range(256), repeat=2)]
    cases += [
        bytes((first, *rest)) for first in range(0xC0, 256) for rest in product(borders, repeat=2)
    ]
    cases += [
        bytes((first, *rest)) for first in range(0xE0, 256) for rest in product(borders, repeat=3)
    ]

    assert [case for case in cases if is_utf8(case) is not is_decoded(case)] == []


@given(st.binary(), st.text(), st.binary(max_size=3))
def test_utf8_is_told_wherever_it_stands(start, text, end):
    """Eight bytes of ASCII are passed over at once; what is cut at the end is none."""
    for body in (start, text.encode(), text.encode() + end, start + text.encode()):
        assert is_utf8(body) is is_decoded(body)
