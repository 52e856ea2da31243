"""
Journals of restores: one small file each, replaced as a whole and synced before the next step.

All calls block; async callers use threads.
"""

import re
import secrets
from operator import attrgetter
from pathlib import Path
from typing import Final

from app.domain.restores.journal import (
    ID_DIGITS,
    Journal,
    RestoreId,
    decode_journal,
    encode_journal,
)
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory


_SUFFIX: Final = ".json"
_RESTORE_ID: Final = re.compile(rf"restore_[0-9a-f]{{{ID_DIGITS}}}")
# The definitions of 10,000 tables' triggers take some tens of MB.
_MAX_BYTES: Final = 1 << 30


def new_restore_id() -> RestoreId:
    """Make an id that nobody has used."""
    return RestoreId(f"restore_{secrets.token_hex(ID_DIGITS // 2)}")


class Journals:
    """The journals of one state directory."""

    def __init__(self, state_directory: Path, kernel: Kernel = KERNEL) -> None:
        self._directory = LocalDirectory(state_directory / "recoveries", kernel)

    def save(self, journal: Journal) -> None:
        """
        Write a journal; when this returns it survives a power cut.

        Raises:
            StorageError: The medium refused; the state before is still there.
        """
        self._directory.prepare()
        with self._directory.locked():
            self._directory.replace(journal.restore_id + _SUFFIX, encode_journal(journal))

    def remove(self, restore_id: RestoreId) -> None:
        """Remove a journal; one that is not there is fine."""
        with self._directory.locked():
            self._directory.remove(restore_id + _SUFFIX)
            self._directory.sync()

    def all(self) -> list[Journal]:
        """
        Read all journals.

        Returns:
            Newest first.

        Raises:
            ManifestError: One is damaged or of another version; none is then acted on.
            StorageError: The directory cannot be read.
        """
        if not self._directory.is_there():
            return []
        found = []
        for name in self._directory.names():
            if _RESTORE_ID.fullmatch(name.removesuffix(_SUFFIX)) and name.endswith(_SUFFIX):
                data = self._directory.read(name, _MAX_BYTES)
                found.append(decode_journal(data, source=name))
        return sorted(found, key=attrgetter("began_at", "restore_id"), reverse=True)
