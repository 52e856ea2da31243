"""
What a data file holds, and how that is stored: the same bytes, or encrypted as one file of age.

Members and their offsets are of the content; size and digest of a file are of what is stored. All calls
block; any number of threads may read at once.
"""

import hashlib
from collections.abc import Sequence

from app.age.encryptor import Encryptor
from app.age.header import Wrapper
from app.age.opening import Opening
from app.age.reader import DecryptedFile
from app.archive.file.codec import BLOCK_BYTES, DAMAGED_HINT
from app.archive.publishing.places import DataFile
from app.errors import ChecksumMismatchError, TruncatedFileError
from app.storage.files import RangedFile


class Content:
    """
    The content of an open file.

    Attributes:
        name: Of the file.
        size: Bytes of content.
        stored: The file itself.
    """

    def __init__(self, stored: RangedFile, opening: Opening | None = None) -> None:
        """
        Take a file, and what decrypts it; None = it is not encrypted.

        Raises:
            DecryptionFailedError: It was cut or changed at its end.
            StorageError: The medium does not answer.
        """
        self.name = stored.name
        self.stored = stored
        self._opening = opening
        self._decrypted = (
            DecryptedFile(stored.read, stored.size, opening, source=stored.name)
            if opening
            else None
        )
        self.size = self._decrypted.size if self._decrypted else stored.size

    def read(self, offset: int, size: int) -> bytes:
        """
        Read a range of the content.

        Returns:
            Exactly `size` bytes.

        Raises:
            DecryptionFailedError: A chunk in it was changed.
            TruncatedFileError: The content ends before that.
            StorageError: The medium does not answer.
        """
        if self._decrypted is None:
            return self.stored.read(offset, size)
        data = self._decrypted.read(offset, size)
        if len(data) != size:
            missing = size - len(data)
            raise TruncatedFileError(
                f"{self.name}: its content ends {missing} bytes before byte {offset + size}",
                hint=DAMAGED_HINT,
            )
        return data

    def read_some(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes; empty only at the end of the content."""
        if self._decrypted is None:
            return self.stored.read_some(offset, size)
        return self._decrypted.read(offset, size)

    def hashed(self) -> "HashedContent":
        """Return the same content, for one thread that reads all of it in order."""
        return HashedContent(self.stored, self._opening)


class HashedContent(Content):
    """Content whose file is hashed on the way; one thread reads it, in order."""

    def __init__(self, stored: RangedFile, opening: Opening | None) -> None:
        self._tap = _Tap(stored)
        if opening is not None:
            self._tap.read(0, opening.start)  # the header is of the file as well
        super().__init__(self._tap, opening)

    def require_digest(self, expected: str) -> None:
        """Read what nobody has read, and compare the SHA-256 of the whole file; raises ChecksumMismatchError."""
        require_digest(self._tap.finish(), expected, source=self.name)


class WrittenContent:
    """
    Content that is being written; one thread at a time.

    Attributes:
        stored: The file in which it ends up.
    """

    def __init__(self, stored: DataFile, recipients: Sequence[Wrapper] = ()) -> None:
        """Take an empty file, and for whom it is encrypted; none = it is not."""
        self.stored = stored
        self._encryptor = Encryptor(recipients) if recipients else None
        self._digest = hashlib.sha256()

    @property
    def checksum(self) -> str:
        """SHA-256 of what was stored so far, hexadecimal."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append content; raises StorageError."""
        self._put(self._encryptor.update(data) if self._encryptor else data)

    def finish(self) -> None:
        """Write what was held back, and force all to the medium; raises StorageError."""
        if self._encryptor is not None:
            self._put(self._encryptor.finish())
        self.stored.sync()

    def reopened(self) -> Content:
        """Return what was written, to be read back from the medium."""
        return Content(self.stored, self._encryptor.opening if self._encryptor else None)

    def _put(self, data: bytes | bytearray) -> None:
        if data:
            self.stored.write(memoryview(data))
            self._digest.update(data)


class _Tap:
    """A file that is hashed by whoever reads it in order; what is read twice counts once."""

    def __init__(self, file: RangedFile) -> None:
        self.name = file.name
        self.size = file.size
        self._file = file
        self._digest = hashlib.sha256()
        self._position = 0

    def read(self, offset: int, size: int) -> bytes:
        """See `RangedFile.read`."""
        return self._hash(offset, self._file.read(offset, size))

    def read_some(self, offset: int, size: int) -> bytes:
        """See `RangedFile.read_some`."""
        return self._hash(offset, self._file.read_some(offset, size))

    def finish(self) -> str:
        """Read the rest, and return the digest of the whole."""
        while block := self.read_some(self._position, min(BLOCK_BYTES, self.size - self._position)):
            del block  # it was hashed
        return self._digest.hexdigest()

    def _hash(self, offset: int, data: bytes) -> bytes:
        known = self._position - offset
        if 0 <= known < len(data):
            self._digest.update(memoryview(data)[known:])
            self._position = offset + len(data)
        return data


def require_digest(found: str, expected: str, *, source: str) -> None:
    """Compare digests; raises ChecksumMismatchError."""
    if found != expected:
        raise ChecksumMismatchError(
            f"{source}: SHA-256 is {found[:16]}..., the manifest says {expected[:16]}...",
            hint=DAMAGED_HINT,
        )
