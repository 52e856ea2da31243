"""
How a backup begins and ceases to exist: the order of renames and syncs.

Publishing (the data file is complete and synced under its `.partial` name):

1. write and sync `<file>.manifest.json.partial`, sync the directory
2. rename the data file to its final name, sync the directory
3. rename the manifest to its final name, sync the directory: now the backup exists

Deleting goes backwards:

1. rename the manifest to its `.partial` name, sync the directory: now the backup is gone
2. remove the data file, its proofs and its notes, sync the directory
3. remove the `.partial` manifest, sync the directory
4. read the directory again: nothing of the backup is there

So a `.partial` manifest whose lock is free marks its data file as garbage, and a data file without
any manifest is never a leftover of these steps: it is somebody's, and stays.
Each owner holds the lock of its own file until the end; all steps run under the directory's lock.
"""

from collections.abc import Callable
from contextlib import suppress

from app.errors import BackupNotFoundError, StorageError, StorageUnavailableError
from app.storage.files import WriteFile
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory


def begin(directory: LocalDirectory, name: BackupName) -> WriteFile:
    """
    Create the data file of a new backup, locked.

    Returns:
        An empty file under its `.partial` name.

    Raises:
        StorageError: A file of this backup exists already, or the medium refused.
    """
    with directory.locked():
        for taken in (name.file, name.manifest, name.tombstone):
            if directory.exists(taken):
                raise StorageError(f"{taken}: already exists")
        return directory.create(name.partial)


def publish(
    directory: LocalDirectory, name: BackupName, data: WriteFile, manifest: bytes
) -> WriteFile:
    """
    Make a complete and synced data file a backup.

    Returns:
        The published manifest's file, still locked; the caller keeps it and `data`, or withdraws.

    Raises:
        StorageError: The backup does not exist; `data` is to be withdrawn.
    """
    with directory.locked():
        manifest_file = directory.create(name.tombstone)
        try:
            manifest_file.write(manifest)
            manifest_file.sync()
            directory.sync()
            data.rename(name.file)
            directory.sync()
            manifest_file.rename(name.manifest)
            directory.sync()
        except BaseException:
            withdraw(directory, data, manifest_file)
            raise
    return manifest_file


def withdraw(directory: LocalDirectory, data: WriteFile, manifest_file: WriteFile | None) -> None:
    """
    Remove what a failed or cancelled run has written, whatever names it has by now.

    Raises:
        StorageError: A file could not be removed; it is garbage for the next sweep.
    """
    try:
        if manifest_file is not None:
            manifest_file.discard()
            with suppress(StorageError):
                directory.sync()
    finally:
        data.discard()


def delete(directory: LocalDirectory, name: BackupName, permit: Callable[[], None]) -> None:
    """
    Remove a backup, and see that it is gone.

    Args:
        directory: Where it lies.
        name: Which one.
        permit: Raises what speaks against it; asked when nobody else may change anything any more.

    Raises:
        BackupNotFoundError: It has no manifest.
        BackupInUseError: A restore or verification reads it; nothing was changed.
        StorageUnavailableError: A file of it is there again or still.
        StorageError: The medium refused; the backup is either whole or garbage for the next sweep.
    """
    with directory.locked():
        if not directory.exists(name.manifest):
            raise BackupNotFoundError(name.backup_id)
        permit()
        with directory.open(name.manifest, exclusive=True):
            _delete_locked(directory, name)
        # Each is asked for: to list all names for each of many would take their number squared.
        ours = (name.manifest, name.file, name.tombstone)
        if left := [file for file in ours if directory.exists(file)]:
            raise StorageUnavailableError(
                f"{left[0]}: is still there after it was removed",
                hint="Look for another program that writes to the backup directory.",
            )


def _delete_locked(directory: LocalDirectory, name: BackupName) -> None:
    if not directory.exists(name.file):
        directory.remove(name.manifest)
        directory.remove(name.proofs)
        directory.remove(name.notes)
        directory.sync()
        return
    with directory.open(name.file, exclusive=True):
        directory.rename(name.manifest, name.tombstone)
        directory.sync()
        bury(directory, name)


def bury(directory: LocalDirectory, name: BackupName) -> list[str]:
    """
    Remove a data file whose manifest is a tombstone, then the tombstone.

    Returns:
        Names that were removed.

    Raises:
        StorageError: The medium refused; the tombstone is still there.
    """
    files = (name.file, name.partial, name.proofs, name.notes)
    removed = [file for file in files if directory.remove(file)]
    directory.sync()
    removed += [file for file in (name.tombstone,) if directory.remove(file)]
    directory.sync()
    return removed
