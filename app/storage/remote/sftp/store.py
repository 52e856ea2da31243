"""
A directory of an SSH server as a store.

What is written lies under a hidden name first and gets its own name by a hard link, which no file that is
there can be replaced by; then the hidden name is removed. A server without hard links is refused.

Not guaranteed: that names survive a power cut of the server, for SFTP cannot sync a directory.
"""

import builtins
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Final

import asyncssh

from app.errors import (
    AlreadyThereError,
    AppError,
    ObjectNotFoundError,
    RefusedError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.storage.remote.codes import Act
from app.storage.remote.limits import USUAL, Limits
from app.storage.remote.sftp.connection import Sftp, SshAddress, SshConnection
from app.storage.remote.sftp.files import (
    Entry,
    Listing,
    make_folders,
    next_page,
    publish,
    read_range,
    temporary_of,
    write_file,
)
from app.storage.remote.sftp.upload import SftpUpload
from app.storage.remote.store import (
    UNFINISHED,
    StoredObject,
    UnfinishedUpload,
    is_name,
    is_unfinished,
    may_lead_to,
    require_name,
)


# What one round of requests carries; more only costs memory.
_BLOCK_BYTES: Final = 16 << 20
_TELLS_NOTHING: Final = (
    asyncssh.SFTPOpUnsupported,
    asyncssh.SFTPFailure,
    asyncssh.SFTPPermissionDenied,
)


class SftpStore:
    """
    A store on an SSH server.

    Args:
        address: Of the server.
        path: Directory of the store, which must be there.
    """

    lists_unfinished = True
    keeps_objects = False

    def __init__(self, address: SshAddress, path: str, limits: Limits = USUAL) -> None:
        self._root = path.rstrip("/") or "/"
        self._limits = limits
        self.connection = SshConnection(address, limits)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `Store.list`."""
        for name, facts in self._walk(prefix):
            if is_name(name) and name.startswith(prefix):
                yield _described(name, facts)

    def stat(self, name: str) -> StoredObject | None:
        """See `Store.stat`."""
        path = self.path(require_name(name))
        try:
            facts = self.connection.ask(name, Act.READ, lambda sftp: sftp.lstat(path))
        except ObjectNotFoundError:
            self._require_directory()
            return None
        return _described(name, facts) if _is_file(facts) else None

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        path = self.path(require_name(name))
        end = offset + size
        pieces = []
        for start in range(offset, end, _BLOCK_BYTES):
            length = min(end - start, _BLOCK_BYTES)
            work = partial(read_range, path=path, start=start, length=length)
            data = self.connection.ask(name, Act.READ, work, size=length)
            if len(data) != length:
                raise TruncatedFileError(
                    f"{name}: ends {length - len(data)} bytes before byte {start + length}",
                    hint="The file was cut short; restore from another backup.",
                )
            pieces.append(data)
        return b"".join(pieces)

    def put(
        self, name: str, data: bytes, *, create: bool = False, retain_until: datetime | None = None
    ) -> None:
        """See `Store.put`."""
        _require_no_retention(retain_until)
        require_name(name)

        def send(attempt: int) -> None:
            try:
                self._send(name, data, replaces=not create)
            except AlreadyThereError:
                if attempt == 1 or not self._holds(name, data):
                    raise

        self._limits.retried(send)

    def begin(
        self, name: str, part_bytes: int, *, retain_until: datetime | None = None
    ) -> SftpUpload:
        """See `Store.begin`."""
        _require_no_retention(retain_until)
        if self.stat(name) is not None:
            raise AlreadyThereError(f"{name}: there is a file of this name")
        return SftpUpload(self.connection, self._root, name, part_bytes)

    def delete(self, name: str) -> bool:
        """See `Store.delete`."""
        return self.stat(name) is not None and self.remove(name)

    def retain(self, name: str, until: datetime) -> None:
        """Refuse; see `Store.retain`."""
        del name
        _require_no_retention(until)

    def now(self) -> datetime:
        """See `Store.now`."""
        path = self.path(f"{UNFINISHED}{token_hex(8)}")

        async def read_clock(sftp: Sftp) -> asyncssh.SFTPAttrs:
            async with sftp.open(path, "xb") as file:
                facts = await file.stat()
            await sftp.remove(path)
            return facts

        return _instant(self.connection.ask_once("the clock", Act.WRITE, read_clock))

    def free_bytes(self) -> int | None:
        """See `Store.free_bytes`; a server tells by an extension of OpenSSH's, if at all."""

        async def ask(sftp: Sftp) -> int | None:
            try:
                facts = await sftp.statvfs(self._root)
            except _TELLS_NOTHING:
                return None
            return facts.bavail * facts.frsize

        return self.connection.ask("the free space", Act.READ, ask)

    def unfinished(self, older_than: datetime) -> Iterator[UnfinishedUpload]:
        """See `Store.unfinished`."""
        for name, facts in self._walk(UNFINISHED):
            if is_unfinished(name) and _instant(facts) < older_than:
                yield UnfinishedUpload("", name, _instant(facts))

    def abort_unfinished(self, upload: UnfinishedUpload) -> None:
        """See `Store.abort_unfinished`."""
        if not is_unfinished(upload.upload_id):
            raise ObjectNotFoundError("no unfinished upload is called so")
        self.remove(upload.upload_id)

    def close(self) -> None:
        """See `Store.close`."""
        self.connection.close()

    def path(self, name: str) -> str:
        """Return where an object, or what becomes one, lies on the server."""
        return f"{self._root.rstrip('/')}/{name}"

    def remove(self, name: str) -> bool:
        """Remove a file; returns whether it was there."""
        path = self.path(name)
        try:
            self.connection.ask(name, Act.DELETE, lambda sftp: sftp.remove(path))
        except ObjectNotFoundError:
            return False
        return True

    def _send(self, name: str, data: bytes, *, replaces: bool) -> None:
        temporary, path = self.path(temporary_of(name)), self.path(name)

        async def send(sftp: Sftp) -> None:
            await make_folders(sftp, self._root, name)
            await write_file(sftp, temporary, data)
            await publish(sftp, name, temporary, path, replaces=replaces)

        try:
            self.connection.ask_once(name, Act.WRITE, send, size=len(data))
        except ObjectNotFoundError:
            self._require_directory()
            raise
        except StorageUnavailableError:
            raise  # the sweep removes what is left
        except AppError:
            with suppress(AppError):
                self.connection.ask_once(name, Act.DELETE, lambda sftp: sftp.remove(temporary))
            raise

    def _holds(self, name: str, data: bytes) -> bool:
        """Tell whether an object is these bytes."""
        found = self.stat(name)
        return (
            found is not None and found.size == len(data) and self.read(name, 0, len(data)) == data
        )

    def _require_directory(self) -> None:
        is_there = False
        with suppress(ObjectNotFoundError):
            facts = self.connection.ask(self._root, Act.READ, lambda sftp: sftp.stat(self._root))
            is_there = _is_folder(facts)
        if not is_there:
            raise StorageUnavailableError(
                "the directory of the store is missing on the server",
                hint="Mount its file system there, or make the directory; it is never made here.",
            )

    def _walk(self, prefix: str) -> Iterator[tuple[str, asyncssh.SFTPAttrs]]:
        """Yield names, of folders where some with a prefix may be; those that go meanwhile are left out."""
        self._require_directory()
        folders = [""]
        while folders:
            folder = folders.pop()
            listing = self._begin_list(folder)
            while page := self._page(listing):
                for entry, facts in page:
                    name = f"{folder}/{entry}" if folder else entry
                    if _is_folder(facts):
                        folders += [name] if may_lead_to(name, prefix) else []
                    elif _is_file(facts):
                        yield name, facts

    def _begin_list(self, folder: str) -> Listing:
        path = self.path(folder).rstrip("/") or "/"

        async def begin(sftp: Sftp) -> Listing:
            return sftp.scandir(path)

        return self.connection.ask("the list", Act.LIST, begin)

    def _page(self, listing: Listing) -> "builtins.list[Entry]":
        """Return the next entries; none at the end, or when the folder is gone."""
        try:
            return self.connection.ask_once("the list", Act.LIST, lambda _: next_page(listing))
        except ObjectNotFoundError:
            return []


def _described(name: str, facts: asyncssh.SFTPAttrs) -> StoredObject:
    return StoredObject(name, facts.size or 0, _instant(facts))


def _require_no_retention(until: datetime | None) -> None:
    if until is not None:
        raise RefusedError(
            "a server keeps nothing until a time",
            hint="Object lock needs a store of kind s3 with it.",
        )


def _is_file(facts: asyncssh.SFTPAttrs) -> bool:
    return stat.S_ISREG(facts.permissions or 0)


def _is_folder(facts: asyncssh.SFTPAttrs) -> bool:
    return stat.S_ISDIR(facts.permissions or 0)


def _instant(facts: asyncssh.SFTPAttrs) -> datetime:
    return datetime.fromtimestamp(facts.mtime or 0, UTC)
