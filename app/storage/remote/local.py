"""
A directory as a store: a disk, or whatever is mounted.

What is written lies under a hidden name first, is synced, and gets its own name by a hard link, which no
file that is there can be replaced by. The directory itself is never made: one that is missing is a mount
point without its file system.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from app.errors import (
    AlreadyThereError,
    ObjectNotFoundError,
    RefusedError,
    StorageError,
    StorageUnavailableError,
)
from app.storage.failures import translated
from app.storage.files import ReadFile, WriteFile
from app.storage.kernel import KERNEL, Kernel, close, uninterrupted
from app.storage.layout import join
from app.storage.remote.store import (
    UNFINISHED,
    StoredObject,
    UnfinishedUpload,
    is_name,
    is_unfinished,
    may_lead_to,
    require_name,
)


_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})


class LocalStore:
    """
    A store in a directory.

    Args:
        path: Where; it must be there.
        kernel: Where system calls go.
    """

    lists_unfinished = True
    keeps_objects = False

    def __init__(self, path: Path, kernel: Kernel = KERNEL) -> None:
        self._path = path.absolute()
        self._kernel = kernel

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `Store.list`."""
        for name, facts in self._walk(prefix):
            if is_name(name) and name.startswith(prefix):
                yield StoredObject(name, facts.st_size, _instant(facts))

    def stat(self, name: str) -> StoredObject | None:
        """See `Store.stat`."""
        with translated(require_name(name)):
            try:
                facts = uninterrupted(self._kernel.lstat, join(str(self._path), name))
            except (FileNotFoundError, NotADirectoryError):
                self._require_directory()
                return None
        return StoredObject(name, facts.st_size, _instant(facts)) if _is_file(facts) else None

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        if self.stat(name) is None:
            raise _missing(name)
        with translated(name):
            fd = uninterrupted(
                self._kernel.open, join(str(self._path), name), os.O_RDONLY | os.O_NONBLOCK
            )
        with ReadFile(self._kernel, str(self._path), name, fd) as file:
            file.check_regular()
            return file.read(offset, size)

    def put(
        self, name: str, data: bytes, *, create: bool = False, retain_until: datetime | None = None
    ) -> None:
        """See `Store.put`."""
        _require_no_retention(retain_until)
        with self._begin(name) as upload:
            upload.write(data)
            upload.complete(replaces=not create)

    def begin(
        self, name: str, part_bytes: int, *, retain_until: datetime | None = None
    ) -> "LocalUpload":
        """See `Store.begin`; `part_bytes` says nothing here."""
        del part_bytes
        _require_no_retention(retain_until)
        if self.stat(name) is not None:
            raise AlreadyThereError(f"{name}: there is a file of this name")
        return self._begin(name)

    def delete(self, name: str) -> bool:
        """See `Store.delete`."""
        if self.stat(name) is None:
            return False
        return self._remove(require_name(name))

    def retain(self, name: str, until: datetime) -> None:
        """Refuse; see `Store.retain`."""
        del name
        _require_no_retention(until)

    def now(self) -> datetime:
        """See `Store.now`: of a file that is made for it, for the clock may be of another machine."""
        with self._begin("clock-test") as upload:
            return upload.modified_at()

    def free_bytes(self) -> int:
        """Return the space that this user may still fill."""
        with translated(str(self._path)):
            facts = uninterrupted(self._kernel.statvfs, str(self._path))
        return facts.f_bavail * facts.f_frsize

    def unfinished(self, older_than: datetime) -> Iterator[UnfinishedUpload]:
        """See `Store.unfinished`."""
        for name, facts in self._walk(UNFINISHED):
            if is_unfinished(name) and _instant(facts) < older_than:
                yield UnfinishedUpload("", name, _instant(facts))

    def abort_unfinished(self, upload: UnfinishedUpload) -> None:
        """See `Store.abort_unfinished`."""
        if not is_unfinished(upload.upload_id):
            raise ObjectNotFoundError("no unfinished upload is called so")
        self._remove(upload.upload_id)

    def close(self) -> None:
        """Do nothing; see `Store.close`."""

    def _begin(self, name: str) -> "LocalUpload":
        folder = self._folder_of(require_name(name))
        temporary = f"{UNFINISHED}{secrets.token_hex(8)}"
        with translated(name):
            self._require_directory()
            self._make_folders(folder)
            fd = uninterrupted(
                self._kernel.open,
                join(str(folder), temporary),
                os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL,
                0o600,
            )
        return LocalUpload(self._kernel, folder, temporary, fd, name)

    def _folder_of(self, name: str) -> Path:
        return self._path.joinpath(*name.split("/")[:-1])

    def _make_folders(self, folder: Path) -> None:
        below = folder.relative_to(self._path).parts
        for count in range(1, len(below) + 1):
            with suppress(FileExistsError):
                made = self._path.joinpath(*below[:count])
                uninterrupted(self._kernel.mkdir, str(made))
                sync_directory(self._kernel, made.parent)

    def _remove(self, name: str) -> bool:
        folder = self._folder_of(name)
        with translated(name):
            try:
                uninterrupted(self._kernel.unlink, join(str(self._path), name))
            except FileNotFoundError:
                return False
            sync_directory(self._kernel, folder)
        return True

    def _require_directory(self) -> None:
        if not self._path.is_dir():
            raise StorageUnavailableError(
                f"{self._path.name}: the directory of the store is missing",
                hint="Mount its file system, or make the directory; it is never made here.",
            )

    def _walk(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield names, of folders where some with a prefix may be; those that go meanwhile are left out."""
        self._require_directory()
        folders = [""]
        while folders:
            folder = folders.pop()
            with translated(folder or self._path.name), os.scandir(self._path / folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        facts = entry.stat(follow_symlinks=False)
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if stat.S_ISDIR(facts.st_mode):
                            folders += [name] if may_lead_to(name, prefix) else []
                        elif _is_file(facts):
                            yield name, facts


class LocalUpload:
    """A file that is being written; see `Upload`."""

    def __init__(self, kernel: Kernel, folder: Path, temporary: str, fd: int, name: str) -> None:
        self._kernel = kernel
        self._folder = folder
        self._temporary = temporary
        self._name = name
        self._fd = fd
        self._file = WriteFile(kernel, str(folder), temporary, fd)

    def write(self, data: bytes) -> None:
        """See `Upload.write`."""
        self._file.write(data)

    def complete(self, *, replaces: bool = False) -> None:
        """See `Upload.complete`; `replaces` puts it in the place of what is there."""
        self._file.sync()
        last = self._name.rpartition("/")[2]
        if replaces:
            self._file.rename(last)
            self._file.keep()
        else:
            self._link(last)
            self._file.discard()
        with translated(self._name):
            sync_directory(self._kernel, self._folder)

    def abort(self) -> None:
        """See `Upload.abort`."""
        self._file.discard()

    def modified_at(self) -> datetime:
        """Return when it was changed last, by the clock of whoever keeps it."""
        with translated(self._name):
            return _instant(uninterrupted(self._kernel.fstat, self._fd))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.abort()

    def _link(self, last: str) -> None:
        folder = str(self._folder)
        try:
            uninterrupted(self._kernel.link, join(folder, self._temporary), join(folder, last))
        except FileExistsError as exc:
            raise AlreadyThereError(f"{self._name}: there is a file of this name") from exc
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                with translated(self._name):
                    raise
            raise StorageError(
                f"{self._name}: the file system has no hard links",
                hint="Use one that has them, such as ext4, XFS or NFS.",
            ) from exc


def sync_directory(kernel: Kernel, path: Path) -> None:
    """Make the names in a directory survive a power cut."""
    fd = uninterrupted(kernel.open_directory, str(path))
    try:
        uninterrupted(kernel.fsync, fd)
    finally:
        close(kernel, fd)


def _require_no_retention(until: datetime | None) -> None:
    if until is not None:
        raise RefusedError(
            "a directory keeps nothing until a time",
            hint="Object lock needs a store of kind s3 with it.",
        )


def _missing(name: str) -> ObjectNotFoundError:
    return ObjectNotFoundError(f"{name}: there is no such file in the store")


def _is_file(facts: os.stat_result) -> bool:
    return stat.S_ISREG(facts.st_mode)


def _instant(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime, UTC)
