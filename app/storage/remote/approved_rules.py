"""
By which rules backups may go from a store, each noted when somebody has let them delete.

A file a store in the state directory: its place and its rules. Whoever changes either has changed what would
go, and perhaps by mistake. All calls block.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from app.domain.backups.retention import RetentionPolicy
from app.domain.store_trial import StoreFacts
from app.storage.local import LocalDirectory


_MAX_BYTES: Final = 16384


@dataclass(frozen=True, slots=True)
class _Approved:
    place: str
    retention: RetentionPolicy | None


_FILE: Final = TypeAdapter(_Approved)


class ApprovedRules:
    """The notes of one state directory."""

    def __init__(self, state_directory: Path) -> None:
        self._directory = LocalDirectory(state_directory / "store-rules")

    def are_known(self, store: StoreFacts) -> bool:
        """Tell whether these very rules were noted for this very place; raises StorageError."""
        data = self._directory.find(f"{store.name}.json", _MAX_BYTES)
        if data is None:
            return False
        try:
            return _FILE.validate_json(data) == _of(store)
        except ValidationError:  # nobody knows what was noted
            return False

    def add(self, store: StoreFacts) -> None:
        """Note the rules of a store in the place of those before; raises StorageError."""
        self._directory.prepare()
        with self._directory.locked():
            self._directory.replace(f"{store.name}.json", _FILE.dump_json(_of(store)))


def _of(store: StoreFacts) -> _Approved:
    return _Approved(store.place, store.retention)
