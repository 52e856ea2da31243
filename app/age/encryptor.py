"""Writes an encrypted file, piece by piece."""

from collections.abc import Sequence

from app.age.header import Wrapper
from app.age.opening import begin
from app.age.stream import CHUNK_BYTES, SEALED_BYTES, Data
from app.age.wrapping import TAG_BYTES


class Encryptor:
    """
    Makes one file: what `update` and `finish` return is written in this order. One thread uses it.

    Memory is bounded by a chunk and what `update` returns.

    Args:
        recipients: For whom; at least one.

    Attributes:
        opening: Lets whoever writes the file read it back, without an identity.
    """

    def __init__(self, recipients: Sequence[Wrapper]) -> None:
        self._head, self.opening = begin(recipients)
        # One buffer for good: to make one anew for each chunk takes as long as to encrypt it.
        self._buffer = bytearray(CHUNK_BYTES)
        self._pending = 0
        self._number = 0

    def update(self, data: Data) -> bytearray:
        """
        Encrypt more.

        Args:
            data: Any number of bytes, not kept.

        Returns:
            The next bytes of the file, which are the caller's; none as long as they do not fill a chunk.
        """
        source = memoryview(data).cast("B")
        # A chunk that is full may be the last one: something must be known to follow.
        count = max(0, self._pending + len(source) - 1) // CHUNK_BYTES
        out = self._begin(count * SEALED_BYTES)
        places = memoryview(out)[len(out) - count * SEALED_BYTES :]
        at = 0
        for number in range(count):
            place = places[number * SEALED_BYTES : (number + 1) * SEALED_BYTES]
            missing = CHUNK_BYTES - self._pending
            if self._pending:
                self._keep(source[:missing])
                self._seal(self._buffer, place, is_last=False)
                self._pending = 0
            else:
                self._seal(source[at : at + missing], place, is_last=False)
            at += missing
        self._keep(source[at:])
        return out

    def finish(self) -> bytearray:
        """Return the last bytes of the file; nothing can be encrypted after them."""
        size = self._pending + TAG_BYTES
        out = self._begin(size)
        pending = memoryview(self._buffer)[: self._pending]
        self._seal(pending, memoryview(out)[len(out) - size :], is_last=True)
        return out

    def _keep(self, data: memoryview) -> None:
        """Keep what does not fill a chunk yet."""
        self._buffer[self._pending : self._pending + len(data)] = data
        self._pending += len(data)

    def _begin(self, size: int) -> bytearray:
        """Make room for so many bytes, behind what stands at the beginning of the file."""
        head, self._head = self._head, b""
        out = bytearray(len(head) + size)
        out[: len(head)] = head
        return out

    def _seal(self, data: Data, out: memoryview, *, is_last: bool) -> None:
        number, self._number = self._number, self._number + 1
        self.opening.key.seal_into(number, data, out, is_last=is_last)


def encrypt(data: bytes, recipients: Sequence[Wrapper]) -> bytes:
    """Encrypt a small file whole."""
    encryptor = Encryptor(recipients)
    return bytes(encryptor.update(data) + encryptor.finish())
