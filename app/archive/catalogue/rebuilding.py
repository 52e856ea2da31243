"""Manifests that are lost or damaged, made again from the data files; all calls block."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.archive.catalogue.salvage import salvage
from app.archive.catalogue.sweeping import names_of
from app.archive.file.keys import ArchiveKeys
from app.archive.file.reader import open_content
from app.archive.file.sealing import write_manifest
from app.archive.publishing.places import BackupDirectory
from app.domain.backups.catalogue import DamagedFile
from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.errors import (
    AppError,
    BackupInUseError,
    IntegrityError,
    NoIdentityError,
    UnknownSignerError,
)
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
        keys: Decrypt what is encrypted, and sign what is made.
        read: Reads a manifest that is there, and raises IntegrityError when it is damaged.
        unsigned: Whether encrypted files are believed whose signature is lost with their manifest.
    """

    def __init__(
        self,
        directory: BackupDirectory,
        keys: ArchiveKeys,
        read: Callable[[BackupName], Manifest],
        *,
        unsigned: bool,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._read = read
        self._unsigned = unsigned

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
        except (NoIdentityError, UnknownSignerError):  # whole, for all that is known here
            return False
        return False

    def _rebuild_manifest(self, name: BackupName) -> None:
        if name.is_encrypted and not self._unsigned:
            # Anybody who knows a recipient can make such a file, and we would sign it.
            raise UnknownSignerError(
                f"{name.file}: nobody can tell who made it, as its manifest is lost or damaged",
                hint="Copy its manifest back from another place; or, if nobody else could write here, run"
                " 'backstay catalog rebuild --unsigned'.",
            )
        with self._directory.open(name.file) as file:
            manifest = salvage(open_content(file, name, self._keys), name)
            data = write_manifest(manifest, self._keys)
            with self._directory.locked():
                self._directory.replace(name.manifest, data, through=name.rebuild)


def _claimed(name: BackupName) -> BackupInUseError:
    return BackupInUseError(
        f"{name.file}: somebody writes it, by its claim",
        hint=f"If nobody does, and it is to be made again: remove {name.partial} from the store.",
    )
