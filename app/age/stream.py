"""
The payload: chunks of 64 KiB, each encrypted and authenticated by itself, in their order.

The nonce of a chunk is its number and whether it is the last: one that was moved, taken from another
place or called the last is refused, and a file that was cut at a chunk's end has no last one.
"""

from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from app.age.malformed import MalformedError
from app.age.wrapping import TAG_BYTES, derive


CHUNK_BYTES: Final = 64 << 10
# What a full chunk takes in the file.
SEALED_BYTES: Final = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES: Final = 16
_COUNTER_BYTES: Final = 11
Data: TypeAlias = bytes | bytearray | memoryview


class PayloadKey:
    """
    The key of one file's payload; any number of threads may use it at once.

    Args:
        file_key: 16 bytes, of this file alone.
        nonce: 16 bytes, which stand before the payload.
    """

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = ChaCha20Poly1305(derive(file_key, salt=nonce, info=b"payload"))

    def seal_into(self, number: int, data: Data, out: memoryview, *, is_last: bool) -> None:
        """
        Encrypt a chunk, each number once; other threads go on meanwhile.

        Args:
            number: Of the chunk, from 0.
            data: 64 KiB; of the last one 1 byte to 64 KiB, and none when there is no other.
            out: Where it is written: 16 bytes more than `data`.
            is_last: Whether the file ends with it.
        """
        self._cipher.encrypt_into(_nonce(number, is_last=is_last), data, None, out)

    def open_into(self, number: int, data: Data, out: memoryview, *, is_last: bool) -> None:
        """
        Decrypt a chunk; other threads go on meanwhile.

        Args:
            number: Of the chunk, from 0.
            data: What `seal_into` made, at least 16 bytes.
            out: Where it is written: 16 bytes less than `data`; nothing of it may be used after an error.
            is_last: Whether the file ends with it.

        Raises:
            MalformedError: It is not this chunk of this file, or was changed.
        """
        try:
            self._cipher.decrypt_into(_nonce(number, is_last=is_last), data, None, out)
        except InvalidTag as exc:
            place = f"chunk {number}, the last" if is_last else f"chunk {number}"
            raise MalformedError(f"{place}: it was changed, or the file was cut") from exc


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES, "big") + (b"\x01" if is_last else b"\x00")


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Where the chunks of a file lie.

    Attributes:
        start: First byte of the first one.
        count: How many there are, at least one.
        size: Bytes of plain text.
    """

    start: int
    count: int
    size: int

    @classmethod
    def of(cls, start: int, file_size: int) -> Self:
        """
        Find the chunks in a file by its size.

        Args:
            start: Where the first begins, behind header and nonce.
            file_size: Of the whole file.

        Returns:
            The only way in which chunks can lie in it.

        Raises:
            MalformedError: No chunks can: it is too short, or has an empty one at its end.
        """
        stored = file_size - start
        count = -(-stored // SEALED_BYTES)
        last = stored - (count - 1) * SEALED_BYTES
        if stored < TAG_BYTES or last < TAG_BYTES or (last == TAG_BYTES and count > 1):
            raise MalformedError("the file was cut: what is left are no chunks")
        return cls(start, count, stored - count * TAG_BYTES)

    def stored(self, first: int, end: int) -> tuple[int, int]:
        """Return where the chunks from `first` to before `end` begin in the file, and their bytes."""
        begin = self.start + first * SEALED_BYTES
        whole = self.start + self.size + self.count * TAG_BYTES
        return begin, min(self.start + end * SEALED_BYTES, whole) - begin
