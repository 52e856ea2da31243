"""
What a backup directory holds: the manifests beside their data files, and nothing else.

A backup exists when its manifest does; the catalogue never has an opinion of its own. All calls
block; async callers use threads.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from app.archive.catalogue.known_lines import KnownLines
from app.archive.catalogue.readings import Reading, Readings
from app.archive.catalogue.rebuilding import Rebuilder, RebuildReport
from app.archive.catalogue.sidecars import Beside, Sidecars
from app.archive.catalogue.size_checks import Measured, measure
from app.archive.catalogue.surveying import Surveyor
from app.archive.catalogue.sweeping import names_of, sweep, sweep_uploads
from app.archive.file.keys import NO_KEYS, ArchiveKeys
from app.archive.file.reader import ArchiveReader
from app.archive.file.sealing import decode_manifest, read_envelope, read_manifest
from app.archive.file.stored import OpenArchive, Published, StoredArchive
from app.archive.publishing import places
from app.archive.publishing.places import BackupDirectory
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import DamagedFile, Survey
from app.domain.backups.check_notes import Notes, SizeCheck
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import MAX_MANIFEST_BYTES, check_seal
from app.domain.ids import BackupId, parse_backup_id
from app.domain.restores.proofs import Proof
from app.errors import (
    BackupNotFoundError,
    BackupPinnedError,
    NoIdentityError,
    StorageError,
)
from app.storage import layout
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory


class Catalogue:
    """
    The backups of one directory.

    Attributes:
        directory: Where they lie.
        keys: For whom new ones are encrypted, and who reads them here.
    """

    def __init__(
        self,
        directory: BackupDirectory | Path,
        keys: ArchiveKeys = NO_KEYS,
        known: KnownLines | None = None,
    ) -> None:
        """Take where backups lie, the keys to them, and where lines of encrypted ones are kept."""
        if isinstance(directory, Path):
            directory = LocalDirectory(directory)
        self.directory = directory
        self.keys = keys
        self._surveyor = Surveyor(directory, known or KnownLines(None), keys, self._read)
        self._sidecars = Sidecars(directory)
        self._readings = Readings(directory, self._sidecars, self.survey)
        # With no identity here, nobody could read it again.
        self._made: Manifest | None = None

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
        return self._surveyor.survey()

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
        self._surveyor.refresh(written)

    def learn(self, entry: CatalogueEntry) -> None:
        """
        Take the line of an encrypted backup from another place, where the same one lies.

        Raises:
            BackupNotFoundError: It is not here.
            StorageError: It cannot be kept.
        """
        self._surveyor.learn(self._find(entry.backup_id), entry)

    def remember(self, made: Manifest) -> None:
        """Keep the manifest of the backup that was made last."""
        self._made = made

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
            NoIdentityError: It is encrypted for others.
            SignatureMismatchError: It was changed.
            StorageError: It cannot be read.
            UnknownSignerError: It is encrypted, and nobody here knows who made it.
        """
        name = self._find(backup_id)
        try:
            return self._read(name)
        except NoIdentityError:
            made = self._made
            if made is None or made.file != name.file:
                raise
            return made

    def published(self, backup_id: str) -> Published:
        """
        Read what is published of one backup; of an encrypted one that needs no identity.

        Returns:
            Size, digest, and the bytes of its manifest's file.

        Raises:
            BackupNotFoundError: No such backup.
            IntegrityError: It is damaged, or was changed.
            StorageError: It cannot be read.
            UnknownSignerError: Nobody here knows who made it.
        """
        name = self._find(backup_id)
        if name.is_encrypted:
            sealed = read_envelope(self.directory, name, self.keys)
            return Published(name, sealed.envelope.size, sealed.envelope.checksum, sealed.data)
        data = self.directory.read(name.manifest, MAX_MANIFEST_BYTES)
        manifest = decode_manifest(data, name)
        return Published(name, manifest.size, manifest.checksum, data)

    def find(self, backup_id: str) -> BackupId:
        """Tell whether there is such a backup, even a damaged one; raises BackupNotFoundError."""
        return self._find(backup_id).backup_id

    def open(self, backup_id: str) -> ArchiveReader:
        """Open one backup for reading; raises what `manifest` and `ArchiveReader.open` raise."""
        return self.reader(self.manifest(backup_id))

    def reader(self, manifest: Manifest) -> ArchiveReader:
        """Open the backup of a manifest for reading; raises what `ArchiveReader.open` raises."""
        return ArchiveReader.open(self.directory, manifest, self.keys)

    def stored(self, backup_id: str) -> StoredArchive:
        """Open one backup as it is stored; raises what `published` and `StoredArchive.open` raise."""
        return StoredArchive.open(self.directory, self.published(backup_id))

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

    def check_size(self, backup_id: str, known: SizeCheck | None = None) -> Measured:
        """
        Check the manifest of a backup, its index, and the size of its data file.

        Args:
            backup_id: Which one.
            known: What was found before.

        Returns:
            What is to be known next time.

        Raises:
            AppError: As `open`, without the lock.
        """
        name = self._find(backup_id)
        if not name.is_encrypted:
            return measure(self.directory, name, known)
        try:
            archive: OpenArchive = self.open(name.backup_id)
        except NoIdentityError:
            archive = self.stored(name.backup_id)  # the signature, and the size
        with archive:
            return Measured(archive.size, "")

    def size_checks(self) -> Mapping[BackupId, SizeCheck]:
        """Return when the size of each backup was last found right, of those that have no note of it."""
        return self._sidecars.sizes.read()

    def add_size_checks(self, found: Mapping[BackupId, SizeCheck]) -> None:
        """Record sizes that are right, in one file; raises StorageError."""
        if found:
            self._readings.add_sizes(found)

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

    def lock_on(self, backup_id: str, until: datetime) -> None:
        """Have the place refuse the deletion of a backup until a time; raises AppError. A disk refuses none."""
        name = self._find(backup_id)
        if not isinstance(self.directory, LocalDirectory):
            self.directory.lock_on(name, until)

    def in_use(self, files: Iterable[str]) -> set[str]:
        """Tell which data files a restore, a verification or a download reads right now; raises StorageError."""
        return places.in_use(self.directory, files)

    def sweep(self) -> tuple[str, ...]:
        """Remove what crashed runs left behind, but for uploads; returns names, raises StorageError."""
        return sweep(self.directory)

    def sweep_uploads(self) -> tuple[str, ...]:
        """Remove uploads to a store that nobody completes; returns names, raises StorageError."""
        return sweep_uploads(self.directory)

    def rebuild(self, *, unsigned: bool = False) -> RebuildReport:
        """
        Make the manifests of orphans and of damaged ones again, and `metadata.json` from nothing.

        Args:
            unsigned: Whether encrypted files are believed whose signature is lost with their manifest.

        Returns:
            What was done; a file that cannot be proven keeps its state and is reported.

        Raises:
            StorageError: The directory cannot be read or written.
        """
        with self.directory.locked():
            self.directory.remove(layout.METADATA)
        report = Rebuilder(self.directory, self.keys, self._read, unsigned=unsigned).rebuild()
        self.refresh()
        return report

    def _find(self, backup_id: str) -> BackupName:
        wanted = parse_backup_id(backup_id)
        for name in layout.candidates(wanted, encrypted_first=self.keys.are_set):
            if self.directory.exists(name.manifest):
                return name
        if not isinstance(self.directory, StoreDirectory):
            raise BackupNotFoundError(wanted)
        self.directory.require()
        raise BackupNotFoundError(wanted, store=self.directory.name)

    def _read(self, name: BackupName, written: Manifest | None = None) -> Manifest:
        if written is not None and written.file == name.file:
            check_seal(self.directory.read(name.manifest, MAX_MANIFEST_BYTES), source=name.manifest)
            return written
        return read_manifest(self.directory, name, self.keys)
