"""Objects of a store as files of a backup directory: one kind to read, one kind that is being written."""

from threading import Lock
from typing import Self

from app.errors import TruncatedFileError
from app.storage.files import ReadFile
from app.storage.remote.claims import Claim
from app.storage.remote.read_ahead import ReadAhead
from app.storage.remote.store import Store, Upload


class StoreFile:
    """
    An object that is open to be read; its lock among the processes of this machine lasts until `close`.

    Attributes:
        name: Name in its store.
        size: Bytes in it.
        full_path: Where it is, for people.
        bytes_read: Bytes that came from the store so far, also ahead of whoever reads.
    """

    def __init__(self, store: Store, name: str, size: int, full_path: str, lock: ReadFile) -> None:
        self.name = name
        self.size = size
        self.full_path = full_path
        self.bytes_read = 0
        self._counting = Lock()
        self._store = store
        self._lock = lock
        self._ahead = ReadAhead(self._fetch, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def read(self, offset: int, size: int) -> bytes:
        """See `ReadFile.read`."""
        if offset + size > self.size:
            raise TruncatedFileError(
                f"{self.name}: ends {offset + size - self.size} bytes before byte {offset + size}",
                hint="The file was cut short; restore from another backup.",
            )
        return self._ahead.read(offset, size) if size else b""

    def read_some(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes; empty only at the end."""
        return self.read(offset, max(0, min(size, self.size - offset)))

    def close(self) -> None:
        """Drop what was read ahead, and release the lock; again is harmless."""
        self._ahead.close()
        self._lock.close()

    def _fetch(self, offset: int, size: int) -> bytes:
        data = self._store.read(self.name, offset, size)
        with self._counting:
            self.bytes_read += len(data)
        return data


class StoreDataFile:
    """
    An object that is being written, and is removed when it is closed, unless it is kept.

    Nothing is there under its name before `sync`; until it is published its claim says that somebody writes it.

    Attributes:
        claim: Ours, as long as nobody has taken it over.
        size: Bytes written so far.
    """

    def __init__(self, store: Store, name: str, upload: Upload, claim: Claim) -> None:
        self.name = name
        self.size = 0
        self.claim = claim
        self._store = store
        self._upload: Upload | None = upload
        self._ahead: ReadAhead | None = None
        self._is_open = True

    def write(self, data: bytes | memoryview) -> None:
        """Append all of `data`; raises StorageError."""
        assert self._upload is not None  # noqa: S101 - nothing is written after `sync`
        self._upload.write(bytes(data))
        self.size += len(data)

    def sync(self) -> None:
        """
        Let the object be there under its name, whole.

        Raises:
            StorageError: The store refused.
            TruncatedFileError: It is not as long as what was written.
        """
        assert self._upload is not None  # noqa: S101 - once
        self._upload.complete()
        self._upload = None
        self.require_whole()
        self._ahead = ReadAhead(self._fetch, self.size)

    def require_whole(self) -> None:
        """Raise TruncatedFileError when the object is gone, or of another size."""
        facts = self._store.stat(self.name)
        size = facts.size if facts else 0
        if size != self.size:
            raise TruncatedFileError(f"{self.name}: {size} bytes in the store, wrote {self.size}")

    def read(self, offset: int, size: int) -> bytes:
        """Read a range back from the store."""
        assert self._ahead is not None  # noqa: S101 - after `sync`
        return self._ahead.read(offset, size) if size else b""

    def read_some(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes back; empty only at the end."""
        return self.read(offset, max(0, min(size, self.size - offset)))

    def drop_cache(self) -> None:
        """Do nothing: what is read comes from the store."""

    def keep(self) -> None:
        """Let it stay; its claim is gone already."""
        self._close()

    def discard(self) -> None:
        """
        Remove the object, then its claim; again is harmless.

        What somebody else has taken over is theirs.

        Raises:
            StorageError: The store refused; the claim is still there, and the next sweep removes both.
        """
        if not self._is_open:
            return
        try:
            if self._upload is not None:
                self._upload.abort()
            if self.claim.is_ours():
                # Also where the answer to `complete` was lost, and it is there.
                self._store.delete(self.name)
                self.claim.remove()
        finally:
            self._close()

    def _close(self) -> None:
        self._is_open = False
        if self._ahead is not None:
            self._ahead.close()
        self.claim.release()

    def _fetch(self, offset: int, size: int) -> bytes:
        return self._store.read(self.name, offset, size)


class StoreManifest:
    """A manifest that was published in a store, until it is kept or taken back."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    def keep(self) -> None:
        """Let it stay."""

    def discard(self) -> None:
        """Remove it; raises StorageError, and then the backup is still there, whole."""
        self._store.delete(self._name)
