"""Copies of backups in other places, each proven where it lies."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Final, Protocol, TypeVar

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive, rewrap_archive
from app.archive.file.stored import ByteListener, Published
from app.concurrency import run_in_thread
from app.domain.backups.catalogue import CopiedBackup
from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.domain.places.sizes import size
from app.domain.runs.progress import Phase, Progress
from app.errors import (
    AppError,
    BackupNotFoundError,
    ChecksumMismatchError,
    InvalidRequestError,
    NoIdentityError,
    StorageDeniedError,
    StorageFullError,
    TruncatedFileError,
)


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_log: Final = logging.getLogger(__name__)
# A page waits for it.
_LOOK_SECONDS: Final = 3.0
_MOST_LOOKS: Final = 4


class CopyService:
    """
    Copies backups from one place to another.

    Args:
        open_catalogue: Opens the catalogue of a store by its name, or of the backup directory for an empty
            one; blocks.
    """

    def __init__(self, open_catalogue: Callable[[str], Catalogue]) -> None:
        self._open_catalogue = open_catalogue
        self._looks = ThreadPoolExecutor(_MOST_LOOKS, thread_name_prefix="look")
        self._looking: set[str] = set()

    async def require_place(self, name: str) -> None:
        """Raise StoreNotFoundError when there is no such store; nothing is asked of it."""
        await asyncio.to_thread(self._open_catalogue, name)

    async def is_whole(self, backup_id: str, store: str) -> bool:
        """Tell whether a store has a backup, with all its bytes by their number; raises StorageError."""
        return await asyncio.to_thread(lambda: _is_whole(self._open_catalogue(store), backup_id))

    async def find(self, backup_id: str, source: str) -> BackupId:
        """Tell whether a place has a backup; raises BackupNotFoundError, StoreNotFoundError."""
        return await asyncio.to_thread(lambda: self._open_catalogue(source).find(backup_id))

    async def copy(
        self, backup_id: str, source: str, target: str, progress: Progress | None = None
    ) -> CopiedBackup:
        """
        Copy a backup; when this returns, the copy was read back from where it lies. Nobody needs to read it.

        Args:
            backup_id: Which one.
            source: Name of the store in which it is; empty = the backup directory.
            target: The same of where it shall be too.
            progress: Written to as it goes.

        Returns:
            What is the same in both places. A copy that is there already is only read back; one whose data
            is gone is made anew.

        Raises:
            BackupNotFoundError: The source has no such backup.
            IntegrityError: It is damaged, or what was written is not what was read.
            ConflictError: Somebody else writes this copy now.
            StorageError: A place refused, or does not answer; there is no copy.
        """
        progress = progress or Progress()
        here, there = await self._open_both(source, target, progress)
        with await asyncio.to_thread(here.stored, backup_id) as archive:
            published = archive.published
            manifest = await asyncio.to_thread(_find_manifest, here, backup_id)
            await run_in_thread(partial(_prepare, there))
            if await run_in_thread(partial(_has_whole, there, published)):
                await _prove(there, published, progress)
            else:
                await asyncio.to_thread(_require_room, there, published.size)
                await _in_thread(
                    partial(copy_archive, archive, there.directory), published, progress
                )
                await _put_on_list(published, manifest, here, there)
        _note(published, target)
        return _copied(published, manifest)

    async def rewrap(
        self, backup_id: str, source: str, target: str, progress: Progress | None = None
    ) -> CopiedBackup:
        """
        Copy an encrypted backup for the recipients of now; takes what `copy` takes.

        Returns:
            What is in the new place; the backup in the old one stays as it is.

        Raises:
            InvalidRequestError: It is not encrypted, nobody is set to encrypt for, or it is there already.
            NoIdentityError: Nobody here can read it.
            IntegrityError: It is damaged, or what was written is not what was read.
            StorageError: A place refused, or does not answer; there is no copy.
        """
        progress = progress or Progress()
        here, there = await self._open_both(source, target, progress)
        with await asyncio.to_thread(here.stored, backup_id) as archive:
            manifest = await asyncio.to_thread(here.manifest, backup_id)
            await run_in_thread(partial(_require_rewrappable, archive.published, there))
            await asyncio.to_thread(_require_room, there, archive.published.size)
            work = partial(rewrap_archive, archive, manifest, there.directory, there.keys)
            made = await _in_thread(work, archive.published, progress)
            await _put_on_list(archive.published, made, here, there)
        _note(archive.published, target)
        return CopiedBackup(made.backup_id, made.file, made.size, made.checksum, made)

    async def where(self, backup_id: str, stores: Sequence[str]) -> dict[str, bool | None]:
        """
        Look for whole copies of a backup, in all stores at once, and not for long.

        Returns:
            By store whether it is there; None = nobody knows, since the store did not answer in time, or a
            look before this one still waits for it.
        """
        found = await asyncio.gather(*(self._look(backup_id, store) for store in stores))
        return dict(zip(stores, found, strict=True))

    async def _open_both(
        self, source: str, target: str, progress: Progress
    ) -> tuple[Catalogue, Catalogue]:
        progress.enter(Phase.CONNECT)
        here = await asyncio.to_thread(self._open_catalogue, source)
        return here, await asyncio.to_thread(self._open_catalogue, target)

    async def _look(self, backup_id: str, store: str) -> bool | None:
        if store in self._looking:
            return None
        self._looking.add(store)
        # Threads of its own: a store that does not answer must not take those that others need.
        look = self._looks.submit(lambda: _is_whole(self._open_catalogue(store), backup_id))
        look.add_done_callback(lambda _: self._looking.discard(store))
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await asyncio.shield(asyncio.wrap_future(look))
        except (AppError, TimeoutError):
            return None


class _ThreadWork(Protocol[T_co]):
    """Copies in a thread, until it is told to stop, and tells how many bytes more were read back."""

    def __call__(self, *, stop: Event, listener: ByteListener) -> T_co: ...


async def _in_thread(work: _ThreadWork[T], published: Published, progress: Progress) -> T:
    """
    Copy in a thread that ends when this task is cancelled, and tell how much was read back.

    Returns:
        What the copying returned.

    Raises:
        CancelledError: There is no copy; one that was published before the thread heard of it is made.
    """
    stop = Event()
    made: list[T] = []

    def moved(size: int) -> None:
        if progress.phase is not Phase.VERIFY:
            progress.enter(Phase.VERIFY)
            progress.expect(tables=0, rows=0, size=published.size)
        progress.moved("", rows=0, size=size)

    try:
        await run_in_thread(lambda: made.append(work(stop=stop, listener=moved)), stop=stop)
    except asyncio.CancelledError:
        if not made:
            raise
    return made[0]


async def _put_on_list(
    published: Published, manifest: Manifest | None, here: Catalogue, there: Catalogue
) -> None:
    """Bring the list of the other place up to date; the copy is made, whatever becomes of that."""
    backup_id = published.name.backup_id
    try:
        if manifest is None:
            await run_in_thread(partial(_pass_line, backup_id, here, there))
        await run_in_thread(partial(there.refresh, manifest))
    except (AppError, asyncio.CancelledError) as exc:
        facts = {"backup_id": backup_id, "error": str(exc)}
        _log.warning("Copy completed, its follow-up failed", extra={"facts": facts})


async def _prove(there: Catalogue, published: Published, progress: Progress) -> None:
    """Read a copy back that was made before."""
    progress.enter(Phase.VERIFY)
    progress.expect(tables=0, rows=0, size=published.size)
    with await asyncio.to_thread(there.stored, published.name.backup_id) as copy:
        await copy.prove(lambda size: progress.moved("", rows=0, size=size))


def _copied(published: Published, manifest: Manifest | None) -> CopiedBackup:
    name = published.name
    return CopiedBackup(name.backup_id, name.file, published.size, published.checksum, manifest)


def _note(published: Published, target: str) -> None:
    facts = {"backup_id": published.name.backup_id, "to": target or "backup directory"}
    _log.info("Backup copied", extra={"facts": facts})


def _prepare(there: Catalogue) -> None:
    there.directory.prepare()
    there.sweep()
    try:
        there.sweep_uploads()
    except StorageDeniedError as exc:  # a copy needs no right to see what others began
        _log.warning(
            "Unfinished uploads are left to the next sweep", extra={"facts": {"error": str(exc)}}
        )


def _require_room(there: Catalogue, needed: int) -> None:
    """Refuse a copy that would fill the other place; raises StorageFullError."""
    free = there.directory.free_bytes()
    if free is not None and free < needed:
        raise StorageFullError(
            f"{size(free)} are free there, and the copy needs {size(needed)}",
            hint="Free some space there, or name another store.",
        )


def _find_manifest(here: Catalogue, backup_id: str) -> Manifest | None:
    """Read a manifest; None when it is encrypted for others."""
    try:
        return here.manifest(backup_id)
    except NoIdentityError:
        return None


def _pass_line(backup_id: str, here: Catalogue, there: Catalogue) -> None:
    """Let the list of the other place know what is remembered of a backup that nobody here can read."""
    for entry in here.entries():
        if entry.backup_id == backup_id:
            there.learn(entry)


def _require_rewrappable(published: Published, there: Catalogue) -> None:
    if not published.name.is_encrypted or not there.keys.recipients():
        raise InvalidRequestError(
            f"{published.name.backup_id}: only an encrypted backup is given other recipients",
            hint="BACKSTAY_ENCRYPT_TO names them.",
        )
    _prepare(there)
    if there.directory.exists(published.name.manifest):
        raise InvalidRequestError(
            f"{published.name.backup_id}: is in that place already",
            hint="Name another place, or delete it there first.",
        )


def _has_whole(there: Catalogue, published: Published) -> bool:
    """
    Tell whether the very same backup is there; a manifest whose data is gone is removed.

    Returns:
        False when nothing of it is there any more.

    Raises:
        ChecksumMismatchError: Another one is there.
        TruncatedFileError: Its data is of another size; single tables of it may still be of use.
    """
    backup_id = published.name.backup_id
    try:
        known = there.published(backup_id)
    except BackupNotFoundError:
        return False
    if known.checksum != published.checksum:
        raise ChecksumMismatchError(
            f"{backup_id} is in both places, with other bytes",
            hint="Verify both, and delete the one that is damaged; one may be encrypted for others.",
        )
    try:
        there.stored(backup_id).close()
    except BackupNotFoundError:
        there.delete(backup_id, refreshes=False)
        return False
    return True


def _is_whole(there: Catalogue, backup_id: str) -> bool:
    try:
        there.stored(backup_id).close()
    except (BackupNotFoundError, TruncatedFileError):
        return False
    return True
