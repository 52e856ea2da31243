"""Copies of backups in other places, each proven where it lies."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive
from app.archive.file.reader import ArchiveReader
from app.concurrency import run_in_thread
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Manifest, MemberEntry
from app.domain.ids import BackupId
from app.domain.runs.progress import Phase, Progress
from app.errors import (
    AppError,
    BackupNotFoundError,
    ChecksumMismatchError,
    TruncatedFileError,
)


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
        threads: Members that are checked side by side.
    """

    def __init__(self, open_catalogue: Callable[[str], Catalogue], threads: int) -> None:
        self._open_catalogue = open_catalogue
        self._threads = threads
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
    ) -> Manifest:
        """
        Copy a backup; when this returns, the copy was read back from where it lies.

        Args:
            backup_id: Which one.
            source: Name of the store in which it is; empty = the backup directory.
            target: The same of where it shall be too.
            progress: Written to as it goes.

        Returns:
            Its manifest, the same in both places. One that is there already is only read back; one whose
            data is gone is made anew.

        Raises:
            BackupNotFoundError: The source has no such backup.
            IntegrityError: It is damaged, or what was written is not what was read.
            ConflictError: Somebody else writes this copy now.
            StorageError: A place refused, or does not answer; there is no copy.
        """
        progress = progress or Progress()
        progress.enter(Phase.CONNECT)
        there = await asyncio.to_thread(self._open_catalogue, target)
        reader = await asyncio.to_thread(lambda: self._open_catalogue(source).open(backup_id))
        with reader:
            manifest = reader.manifest
            await asyncio.to_thread(_prepare, there)
            if await asyncio.to_thread(_has_whole, there, manifest):
                await self._prove(there, manifest, progress)
            else:
                await self._copy(reader, there, progress)
                await asyncio.to_thread(there.refresh, manifest)
        facts = {"backup_id": manifest.backup_id, "to": target or "backup directory"}
        _log.info("Backup copied", extra={"facts": facts})
        return manifest

    async def where(self, backup_id: str, stores: Sequence[str]) -> dict[str, bool | None]:
        """
        Look for whole copies of a backup, in all stores at once, and not for long.

        Returns:
            By store whether it is there; None = nobody knows, since the store did not answer in time, or a
            look before this one still waits for it.
        """
        found = await asyncio.gather(*(self._look(backup_id, store) for store in stores))
        return dict(zip(stores, found, strict=True))

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

    async def _copy(self, reader: ArchiveReader, there: Catalogue, progress: Progress) -> None:
        stop = Event()

        def moved(member: MemberEntry) -> None:
            if progress.phase is not Phase.VERIFY:
                progress.enter(Phase.VERIFY)
                progress.expect(tables=0, rows=0, size=reader.manifest.raw_size)
            progress.moved(member.table, rows=0, size=member.raw_size)

        work = partial(
            copy_archive,
            reader,
            there.directory,
            threads=self._threads,
            stop=stop,
            listener=moved,
        )
        await run_in_thread(work, stop=stop)

    async def _prove(self, there: Catalogue, manifest: Manifest, progress: Progress) -> None:
        """Read a copy back that was made before."""
        progress.enter(Phase.VERIFY)
        progress.expect(tables=0, rows=0, size=manifest.raw_size)
        with await asyncio.to_thread(there.open, manifest.backup_id) as copy:
            await copy.verify(
                VerifyLevel.INFLATE,
                threads=self._threads,
                listener=lambda member: progress.moved(member.table, rows=0, size=member.raw_size),
            )


def _prepare(there: Catalogue) -> None:
    there.directory.prepare()
    there.sweep()


def _has_whole(there: Catalogue, manifest: Manifest) -> bool:
    """
    Tell whether the very same backup is there; a manifest whose data is gone is removed.

    Returns:
        False when nothing of it is there any more.

    Raises:
        ChecksumMismatchError: Another one is there.
        TruncatedFileError: Its data is of another size; single tables of it may still be of use.
    """
    try:
        known = there.manifest(manifest.backup_id)
    except BackupNotFoundError:
        return False
    if known.checksum != manifest.checksum:
        raise ChecksumMismatchError(
            f"{manifest.backup_id} is in both places, with other bytes",
            hint="Verify both, and delete the one that is damaged.",
        )
    try:
        there.open(manifest.backup_id).close()
    except BackupNotFoundError:
        there.delete(manifest.backup_id, refreshes=False)
        return False
    return True


def _is_whole(there: Catalogue, backup_id: str) -> bool:
    try:
        there.open(backup_id).close()
    except (BackupNotFoundError, TruncatedFileError):
        return False
    return True
