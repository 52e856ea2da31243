"""Manifests that are lost or damaged, made again from the data files; all calls block."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.archive.catalogue.salvage import salvage
from app.archive.catalogue.sweeping import names_of
from app.archive.file.places import BackupDirectory
from app.domain.backups.catalogue import DamagedFile
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import to_json
from app.domain.ids import BackupId
from app.errors import AppError, BackupInUseError, IntegrityError
from app.storage.layout import BackupName


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What `rebuild` did: manifests that were made again, and files for which that failed."""

    rebuilt: tuple[BackupId, ...]
    problems: tuple[DamagedFile, ...]


class Rebuilder:
    """
    Makes the manifests of one directory again.

    Args:
        read: Reads a manifest that is there, and raises IntegrityError when it is damaged.
    """

    def __init__(self, directory: BackupDirectory, read: Callable[[BackupName], Manifest]) -> None:
        self._directory = directory
        self._read = read

    def rebuild(self) -> RebuildReport:
        """Make them again where that can be proven; raises StorageError."""
        rebuilt: list[BackupId] = []
        problems = [DamagedFile(name.file, _claimed(name)) for name in self._claimed()]
        for name in self._rebuildable():
            try:
                self._rebuild_manifest(name)
            except AppError as exc:
                problems.append(DamagedFile(name.file, exc))
            else:
                rebuilt.append(name.backup_id)
        return RebuildReport(tuple(rebuilt), tuple(problems))

    def _rebuildable(self) -> Iterable[BackupName]:
        names = set(self._directory.names())
        for name in names_of(names):
            if name.file not in names or {name.tombstone, name.partial} & names:
                continue
            if name.manifest not in names or self._is_damaged(name):
                yield name

    def _claimed(self) -> Iterable[BackupName]:
        """Name data files in a store that somebody says to be writing; on a disk they have other names."""
        names = set(self._directory.names())
        for name in names_of(names):
            if {name.file, name.partial} <= names and name.manifest not in names:
                yield name

    def _is_damaged(self, name: BackupName) -> bool:
        """Tell whether the manifest itself is; a damaged data file is no reason to replace it."""
        try:
            self._read(name)
        except IntegrityError:
            return True
        return False

    def _rebuild_manifest(self, name: BackupName) -> None:
        with self._directory.open(name.file) as file:
            manifest = salvage(file, name)
            with self._directory.locked():
                self._directory.replace(name.manifest, to_json(manifest), through=name.rebuild)


def _claimed(name: BackupName) -> BackupInUseError:
    return BackupInUseError(
        f"{name.file}: somebody writes it, by its claim",
        hint=f"If nobody does, and it is to be made again: remove {name.partial} from the store.",
    )
