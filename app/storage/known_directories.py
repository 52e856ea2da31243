"""
Directories of backups that were in use, noted in the state directory.

A file system that is not mounted looks like a directory in which nothing was ever kept; who knows better
does not begin anew there. All calls block.
"""

import json
from pathlib import Path
from typing import Final

from app.errors import StorageError
from app.storage.local import LocalDirectory


_NAME: Final = "directories.json"
_MAX_BYTES: Final = 1 << 16
# Who changes the directory more often than this does not lose it by accident.
_MOST: Final = 100


class KnownDirectories:
    """What one state directory knows."""

    def __init__(self, state_directory: Path) -> None:
        self._directory = LocalDirectory(state_directory / "known")

    @property
    def file(self) -> str:
        """Where it is noted; without it nothing is known."""
        return self._directory.full_path(_NAME)

    def knows(self, path: Path) -> bool:
        """Tell whether a directory was in use; False where nobody can read that."""
        try:
            return str(path) in self._read()
        except StorageError:
            return False

    def note(self, path: Path) -> None:
        """Note that a directory is in use, where that can be written."""
        if self.knows(path):
            return
        try:
            self._directory.prepare()
            with self._directory.locked():
                # Read again, where no other process can write: what it has noted stays.
                others = [known for known in self._read() if known != str(path)]
                data = json.dumps([*others, str(path)][-_MOST:]).encode()
                self._directory.replace(_NAME, data)
        except StorageError:  # it is asked for nothing but to warn
            return

    def _read(self) -> list[str]:
        """Read what is noted, nothing where that is damaged; raises StorageError."""
        try:
            known = json.loads(self._directory.find(_NAME, _MAX_BYTES) or b"[]")
        except (ValueError, RecursionError):
            return []
        return [str(path) for path in known] if isinstance(known, list) else []
