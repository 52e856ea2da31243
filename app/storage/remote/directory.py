"""
A store that is used as a backup directory.

A store has no locks. Among the processes of this machine an empty file beside the state stands for each
backup, and is locked as its data file would be; between machines a claim, an object that its writer renews,
tells that somebody writes a backup. All calls block; async callers use threads.

Not guaranteed: that a backup is not deleted by one machine while another one reads it; its reader ends with
an error then.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from app.errors import BackupInUseError, ObjectNotFoundError, StorageUnavailableError
from app.storage import layout
from app.storage.files import FileFacts, ReadFile
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory
from app.storage.remote.claims import Claim, lock_name, owner_of
from app.storage.remote.files import StoreDataFile, StoreFile, StoreManifest
from app.storage.remote.store import Store, StoredObject, part_bytes_for


# One list serves a survey, which asks for each of its names.
_LISTED_SECONDS: Final = 2.0
# What the name of each file of a backup begins with.
_OURS: Final = "backup_"


class StoreDirectory:
    """
    One store.

    Args:
        name: What people call it.
        place: Its address, for people; holds no secret.
        store: Where objects lie.
        locks: A directory of this machine; nothing else is in it.
        owner: Names this installation in its claims.
        append_only: Whether nothing can be removed or replaced there.
        lock_days: How long the store shall keep what is published from deletion; 0 = not.

    Attributes:
        store: As given.
    """

    def __init__(
        self,
        name: str,
        place: str,
        store: Store,
        locks: LocalDirectory,
        *,
        owner: str = "",
        append_only: bool = False,
        lock_days: int = 0,
    ) -> None:
        self.name = name
        self.store = store
        self.owner = owner
        self.append_only = append_only
        self._lock_days = lock_days
        self._place = place
        self._locks = locks
        self._listed: tuple[float, dict[str, StoredObject]] = (0.0, {})
        self._changes = 0
        # `metadata.json` as it was read last, and what tells one from another.
        self._cached: tuple[StoredObject | None, bytes] = (None, b"")

    def full_path(self, name: str) -> str:
        """Say where a file is, for people."""
        return f"{self._place}/{name}"

    def prepare(self) -> None:
        """Make the directory of locks; the store itself must be there. Raises StorageError."""
        self._locks.prepare()

    def is_there(self) -> bool:
        """Tell whether there is such a store; who asks it for anything hears when it is not."""
        return True

    def require(self) -> None:
        """Raise StorageUnavailableError when there is no such bucket: what is not in it says no more than that."""
        next(iter(self.store.list(_OURS)), None)

    def mark(self) -> tuple[int, int, int]:
        """Tell one set of names from another, as far as this process has changed it."""
        return 0, 0, self._changes

    def names(self) -> list[str]:
        """List what is there and of ours, in no order; raises StorageError."""
        # Others may keep millions of objects beside ours.
        found = {stored.name: stored for stored in self.store.list(_OURS) if "/" not in stored.name}
        self._listed = (monotonic(), found)
        return [*found, layout.METADATA] if self.exists(layout.METADATA) else list(found)

    def describe(self, name: str) -> FileFacts | None:
        """Describe an object, by the last list when that was a moment ago; None when there is none."""
        began, listed = self._listed
        is_fresh = monotonic() - began < _LISTED_SECONDS
        found = listed.get(name) if is_fresh else self.store.stat(name)
        if found is None:
            return None
        changed_ns = round(found.modified_at.timestamp() * 1_000) * 1_000_000
        return FileFacts(found.size, changed_ns, 0, is_regular=True)

    def exists(self, name: str) -> bool:
        """Tell whether a name is taken, now."""
        return self.store.stat(name) is not None

    def free_bytes(self) -> int | None:
        """Return how much may still be written; None where the store does not tell. Raises StorageError."""
        return self.store.free_bytes()

    def probe(self) -> None:
        """Prove that something can be written, or read where nothing can be removed; raises StorageError."""
        name = f"probe-{secrets.token_hex(8)}"
        if self.append_only:
            self.store.stat(name)
            return
        self.store.put(name, b"probe", create=True)
        self.store.delete(name)

    def open(self, name: str, *, exclusive: bool = False) -> StoreFile:
        """
        Open an object and lock it among the processes of this machine.

        Args:
            name: Its name.
            exclusive: To delete it; otherwise to read it, together with other readers.

        Returns:
            The file, its size known.

        Raises:
            BackupInUseError: Another one holds a lock that excludes this one.
            ObjectNotFoundError: There is none.
            StorageError: The store does not answer.
        """
        lock = lock_name(self._locks, name, exclusive=exclusive)
        try:
            facts = self._require(name)
            return StoreFile(self.store, name, facts.size, self.full_path(name), lock)
        except BaseException:
            lock.close()
            raise

    def hold(self, name: str) -> ReadFile:
        """Lock a name against others of this machine; raises BackupInUseError."""
        return lock_name(self._locks, name, exclusive=True)

    def read(self, name: str, limit: int) -> bytes:
        """Read a small object; raises StorageUnavailableError when it has more than `limit` bytes."""
        facts = self._require(name)
        if facts.size > limit:
            raise StorageUnavailableError(f"{name}: {facts.size} bytes, too large")
        if name != layout.METADATA:
            return self.store.read(name, 0, facts.size) if facts.size else b""
        if self._cached[0] != facts:
            self._cached = (facts, self.store.read(name, 0, facts.size) if facts.size else b"")
        return self._cached[1]

    def head(self, name: str, limit: int) -> bytes:
        """Read the first bytes of an object, however large it is; raises StorageError."""
        size = min(limit, self._require(name).size)
        return self.store.read(name, 0, size) if size else b""

    def find(self, name: str, limit: int) -> bytes | None:
        """Read a small object as `read` does; None when there is none."""
        try:
            return self.read(name, limit)
        except ObjectNotFoundError:
            return None

    def replace(self, name: str, data: bytes, *, through: str = "") -> None:
        """Write a small object in one step; what is only a cache is left out where nothing can be removed."""
        del through  # a store has no such names
        if name == layout.METADATA and self.append_only:
            return
        self.store.put(name, data)
        self._changed()

    def remove(self, name: str) -> bool:
        """Remove an object; returns whether it was there, raises StorageError and ObjectLockedError."""
        removed = self.store.delete(name)
        self._changed()
        return removed

    def sync(self) -> None:
        """Do nothing: what a store has taken stays."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this directory among the processes of this machine; raises StorageError."""
        self._locks.prepare()
        with self._locks.locked():
            yield

    def close(self) -> None:
        """Close the connections of the store; again is harmless."""
        self.store.close()

    # -- backups ----------------------------------------------------------------------------------

    def claim(self, name: BackupName) -> Claim:
        """
        Prepare the claim of a backup; nothing is written yet.

        Returns:
            It, locked against others of this machine; release it.

        Raises:
            BackupInUseError: Another process of this machine has it.
            StorageError: The state directory refused.
        """
        return Claim(self.store, name.partial, self.owner, self._locks)

    def begin(self, name: BackupName, estimate_bytes: int) -> StoreDataFile:
        """
        Claim the name of a new backup, and begin its object.

        Returns:
            An empty file that nobody sees yet.

        Raises:
            AlreadyThereError: A backup of this name exists, or somebody writes one.
            BackupInUseError: The same, on this machine.
            StorageError: The store refused.
        """
        claim = self.claim(name)
        try:
            claim.take()
            self._changed()
            try:
                upload = self.store.begin(name.file, part_bytes_for(estimate_bytes))
            except BaseException:
                claim.remove()
                raise
        except BaseException:
            claim.release()
            raise
        return StoreDataFile(self.store, name.file, upload, claim)

    def retain_until(self) -> datetime | None:
        """Say until when the store shall keep what is published now; None = it is not asked to."""
        return self.store.now() + timedelta(days=self._lock_days) if self._lock_days else None

    def lock_on(self, name: BackupName, until: datetime) -> None:
        """Have the store keep a backup until a time, whole; raises ObjectNotFoundError, StorageError."""
        for taken in (name.file, name.manifest):
            self.store.retain(taken, until)

    def create(
        self, name: str, data: bytes, *, retain_until: datetime | None = None
    ) -> StoreManifest:
        """Write a small object that nobody has written; raises AlreadyThereError, StorageError."""
        self.store.put(name, data, create=True, retain_until=retain_until)
        self._changed()
        return StoreManifest(self.store, name)

    def claim_of(self, name: BackupName) -> tuple[str, datetime] | None:
        """Tell which installation writes a backup, and since when at most; None = nobody has claimed it."""
        return owner_of(self.store, name.partial)

    def is_written_here(self, name: BackupName) -> bool | None:
        """Tell whether a process of this machine writes a backup; None = none ever did, as far as is known."""
        return self.is_locked(name.partial)

    def is_locked(self, name: str) -> bool | None:
        """Tell whether a process of this machine has locked a name; None = none ever did, as far as is known."""
        if not self._locks.exists(name):
            return None
        try:
            self._locks.open(name, exclusive=True).close()
        except BackupInUseError:
            return True
        return False

    def _require(self, name: str) -> StoredObject:
        facts = self.store.stat(name)
        if facts is None:
            raise ObjectNotFoundError(f"{name}: not in the store {self.name}")
        return facts

    def _changed(self) -> None:
        self._changes += 1
        self._listed = (0.0, {})
