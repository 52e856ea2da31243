"""
Doubles are spelled by compiled code as by the server (hazard 193).

At every power of two and of ten with its neighbours, and for random bits: a million of those in the long form.
"""

import math
import struct
from random import Random

import pytest

from app.engine.native import Kind, RowText, State
from tests.fixtures.series import series


COUNT = series(30_000, 1_000_000)
BATCH = 5000


def double(bits):
    """Make the double of 64 bits."""
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def borders():
    """Yield both ends of every exponent, every single bit, powers of ten and what lies beside them."""
    for exponent in range(2047):
        yield from (double(exponent << 52 | rest) for rest in (0, 1, (1 << 52) - 1))
    for bit in range(52):
        yield from (double(1 << bit), double((1 << bit) - 1))
    for power in range(-323, 309):
        value = float(f"1e{power}")
        yield from (value, math.nextafter(value, 0), math.nextafter(value, math.inf), 7 * value)


def drawn(source):
    """Draw random bits, and numbers as people use them."""
    while True:
        yield double(source.getrandbits(64))
        yield round(source.uniform(-1e6, 1e6), source.randrange(6))
        yield source.randrange(10**17) / 10 ** source.randrange(30)


@pytest.mark.differs("mysql", reason="it formats FLOAT and DOUBLE itself")
@pytest.mark.long
def test_doubles_have_the_spelling_of_the_server(sql, database):
    """Written by the server, read as bits, and made into text by both."""
    sql.run("CREATE TABLE doubles (id INT PRIMARY KEY, d DOUBLE)")
    values = [value for value in borders() if math.isfinite(value)]
    source = drawn(Random(15))  # noqa: S311 - no secret
    while len(values) < COUNT:
        value = next(source)
        if math.isfinite(value) and value:
            values.append(value)
    compared = 0
    for start in range(0, len(values), BATCH):
        some = values[start : start + BATCH]
        sql.run("TRUNCATE doubles")
        rows = ",".join(f"({place},'{value!r}')" for place, value in enumerate(some))
        sql.run(f"INSERT INTO doubles VALUES {rows}")
        expected = [text for (text,) in sql.run("SELECT QUOTE(d) FROM doubles ORDER BY id")]

        assert spelled(some) == expected
        compared += len(expected)

    assert compared == len(values)


@pytest.mark.differs("mysql", reason="it formats FLOAT and DOUBLE itself")
def test_floats_have_the_spelling_of_the_server(sql, database):
    """Widened by both: every exponent with its ends, and random bits."""
    sql.run("CREATE TABLE floats (id INT PRIMARY KEY, f FLOAT)")
    dice = Random(16)  # noqa: S311 - no secret
    bits = [e << 23 | rest for e in range(255) for rest in (0, 1, 12345, (1 << 23) - 1)]
    bits += [dice.getrandbits(32) for _ in range(8000)]
    floats = [struct.unpack("<f", struct.pack("<I", some))[0] for some in bits]
    values = [value for value in floats if math.isfinite(value)]
    rows = ",".join(f"({place},'{value!r}')" for place, value in enumerate(values))
    sql.run(f"INSERT INTO floats VALUES {rows}")
    read = sql.run("SELECT QUOTE(CAST(f AS DOUBLE)) FROM floats ORDER BY id")

    assert spelled(values, Kind.FLOAT, "<f") == [text for (text,) in read]


def spelled(values, kind=Kind.DOUBLE, form="<d"):
    """Return the texts that compiled code makes of numbers."""
    reader = RowText([(kind, 0)], 1 << 24)
    reader.begin(0)
    for place, value in enumerate(values):
        payload = b"\0\0" + struct.pack(form, value)
        packet = struct.pack("<I", len(payload) | (place & 0xFF) << 24) + payload
        assert reader.feed(packet) == State.MORE
    return reader.text.decode().split("),\n(")
