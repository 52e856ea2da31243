"""
What is kept beside a backup: what restores have shown of it (proofs), and what was noted later.

Each is a small file of its own, replaced as a whole under the directory's lock. All calls block.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from app.archive.catalogue.metadata import MAX_METADATA_BYTES
from app.archive.catalogue.size_checks import SizeNotes
from app.archive.publishing.places import BackupDirectory
from app.domain.backups.check_notes import Notes, SizeCheck, decode_notes, encode_notes, with_size
from app.domain.restores.proofs import MAX_PROOFS, Proof, decode_proofs, encode_proofs
from app.errors import AppError, ChecksumMismatchError
from app.storage.layout import BackupName


@dataclass(frozen=True, slots=True)
class Beside:
    """
    What lies beside a backup.

    Attributes:
        notes: Nothing in them where nothing was noted, or nobody can read it.
        proofs: What restores have shown, newest first.
        error: Why notes or proofs cannot be read or understood; then nobody knows what they say.
    """

    notes: Notes = field(default_factory=Notes)
    proofs: tuple[Proof, ...] = ()
    error: AppError | None = None

    def with_size(self, found: SizeCheck | None) -> "Beside":
        """Put a check of its size, which lies with those of all others, among its notes."""
        return self if found is None else replace(self, notes=with_size(self.notes, found))


class Sidecars:
    """
    The files beside the backups of one directory; whoever calls knows that the backup is there.

    Attributes:
        sizes: What checks of sizes have found, in one file.
    """

    def __init__(self, directory: BackupDirectory) -> None:
        self._directory = directory
        self.sizes = SizeNotes(directory)

    def beside(self, name: BackupName) -> Beside:
        """Read all of it; one file that cannot be read costs nobody but its backup."""
        exists = self._directory.exists
        found = self.own(name, notes=exists(name.notes), proofs=exists(name.proofs))
        return found.with_size(self.sizes.read().get(name.backup_id))

    def own(self, name: BackupName, *, notes: bool, proofs: bool) -> Beside:
        """Read the files that are its own, of which those exist that are said to."""
        shown: tuple[Proof, ...] = ()
        try:
            shown = self.proofs(name) if proofs else ()
            return Beside(self._own_notes(name) if notes else Notes(), shown)
        except AppError as exc:
            return Beside(proofs=shown, error=exc)

    def proofs(self, name: BackupName) -> tuple[Proof, ...]:
        """Read what restores have shown, newest first; raises StorageError."""
        data = self._directory.find(name.proofs, MAX_METADATA_BYTES)
        return () if data is None else decode_proofs(data)

    def add_proof(self, name: BackupName, proof: Proof) -> None:
        """Record what a restore has shown; the caller holds the directory's lock."""
        if not proof.success:  # no check of a clock that was ahead excuses it
            with suppress(ChecksumMismatchError):
                notes = self._own_notes(name)
                if (known := notes.before(proof.at)) != notes:
                    self._directory.replace(name.notes, encode_notes(known))
        proofs = (proof, *self.proofs(name))[:MAX_PROOFS]
        self._directory.replace(name.proofs, encode_proofs(proofs))

    def notes(self, name: BackupName) -> Notes:
        """
        Read what was noted, also of its size.

        Returns:
            Nothing in it where nothing was.

        Raises:
            ChecksumMismatchError: They are damaged: nobody knows whether the backup is pinned.
            StorageError: They cannot be read.
        """
        return with_size(self._own_notes(name), self.sizes.read().get(name.backup_id))

    def _own_notes(self, name: BackupName) -> Notes:
        data = self._directory.find(name.notes, MAX_METADATA_BYTES)
        if data is None:
            return Notes()
        notes = decode_notes(data)
        if notes is None:
            raise ChecksumMismatchError(
                f"{name.notes}: cannot be understood",
                hint="Remove it; or, when it was changed on purpose, take out its last key, 'seal'.",
            )
        return notes

    def change_notes(self, name: BackupName, change: Callable[[Notes], Notes]) -> Notes:
        """Record something, and return all that is noted; the caller holds the directory's lock."""
        notes = change(self._own_notes(name))
        self._directory.replace(name.notes, encode_notes(notes))
        return notes
