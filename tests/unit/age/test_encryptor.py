"""What is written, in whatever pieces it comes, and read back by whoever wrote it."""

import pytest
from hypothesis import given, strategies as st

from app.age.encryptor import Encryptor, encrypt
from app.age.reader import DecryptedFile, decrypt
from app.age.stream import CHUNK_BYTES
from app.age.x25519 import Identity
from tests.fixtures.age_files import encrypted_in_pieces, pattern


ME = Identity.new()
EDGES = [
    0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES - 1, 2 * CHUNK_BYTES,
    3 * CHUNK_BYTES + 5,
]  # fmt: skip


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("piece", [1 << 10, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 1 << 20])
def test_pieces_of_any_size_make_the_same_text(size, piece):
    """Around each border of a chunk."""
    plain = pattern(size)
    stored = encrypted_in_pieces(plain, [piece] * (size // piece), ME)

    assert decrypt(stored, [ME], source="x") == plain


@given(st.lists(st.integers(0, 2 * CHUNK_BYTES), max_size=6), st.integers(0, 3 * CHUNK_BYTES))
def test_any_pieces_make_the_same_text(sizes, rest):
    """Empty ones as well."""
    plain = pattern(sum(sizes) + rest)

    assert decrypt(encrypted_in_pieces(plain, sizes, ME), [ME], source="x") == plain


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_is_taken(kind):
    """A view is read, not kept: its owner may change it afterwards."""
    buffer = bytearray(pattern(CHUNK_BYTES // 2))
    encryptor = Encryptor([ME.recipient])
    stored = encryptor.update(kind(buffer))
    buffer[:] = bytes(len(buffer))
    stored += encryptor.finish()

    assert decrypt(bytes(stored), [ME], source="x") == pattern(CHUNK_BYTES // 2)


def test_memory_is_bounded_by_a_chunk():
    """What does not fill one waits; everything else is handed on at once."""
    encryptor = Encryptor([ME.recipient])
    given_bytes = taken = 0
    for _ in range(50):
        given_bytes += 10_000
        taken += len(encryptor.update(bytes(10_000)))
        assert given_bytes - taken <= CHUNK_BYTES


def test_whoever_writes_reads_back_without_an_identity():
    """By the key that it has kept, which is that of this file alone."""
    plain = pattern(200_000)
    encryptor = Encryptor([ME.recipient])
    stored = bytes(encryptor.update(plain) + encryptor.finish())
    read = DecryptedFile(
        lambda offset, size: stored[offset : offset + size],
        len(stored),
        encryptor.opening,
        source="x",
    )

    assert read.read(100_000, 1000) == plain[100_000:101_000]
    assert read.size == len(plain)


def test_each_recipient_opens_it_alone():
    """And nobody else; the file says how many they are, and not who."""
    people = [Identity.new() for _ in range(5)]
    stored = encrypt(b"text", [person.recipient for person in people])

    assert [decrypt(stored, [person], source="x") for person in people] == [b"text"] * 5
    assert all(str(person.recipient).encode() not in stored for person in people)
    assert stored.count(b"-> X25519 ") == 5


def test_the_same_text_is_never_the_same_file():
    """Two backups of the same data have nothing in common but their size."""
    first, second = (encrypt(b"text", [ME.recipient]) for _ in range(2))

    assert len(first) == len(second)
    assert first[22:] != second[22:]
