"""Where backups lie, a directory or a store, and the steps by which they begin and cease to exist there."""

import logging
from collections.abc import Callable, Iterable
from typing import Final, assert_never

from app.archive.publishing import publication, store_publication
from app.errors import BackupNotFoundError, ObjectNotFoundError, StorageError
from app.storage.files import ReadFile, WriteFile, in_use as in_use_locally
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.files import StoreDataFile, StoreFile, StoreManifest


BackupDirectory = LocalDirectory | StoreDirectory
OpenFile = ReadFile | StoreFile
DataFile = WriteFile | StoreDataFile
ManifestFile = WriteFile | StoreManifest

_log: Final = logging.getLogger(__name__)


def begin(directory: BackupDirectory, name: BackupName, estimate_bytes: int = 0) -> DataFile:
    """
    Begin the data file of a new backup, which nobody else writes.

    Args:
        directory: Where.
        name: Its names.
        estimate_bytes: How large it will be at most, about; a store wants to know.

    Returns:
        An empty file; the caller publishes or withdraws it.

    Raises:
        ConflictError: Somebody else writes it, in a store.
        StorageError: A file of this backup exists already, or the medium refused.
    """
    match directory:
        case LocalDirectory():
            return publication.begin(directory, name)
        case StoreDirectory():
            return store_publication.begin(directory, name, estimate_bytes)
        case _:
            assert_never(directory)


def open_data(directory: BackupDirectory, name: BackupName) -> OpenFile:
    """
    Open the data file of a backup and lock it against deletion.

    Args:
        directory: Where it lies.
        name: Of the backup.

    Returns:
        The file; close it.

    Raises:
        BackupNotFoundError: It is gone.
        BackupInUseError: It is being deleted.
        StorageError: The medium does not answer, or it is a symbolic link.
    """
    match directory:
        case LocalDirectory():
            return _open_locally(directory, name)
        case StoreDirectory():
            # The name is locked before the store is asked, once: it may be far away.
            try:
                return directory.open(name.file)
            except ObjectNotFoundError:
                raise BackupNotFoundError(name.backup_id, is_without_data=True) from None
        case _:
            assert_never(directory)


def _open_locally(directory: LocalDirectory, name: BackupName) -> ReadFile:
    if not directory.exists(name.file):
        raise BackupNotFoundError(name.backup_id, is_without_data=True)
    file = directory.open(name.file)
    try:
        is_current = file.is_current()
    except BaseException:
        file.close()
        raise
    # A deletion may have come between looking the name up and locking the file.
    if not is_current:
        file.close()
        raise BackupNotFoundError(name.backup_id, is_without_data=True)
    return file


def in_use(directory: BackupDirectory, files: Iterable[str]) -> set[str]:
    """Tell which data files somebody reads, for all that this machine knows; nothing is asked of a store."""
    match directory:
        case LocalDirectory():
            return in_use_locally(directory.kernel, str(directory.path), files)
        case StoreDirectory():
            return {file for file in files if directory.is_locked(file)}
        case _:
            assert_never(directory)


def size_of(directory: BackupDirectory, name: BackupName) -> int:
    """
    Tell how long the data file of a backup is, which is opened and not locked.

    Returns:
        Its bytes.

    Raises:
        BackupNotFoundError: It is gone.
        StorageError: It cannot be opened, or is a symbolic link.
    """
    facts = directory.describe(name.file)
    if facts is None:
        raise BackupNotFoundError(name.backup_id, is_without_data=True)
    if not isinstance(directory, LocalDirectory):
        return facts.size
    with directory.watch(name.file) as file:
        return file.size


def publish(
    directory: BackupDirectory, name: BackupName, data: DataFile, manifest: bytes
) -> ManifestFile:
    """Make a complete and synced data file a backup; see `publication.publish`."""
    match directory, data:
        case LocalDirectory(), WriteFile():
            return publication.publish(directory, name, data, manifest)
        case StoreDirectory(), StoreDataFile():
            return store_publication.publish(directory, name, data, manifest)
        case _:
            raise TypeError("a data file of another directory")


def keep(data: DataFile, manifest_file: ManifestFile) -> None:
    """Close the files of a backup that was published; others may have it from here on."""
    for file in (manifest_file, data):
        try:
            file.keep()
        except StorageError as exc:  # all of it was synced before; a close cannot undo that
            _log.warning("Closing a file of a published backup failed: %s", exc)


def withdraw(
    directory: BackupDirectory,
    name: BackupName,
    data: DataFile,
    manifest_file: ManifestFile | None,
) -> None:
    """Remove what a failed or cancelled run has written; see `publication.withdraw`."""
    match directory, data:
        case LocalDirectory(), WriteFile():
            local = manifest_file if isinstance(manifest_file, WriteFile) else None
            publication.withdraw(directory, data, local)
        case StoreDirectory(), StoreDataFile():
            store_publication.withdraw(directory, name, data)
        case _:
            raise TypeError("a data file of another directory")


def delete(directory: BackupDirectory, name: BackupName, permit: Callable[[], None]) -> None:
    """Remove a backup, and see that it is gone; see `publication.delete`."""
    match directory:
        case LocalDirectory():
            publication.delete(directory, name, permit)
        case StoreDirectory():
            store_publication.delete(directory, name, permit)
        case _:
            assert_never(directory)
