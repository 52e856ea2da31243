"""
Ends of runs that the history could not take: one small file each, until it can.

All calls block; async callers use threads.
"""

from pathlib import Path
from typing import Final

from app.storage.local import LocalDirectory


_PREFIX: Final = "run_"
_SUFFIX: Final = ".json"
# Results name every table; those of 100,000 tables take some MB.
_MAX_BYTES: Final = 64 << 20


class RunEndFiles:
    """The ends that one state directory keeps."""

    def __init__(self, state_directory: Path) -> None:
        self._directory = LocalDirectory(state_directory / "ends")

    def save(self, run_id: str, data: bytes) -> None:
        """Keep an end; raises StorageError when the medium refuses."""
        self._directory.prepare()
        with self._directory.locked():
            self._directory.replace(run_id + _SUFFIX, data)

    def names(self) -> set[str]:
        """Return the runs whose end is kept; raises StorageError when that cannot be read."""
        if not self._directory.is_there():
            return set()
        return {
            name.removesuffix(_SUFFIX)
            for name in self._directory.names()
            if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
        }

    def find(self, run_id: str) -> bytes | None:
        """Read an end; None when it is gone."""
        return self._directory.find(run_id + _SUFFIX, _MAX_BYTES)

    def remove(self, run_id: str) -> None:
        """Remove an end that the history has; one that is gone is fine."""
        if self._directory.is_there():
            self._directory.remove(run_id + _SUFFIX)
