"""
Spare files: room for what must be written down when the disk is full.

They are written while there is room, as large as they will ever be. When there is none, a spare is filled
in place, which takes no more room, synced, and given the name of the file that it replaces; what had that
name becomes the spare. So whoever else fills the disk gets nothing of it.

1. Fill, pad with blanks, sync. 2. Link the old file to a second name. 3. Rename the spare. 4. Rename the
second name to that of the spare; sync the directory. A crash leaves the old file or the new one.

Not guaranteed: anything on file systems that write changed bytes elsewhere (btrfs, ZFS).
"""

import os
from contextlib import suppress
from typing import Final

from app.errors import StorageError, StorageFullError
from app.storage.failures import translated
from app.storage.kernel import close, uninterrupted
from app.storage.local import LocalDirectory


# Two restores at once begin with one each, and all of them change places with the third.
_COUNT: Final = 3
# A journal of some hundred tables with their triggers; larger ones need room on the disk.
_BYTES: Final = 256 << 10
_REPLACED: Final = ".replaced"


class Spares:
    """The spare files of one directory."""

    def __init__(self, directory: LocalDirectory) -> None:
        self._directory = directory
        self._kernel = directory.kernel
        self._names = tuple(f".spare-{number}" for number in range(_COUNT))

    def make(self) -> None:
        """Make those that are missing, and remove what a crash has left; what is refused stays away."""
        with suppress(StorageError):
            if not self._directory.is_there():
                return
            there = set(self._directory.names())
            if there.issuperset(self._names) and not any(map(_is_replaced, there)):
                return
            with self._directory.locked():
                for name in filter(_is_replaced, there):
                    self._directory.remove(name)
                for name in set(self._names) - there:
                    self._directory.replace(name, b" " * _BYTES)

    def replace(self, name: str, data: bytes) -> None:
        """
        Write a file that may end in blanks into the room of a spare; the caller holds `locked`.

        Raises:
            StorageFullError: It is too large for a spare, or there is none left.
            StorageError: The medium refused; the old file is there, or the new one.
        """
        spare = next((spare for spare in self._names if self._is_whole(spare)), None)
        if spare is None or len(data) > _BYTES:
            raise StorageFullError(
                f"{name}: no space left on device", hint="Free some space on the disk of the state."
            )
        self._fill(spare, data.ljust(_BYTES))
        old = self._directory.full_path(name + _REPLACED)
        was_there = self._directory.exists(name)
        if was_there:
            self._directory.remove(name + _REPLACED)
            with translated(name):
                uninterrupted(self._kernel.link, self._directory.full_path(name), old)
        self._directory.rename(spare, name)
        if was_there:
            self._directory.rename(name + _REPLACED, spare)
        self._directory.sync()

    def _is_whole(self, spare: str) -> bool:
        facts = self._directory.stat(spare)
        # A second name is a file that somebody reads: a crash has left it.
        return facts is not None and facts.st_size == _BYTES and facts.st_nlink == 1

    def _fill(self, spare: str, data: bytes) -> None:
        with translated(spare):
            path = self._directory.full_path(spare)
            fd = uninterrupted(self._kernel.open, path, os.O_WRONLY)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[uninterrupted(self._kernel.write, fd, rest) :]
                uninterrupted(self._kernel.fsync, fd)
            finally:
                close(self._kernel, fd)


def _is_replaced(name: str) -> bool:
    return name.endswith(_REPLACED)
