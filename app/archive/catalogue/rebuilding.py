"""Manifests that are lost or damaged, made again from the data files; all calls block."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.age.header import Unwrapper
from app.age.opening import HEAD_BYTES, open_head
from app.archive.catalogue.salvage import salvage
from app.archive.catalogue.sweeping import names_of
from app.archive.file.keys import ArchiveKeys
from app.archive.file.reader import open_content
from app.archive.file.sealing import write_manifest
from app.archive.publishing.places import BackupDirectory, OpenFile
from app.domain.backups.catalogue import DamagedFile
from app.domain.backups.envelope import read_head
from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.errors import (
    AppError,
    BackupInUseError,
    IntegrityError,
    InvalidRequestError,
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

    def _require_same_readers(self, name: BackupName, file: OpenFile, data: bytes) -> None:
        """Refuse a manifest that others can read than its file: that of a copy for other recipients."""
        made = read_head(data, source=name.manifest)
        note = made.encrypted_manifest(data, source=name.manifest)
        head = file.read(0, min(file.size, HEAD_BYTES))
        for identity in self._keys.identities():
            if _opens(head, identity) != _opens(note[:HEAD_BYTES], identity):
                raise _other_recipients(name, made.envelope.recipients)

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
            if name.is_encrypted and manifest.recipients != self._keys.recipient_ids():
                raise _other_recipients(name, manifest.recipients)
            data = write_manifest(manifest, self._keys)
            if name.is_encrypted:
                self._require_same_readers(name, file, data)
            with self._directory.locked():
                self._directory.replace(name.manifest, data, through=name.rebuild)


def _other_recipients(name: BackupName, recipients: Sequence[str]) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name.file}: is encrypted for {', '.join(recipients) or 'nobody'}, and its manifest would not be",
        hint="Let BACKSTAY_ENCRYPT_TO name its recipients while its manifest is made again; their ids are"
        " explained in docs/encryption.md. Of a copy that was rewrapped, take the manifest of another copy.",
    )


def _claimed(name: BackupName) -> BackupInUseError:
    return BackupInUseError(
        f"{name.file}: somebody writes it, by its claim",
        hint=f"If nobody does, and it is to be made again: remove {name.partial} from the store.",
    )


def _opens(head: bytes, identity: Unwrapper) -> bool:
    try:
        open_head(head, [identity], source="it")
    except NoIdentityError:
        return False
    return True
