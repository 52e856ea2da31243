"""Any part of a file, and nothing of one that is not as it was written."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from app.age.reader import decrypt
from app.age.stream import CHUNK_BYTES, SEALED_BYTES
from app.age.x25519 import Identity
from app.errors import DecryptionFailedError, NoIdentityError, StorageUnavailableError
from tests.fixtures.age_files import AgeFile, pattern, read_all
from tests.fixtures.series import series


FILE = AgeFile(pattern(5 * CHUNK_BYTES + 1234))
SEED = 19


def test_a_thousand_ranges_are_equal_to_the_plain_text():
    """Of all lengths, over all borders, and beyond the end."""
    file = FILE.open()
    chance = random.Random(SEED)  # noqa: S311 - no secret
    for _ in range(1000):
        offset = chance.randrange(file.size + 100)
        size = chance.choice([0, 1, 100, CHUNK_BYTES, chance.randrange(file.size)])
        assert file.read(offset, size) == FILE.plain[offset : offset + size]


@given(st.integers(0, 3 * CHUNK_BYTES), st.integers(0, 7 * CHUNK_BYTES), st.integers(0, 1 << 40))
def test_any_range_of_any_file_is_equal(size, offset, length):
    """Sizes at the borders of chunks among them."""
    file = AgeFile(pattern(size), FILE.identity)

    assert file.open().read(offset, length) == file.plain[offset : offset + length]
    assert file.open().size == size


@pytest.mark.parametrize(
    ("offset", "size", "chunks"),
    [
        (0, 1, (0, 1)),
        (CHUNK_BYTES - 1, 2, (0, 2)),
        (CHUNK_BYTES, CHUNK_BYTES, (1, 1)),
        (CHUNK_BYTES + 5, 3 * CHUNK_BYTES, (1, 4)),
        (4 * CHUNK_BYTES, 2 * CHUNK_BYTES, (4, 1)),
    ],
)
def test_adjacent_chunks_are_one_reading(offset, size, chunks):
    """Of those that are needed and no other; the last is known already."""
    file = FILE.open()
    FILE.reads.clear()
    file.read(offset, size)

    first, count = chunks
    assert FILE.reads == [(FILE.start + first * SEALED_BYTES, count * SEALED_BYTES)]


@pytest.mark.parametrize("readers", [1, 4])
def test_what_is_read_in_order_is_read_once_and_without_gaps(readers):
    """By several side by side, too: each reads on where its last range ended, also inside of a chunk."""
    made = AgeFile(pattern(12 * CHUNK_BYTES + 1234))
    file = made.open()
    made.reads.clear()
    share, step = 12 * CHUNK_BYTES // readers, 10_000
    for offset in range(0, share, step):
        for begin in range(offset, 12 * CHUNK_BYTES, share):
            size = min(step, share - offset)
            assert file.read(begin, size) == made.plain[begin : begin + size]

    assert sum(size for _, size in made.reads) == 12 * SEALED_BYTES
    assert {offset for offset, _ in made.reads} == {
        made.start + number * SEALED_BYTES for number in range(12)
    }


@pytest.mark.long
@pytest.mark.parametrize("order", ["forward", "backward", "any"])
def test_parts_that_threads_read_in_any_order_are_read_once(order):
    """As connections do that load the members of a table: the bytes fetched are those that are needed."""
    made = AgeFile(pattern(12 * CHUNK_BYTES + 1234))
    chance = random.Random(SEED)  # noqa: S311 - no secret
    made.pause_seconds = 0.001  # they do meet
    for _ in range(series(5, 100)):
        borders = sorted({0, made.size, *(chance.randrange(made.size) for _ in range(14))})
        parts = list(pairwise(borders))
        if order == "backward":
            parts.reverse()
        elif order == "any":
            chance.shuffle(parts)
        found = _read_by_threads(made, parts)

        assert found == [made.plain[begin:end] for begin, end in parts]
        assert sum(size for _, size in made.reads) == 12 * SEALED_BYTES


def _read_by_threads(made, parts):
    file = made.open()
    made.reads.clear()
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda part: file.read(part[0], part[1] - part[0]), parts))


def test_who_waits_for_a_chunk_that_cannot_be_read_is_told_and_may_ask_again():
    """The error of who reads it is that of all who want a part of it; the next one reads it anew."""
    made = AgeFile(pattern(3 * CHUNK_BYTES))
    file = made.open()
    made.pause_seconds, made.failing = 0.2, True
    with ThreadPoolExecutor(2) as pool:
        parts = [pool.submit(file.read, 5, 10), pool.submit(file.read, 50, 10)]
        for part in parts:
            with pytest.raises(StorageUnavailableError):
                part.result()
    made.failing = False

    assert file.read(50, 10) == made.plain[50:60]


def test_what_lies_in_the_last_chunk_is_not_read_again():
    """It was authenticated when the file was opened."""
    file = FILE.open()
    FILE.reads.clear()

    assert file.read(5 * CHUNK_BYTES + 10, 1 << 30) == FILE.plain[5 * CHUNK_BYTES + 10 :]
    assert file.read(file.size, 5) == b""
    assert file.read(0, 0) == b""
    assert FILE.reads == []


@pytest.mark.parametrize(("offset", "size"), [(-1, 5), (0, -1)])
def test_a_range_has_no_negative_ends(offset, size):
    """That would be a mistake of whoever asks."""
    with pytest.raises(ValueError, match="negative"):
        FILE.open().read(offset, size)


# -- what was changed -------------------------------------------------------------------------------


def _refused(stored):
    with pytest.raises(DecryptionFailedError, match=r"^x\.age: ") as caught:
        read_all(FILE.open(stored))
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("place", [0, 1, 600, -17, -16, -1])
def test_a_flipped_bit_of_a_chunk_is_noticed(number, place):
    """In its bytes and in its tag; the chunks beside it are read all the same."""
    chunks = FILE.chunks
    changed = bytearray(chunks[number])
    changed[place] ^= 1
    chunks[number] = bytes(changed)
    stored = FILE.head + b"".join(chunks)

    assert f"chunk {number}" in _refused(stored)
    if number < 5:
        beside = FILE.open(stored).read((number + 1) % 5 * CHUNK_BYTES, CHUNK_BYTES)
        assert beside == FILE.plain[(number + 1) % 5 * CHUNK_BYTES :][:CHUNK_BYTES]


@pytest.mark.parametrize("place", range(16))
def test_a_flipped_bit_of_the_nonce_is_noticed(place):
    """It is part of the key of the payload."""
    stored = bytearray(FILE.stored)
    stored[FILE.start - 16 + place] ^= 128

    assert "chunk 5, the last" in _refused(bytes(stored))


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("more", [-17, -16, -1, 0, 1, 15, 16, 17])
def test_a_file_that_was_cut_around_any_border_is_noticed(number, more):
    """When it is opened, before anything of it is read."""
    stored = FILE.stored[: FILE.start + number * SEALED_BYTES + more]
    with pytest.raises(DecryptionFailedError):
        FILE.open(stored)


def test_a_file_that_was_cut_anywhere_else_is_noticed():
    """In its header, and at 300 places of its payload."""
    for end in [*range(FILE.start), *range(FILE.start, len(FILE.stored), len(FILE.stored) // 300)]:
        with pytest.raises(DecryptionFailedError):
            FILE.open(FILE.stored[:end])


@pytest.mark.parametrize("tail", [b"\0", bytes(16), bytes(SEALED_BYTES), b"more" * 50_000])
def test_a_file_that_was_lengthened_is_noticed(tail):
    """By whatever was appended, its own chunks among it."""
    _refused(FILE.stored + tail)
    _refused(FILE.stored + FILE.chunks[0])
    _refused(FILE.stored + FILE.chunks[5])


@pytest.mark.parametrize(("one_place", "other"), [(0, 1), (1, 4), (0, 3), (2, 3)])
def test_chunks_that_changed_places_are_noticed(one_place, other):
    """Each knows its own number."""
    chunks = FILE.chunks
    chunks[one_place], chunks[other] = chunks[other], chunks[one_place]
    _refused(FILE.head + b"".join(chunks))


@pytest.mark.parametrize("number", range(6))
def test_a_chunk_of_another_file_is_noticed(number):
    """Of the same text, the same place and the same recipient."""
    chunks = FILE.chunks
    chunks[number] = AgeFile(FILE.plain, FILE.identity).chunks[number]
    assert f"chunk {number}" in _refused(FILE.head + b"".join(chunks))


@pytest.mark.parametrize("number", range(5))
def test_a_chunk_that_is_missing_is_noticed(number):
    """Those behind it are not where they should be."""
    chunks = FILE.chunks
    del chunks[number]
    _refused(FILE.head + b"".join(chunks))


def test_the_header_of_another_file_is_noticed():
    """With its nonce and without it: no chunk is of its key."""
    other = AgeFile(FILE.plain, FILE.identity)
    _refused(other.head + b"".join(FILE.chunks))
    _refused(other.head[:-16] + FILE.stored[FILE.start - 16 :])


def test_a_chunk_that_is_called_the_last_is_noticed():
    """And one that was the last and is not any more."""
    short = AgeFile(FILE.plain[: 2 * CHUNK_BYTES], FILE.identity)
    assert "chunk 0, the last" in _refused(short.head + short.chunks[0])
    assert "chunk 2, the last" in _refused(short.stored + short.chunks[0])


def test_the_wrong_identity_opens_nothing():
    """That is another error than a file that was changed."""
    with pytest.raises(NoIdentityError, match="none of the 2 identities") as caught:
        decrypt(FILE.stored, [Identity.new(), Identity.new()], source="x.age")
    with pytest.raises(NoIdentityError, match="1 recipient, and the identity here is not one"):
        decrypt(FILE.stored, [Identity.new()], source="x.age")
    with pytest.raises(NoIdentityError, match="1 recipient, and there is no identity here"):
        decrypt(FILE.stored, [], source="x.age")
    assert "BACKSTAY_IDENTITY_FILE" in caught.value.hint
    assert decrypt(FILE.stored, [Identity.new(), FILE.identity], source="x") == FILE.plain


def test_a_file_that_changes_while_it_is_read_is_noticed():
    """Bytes that are missing meanwhile, too."""
    store = {"data": FILE.stored}
    file = AgeFile(b"", FILE.identity)
    file.stored = FILE.stored
    opened = _opened(store, file)
    assert opened.read(0, 10) == FILE.plain[:10]

    store["data"] = FILE.stored[: FILE.start + 10]
    with pytest.raises(DecryptionFailedError, match="ends before byte"):
        opened.read(CHUNK_BYTES, 10)
    store["data"] = AgeFile(FILE.plain, FILE.identity).stored
    with pytest.raises(DecryptionFailedError, match="chunk 1"):
        opened.read(CHUNK_BYTES, 10)


def _opened(store, file):
    from app.age.reader import open_file  # noqa: PLC0415 - the one use

    return open_file(
        lambda offset, size: store["data"][offset : offset + size],
        len(store["data"]),
        [file.identity],
        source="x.age",
    )


def test_many_threads_read_one_file():
    """Each gets what it asked for."""
    file = FILE.open()
    begin = threading.Barrier(8)

    def work(seed):
        chance = random.Random(seed)  # noqa: S311 - no secret
        begin.wait()
        for _ in range(50):
            offset, size = chance.randrange(file.size), chance.randrange(2 * CHUNK_BYTES)
            assert file.read(offset, size) == FILE.plain[offset : offset + size]
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
