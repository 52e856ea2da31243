"""
Sizes of stored backups: compared with their manifests, and noted in one file for all of them.

A manifest whose bytes are those whose index was proven before is not decoded again: their digest says so. All
calls block.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from app.archive.catalogue.metadata import MAX_METADATA_BYTES
from app.archive.file.index import check_index
from app.archive.file.sealing import decode_manifest
from app.archive.file.stored import require_bytes
from app.archive.publishing import places
from app.archive.publishing.places import BackupDirectory
from app.domain.backups.check_notes import SizeCheck, decode_size_checks, encode_size_checks
from app.domain.backups.seal import MAX_MANIFEST_BYTES
from app.domain.ids import BackupId
from app.errors import StorageError
from app.storage import layout
from app.storage.files import FileFacts
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory


_NONE: Final[Mapping[BackupId, SizeCheck]] = {}


class Measured(NamedTuple):
    """A data file that is as long as its manifest says, and the digest of that; see `SizeCheck`."""

    size: int
    manifest: str


def measure(
    directory: BackupDirectory, name: BackupName, known: SizeCheck | None = None
) -> Measured:
    """
    Compare the size of a plain backup with its manifest.

    Args:
        directory: Where it lies.
        name: Of the backup.
        known: What was found before.

    Returns:
        What is to be known next time.

    Raises:
        BackupNotFoundError: The data file is gone.
        ChecksumMismatchError: The manifest is damaged.
        ManifestError: Its index contradicts itself, or it is of another backup or a newer format.
        TruncatedFileError: The file is shorter or longer.
        StorageError: One of both cannot be read, or is a symbolic link.
    """
    data = directory.read(name.manifest, MAX_MANIFEST_BYTES)
    digest = hashlib.sha256(data).hexdigest()
    if known is not None and known.manifest == digest:
        size = known.size
    else:
        manifest = decode_manifest(data, name)
        check_index(manifest)
        size = manifest.size
    require_bytes(name.file, places.size_of(directory, name), size)
    return Measured(size, digest)


class SizeNotes:
    """
    The checks that are noted in one directory; what cannot be read there counts as none.

    In a store there are none: sizes alone are looked at on this machine.
    """

    def __init__(self, directory: BackupDirectory) -> None:
        self._directory = directory
        # Replaced as a whole, as threads share it.
        self._known: tuple[FileFacts | None, Mapping[BackupId, SizeCheck]] = (None, _NONE)

    def read(self) -> Mapping[BackupId, SizeCheck]:
        """Return when each size was last found right."""
        if not isinstance(self._directory, LocalDirectory):
            return _NONE
        try:
            facts = self._directory.describe(layout.SIZES)
            if facts is None:
                return _NONE
            if facts != self._known[0]:
                data = self._directory.read(layout.SIZES, MAX_METADATA_BYTES)
                self._known = (facts, decode_size_checks(data))
        except StorageError:
            return _NONE
        return self._known[1]

    def add(
        self, found: Mapping[BackupId, SizeCheck], there: Collection[BackupId]
    ) -> Mapping[BackupId, SizeCheck]:
        """
        Note more of them; the caller holds the directory's lock.

        Args:
            found: What was found.
            there: Backups of which anything is kept.

        Returns:
            All that is noted now.

        Raises:
            StorageError: The medium refused.
        """
        before = {key: check for key, check in self.read().items() if key in there}
        noted = {**before, **found}
        self._directory.replace(layout.SIZES, encode_size_checks(noted))
        return noted
