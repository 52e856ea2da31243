"""
Locks of runs: files in the state directory that are locked for as long as a run lives.

The kernel releases a lock with the process that held it, so a run that was killed never blocks the
next one, and whoever finds the lock of a run free knows that it is over. Each file names the run that
holds it. All calls block; async callers use threads.

Not guaranteed: anything between machines that do not share the state directory; there the server's
own locks keep restores of one database apart.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from app.errors import AlreadyRunningError, StorageError, TooManyRunsError
from app.storage.failures import FULL, translated
from app.storage.kernel import KERNEL, Kernel, close, uninterrupted
from app.storage.local import LocalDirectory


_OWNER: Final = "owner"
_SUFFIX: Final = ".lock"
_RUN: Final = "run_"
_MAX_BYTES: Final = 256
_OWNER_DIGITS: Final = 16
# A look takes microseconds.
_LOOKS: Final = 50
_LOOK_SECONDS: Final = 0.002


class Resource(NamedTuple):
    """
    What only one run at a time may have.

    Attributes:
        key: Tells it from others.
        label: For people.
    """

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Places:
    """
    Some places of which a run needs one, whichever is free.

    Attributes:
        key: Tells them from others.
        count: How many there are.
        setting: Which setting says so.
    """

    key: str
    count: int
    setting: str


class HeldLocks:
    """The locks of one run, its own one last."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._files: list[int] = []

    def add(self, fd: int) -> None:
        """Hold one more."""
        self._files.append(fd)

    def release_resources(self) -> None:
        """Release all but the run's own one; again is harmless."""
        self._release(self._files[:-1])
        del self._files[:-1]

    def release(self) -> None:
        """Release all; again is harmless."""
        self._release(self._files)
        self._files.clear()

    def _release(self, files: Sequence[int]) -> None:
        for fd in files:
            with suppress(OSError):  # whatever close says, the lock is gone
                close(self._kernel, fd)


class RunLocks:
    """The locks of one state directory."""

    def __init__(self, state_directory: Path, kernel: Kernel = KERNEL) -> None:
        self._directory = LocalDirectory(state_directory / "runs", kernel)
        self._kernel = kernel

    def owner(self) -> str:
        """
        Name this installation.

        Returns:
            The same for as long as the state directory lives.

        Raises:
            StorageError: The state directory cannot be written.
        """
        self._directory.prepare()
        with self._directory.locked():
            if not self._directory.exists(_OWNER):
                self._directory.replace(_OWNER, secrets.token_hex(_OWNER_DIGITS // 2).encode())
            return self._directory.read(_OWNER, _MAX_BYTES).decode("ascii", "replace")

    def acquire(
        self, run_id: str, resources: Sequence[Resource], places: Places | None = None
    ) -> HeldLocks:
        """
        Take the lock of a run and those of what it needs, all or none, without waiting.

        Returns:
            The locks, for the process that runs it.

        Raises:
            AlreadyRunningError: Another run has one of them; named.
            TooManyRunsError: Other runs have all places.
            StorageError: The state directory cannot be written.
        """
        self._directory.prepare()
        held = HeldLocks(self._kernel)
        try:
            for resource in sorted(set(resources)):
                self._take(held, _file_of(resource), run_id, resource.label)
            if places is not None:
                self._take_place(held, places, run_id)
            self._take_own(held, run_id)
        except BaseException:
            held.release()
            raise
        return held

    def is_held(self, run_id: str) -> bool:
        """Tell whether a run lives; it need not be of this process."""
        name = run_id + _SUFFIX
        if not self._directory.is_there() or not self._directory.exists(name):
            return False
        fd = self._open(name)
        try:
            # Shared: two who ask are not in each other's way.
            return not self._lock(fd, name, fcntl.LOCK_SH)
        finally:
            close(self._kernel, fd)

    def left(self) -> Sequence[str]:
        """Return the runs whose lock file is there and held by nobody: killed, or about to take it."""
        if not self._directory.is_there():
            return ()
        names = sorted(name for name in self._directory.names() if name.startswith(_RUN))
        return [name.removesuffix(_SUFFIX) for name in names if self._is_left(name)]

    def _is_left(self, name: str) -> bool:
        """Tell whether nobody holds a lock file; of what is none and cannot be one, nothing is known."""
        try:
            return name.endswith(_SUFFIX) and not self.is_held(name.removesuffix(_SUFFIX))
        except StorageError:
            return False

    def delete(self, run_id: str) -> None:
        """Delete the lock file of a run that is over."""
        self._directory.remove(run_id + _SUFFIX)

    def _take_own(self, held: HeldLocks, run_id: str) -> None:
        """Take the lock of the run itself; who looks whether a run lives holds it for a moment."""
        for _ in range(_LOOKS):
            with suppress(AlreadyRunningError):
                return self._take(held, run_id + _SUFFIX, run_id, "this run")
            time.sleep(_LOOK_SECONDS)
        return self._take(held, run_id + _SUFFIX, run_id, "this run")

    def _take_place(self, held: HeldLocks, places: Places, run_id: str) -> None:
        other = ""
        for number in range(places.count):
            resource = Resource(f"place {places.key} {number}", f"place {number}")
            try:
                return self._take(held, _file_of(resource), run_id, resource.label)
            except AlreadyRunningError as exc:
                other = exc.run_id
        raise TooManyRunsError(
            f"{places.count} of the kind {places.key} go on already, {other or 'one'} among them",
            run_id=other,
            hint=f"Wait until one is over, or cancel it; {places.setting} says how many there may be.",
        )

    def _take(self, held: HeldLocks, name: str, run_id: str, label: str) -> None:
        fd = self._open(name)
        try:
            self._require_lock(fd, name, label)
            with translated(name):
                uninterrupted(self._kernel.truncate, fd)
                self._sign(fd, run_id)
        except BaseException:
            close(self._kernel, fd)
            raise
        held.add(fd)

    def _sign(self, fd: int, run_id: str) -> None:
        """Say who holds a lock; on a full disk it is held without that."""
        try:
            uninterrupted(self._kernel.write, fd, memoryview(run_id.encode()))
        except OSError as exc:
            if exc.errno not in FULL:
                raise

    def _require_lock(self, fd: int, name: str, label: str) -> None:
        if self._lock(fd, name, fcntl.LOCK_EX):
            return
        try:
            other = self._directory.read(name, _MAX_BYTES).decode("ascii", "replace")
        except StorageError:
            other = ""
        raise AlreadyRunningError(
            f"{other or 'another run'} holds {label}",
            run_id=other,
            hint="Wait until that run is over, or cancel it.",
        )

    def _open(self, name: str) -> int:
        with translated(name):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
            return uninterrupted(self._kernel.open, self._directory.full_path(name), flags, 0o600)

    def _lock(self, fd: int, name: str, operation: int) -> bool:
        with translated(name):
            try:
                uninterrupted(self._kernel.flock, fd, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def _file_of(resource: Resource) -> str:
    """Name the lock file of a resource; its key may be any text."""
    return f"{hashlib.sha256(resource.key.encode()).hexdigest()[:32]}{_SUFFIX}"
