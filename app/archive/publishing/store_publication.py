"""
How a backup begins and ceases to exist in a store, which has no renames and no locks.

Publishing (a claim, `<file>.partial`, was made before the first byte):

1. complete the upload: now the data object is there, and its claim says that it is nobody's yet
2. read it back
3. with object lock, have the store keep the data object
4. see that the claim is ours, and write the manifest, unless there is one
5. see that the claim is still ours and the data object whole: now the backup exists
6. remove the claim

Deleting goes backwards:

1. write a claim
2. remove the manifest: now the backup is gone
3. remove the data object, its proofs and its notes
4. remove the claim

So whoever finds a claim without a manifest finds garbage, once its writer is gone: on this machine its lock
says so, elsewhere a claim that nobody renews any more. Whoever sweeps takes the claim over first, and then
looks for the manifest once more: a writer that was only slow finds that its claim is not its own. A claim
with a manifest is a step that was not taken to its end, and nothing but the claim is removed.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from app.errors import (
    AlreadyThereError,
    AppError,
    BackupInUseError,
    BackupNotFoundError,
    ObjectLockedError,
    RefusedError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from app.storage import layout
from app.storage.layout import BackupName
from app.storage.remote.claims import LEASE_SECONDS, Claim
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.files import StoreDataFile, StoreManifest


_log: Final = logging.getLogger(__name__)
_LEASE: Final = timedelta(seconds=LEASE_SECONDS)
# Nothing was begun after this.
_ALL: Final = timedelta(minutes=1)


def begin(directory: StoreDirectory, name: BackupName, estimate_bytes: int) -> StoreDataFile:
    """Claim a backup and begin its object; see `publication.begin`."""
    for taken in (name.file, name.manifest):
        if directory.exists(taken):
            raise StorageError(f"{taken}: already exists")
    return directory.begin(name, estimate_bytes)


def publish(
    directory: StoreDirectory, name: BackupName, data: StoreDataFile, manifest: bytes
) -> StoreManifest:
    """
    Make a complete data object a backup.

    Returns:
        The manifest; the caller keeps it and the data, or withdraws.

    Raises:
        AlreadyThereError: Somebody else has published a backup of this name.
        TruncatedFileError: The data object is gone.
        StorageError: Somebody has taken it for one that nobody writes; or nobody knows whether the manifest
            is there. The caller withdraws.
    """
    until = directory.retain_until()
    if until is not None:
        directory.store.retain(name.file, until)
    data.claim.require()
    published = _write_manifest(directory, name, manifest, until)
    # A sweep takes a claim over before it looks for the manifest: from here on it either finds the
    # manifest, or we find that the claim is not ours any more.
    data.claim.require()
    data.require_whole()
    try:
        data.claim.remove()
    except StorageError as exc:  # the backup exists; the next sweep removes it, if anybody may
        if not directory.append_only:
            _log.warning("Claim could not be removed", extra={"facts": {"error": str(exc)}})
    return published


def _write_manifest(
    directory: StoreDirectory, name: BackupName, manifest: bytes, until: datetime | None
) -> StoreManifest:
    try:
        return directory.create(name.manifest, manifest, retain_until=until)
    except AlreadyThereError:
        # An answer that was lost is asked for again, and then it is there already: ours, since the claim is.
        if directory.read(name.manifest, len(manifest)) != manifest:
            raise
        return StoreManifest(directory.store, name.manifest)


def withdraw(directory: StoreDirectory, name: BackupName, data: StoreDataFile) -> None:
    """
    Remove what a failed or cancelled run has written; its manifest first, whether or not it is known of.

    Raises:
        StorageError: Something could not be removed; it is garbage for the next sweep, or still a whole backup.
    """
    try:
        directory.remove(name.manifest)
    except BaseException:
        data.keep()
        raise
    data.discard()


def delete(directory: StoreDirectory, name: BackupName, permit: Callable[[], None]) -> None:
    """
    Remove a backup, and see that it is gone; see `publication.delete`.

    Raises:
        RefusedError: Nothing is deleted in this store.
        BackupNotFoundError: It has no manifest.
        ObjectLockedError: The store keeps it; nothing was changed.
        StorageDeniedError: The key may not delete; nothing was changed, but for its claim.
        StorageUnavailableError: A file of it is there again or still.
    """
    if directory.append_only:
        raise RefusedError(
            f"the store {directory.name} is append-only: nothing is deleted there",
            hint="How long backups stay is a rule of the store itself.",
        )
    with directory.locked():
        if not directory.exists(name.manifest):
            raise BackupNotFoundError(name.backup_id, store=directory.name)
        permit()
        with directory.hold(name.file), directory.claim(name) as claim:
            if not _has_taken_over(claim):
                _log.warning("Deleting without a claim", extra={"facts": {"file": name.file}})
            try:
                directory.remove(name.manifest)
            except (ObjectLockedError, StorageDeniedError):
                with suppress(AppError):  # nothing was changed; else the next sweep removes it
                    claim.remove()
                raise
            _bury(directory, name, claim)
        if directory.exists(name.manifest) or directory.exists(name.file):
            raise StorageUnavailableError(
                f"{name.file}: is still there after it was removed",
                hint="Look for another program that writes to the store.",
            )


def _has_taken_over(claim: Claim) -> bool:
    """
    Take a claim over, unless the store is full, which SFTP calls a failure like any other.

    What makes room there must not need some. Who dies without a claim leaves data without a manifest, which is not
    listed as a backup.

    Returns:
        False where there was no room: it is there as before, or not at all.

    Raises:
        StorageDeniedError: The key may not write.
        StorageUnavailableError: The store does not answer.
    """
    try:
        claim.take_over()
    except (StorageDeniedError, StorageUnavailableError):
        raise
    except StorageError:
        return False
    return True


def _bury(directory: StoreDirectory, name: BackupName, claim: Claim) -> list[str]:
    """Remove the data object of a backup without manifest, what lies beside it, and then its claim."""
    removed = [file for file in (name.file, name.proofs, name.notes) if directory.remove(file)]
    claim.remove()
    return [*removed, name.partial]


def sweep(directory: StoreDirectory, names: Iterable[BackupName], there: set[str]) -> list[str]:
    """
    Remove what crashed runs left behind in a store, but for uploads.

    Args:
        directory: The store.
        names: Backups that anything is there of.
        there: All names that are there.

    Returns:
        Names that were removed.

    Raises:
        StorageError: The store refused; the rest is still there.
    """
    if directory.append_only:
        return []
    removed: list[str] = []
    for name in names:
        if name.partial in there and _is_abandoned(directory, name):
            with suppress(BackupInUseError):  # somebody here was faster
                removed += _sweep_claim(directory, name)
    return removed


def _sweep_claim(directory: StoreDirectory, name: BackupName) -> list[str]:
    """Take a claim over, so that its owner finds out, and remove what it stands for."""
    with directory.claim(name) as claim:
        if not _has_taken_over(claim):
            # Its owner finds that it is gone, which says the same, and its room may do for ours.
            claim.remove()
            _has_taken_over(claim)
        if not directory.exists(name.manifest):
            return _bury(directory, name, claim)
        claim.remove()
    return [name.partial]


def _is_abandoned(directory: StoreDirectory, name: BackupName) -> bool:
    is_written = directory.is_written_here(name)
    claim = directory.claim_of(name)
    if is_written or claim is None:
        return False
    owner, since = claim
    # Only a lock file that was left tells that the writer was here; a state directory may have been copied.
    was_here = owner == directory.owner and is_written is False
    return was_here or directory.store.now() - since > _LEASE


def sweep_uploads(directory: StoreDirectory) -> list[str]:
    """
    Remove uploads that nobody completes: a claim is there before its upload begins, and as long as it lasts.

    Where a store does not tell what an upload would become, only one that nobody has written to for long is
    known to be left.

    Returns:
        What they would have become, or what the store calls them.

    Raises:
        StorageError: The store refused; the rest is still there.
    """
    store = directory.store
    if directory.append_only or not store.lists_unfinished:
        return []
    now = store.now()
    removed: list[str] = []
    for upload in list(store.unfinished(now + _ALL)):
        name = layout.parse(upload.name)
        is_ours = name is not None and not directory.exists(name.partial)
        if is_ours or (not upload.name and now - upload.begun_at > _LEASE):
            store.abort_unfinished(upload)
            removed.append(upload.name or upload.upload_id)
    return removed
