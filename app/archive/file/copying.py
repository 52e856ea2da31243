"""
Copying an archive to another place: the same bytes, proven where they lie now.

1. The data file is read from where it is and written to the new place, in one pass. 2. It is read back from
there, and the SHA-256 of the whole is what the manifest says. 3. The manifest is published. Until then there
is no copy; whatever fails removes what was written. Nobody needs to be able to read what is encrypted.

Changing for whom it is encrypted is copying, too: another header, and the rest as it is. All calls block.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Final

from app.age.opening import HEAD_BYTES, rewrap
from app.age.reader import translated
from app.archive.file.content import require_digest
from app.archive.file.keys import ArchiveKeys
from app.archive.file.sealing import write_manifest
from app.archive.file.stored import ByteListener, Published, StoredArchive, prove_stored
from app.archive.publishing import places
from app.archive.publishing.places import BackupDirectory, DataFile
from app.domain.backups.manifest import Manifest
from app.errors import AppError


# Large enough for one request of a store to be worth its way, small enough to be no memory.
_BLOCK_BYTES: Final = 1 << 20


def copy_archive(
    archive: StoredArchive,
    target: BackupDirectory,
    *,
    stop: Event,
    listener: ByteListener | None = None,
) -> None:
    """
    Copy an archive and prove the copy.

    Args:
        archive: Open.
        target: Where to; nothing of this backup is there.
        stop: Ends it with InterruptedError when it is set.
        listener: Told of each block that was read back.

    Raises:
        ChecksumMismatchError: What was read is not what was written once, here or there.
        TruncatedFileError: The same, by its size.
        StorageError: A medium refused; nothing is left behind, or garbage for the next sweep.
    """
    published = archive.published

    def write(data: DataFile) -> Published:
        _pour(archive, 0, data, stop)
        return published

    _make(target, published, write, stop, listener)


def rewrap_archive(
    archive: StoredArchive,
    manifest: Manifest,
    target: BackupDirectory,
    keys: ArchiveKeys,
    *,
    stop: Event,
    listener: ByteListener | None = None,
) -> Manifest:
    """
    Copy an encrypted archive for other recipients, and prove the copy.

    Args:
        archive: Open.
        manifest: Its manifest.
        target: Where to; nothing of this backup is there.
        keys: Their identities open it, for their recipients it is encrypted, and they sign it.
        stop: Ends it with InterruptedError when it is set.
        listener: Told of each block that was read back.

    Returns:
        The manifest of the copy.

    Raises:
        DecryptionFailedError: Its header was changed.
        NoIdentityError: It is encrypted for others.
        IntegrityError: What was read is not what was written once, here or there.
        StorageError: A medium refused; nothing is left behind, or garbage for the next sweep.
    """
    rewrapped = _Rewrapped(archive, manifest, keys, stop)
    _make(target, archive.published, rewrapped.write, stop, listener)
    return rewrapped.manifest


class _Rewrapped:
    """The same archive for other recipients."""

    def __init__(
        self, archive: StoredArchive, manifest: Manifest, keys: ArchiveKeys, stop: Event
    ) -> None:
        self.manifest = manifest
        self._archive = archive
        self._keys = keys
        self._stop = stop
        published = archive.published
        with translated(published.name.file):
            head = archive.read(0, min(published.size, HEAD_BYTES))
            self._header, self._replaced = rewrap(
                head, keys.identities(), keys.recipients(), source=published.name.file
            )

    def write(self, data: DataFile) -> Published:
        """Write the new header, and the rest as it is."""
        digest = hashlib.sha256(self._header)
        data.write(self._header)
        _pour(self._archive, self._replaced, data, self._stop, digest)
        self.manifest = replace(
            self.manifest,
            size=data.size,
            checksum=digest.hexdigest(),
            recipients=self._keys.recipient_ids(),
        )
        note = write_manifest(self.manifest, self._keys)
        return Published(self._archive.published.name, data.size, digest.hexdigest(), note)


def _make(
    target: BackupDirectory,
    source: Published,
    write: Callable[[DataFile], Published],
    stop: Event,
    listener: ByteListener | None,
) -> None:
    """Write a data file, read it back, and publish it; whatever fails removes it."""
    data = places.begin(target, source.name, source.size)
    try:
        published = write(data)
        data.sync()
        data.drop_cache()
        prove_stored(data, published, stop=stop, listener=listener)
        manifest_file = places.publish(target, source.name, data, published.manifest)
    except BaseException:
        # The first error says more, and the next sweep removes what is left.
        with suppress(AppError):
            places.withdraw(target, source.name, data, None)
        raise
    places.keep(data, manifest_file)


def _pour(
    archive: StoredArchive,
    begin: int,
    data: DataFile,
    stop: Event,
    digest: "hashlib._Hash | None" = None,
) -> None:
    """Append what is stored from an offset on, and hash that; all of the archive is proven on the way."""
    published, whole = archive.published, hashlib.sha256()
    for offset, block in _blocks(archive, stop):
        whole.update(block)
        rest = memoryview(block)[max(0, begin - offset) :]
        data.write(rest)
        if digest is not None:
            digest.update(rest)
    require_digest(whole.hexdigest(), published.checksum, source=published.name.file)


def _blocks(archive: StoredArchive, stop: Event) -> Iterator[tuple[int, bytes]]:
    size = archive.published.size
    for offset in range(0, size, _BLOCK_BYTES):
        if stop.is_set():
            raise InterruptedError("the copy was cancelled")
        yield offset, archive.read(offset, min(_BLOCK_BYTES, size - offset))
