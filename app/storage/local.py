"""
A directory of backups on a local disk.

Files are written once under a temporary name by an owner who holds a lock on them for as long as
it lives, synced, and renamed: after a crash a final name does not exist or holds the whole file,
and a temporary one whose lock is free has no owner. All calls block; async callers use threads.

Not guaranteed: anything on file systems without working `flock` (some network mounts).
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Final, Protocol, TypeVar

from app.domain.places.sizes import size
from app.errors import BackupInUseError, StorageFullError, StorageUnavailableError
from app.storage import layout
from app.storage.failures import translated
from app.storage.files import FileFacts, ReadFile, WriteFile
from app.storage.kernel import KERNEL, Kernel, close, uninterrupted


Opened = TypeVar("Opened", bound=ReadFile)

# Catalogue updates take milliseconds; a lock held for longer belongs to a stuck process.
LOCK_SECONDS: Final = 30.0
# A writer lets go of a published file, and a deletion is over, within moments.
READER_SECONDS: Final = 2.0
_LOCK_POLL_SECONDS: Final = 0.02
# A manifest, a journal and the lines of the history of one run.
_LEAST_FREE_BYTES: Final = 1 << 20
_PROBE_BYTES: Final = 4096

_DENY_ALL = b"""\
# Backups must never be served by a web server.
<IfModule mod_authz_core.c>
    Require all denied
</IfModule>
<IfModule !mod_authz_core.c>
    Order deny,allow
    Deny from all
</IfModule>
"""


class Witness(Protocol):
    """Knows which directories were in use; neither call raises an error."""

    @property
    def file(self) -> str:
        """Where that is noted."""
        ...

    def knows(self, path: Path) -> bool:
        """Tell whether a directory was in use."""
        ...

    def note(self, path: Path) -> None:
        """Note that it is in use."""
        ...


class LocalDirectory:
    """
    One backup directory.

    Args:
        witness: Knows whether it was in use before: one that was is never made anew.

    Attributes:
        path: Absolute path; it may itself be reached by symbolic links.
        kernel: Where system calls go.
    """

    def __init__(self, path: Path, kernel: Kernel = KERNEL, witness: Witness | None = None) -> None:
        self.path = path.absolute()
        self.kernel = kernel
        self._witness = witness

    def full_path(self, name: str) -> str:
        """Join a name that this program made."""
        return layout.join(str(self.path), name)

    def prepare(self) -> None:
        """
        Make the directory and its `.htaccess` unless they exist; new ones are the owner's only.

        Raises:
            StorageDeniedError: The file system refuses this user.
            StorageUnavailableError: The path, or a part of it, is a file; or it is gone.
        """
        self._require_found()
        missing = list(takewhile(self._is_missing, (self.path, *self.path.parents)))
        for path in reversed(missing):
            with translated(path.name), suppress(FileExistsError):
                uninterrupted(self.kernel.mkdir, str(path))
                self._sync(str(path.parent))
        if not self.exists(layout.HTACCESS):
            with self.locked():
                if not self.exists(layout.HTACCESS):
                    self.replace(layout.HTACCESS, _DENY_ALL)
        if self._witness is not None:
            self._witness.note(self.path)

    def is_there(self) -> bool:
        """
        Tell whether there is such a directory.

        Returns:
            True also for whatever else has its name.

        Raises:
            StorageUnavailableError: It was in use, and is gone or empty now.
        """
        self._require_found()
        return not self._is_missing(self.path)

    def _require_found(self) -> None:
        """Refuse what looks new and is not: a mount point without its file system, most likely."""
        if self._witness is None or not self._is_new() or not self._witness.knows(self.path):
            return
        raise StorageUnavailableError(
            f"{self.path.name}: backups were kept there, and now it is gone or empty",
            hint="Mount its file system. If it is meant to begin anew there, remove"
            f" {self._witness.file}.",
        )

    def _is_new(self) -> bool:
        """Tell whether nothing of ours was ever there, but for what a look at it leaves."""
        if self._is_missing(self.path):
            return True
        try:
            if self.exists(layout.HTACCESS):
                return False
            return set(self._listed()) <= {layout.LOCK, layout.METADATA}
        except StorageUnavailableError:  # no directory, but a file
            return False

    def _is_missing(self, path: Path) -> bool:
        with translated(path.name):
            try:
                uninterrupted(self.kernel.stat, str(path))
            except (FileNotFoundError, NotADirectoryError):
                return True
        return False

    def mark(self) -> tuple[int, int, int]:
        """Tell one set of names from another: which directory it is, and when a name in it last changed."""
        with translated(self.path.name):
            facts = uninterrupted(self.kernel.stat, str(self.path))
        return facts.st_dev, facts.st_ino, facts.st_mtime_ns

    def names(self) -> list[str]:
        """List what is there, in no order; raises StorageError, also where all of it is gone."""
        found = self._listed()
        if not found:
            self._require_found()
        return found

    def _listed(self) -> list[str]:
        with translated(self.path.name):
            return uninterrupted(self.kernel.listdir, str(self.path))

    def stat(self, name: str) -> os.stat_result | None:
        """Describe a file; None when there is none."""
        with translated(name):
            try:
                return uninterrupted(self.kernel.lstat, self.full_path(name))
            except FileNotFoundError:
                return None

    def describe(self, name: str) -> FileFacts | None:
        """Describe a file in the words of every place of backups; None when there is none."""
        facts = self.stat(name)
        if facts is None:
            return None
        is_regular = stat.S_ISREG(facts.st_mode)
        return FileFacts(facts.st_size, facts.st_mtime_ns, facts.st_ino, is_regular)

    def exists(self, name: str) -> bool:
        """Tell whether a name is taken."""
        return self.stat(name) is not None

    def free_bytes(self) -> int:
        """Return the space that this user may still fill."""
        with translated(self.path.name):
            facts = uninterrupted(self.kernel.statvfs, str(self.path))
        return facts.f_bavail * facts.f_frsize

    def probe(self) -> None:
        """
        Prove that something can be written, as much as a small file takes.

        Raises:
            StorageFullError: There is next to no room.
            StorageError: The medium refused.
        """
        if self.free_bytes() < _LEAST_FREE_BYTES:
            raise StorageFullError(f"{self.path.name}: less than {size(_LEAST_FREE_BYTES)} is free")
        with self.create(f".probe-{secrets.token_hex(8)}") as file:
            file.write(bytes(_PROBE_BYTES))

    def create(self, name: str) -> WriteFile:
        """
        Create a file and lock it.

        Returns:
            An empty file, removed again when it is closed without `keep`.

        Raises:
            StorageError: The name is taken, or the medium refused.
        """
        path = self.full_path(name)
        with translated(name):
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
            fd = uninterrupted(self.kernel.open, path, flags, 0o600)
            file = WriteFile(self.kernel, str(self.path), name, fd)
            try:
                uninterrupted(self.kernel.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BaseException:
                file.discard()
                raise
        return file

    def open(self, name: str, *, exclusive: bool = False) -> ReadFile:
        """
        Open a regular file and lock it; only a reader waits, and only for moments.

        Args:
            name: Its name.
            exclusive: To delete it; otherwise to read it, together with other readers.

        Returns:
            The file, its size known.

        Raises:
            BackupInUseError: Somebody holds a lock that excludes this one.
            StorageError: Missing, unreadable, or a symbolic link.
        """
        with translated(name):
            fd = uninterrupted(self.kernel.open, self.full_path(name), os.O_RDONLY | os.O_NONBLOCK)
            file = ReadFile(self.kernel, str(self.path), name, fd)
            try:
                self._lock(fd, exclusive=exclusive)
                file.check_regular()
            except BlockingIOError as exc:
                file.close()
                raise BackupInUseError(
                    f"{name}: in use by another run",
                    hint="Wait for the restore or verification that reads it, or cancel it.",
                ) from exc
            except BaseException:
                file.close()
                raise
        return file

    def ensure(self, name: str) -> None:
        """Let there be a file of this name, which many may do at once; raises StorageError."""
        with translated(name):
            fd = uninterrupted(self.kernel.open, self.full_path(name), os.O_RDWR | os.O_CREAT)
        with suppress(OSError):  # nothing was written through it
            close(self.kernel, fd)

    def reopen(self, name: str) -> WriteFile:
        """Open a regular file to write at its end, its size known; raises StorageError."""
        with translated(name):
            flags = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK
            fd = uninterrupted(self.kernel.open, self.full_path(name), flags)
        return self._checked(WriteFile(self.kernel, str(self.path), name, fd))

    def watch(self, name: str) -> ReadFile:
        """Open a regular file that somebody writes; nothing is locked, its size is of now. Raises StorageError."""
        with translated(name):
            fd = uninterrupted(self.kernel.open, self.full_path(name), os.O_RDONLY | os.O_NONBLOCK)
        return self._checked(ReadFile(self.kernel, str(self.path), name, fd))

    def _checked(self, file: Opened) -> Opened:
        try:
            file.check_regular()
        except BaseException:
            ReadFile.close(file)  # that of a file to write would remove it
            raise
        return file

    def read(self, name: str, limit: int) -> bytes:
        """
        Read a small file, without locking it.

        Returns:
            All its bytes.

        Raises:
            StorageError: Missing, unreadable, or a symbolic link.
            StorageUnavailableError: Larger than `limit` bytes.
        """
        with self.watch(name) as file:
            if file.size > limit:
                raise StorageUnavailableError(f"{name}: {file.size} bytes, too large")
            return file.read(0, file.size)

    def head(self, name: str, limit: int) -> bytes:
        """Read the first bytes of a file as `read` does, however large it is; raises StorageError."""
        with self.watch(name) as file:
            return file.read(0, min(limit, file.size))

    def find(self, name: str, limit: int) -> bytes | None:
        """Read a small file as `read` does; None when there is none, or no directory."""
        if not self.is_there() or not self.exists(name):
            return None
        return self.read(name, limit)

    def replace(self, name: str, data: bytes, *, through: str = "") -> None:
        """
        Write a small file in one step: afterwards its name holds the old bytes or all the new ones.

        The caller holds `locked`, so that the temporary name has one user. `through` is a temporary name for
        what others know by the usual.
        """
        temporary = through or name + layout.PARTIAL
        self.remove(temporary)
        with self.create(temporary) as file:
            file.write(data)
            file.sync()
            file.rename(name)
            file.keep()
        self.sync()

    def rename(self, source: str, target: str) -> None:
        """Give a file another name; not durable before `sync`."""
        with translated(source):
            uninterrupted(self.kernel.rename, self.full_path(source), self.full_path(target))

    def remove(self, name: str) -> bool:
        """Remove a name; returns whether it was there. Not durable before `sync`."""
        with translated(name):
            try:
                uninterrupted(self.kernel.unlink, self.full_path(name))
            except FileNotFoundError:
                return False
        return True

    def sync(self) -> None:
        """Make every rename, removal and creation so far survive a power cut."""
        with translated(self.path.name):
            self._sync(str(self.path))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Hold the directory's own lock: for changes to the set of names, never for long work.

        Raises:
            StorageUnavailableError: Another process held it for `LOCK_SECONDS`.
        """
        path = self.full_path(layout.LOCK)
        with translated(layout.LOCK):
            fd = uninterrupted(self.kernel.open, path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._await_lock(fd)
            yield
        finally:
            with suppress(OSError):  # nothing was written through it
                close(self.kernel, fd)

    def _lock(self, fd: int, *, exclusive: bool) -> None:
        operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        deadline = time.monotonic() + (0 if exclusive else READER_SECONDS)
        while True:
            try:
                return uninterrupted(self.kernel.flock, fd, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_LOCK_POLL_SECONDS)

    def _await_lock(self, fd: int) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            with translated(layout.LOCK), suppress(BlockingIOError):  # until it is our turn
                return uninterrupted(self.kernel.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.monotonic() > deadline:
                raise StorageUnavailableError(
                    f"{self.path.name}: another process holds the directory's lock",
                    hint="Look for a stopped process of this program.",
                )
            time.sleep(_LOCK_POLL_SECONDS)

    def _sync(self, path: str) -> None:
        fd = uninterrupted(self.kernel.open_directory, path)
        try:
            uninterrupted(self.kernel.fsync, fd)
        finally:
            close(self.kernel, fd)
