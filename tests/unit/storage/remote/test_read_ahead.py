"""Reading ahead: the same bytes, fetched before they are asked for, and not many more of them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings, strategies as st

from app.errors import StorageUnavailableError
from app.storage.remote.read_ahead import ReadAhead
from tests.fixtures.cli import wait_until


# Every place of a stretch of 251 bytes differs.
DATA = (bytes(number * 7 % 251 for number in range(251)) * 4200)[: 1 << 20] * 8


class Source:
    """Bytes that take a while to come; notes what was fetched."""

    def __init__(self, data=DATA, seconds=0.0):
        self.data = data
        self.seconds = seconds
        self.fetched = []
        self.lock = threading.Lock()

    def __call__(self, offset, size):
        time.sleep(self.seconds)
        with self.lock:
            self.fetched.append((offset, size))
        assert offset >= 0
        assert offset + size <= len(self.data)
        return self.data[offset : offset + size]


@given(
    reads=st.lists(
        st.tuples(st.booleans(), st.integers(0, 5000), st.integers(1, 3000)),
        min_size=1,
        max_size=40,
    )
)
@settings(deadline=None, max_examples=60)
def test_every_read_gives_its_bytes(reads):
    """Going on, going back, leaving gaps, in any order."""
    data = DATA[:9000]
    ahead = ReadAhead(Source(data), len(data))
    end = 0
    try:
        for goes_on, offset, size in reads:
            begin = end if goes_on else offset
            wanted = min(size, len(data) - begin)
            if wanted <= 0:
                continue
            assert ahead.read(begin, wanted) == data[begin : begin + wanted]
            end = begin + wanted
    finally:
        ahead.close()


@pytest.mark.parametrize("size", [3_000, 100_000, 1 << 20, 5_000_000])
def test_reads_in_a_row_are_fetched_ahead(size):
    """With a delay for each request they take less time than one after the other does."""
    parts = [(offset, min(size, len(DATA) - offset)) for offset in range(0, len(DATA), size)]
    shares = []
    for _ in range(5):  # a busy machine disturbs one or another
        source = Source(seconds=0.02)
        ahead = ReadAhead(source, len(DATA))
        read, seconds = timed(ahead.read, parts)
        ahead.close()
        assert b"".join(read) == DATA
        assert sum(size for _, size in source.fetched) == len(DATA)
        # Each part of many would take its delay: some are enough to say how long.
        few = parts[:20]
        shares.append(seconds / len(parts) / (timed(source, few)[1] / len(few)))
        if len(parts) < 5 or shares[-1] < 0.75:
            return
    pytest.fail(f"no faster than one after the other: {shares}")


@pytest.mark.parametrize("size", [3_000, 60_000, 350_000])
def test_small_reads_in_a_row_are_few_requests(size):
    """Each costs the store as much as a megabyte or two: they grow with what was read."""
    data = DATA * 4
    source = Source(data)
    ahead = ReadAhead(source, len(data))
    offsets = range(0, len(data), size)
    read = [ahead.read(offset, min(size, len(data) - offset)) for offset in offsets]
    ahead.close()

    assert b"".join(read) == data
    assert len(source.fetched) < 45


def timed(read, parts):
    """Read parts one after the other; returns them, and how long that took."""
    began = time.monotonic()
    return [read(*part) for part in parts], time.monotonic() - began


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_a_small_part_costs_little_more_than_itself(count):
    """One table of a large file: at most twice its bytes, and one small block."""
    source = Source()
    ahead = ReadAhead(source, len(DATA))
    for number in range(count):
        ahead.read(1_000_000 + number * 60_000, 60_000)
    ahead.close()

    fetched = sum(size for _, size in source.fetched)
    assert fetched <= 2 * count * 60_000 + (128 << 10)
    if count == 1:
        assert fetched == 60_000


def test_several_series_at_once_do_not_disturb_each_other():
    """As connections do that load tables side by side."""
    source = Source(seconds=0.001)
    ahead = ReadAhead(source, len(DATA))

    def series(begin):
        return b"".join(ahead.read(begin + step * 50_000, 50_000) for step in range(20))

    with ThreadPoolExecutor(3) as pool:
        begins = (0, 2_000_000, 4_000_000)
        found = list(pool.map(series, begins))
    ahead.close()

    assert found == [DATA[begin : begin + 1_000_000] for begin in begins]


def test_those_who_pass_each_other_are_one_series():
    """Connections take the parts of one table in turn, and the later one may ask first: nothing is fetched twice."""
    source = Source(seconds=0.001)
    ahead = ReadAhead(source, len(DATA))
    size = 60_000
    offsets = [size * (number ^ 1) for number in range(len(DATA) // size // 2 * 2)]
    for offset in offsets:
        assert ahead.read(offset, size) == DATA[offset : offset + size]
    with ThreadPoolExecutor(4) as pool:
        again = ReadAhead(source, len(DATA))
        found = list(pool.map(lambda offset: again.read(offset, size), sorted(offsets)))
    ahead.close()
    again.close()

    assert b"".join(found) == DATA[: len(found) * size]
    assert sum(size for _, size in source.fetched) < 1.1 * 2 * len(DATA)


@pytest.mark.parametrize("parts", [1, 4, 7, 40])
def test_series_beside_each_other_fetch_each_byte_once(parts):
    """As tables are loaded, by a connection each that then takes the next one: no series goes on where another began."""
    size = len(DATA) // parts
    queues = [
        [
            (offset, min(60_000, begin + size - offset))
            for offset in range(begin, begin + size, 60_000)
        ]
        for begin in range(0, parts * size, size)
    ]
    source = Source(seconds=0.001)
    ahead = ReadAhead(source, len(DATA))
    found = {}

    def connection(number):
        for queue in queues[number::4]:
            for part in queue:
                found[part] = ahead.read(*part)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(connection, range(4)))
    ahead.close()

    assert b"".join(found[part] for part in sorted(found)) == DATA[: parts * size]
    assert sum(size for _, size in source.fetched) == len(DATA)


def test_what_nobody_goes_on_with_is_dropped():
    """It holds so much and no more, of however many series, and each of them reads what it should."""
    data = DATA * 20
    source = Source(data)
    ahead = ReadAhead(source, len(data))
    begins = range(0, len(data), 20 << 20)
    for step in range(4):
        for begin in begins:
            offset = begin + step * (2 << 20)
            assert ahead.read(offset, 2 << 20) == data[offset : offset + (2 << 20)]
    held = ahead.held_bytes
    ahead.close()

    assert held <= 34 << 20


def test_an_error_reaches_who_reads_and_only_them():
    """What was fetched ahead and nobody asked for may fail unseen."""
    source = Source()

    def failing(offset, size):
        if offset >= 300_000:
            raise StorageUnavailableError("gone")
        return source(offset, size)

    ahead = ReadAhead(failing, len(DATA))
    ahead.read(0, 100_000)
    ahead.read(100_000, 100_000)
    ahead.read(200_000, 100_000)
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            ahead.read(300_000, 100_000)
    assert ahead.read(0, 300_000) == DATA[:300_000]
    ahead.close()


def test_nothing_goes_on_after_the_end():
    """Whoever closes it does not wait for what is on its way, and its threads end with that."""
    source = Source()
    ahead = ReadAhead(source, len(DATA))
    for offset in range(0, 1_000_000, 100_000):
        ahead.read(offset, 100_000)
    source.seconds = 3.0
    ahead.read(1_000_000, 100_000)
    began = time.monotonic()
    ahead.close()

    assert time.monotonic() - began < 3
    wait_until(lambda: not _reading(), "the threads are gone")


def _reading():
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
