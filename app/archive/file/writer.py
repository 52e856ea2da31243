"""
Writing an archive: many tasks compress, one file grows, and nothing exists before it is proven.

1. Members are compressed and hashed in a pool of threads, small ones at once where they come from,
   and appended one at a time; a megabyte of them is collected for one write, and small tables for one
   member.
2. `finish` adds the footer, syncs the file, reads it back, and publishes it.
3. Any failure, cancellation included, removes everything.

Not guaranteed: the order of members of tasks that run side by side; the index is the truth. What is appended
stays in order, but for rows: they may overtake other tables that wait for a shared member.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from threading import Event
from typing import Final, Self

from app.archive.file.codec import SHARED_LEVEL
from app.archive.file.content import WrittenContent
from app.archive.file.footer import write_footer
from app.archive.file.index import check_index
from app.archive.file.keys import NO_KEYS, ArchiveKeys
from app.archive.file.packing import Label, MemberPacker, Part, pack
from app.archive.file.sealing import write_manifest
from app.archive.file.sharing import SharedParts, can_share
from app.archive.file.verification import Listener, until, verify_file
from app.archive.publishing import places
from app.archive.publishing.places import BackupDirectory, ManifestFile
from app.concurrency import run_in_thread
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import (
    Codec,
    Manifest,
    MemberEntry,
    MemberKind,
)
from app.domain.backups.thinning import version_for
from app.domain.ids import BackupId
from app.domain.ports import Statement
from app.errors import AppError, StorageError
from app.storage.layout import BackupName


_log: Final = logging.getLogger(__name__)

# Handing a member to a thread and back takes longer than to compress this much, 0.1 ms when measured.
_SMALL_BYTES: Final = 16 << 10
# Bytes of members that wait for one handover, about three of 1 MiB of SQL: more would be memory and little else.
_BUFFER_BYTES: Final = 1 << 20


class ArchiveWriter:
    """
    One archive being written; a `MemberSink` and an async context manager.

    Leaving the context without `finish` having returned removes everything that was written.

    Args:
        keys: For whom it is encrypted, and who signs it.
        level: How much time compression may take, one of the codec's; None = its default.
        estimate_bytes: How large the file will be at most, about.

    Attributes:
        name: Names of the files of this backup.
        size: Bytes of content so far, those that wait to be written included.
        raw_size: Bytes of SQL in it so far.
    """

    def __init__(
        self,
        directory: BackupDirectory,
        backup_id: BackupId,
        codec: Codec,
        keys: ArchiveKeys = NO_KEYS,
        *,
        level: int | None = None,
        threads: int = 2,
        estimate_bytes: int = 0,
    ) -> None:
        self._keys = keys
        self._recipients = keys.recipients()
        self.name = BackupName(backup_id, codec, is_encrypted=bool(self._recipients))
        self.size = 0
        self.raw_size = 0
        self._new_packer = partial(MemberPacker, codec, level)
        shared_level = SHARED_LEVEL.get(codec) if level is None else level
        self._new_shared_packer = partial(MemberPacker, codec, shared_level)
        # A level that somebody has chosen may be slow: nothing of it runs in the event loop.
        self._small_bytes = _SMALL_BYTES if level is None else -1
        self._directory = directory
        self._threads = threads
        self._estimate_bytes = estimate_bytes
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="archive")
        self._turn = asyncio.Lock()
        self._members: list[MemberEntry] = []
        self._shared = SharedParts()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._data: WrittenContent | None = None
        self._manifest_file: ManifestFile | None = None
        self._usable = False
        self._failure: StorageError | None = None

    async def __aenter__(self) -> Self:
        """Create the file; raises StorageError when that is refused."""
        try:
            await run_in_thread(self._open, executor=self._pool)
        except BaseException:
            await self.abort()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.abort()

    async def append(
        self,
        kind: MemberKind,
        statements: Sequence[Statement],
        *,
        database: str = "",
        table: str = "",
    ) -> None:
        """See `MemberSink.append`."""
        part = Part(Label(kind, database, table), statements)
        if can_share(part):
            async with self._turn:
                self._begin_change()
                self._shared.add(part)
                if self._shared.is_full:
                    await self._put_shared()
                self._usable = True
            return
        work = partial(pack, self._new_packer, [part])
        small = part.raw_size <= self._small_bytes
        pieces, packer = work() if small else await run_in_thread(work, executor=self._pool)
        async with self._turn:
            self._begin_change()
            if self._shared.must_precede(part.label):
                await self._put_shared()
            await self._put_member(pieces, packer)
            self._usable = True

    async def stream(
        self,
        kind: MemberKind,
        statements: AsyncIterator[Statement],
        *,
        database: str = "",
        table: str = "",
    ) -> None:
        """See `MemberSink.stream`."""
        async with self._turn:
            self._begin_change()
            label = Label(kind, database, table)
            if self._shared.must_precede(label):
                await self._put_shared()
            packer = self._new_packer()
            packer.begin(label)
            await run_in_thread(self._put_waiting, executor=self._pool)
            async for statement in statements:
                put = partial(self._put_statement, packer, statement)
                await run_in_thread(put, executor=self._pool)
            await run_in_thread(lambda: self._put([packer.end()]), executor=self._pool)
            self._note(packer)
            self._usable = True

    async def finish(
        self,
        draft: Manifest,
        *,
        verify: bool = True,
        closing: bytes = b"",
        duration: Callable[[], float] | None = None,
        listener: Listener | None = None,
    ) -> Manifest:
        """
        End the file, prove it, and publish it.

        Args:
            draft: The manifest; file, members, sizes and checksum are replaced.
            verify: Whether the file is read back: digests, decompression, and raw sizes.
            closing: Whole lines of SQL for the mysql client, put before the footer's text.
            duration: Asked for the seconds so far, right before publication.
            listener: Told of each member that was read back; called in a thread.

        Returns:
            The manifest as published.

        Raises:
            ManifestError: The index does not add up: a bug of the caller.
            IntegrityError: What was read back is not what was written.
            StorageError: The medium refused; nothing is left behind.
        """
        async with self._turn:
            self._begin_change()
            await self._put_shared()
            manifest = await run_in_thread(partial(self._seal, draft, closing), executor=self._pool)
            if verify:
                await self._read_back(manifest, listener)
            if duration is not None:
                manifest = replace(manifest, duration=duration())
            await run_in_thread(partial(self._publish, manifest), executor=self._pool)
            # From here to the return nothing awaits: the backup exists, or the caller was told not.
            self._keep()
        return manifest

    async def abort(self) -> None:
        """Remove everything, unless `finish` has returned; again is harmless."""
        try:
            await run_in_thread(self._withdraw)
        finally:
            self._pool.shutdown(wait=False)

    def _open(self) -> None:
        file = places.begin(self._directory, self.name, self._estimate_bytes)
        self._data = WrittenContent(file, self._recipients)
        self._usable = True

    def _begin_change(self) -> None:
        """Forbid further use until the change that begins here is complete."""
        if self._failure is not None:  # whoever fails second must name the same cause
            raise type(self._failure)(str(self._failure), hint=self._failure.hint)
        if not self._usable:
            raise StorageError(f"{self.name.file}: an earlier write failed")
        self._usable = False

    async def _put_shared(self) -> None:
        """Write the member of the small tables that wait for one."""
        parts = self._shared.take()
        if parts:
            work = partial(pack, self._new_shared_packer, parts)
            await self._put_member(*await run_in_thread(work, executor=self._pool))

    async def _put_member(self, pieces: Sequence[bytes], packer: MemberPacker) -> None:
        self._note(packer)
        self._waiting += pieces
        self._waiting_bytes += packer.size
        if self._waiting_bytes >= _BUFFER_BYTES:
            await run_in_thread(self._put_waiting, executor=self._pool)

    def _note(self, packer: MemberPacker) -> None:
        """Take a member that is ended into the index."""
        self._members += packer.entries(self.size)
        self.size += packer.size

    def _file(self) -> WrittenContent:
        if self._data is None:
            raise RuntimeError("the archive is not open")
        return self._data

    def _put(self, pieces: Sequence[bytes]) -> None:
        file = self._file()
        try:
            for piece in pieces:
                file.write(piece)
        except StorageError as exc:
            self._failure = exc
            raise

    def _put_waiting(self) -> None:
        pieces, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._put(pieces)

    def _put_statement(self, packer: MemberPacker, statement: Statement) -> None:
        self._put([packer.add(statement)])

    def _seal(self, draft: Manifest, closing: bytes) -> Manifest:
        self._put_waiting()
        draft = self._with_file_facts(draft)
        packer = self._new_packer()
        packer.begin(Label(MemberKind.FOOTER))
        for piece in packer.add_text(chain([closing], write_footer(draft, before=len(closing)))):
            if piece:
                self._put([piece])
        self._put([packer.end()])
        self._note(packer)
        self._file().finish()
        manifest = self._with_file_facts(draft)
        check_index(manifest)
        return manifest

    def _with_file_facts(self, draft: Manifest) -> Manifest:
        members = tuple(self._members)
        return replace(
            draft,
            backup_id=self.name.backup_id,
            file=self.name.file,
            members=members,
            raw_size=sum(member.raw_size for member in members),
            size=self._file().stored.size,
            checksum=self._file().checksum,
            recipients=self._keys.recipient_ids(),
            format_version=version_for(draft.tables_count),
        )

    async def _read_back(self, manifest: Manifest, listener: Listener | None) -> None:
        stop = Event()
        file = self._file()

        def work() -> None:
            verify_file(
                file.reopened(),
                manifest,
                VerifyLevel.INFLATE,
                threads=self._threads,
                # Else made of the bytes whose members are compared.
                checksum=self.name.is_encrypted,
                listener=until(stop, listener),
            )

        await run_in_thread(file.stored.drop_cache, executor=self._pool)
        await run_in_thread(work, stop=stop)

    def _publish(self, manifest: Manifest) -> None:
        data = write_manifest(manifest, self._keys)
        file = self._file().stored
        self._manifest_file = places.publish(self._directory, self.name, file, data)

    def _keep(self) -> None:
        data, manifest_file = self._data, self._manifest_file
        self._data = self._manifest_file = None
        assert data is not None  # noqa: S101 - it was published
        assert manifest_file is not None  # noqa: S101 - so was this
        places.keep(data.stored, manifest_file)

    def _withdraw(self) -> None:
        self._pool.shutdown(wait=True)
        data, manifest_file = self._data, self._manifest_file
        self._data = self._manifest_file = None
        self._usable = False
        if data is None:
            return
        try:
            places.withdraw(self._directory, self.name, data.stored, manifest_file)
        except AppError as exc:
            _log.warning(
                "Removing an unfinished backup failed; the next sweep tries again: %s", exc
            )
