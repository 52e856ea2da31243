"""
By which rules backups may go from a store, each noted when somebody has let them delete.

A file a store in the state directory: its place and its rules, those for copies of the binary log too. Whoever changes either has changed what would
go, and perhaps by mistake. All calls block.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from app.domain.backups.retention import RetentionPolicy
from app.domain.document import adapter_of
from app.domain.store_trial import StoreFacts
from app.storage.local import LocalDirectory


_MAX_BYTES: Final = 16384


@dataclass(frozen=True, slots=True)
class _Approved:
    place: str
    retention: RetentionPolicy | None
    log_days: float | None = None


class ApprovedRules:
    """The notes of one state directory."""

    def __init__(self, state_directory: Path) -> None:
        self._directory = LocalDirectory(state_directory / "store-rules")

    def are_known(self, store: StoreFacts, log_days: float | None = None) -> bool:
        """
        Tell whether these very rules were noted for this very place.

        Args:
            store: With its rules.
            log_days: For how long points in time are wanted, 0 = for ever; None = no binary log is copied there.

        Returns:
            Whether somebody has let them.

        Raises:
            StorageError: The state directory cannot be read.
        """
        data = self._directory.find(f"{store.name}.json", _MAX_BYTES)
        if data is None:
            return False
        try:
            return adapter_of(_Approved).validate_json(data) == _of(store, log_days)
        except ValidationError:  # nobody knows what was noted
            return False

    def add(self, store: StoreFacts, log_days: float | None = None) -> None:
        """Note the rules of a store in the place of those before, as `are_known`; raises StorageError."""
        self._directory.prepare()
        with self._directory.locked():
            self._directory.replace(
                f"{store.name}.json", adapter_of(_Approved).dump_json(_of(store, log_days))
            )


def _of(store: StoreFacts, log_days: float | None) -> _Approved:
    return _Approved(store.place, store.retention, log_days)
