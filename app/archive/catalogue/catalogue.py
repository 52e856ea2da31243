"""
What a backup directory holds: the manifests beside their data files, and nothing else.

A backup exists when its manifest does; the catalogue never has an opinion of its own. All calls
block; async callers use threads.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from app.archive.catalogue.metadata import (
    MAX_METADATA_BYTES,
    CachedEntry,
    Metadata,
    Stamp,
    decode_metadata,
    encode_metadata,
)
from app.archive.catalogue.readings import Reading, Readings
from app.archive.catalogue.rebuilding import Rebuilder, RebuildReport
from app.archive.catalogue.sidecars import Beside, Sidecars
from app.archive.catalogue.sweeping import names_of, sweep
from app.archive.file import places
from app.archive.file.codec import DAMAGED_HINT
from app.archive.file.places import BackupDirectory
from app.archive.file.reader import ArchiveReader
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import DamagedFile, Survey
from app.domain.backups.check_notes import Notes
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import MAX_MANIFEST_BYTES, check_seal, from_json
from app.domain.ids import BackupId, parse_backup_id
from app.domain.restores.proofs import Proof
from app.errors import (
    AppError,
    BackupInUseError,
    BackupNotFoundError,
    BackupPinnedError,
    IntegrityError,
    ManifestError,
    StorageDeniedError,
    StorageError,
    TruncatedFileError,
)
from app.storage import layout
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory


class Catalogue:
    """
    The backups of one directory.

    Attributes:
        directory: Where they lie.
    """

    def __init__(self, directory: BackupDirectory | Path) -> None:
        if isinstance(directory, Path):
            directory = LocalDirectory(directory)
        self.directory = directory
        self._sidecars = Sidecars(directory)
        self._readings = Readings(directory, self._sidecars, self.survey)
        # What `metadata.json` held when it was last decoded: with many backups that takes longer than
        # the survey. Replaced as a whole, as threads share it.
        self._decoded: tuple[bytes, Metadata] = (b"", decode_metadata(b""))

    @property
    def disk(self) -> LocalDirectory | None:
        """The directory of this machine in which they lie; None of a store."""
        return self.directory if isinstance(self.directory, LocalDirectory) else None

    def close(self) -> None:
        """Close connections, where there are any; again is harmless."""
        if not isinstance(self.directory, LocalDirectory):
            self.directory.close()

    def survey(self) -> Survey:
        """
        List everything; `metadata.json` is brought up to date on the way, where it may be written.

        Returns:
            What is there now.

        Raises:
            StorageError: The directory cannot be read.
        """
        survey, cached, _ = self._read_all()
        if not self._decoded[1].holds(cached):
            with suppress(StorageError):  # a cache; the manifests have been read
                self.refresh()
        return survey

    def read(self, *, anew: bool = False) -> Reading:
        """
        Read everything, with what lies beside the backups, or return what somebody else has just read.

        Args:
            anew: Whether nothing serves that was read before.

        Returns:
            What was there two seconds ago or later; every change of a name since then is in it.

        Raises:
            StorageError: The directory cannot be read.
        """
        return self._readings.read(anew=anew)

    def entries(self) -> tuple[CatalogueEntry, ...]:
        """Return the backups there are, newest first."""
        return self.survey().entries

    def problems(self) -> tuple[DamagedFile, ...]:
        """Return what is damaged."""
        return self.survey().problems

    def orphans(self) -> tuple[str, ...]:
        """Return the names of data files without a manifest, which might be somebody's only copy."""
        return self.survey().orphans

    def refresh(self, written: Manifest | None = None) -> None:
        """Write `metadata.json` anew, without decoding what was `written` now; raises StorageError."""
        with self.directory.locked():
            _, cached, before = self._read_all(written)
            data = encode_metadata(cached)
            if data != before:
                self.directory.replace(layout.METADATA, data)
                known = {item.entry.file: item for item in cached}
                self._decoded = (data, Metadata(known, whole=True))

    def newest_id(self) -> BackupId | None:
        """Return the largest id in use, also by unfinished, damaged and orphaned backups."""
        return max((name.backup_id for name in names_of(self.directory.names())), default=None)

    def manifest(self, backup_id: str) -> Manifest:
        """
        Read the manifest of one backup.

        Args:
            backup_id: Text of a user.

        Returns:
            The manifest, whose own checksum is right and which belongs to its file.

        Raises:
            BackupNotFoundError: No such backup; also for every attempt at a path.
            ChecksumMismatchError: The manifest is damaged.
            ManifestError: It is of a newer format, or of another backup.
            StorageError: It cannot be read.
        """
        return self._read(self._find(backup_id))

    def find(self, backup_id: str) -> BackupId:
        """Tell whether there is such a backup, even a damaged one; raises BackupNotFoundError."""
        return self._find(backup_id).backup_id

    def open(self, backup_id: str) -> ArchiveReader:
        """Open one backup for reading; raises what `manifest` and `ArchiveReader.open` raise."""
        return ArchiveReader.open(self.directory, self.manifest(backup_id))

    def beside(self, backup_id: str) -> Beside:
        """Read what lies beside one backup; raises BackupNotFoundError."""
        return self._sidecars.beside(self._find(backup_id))

    def proofs(self, backup_id: str) -> tuple[Proof, ...]:
        """
        Read what restores of a backup have shown.

        Returns:
            Newest first; none when there is no such backup.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            name = self._find(backup_id)
        except BackupNotFoundError:
            return ()
        return self._sidecars.proofs(name)

    def add_proof(self, backup_id: str, proof: Proof) -> None:
        """
        Record what a restore of a backup has shown.

        Raises:
            BackupNotFoundError: It was deleted meanwhile.
            StorageError: The medium refused.
        """
        with self.directory.locked():
            self._sidecars.add_proof(self._find(backup_id), proof)

    def notes(self, backup_id: str) -> Notes:
        """
        Read what was noted about a backup.

        Returns:
            Nothing in it when there is no such backup.

        Raises:
            ChecksumMismatchError: The notes are damaged: nobody knows whether it is pinned.
            StorageError: They cannot be read.
        """
        try:
            name = self._find(backup_id)
        except BackupNotFoundError:
            return Notes()
        return self._sidecars.notes(name)

    def change_notes(self, backup_id: str, change: Callable[[Notes], Notes]) -> Notes:
        """
        Record something about a backup.

        Returns:
            All that is noted now.

        Raises:
            BackupNotFoundError: No such backup.
            ChecksumMismatchError: The notes there are are damaged; they stay as they are.
            StorageError: The medium refused.
        """
        self._find(backup_id)  # where nothing is, no lock is made
        with self.directory.locked():
            return self._sidecars.change_notes(self._find(backup_id), change)

    def change_many_notes(
        self, changes: Mapping[BackupId, Callable[[Notes], Notes]]
    ) -> Mapping[BackupId, AppError]:
        """
        Record something about each of many backups, with one sync of the directory.

        Args:
            changes: Not so many that others wait for the directory's lock for long.

        Returns:
            Why it was not recorded, of those for which it was not; the others are safe.

        Raises:
            StorageError: The medium refused all of it.
        """
        refused: dict[BackupId, AppError] = {}
        if not any(map(self._is_there, changes)):  # where nothing is, no lock is made
            return {backup_id: BackupNotFoundError(backup_id) for backup_id in changes}
        with self.directory.locked():
            for backup_id, change in changes.items():
                try:
                    self._sidecars.change_notes(self._find(backup_id), change, syncs=False)
                except AppError as exc:
                    refused[backup_id] = exc
            self.directory.sync()
        return refused

    def delete(self, backup_id: str, *, covered_by: str = "", refreshes: bool = True) -> None:
        """
        Delete one backup, damaged or not, and see that it is gone.

        Args:
            backup_id: Which one.
            covered_by: Another one, which must be there at the moment at which this one goes.
            refreshes: Whether `metadata.json` is brought up to date.

        Raises:
            BackupNotFoundError: No such backup, or not the other one; nothing was changed.
            BackupInUseError: A restore or verification reads it; nothing was changed.
            BackupPinnedError: It is pinned; nothing was changed.
            ChecksumMismatchError: Its notes are damaged, so it may be pinned; nothing was changed.
            StorageError: The medium refused; the backup is whole, or garbage for `sweep`.
        """
        name = self._find(backup_id)

        def permit() -> None:
            if covered_by and not self.directory.exists(self._find(covered_by).file):
                raise BackupNotFoundError(parse_backup_id(covered_by))
            pin = self._sidecars.notes(name).pin
            if pin is not None:
                raise BackupPinnedError(
                    f"{name.backup_id} is pinned by {pin.by}"
                    + (f": {pin.reason}" if pin.reason else ""),
                    hint=f"'backstay backup unpin {name.backup_id}' lets it be deleted.",
                )

        places.delete(self.directory, name, permit)
        if refreshes:
            with suppress(StorageError):
                self.refresh()

    def is_in_use(self, backup_id: str) -> bool:
        """Tell whether a restore, a verification or a download reads a backup right now."""
        try:
            self.directory.open(self._find(backup_id).file, exclusive=True).close()
        except BackupInUseError:
            return True
        return False

    def sweep(self) -> tuple[str, ...]:
        """
        Remove what crashed runs left behind: files of ours whose owner's lock is free.

        Returns:
            Names that were removed.

        Raises:
            StorageError: The medium refused; the rest is still there.
        """
        return sweep(self.directory)

    def rebuild(self) -> RebuildReport:
        """
        Make the manifests of orphans and of damaged ones again, and `metadata.json` from nothing.

        Returns:
            What was done; a file that cannot be proven keeps its state and is reported.

        Raises:
            StorageError: The directory cannot be read or written.
        """
        with self.directory.locked():
            self.directory.remove(layout.METADATA)
        report = Rebuilder(self.directory, self._read).rebuild()
        self.refresh()
        return report

    def _find(self, backup_id: str) -> BackupName:
        wanted = parse_backup_id(backup_id)
        for name in layout.candidates(wanted):
            if self.directory.exists(name.manifest):
                return name
        raise BackupNotFoundError(wanted)

    def _is_there(self, backup_id: BackupId) -> bool:
        try:
            self._find(backup_id)
        except BackupNotFoundError:
            return False
        return True

    def _read(self, name: BackupName, written: Manifest | None = None) -> Manifest:
        data = self.directory.read(name.manifest, MAX_MANIFEST_BYTES)
        if written is not None and written.file == name.file:
            check_seal(data, source=name.manifest)
            return written
        manifest = from_json(data, source=name.manifest)
        if (manifest.file, manifest.backup_id) != (name.file, name.backup_id):
            raise ManifestError(f"{name.manifest}: is the manifest of {manifest.file[:120]!r}")
        return manifest

    def _read_all(self, written: Manifest | None = None) -> tuple[Survey, list[CachedEntry], bytes]:
        """Return the survey, what `metadata.json` should hold, and what it holds."""
        names = set(self.directory.names())
        before = self._metadata() if layout.METADATA in names else b""
        if before != self._decoded[0]:
            self._decoded = (before, decode_metadata(before))
        cache = self._decoded[1].entries
        cached: list[CachedEntry] = []
        problems: list[DamagedFile] = []
        orphans: list[str] = []
        for name in names_of(names):
            if name.manifest in names:
                try:
                    cached.append(self._examine(name, cache.get(name.file), written))
                except (IntegrityError, StorageError, BackupNotFoundError) as exc:
                    problems.append(DamagedFile(name.file, exc))
            elif name.file in names and not {name.tombstone, name.partial} & names:
                orphans.append(name.file)
        entries = tuple(item.entry for item in cached)
        return Survey(entries, tuple(problems), tuple(orphans)), cached, before

    def _metadata(self) -> bytes:
        try:
            return self.directory.read(layout.METADATA, MAX_METADATA_BYTES)
        except StorageError:
            return b""

    def _examine(
        self, name: BackupName, known: CachedEntry | None, written: Manifest | None
    ) -> CachedEntry:
        """Return the line of one backup, from the cache when its manifest did not change."""
        manifest_file, data = (
            self.directory.describe(name.manifest),
            self.directory.describe(name.file),
        )
        if manifest_file is None or data is None:
            raise BackupNotFoundError(
                name.backup_id, hint="Its data file is gone; put it back, or delete the backup."
            )
        if not data.is_regular:
            raise StorageDeniedError(
                f"{name.file}: not a regular file",
                hint="Symbolic links in a backup directory are never followed; remove it.",
            )
        stamp = Stamp(manifest_file.size, manifest_file.changed_ns)
        full_path = self.directory.full_path(name.file)
        if known is None or (known.stamp, known.entry.full_path) != (stamp, full_path):
            known = CachedEntry(CatalogueEntry.of(self._read(name, written), full_path), stamp)
        if known.entry.size != data.size:
            raise TruncatedFileError(
                f"{name.file}: {data.size} bytes, the manifest says {known.entry.size}",
                hint=DAMAGED_HINT,
            )
        return known
