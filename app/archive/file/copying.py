"""
Copying an archive to another place: the same bytes, proven where they lie now.

1. The data file is read from where it is and written to the new place, in one pass. 2. It is read back from
there: digest of the whole, digests of members, decompression. 3. Its manifest is published, byte for byte.
Until then there is no copy; whatever fails removes what was written. All calls block.
"""

import hashlib
from contextlib import suppress
from threading import Event
from typing import Final

from app.archive.file import places
from app.archive.file.codec import DAMAGED_HINT
from app.archive.file.places import BackupDirectory, DataFile
from app.archive.file.reader import ArchiveReader
from app.archive.file.verification import Listener, until, verify_file
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import to_json
from app.errors import AppError, ChecksumMismatchError
from app.storage.layout import BackupName


# Large enough for one request of a store to be worth its way, small enough to be no memory.
_BLOCK_BYTES: Final = 1 << 20


def copy_archive(
    reader: ArchiveReader,
    target: BackupDirectory,
    *,
    threads: int,
    stop: Event,
    listener: Listener | None = None,
) -> None:
    """
    Copy an archive and prove the copy.

    Args:
        reader: The archive, open.
        target: Where to; nothing of this backup is there.
        threads: Members that are checked side by side.
        stop: Ends it with InterruptedError when it is set.
        listener: Told of each member that was read back.

    Raises:
        ChecksumMismatchError: What was read is not what was written once, here or there.
        TruncatedFileError: The same, by its size.
        StorageError: A medium refused; nothing is left behind, or garbage for the next sweep.
    """
    manifest = reader.manifest
    name = BackupName(manifest.backup_id, manifest.options.codec)
    data = places.begin(target, name, manifest.size)
    try:
        _pour(reader, data, stop)
        verify_file(
            data,
            manifest,
            VerifyLevel.INFLATE,
            threads=threads,
            listener=until(stop, listener),
        )
        published = places.publish(target, name, data, to_json(manifest))
    except BaseException:
        # The first error says more, and the next sweep removes what is left.
        with suppress(AppError):
            places.withdraw(target, name, data, None)
        raise
    published.keep()
    data.keep()


def _pour(reader: ArchiveReader, data: DataFile, stop: Event) -> None:
    manifest, digest = reader.manifest, hashlib.sha256()
    for offset in range(0, manifest.size, _BLOCK_BYTES):
        if stop.is_set():
            raise InterruptedError("the copy was cancelled")
        block = reader.read_bytes(offset, min(_BLOCK_BYTES, manifest.size - offset))
        digest.update(block)
        data.write(block)
    _require_digest(manifest, digest.hexdigest())
    data.sync()
    data.drop_cache()


def _require_digest(manifest: Manifest, found: str) -> None:
    if found != manifest.checksum:
        raise ChecksumMismatchError(
            f"{manifest.file}: SHA-256 is {found[:16]}..., the manifest says"
            f" {manifest.checksum[:16]}...",
            hint=DAMAGED_HINT,
        )
