"""What crashed runs leave behind in a backup directory, and how it goes; all calls block."""

from collections.abc import Iterable
from operator import attrgetter

from app.archive.publishing import publication, store_publication
from app.archive.publishing.places import BackupDirectory
from app.errors import BackupInUseError
from app.storage import layout
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory


def sweep(directory: BackupDirectory) -> tuple[str, ...]:
    """Remove what has no owner any more, but for uploads; returns names, raises StorageError."""
    if isinstance(directory, LocalDirectory):
        return _Sweeper(directory).sweep()
    with directory.locked():
        there = set(directory.names())
        return tuple(store_publication.sweep(directory, names_of(there), there))


def sweep_uploads(directory: BackupDirectory) -> tuple[str, ...]:
    """Remove uploads to a store that nobody completes; returns names, raises StorageError."""
    if isinstance(directory, LocalDirectory):
        return ()
    with directory.locked():
        return tuple(store_publication.sweep_uploads(directory))


class _Sweeper:
    """Removes files of ours whose owner's lock is free, from a local directory."""

    def __init__(self, directory: LocalDirectory) -> None:
        self._directory = directory

    def sweep(self) -> tuple[str, ...]:
        """Remove them, under the directory's lock; returns their names, raises StorageError."""
        with self._directory.locked():
            names = set(self._directory.names())
            removed: list[str] = []
            for file in layout.REPLACED:
                removed += self._sweep_file(file + layout.PARTIAL)
            for name in names_of(names):
                if name.tombstone in names:
                    removed += self._sweep_tombstone(name)
                elif name.partial in names:
                    removed += self._sweep_file(name.partial)
                if name.rebuild in names:
                    removed += self._sweep_file(name.rebuild)
                is_gone = not {name.file, name.manifest, name.partial, name.tombstone} & names
                for beside in (name.proofs, name.notes):
                    removed += self._sweep_file(beside + layout.PARTIAL)
                    if is_gone:
                        removed += self._sweep_file(beside)
            return tuple(removed)

    def _sweep_tombstone(self, name: BackupName) -> list[str]:
        """Remove a data file and its tombstone, unless either has an owner."""
        if not self._is_regular(name.tombstone):
            return []
        try:
            with self._directory.open(name.tombstone, exclusive=True):
                for file in (name.file, name.partial):
                    if self._directory.exists(file):
                        self._directory.open(file, exclusive=True).close()
                return publication.bury(self._directory, name)
        except BackupInUseError:
            return []

    def _sweep_file(self, file: str) -> list[str]:
        """Remove a file unless it has an owner, is no file, or is not there."""
        if not self._is_regular(file):
            return []
        try:
            with self._directory.open(file, exclusive=True):
                self._directory.remove(file)
                self._directory.sync()
                return [file]
        except BackupInUseError:
            return []

    def _is_regular(self, file: str) -> bool:
        facts = self._directory.describe(file)
        return facts is not None and facts.is_regular


def names_of(names: Iterable[str]) -> list[BackupName]:
    """Return the backups that any of the names belongs to, newest first, each once."""
    endings = (layout.PARTIAL, layout.REBUILD, layout.MANIFEST, layout.PROOFS, layout.NOTES)
    stems: set[str] = set()
    for file in names:
        stem = file
        for ending in endings:
            stem = stem.removesuffix(ending)
        stems.add(stem)
    found = filter(None, map(layout.parse, stems))
    return sorted(found, key=attrgetter("backup_id", "is_encrypted", "codec"), reverse=True)
