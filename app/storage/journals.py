"""
Journals of restores: one small file each, replaced as a whole and synced before the next step.

All calls block; async callers use threads.
"""

import re
import secrets
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from app.domain.restores.journal import (
    ID_DIGITS,
    Journal,
    RestoreId,
    decode_journal,
    encode_journal,
)
from app.errors import JournalDamagedError, StorageError, StorageFullError
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory
from app.storage.spares import Spares


_SUFFIX: Final = ".json"
_RESTORE_ID: Final = re.compile(rf"restore_[0-9a-f]{{{ID_DIGITS}}}")
# The definitions of 10,000 tables' triggers take some tens of MB.
_MAX_BYTES: Final = 1 << 30


def new_restore_id() -> RestoreId:
    """Make an id that nobody has used."""
    return RestoreId(f"restore_{secrets.token_hex(ID_DIGITS // 2)}")


class DamagedJournal(NamedTuple):
    """
    A journal that cannot be read.

    Attributes:
        restore_id: Whose it is; the schemas of that restore end with the digits.
        error: Why.
    """

    restore_id: str
    error: JournalDamagedError


class FoundJournals(NamedTuple):
    """
    What is in a directory of journals.

    Attributes:
        whole: Newest first.
        damaged: In no order.
    """

    whole: list[Journal]
    damaged: list[DamagedJournal]


class Journals:
    """The journals of one state directory."""

    def __init__(self, state_directory: Path, kernel: Kernel = KERNEL) -> None:
        self._directory = LocalDirectory(state_directory / "recoveries", kernel)
        self._spares = Spares(self._directory)

    def save(self, journal: Journal) -> None:
        """
        Write a journal; when this returns it survives a power cut.

        Raises:
            StorageError: The medium refused; the state before is still there.
        """
        name, data = journal.restore_id + _SUFFIX, encode_journal(journal)
        self._directory.prepare()
        with self._directory.locked():
            try:
                self._directory.replace(name, data)
            except StorageFullError:
                self._spares.replace(name, data)

    def reserve(self) -> None:
        """Take room for journals while there is some: a restore must work when the disk is full."""
        with suppress(StorageError):
            self._directory.prepare()
        self._spares.make()

    def remove(self, restore_id: RestoreId) -> None:
        """Remove a journal; one that is not there is fine."""
        with self._directory.locked():
            self._directory.remove(restore_id + _SUFFIX)
            self._directory.sync()

    def has_any(self) -> bool:
        """Tell whether there is a journal, readable or not; raises as `survey` does."""
        return bool(self._restore_ids())

    def all(self) -> list[Journal]:
        """Read all journals that can be read, newest first; raises as `survey` does."""
        return self.survey().whole

    def survey(self) -> FoundJournals:
        """
        Read all journals; one that is damaged costs only itself.

        Returns:
            Those that can be read, and those that cannot.

        Raises:
            StorageError: The directory cannot be read.
        """
        found = FoundJournals([], [])
        for restore_id in self._restore_ids():
            try:
                journal = self.find(restore_id)
            except JournalDamagedError as exc:
                found.damaged.append(DamagedJournal(restore_id, exc))
                continue
            if journal is not None:  # it was removed meanwhile
                found.whole.append(journal)
        found.whole.sort(key=attrgetter("began_at", "restore_id"), reverse=True)
        return found

    def _restore_ids(self) -> list[str]:
        names = self._directory.names() if self._directory.is_there() else []
        ids = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
        return [restore_id for restore_id in ids if _RESTORE_ID.fullmatch(restore_id)]

    def find(self, restore_id: str) -> Journal | None:
        """
        Read one journal.

        Args:
            restore_id: Text of a user.

        Returns:
            The journal; None when there is none.

        Raises:
            JournalDamagedError: It cannot be read, or is of another version.
            StorageError: The directory cannot be read.
        """
        name = restore_id + _SUFFIX
        if _RESTORE_ID.fullmatch(restore_id) is None or not self._directory.is_there():
            return None
        if not self._directory.exists(name):
            return None
        try:
            data = self._directory.read(name, _MAX_BYTES)
        except StorageError as exc:
            if not self._directory.exists(name):
                return None
            raise JournalDamagedError(str(exc), hint=exc.hint) from exc
        return decode_journal(data, source=name)
