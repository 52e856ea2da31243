"""
Claims: objects that say who writes a backup in a store, or removes it.

Among the processes of this machine a lock file stands for each claim; it is left when its process dies, and
then its lock is free. Between machines the claim is renewed while its owner lives. Each has a number of its
own, so that whoever was thought dead finds out that somebody else has taken its place.
"""

import json
import logging
import secrets
from contextlib import suppress
from datetime import datetime
from threading import Event, Thread
from typing import Final, Self

from app.errors import AlreadyThereError, AppError, ObjectNotFoundError, StorageUnavailableError
from app.storage.files import ReadFile
from app.storage.local import LocalDirectory
from app.storage.remote.store import Store
from app.telemetry.bugs import outlived


_log: Final = logging.getLogger(__name__)
# A claim that is older than this has no owner any more; it is renewed well before that.
LEASE_SECONDS: Final = 2 * 60 * 60
_RENEWAL_SECONDS: Final = 10 * 60
_MOST_BYTES: Final = 4096


class Claim:
    """
    One claim of ours, renewed until it is released; `take` or `take_over` writes it.

    Args:
        store: Where.
        name: Of the object.
        owner: Names this installation.
        locks: Where the lock file of the claim is.

    Raises:
        BackupInUseError: Another process of this machine holds it.
        StorageError: The state directory refused.
    """

    def __init__(self, store: Store, name: str, owner: str, locks: LocalDirectory) -> None:
        self.name = name
        self._store = store
        self._locks = locks
        self._data = json.dumps({"owner": owner, "number": secrets.token_hex(16)}).encode()
        self._lock: ReadFile | None = lock_name(locks, name, exclusive=True)
        # Whether it may be there: then its lock file stays, and says that its writer was here.
        self._may_be_there = False
        self._ended = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def take(self) -> None:
        """Write it, unless there is one; raises AlreadyThereError, StorageError."""
        self._may_be_there = True
        try:
            self._store.put(self.name, self._data, create=True)
        except AlreadyThereError:
            if not self.is_ours():  # else an answer was lost, and it was asked again
                raise
        self._keep_alive()

    def take_over(self) -> None:
        """Write it in the place of whatever is there; raises StorageError."""
        self._may_be_there = True
        self._store.put(self.name, self._data)
        self._keep_alive()

    def is_ours(self) -> bool:
        """Tell whether it is still there as it was written; raises StorageError."""
        self._may_be_there = _read(self._store, self.name) == self._data
        return self._may_be_there

    def require(self) -> None:
        """Raise StorageUnavailableError when somebody else has taken it over."""
        if not self.is_ours():
            raise StorageUnavailableError(
                f"{self.name}: another installation has taken this backup for one that nobody writes",
                hint="Make it again. Two installations share the store; look whether one of them was stopped"
                " for hours, or its clock is wrong.",
            )

    def remove(self) -> None:
        """Remove it from the store; raises StorageError."""
        self._store.delete(self.name)
        self._may_be_there = False

    def release(self) -> None:
        """Let others of this machine have it, and renew it no more; again is harmless."""
        self._ended.set()
        lock, self._lock = self._lock, None
        if lock is not None:
            if not self._may_be_there:
                self._locks.remove(self.name)
            lock.close()

    def _keep_alive(self) -> None:
        Thread(target=self._renew, name="claim", daemon=True).start()

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWAL_SECONDS):
            try:
                with outlived(_log, "The renewal of a claim"):
                    if not self.is_ours():
                        return
                    self._store.put(self.name, self._data)
            except AppError as exc:  # it is good for several more of these
                _log.warning("Claim could not be renewed", extra={"facts": {"error": str(exc)}})


def owner_of(store: Store, name: str) -> tuple[str, datetime] | None:
    """Tell which installation has a claim, and since when at most; None = there is none."""
    facts = store.stat(name)
    if facts is None:
        return None
    owner = ""
    with suppress(ValueError, KeyError, TypeError):
        owner = str(json.loads(_read(store, name))["owner"])
    return owner, facts.modified_at


def _read(store: Store, name: str) -> bytes:
    facts = store.stat(name)
    if facts is None or not 0 < facts.size <= _MOST_BYTES:
        return b""
    try:
        return store.read(name, 0, facts.size)
    except ObjectNotFoundError:
        return b""


def lock_name(locks: LocalDirectory, name: str, *, exclusive: bool) -> ReadFile:
    """
    Lock a name among the processes of this machine.

    Args:
        locks: Where an empty file stands for it, which a process that died may have left.
        name: What is locked.
        exclusive: Whether nobody else may have it.

    Returns:
        The file; its lock lasts until it is closed.

    Raises:
        BackupInUseError: Somebody holds a lock that excludes this one.
        StorageError: The state directory refused.
    """
    locks.prepare()
    while True:
        if not locks.exists(name):
            with suppress(AppError):  # whoever cannot make it cannot open it
                locks.ensure(name)
        lock = locks.open(name, exclusive=exclusive)
        if lock.is_current():
            return lock
        lock.close()
