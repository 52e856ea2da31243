"""
Reading an archive: any member alone, in any order, and nothing that was not proven.

A reader holds a shared lock on the data file: it cannot be deleted by us meanwhile.
"""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from functools import partial
from threading import Event, Lock
from typing import Final

from app.age.reader import open_header
from app.archive.file import codec as codecs
from app.archive.file.content import Content, require_digest
from app.archive.file.index import check_index, compressed_members
from app.archive.file.keys import NO_KEYS, ArchiveKeys, identities_of
from app.archive.file.stored import OpenArchive, open_data_file
from app.archive.file.verification import (
    Listener,
    blocks_of,
    check_content,
    name_member,
    split,
    text_of,
    until,
    verify_file,
)
from app.archive.publishing.places import BackupDirectory, OpenFile
from app.concurrency import run_in_thread
from app.domain.backups.check_notes import VerifyLevel, VerifyReport
from app.domain.backups.manifest import Manifest, MemberEntry
from app.storage import layout
from app.storage.layout import BackupName


# Texts of shared members that are kept inflated: tables are mostly read in the order of the file.
_KEPT_TEXTS: Final = 8


class ArchiveReader(OpenArchive):
    """
    One open archive; safe to read from several tasks and threads at once.

    Attributes:
        manifest: As given; its index passed `check_index`.
    """

    def __init__(self, stored: OpenFile, content: Content, manifest: Manifest) -> None:
        super().__init__(stored)
        self.manifest = manifest
        self._file = content
        self._shared = {
            parts[0].offset: sum(part.raw_size for part in parts)
            for parts in compressed_members(manifest.members)
            if len(parts) > 1
        }
        self._texts: OrderedDict[int, bytes] = OrderedDict()
        self._texts_lock = Lock()

    @classmethod
    def open(
        cls,
        directory: BackupDirectory,
        manifest: Manifest,
        keys: ArchiveKeys = NO_KEYS,
        *,
        whole: bool = True,
    ) -> "ArchiveReader":
        """
        Open the data file of a manifest and lock it against deletion.

        Args:
            directory: Where it lies.
            manifest: Not trusted.
            keys: Decrypt what is encrypted.
            whole: Whether a file of another size is refused at once.

        Returns:
            A reader; close it.

        Raises:
            BackupNotFoundError: The data file is gone.
            BackupInUseError: It is being deleted.
            DecryptionFailedError: It was changed at its beginning or its end.
            NoIdentityError: It is encrypted for others.
            ManifestError: The index contradicts itself.
            TruncatedFileError: The file is shorter or longer than the manifest says.
            StorageError: The medium does not answer, or the file is a symbolic link.
        """
        check_index(manifest)
        name = layout.parse(manifest.file)
        assert name is not None  # noqa: S101 - the index was checked
        file = open_data_file(directory, name, manifest.size, whole=whole)
        try:
            content = open_content(file, name, keys)
            if whole:
                check_content(content, manifest)
            return cls(file, content, manifest)
        except BaseException:
            file.close()
            raise

    def check_index(self) -> None:
        """Check the index and the size of the file; raises IntegrityError."""
        check_index(self.manifest)
        check_content(self._file, self.manifest)

    def read_now(self, member: MemberEntry) -> list[bytes]:
        """
        Read one member whole; blocks, for threads.

        Args:
            member: Of this manifest; all of it is held in memory, so see `is_large` first.

        Returns:
            The bytes of its statements, in order; every SHA-256 is right.

        Raises:
            IntegrityError: The bytes are not what the manifest says.
            StorageError: The medium does not answer.
        """
        is_shared = member.offset in self._shared
        source = name_member(self._file, member, is_shared=is_shared)
        if is_shared:
            text: bytes | memoryview = text_of(member, self._shared_text(member, source))
        else:
            text = self._inflate(member, member.raw_size, source)
        return [sql for _, sql in split(iter((text,)), member, source=source)]

    def _inflate(self, member: MemberEntry, raw_size: int, source: str) -> bytes:
        data = self._file.read(member.offset, member.size)
        require_digest(hashlib.sha256(data).hexdigest(), member.sha256, source=source)
        return codecs.inflate(self.manifest.options.codec, data, raw_size=raw_size, source=source)

    def _shared_text(self, member: MemberEntry, source: str) -> bytes:
        with self._texts_lock:
            text = self._texts.pop(member.offset, None)
        if text is None:
            text = self._inflate(member, self._shared[member.offset], source)
        with self._texts_lock:
            self._texts[member.offset] = text
            while len(self._texts) > _KEPT_TEXTS:
                self._texts.popitem(last=False)
        return text

    async def read(self, member: MemberEntry) -> list[bytes]:
        """Do `read_now` in a thread."""
        return await run_in_thread(partial(self.read_now, member))

    def iter_now(self, member: MemberEntry) -> Iterator[bytes]:
        """
        Read one member of any size in constant memory; blocks, for threads.

        Args:
            member: Of this manifest.

        Yields:
            The bytes of its statements, in order; the SHA-256 of each is right when it is yielded.

        Raises:
            IntegrityError: The bytes are not what the manifest says; statements yielded before
                were right.
            StorageError: The medium does not answer.
        """
        if member.offset in self._shared:
            yield from self.read_now(member)
            return
        source = name_member(self._file, member)
        digest = hashlib.sha256()
        codec = self.manifest.options.codec

        def hashed() -> Iterator[bytes]:
            for block in blocks_of(self._file, member):
                digest.update(block)
                yield block

        raw = codecs.inflated(codec, hashed(), raw_size=member.raw_size, source=source)
        for _, sql in split(raw, member, source=source):
            yield sql
        require_digest(digest.hexdigest(), member.sha256, source=source)

    async def iter_statements(self, member: MemberEntry) -> AsyncIterator[bytes]:
        """Do `iter_now`, each step in a thread."""
        statements = self.iter_now(member)
        while (sql := await run_in_thread(partial(next, statements, None))) is not None:
            yield sql

    async def verify(
        self, level: VerifyLevel, *, threads: int = 2, listener: Listener | None = None
    ) -> VerifyReport:
        """
        Prove the file; see `verify_file`. Cancellable between two members.

        Args:
            level: How far to look.
            threads: Members checked side by side.
            listener: Told of each member that was checked; called in a thread.

        Returns:
            What was checked.

        Raises:
            IntegrityError: Something is not what the manifest says.
            StorageError: The medium does not answer.
        """
        stop = Event()
        work = partial(
            verify_file,
            self._file,
            self.manifest,
            level,
            threads=threads,
            listener=until(stop, listener),
        )
        return await run_in_thread(work, stop=stop)


def open_content(file: OpenFile, name: BackupName, keys: ArchiveKeys) -> Content:
    """
    Open what a data file holds; blocks.

    Returns:
        Its content, decrypted as it is read.

    Raises:
        DecryptionFailedError: It is no file of age, or was changed at its beginning or its end.
        NoIdentityError: It is encrypted for others, or the identities here cannot be had.
        StorageError: The medium does not answer.
    """
    if not name.is_encrypted:
        return Content(file)
    identities = identities_of(keys, source=file.name)
    opening = open_header(file.read, file.size, identities, source=file.name)
    return Content(file, opening)
