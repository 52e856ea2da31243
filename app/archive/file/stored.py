"""
An archive as it is stored: whoever cannot read it can copy it, send it, and prove its bytes.

All calls block, but where they say otherwise.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Self

from app.archive.file.codec import BLOCK_BYTES, DAMAGED_HINT
from app.archive.file.content import require_digest
from app.archive.publishing.places import BackupDirectory, OpenFile, open_data
from app.concurrency import run_in_thread
from app.errors import TruncatedFileError
from app.storage.files import RangedFile
from app.storage.layout import BackupName
from app.storage.remote.files import StoreFile


# Called with how many bytes more were read; may raise.
ByteListener = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Published:
    """
    What is published of an archive beside its data file.

    Attributes:
        size: Bytes of the data file.
        checksum: SHA-256 of them.
        manifest: The bytes of the manifest, or of the envelope around it.
    """

    name: BackupName
    size: int
    checksum: str
    manifest: bytes


class OpenArchive:
    """An archive whose data file is open: until `close`, nobody deletes it."""

    def __init__(self, stored: OpenFile) -> None:
        self._stored = stored

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def full_path(self) -> str:
        """Where the data file lies."""
        return self._stored.full_path

    @property
    def size(self) -> int:
        """Bytes of the data file."""
        return self._stored.size

    @property
    def bytes_read(self) -> int | None:
        """Bytes of the data file that came from its store so far; None where it lies in a directory of its own."""
        return self._stored.bytes_read if isinstance(self._stored, StoreFile) else None

    def close(self) -> None:
        """Release the lock; no read may be under way."""
        self._stored.close()


class StoredArchive(OpenArchive):
    """
    One open archive; safe to read from several threads at once.

    Attributes:
        published: What stands beside it.
    """

    def __init__(self, stored: OpenFile, published: Published) -> None:
        super().__init__(stored)
        self.published = published

    @classmethod
    def open(cls, directory: BackupDirectory, published: Published) -> Self:
        """Open the data file and lock it against deletion; raises what `open_data_file` raises."""
        file = open_data_file(directory, published.name, published.size)
        return cls(file, published)

    def read(self, offset: int, size: int) -> bytes:
        """Read bytes as they are stored, unproven; raises StorageError, TruncatedFileError."""
        return self._stored.read(offset, size)

    async def prove(self, listener: ByteListener | None = None) -> None:
        """
        Read all of it in a thread, and compare its SHA-256; cancellable between two blocks.

        Raises:
            ChecksumMismatchError: A byte differs.
            StorageError: The medium does not answer.
        """
        stop = Event()
        work = partial(prove_stored, self._stored, self.published, stop=stop, listener=listener)
        await run_in_thread(work, stop=stop)


def open_data_file(
    directory: BackupDirectory, name: BackupName, size: int, *, whole: bool = True
) -> OpenFile:
    """
    Open the data file of a backup and lock it against deletion.

    Args:
        directory: Where it lies.
        name: Of the backup.
        size: Bytes that it should have.
        whole: Whether a file of another size is refused at once.

    Returns:
        The file; close it.

    Raises:
        BackupNotFoundError: It is gone.
        BackupInUseError: It is being deleted.
        TruncatedFileError: It is shorter or longer.
        StorageError: The medium does not answer, or it is a symbolic link.
    """
    file = open_data(directory, name)
    try:
        if whole:
            require_size(file, size)
    except BaseException:
        file.close()
        raise
    return file


def require_size(file: RangedFile, size: int) -> None:
    """Compare the size of a stored file with what its manifest says; raises TruncatedFileError."""
    require_bytes(file.name, file.size, size)


def require_bytes(name: str, found: int, size: int) -> None:
    """Compare a size with what the manifest says; raises TruncatedFileError."""
    if found != size:
        raise TruncatedFileError(
            f"{name}: {found} bytes, the manifest says {size}", hint=DAMAGED_HINT
        )


def prove_stored(
    file: RangedFile,
    published: Published,
    *,
    stop: Event,
    listener: ByteListener | None = None,
) -> None:
    """
    Read a stored file whole, and compare its size and SHA-256.

    Args:
        file: Open.
        published: What it should be.
        stop: Ends it with InterruptedError when it is set.
        listener: Told of each block.

    Raises:
        ChecksumMismatchError: A byte differs.
        InterruptedError: `stop` is set.
        TruncatedFileError: It is shorter or longer.
        StorageError: The medium does not answer.
    """
    require_size(file, published.size)
    digest = hashlib.sha256()
    for offset in range(0, published.size, BLOCK_BYTES):
        if stop.is_set():
            raise InterruptedError("the proof was cancelled")
        block = file.read(offset, min(BLOCK_BYTES, published.size - offset))
        digest.update(block)
        if listener is not None:
            listener(len(block))
    require_digest(digest.hexdigest(), published.checksum, source=file.name)
