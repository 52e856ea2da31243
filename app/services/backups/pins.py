"""Pins: backups that nobody may delete, until somebody unpins them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from app.archive.catalogue.catalogue import Catalogue
from app.domain.access.audit import ChangeNote
from app.domain.backups.check_notes import Notes, Pin
from app.domain.document import JsonObject
from app.domain.ports import Clock
from app.errors import ChecksumMismatchError


class PinService:
    """Pins backups, and tells which are pinned."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    async def pin(
        self, backup_id: str, by: str, reason: str = "", note: ChangeNote | None = None
    ) -> Notes:
        """
        Pin a backup, so that nobody can delete it; one that is pinned is pinned anew.

        Args:
            backup_id: Which.
            by: Who wants it.
            reason: Why, for people.
            note: Gets how it was and how it is.

        Returns:
            What is noted about it.

        Raises:
            BackupNotFoundError: No such backup.
            ChecksumMismatchError: Its notes are damaged.
            StorageError: The medium refused.
        """
        pin = Pin(self._clock.now(), by, " ".join(reason.split()))
        return await self._change(backup_id, pin, note)

    async def unpin(self, backup_id: str, note: ChangeNote | None = None) -> Notes:
        """Let a backup be deleted again; one that is not pinned is fine; raises as `pin` does."""
        return await self._change(backup_id, None, note)

    async def _change(self, backup_id: str, pin: Pin | None, note: ChangeNote | None) -> Notes:
        def change(notes: Notes) -> Notes:
            if note is not None:
                note.take(_facts(notes.pin), _facts(pin))
            return replace(notes, pin=pin)

        return await asyncio.to_thread(self._catalogue.change_notes, backup_id, change)

    async def read(self, backup_ids: Sequence[str]) -> dict[str, Pin | None]:
        """
        Tell which backups are pinned.

        Returns:
            Those only; None for one that may be, as its notes cannot be understood.

        Raises:
            StorageError: The directory cannot be read.
        """
        return await asyncio.to_thread(self._read, backup_ids)

    def _read(self, backup_ids: Sequence[str]) -> dict[str, Pin | None]:
        pins: dict[str, Pin | None] = {}
        for backup_id in backup_ids:
            try:
                pin = self._catalogue.notes(backup_id).pin
            except ChecksumMismatchError:
                pins[backup_id] = None
            else:
                if pin is not None:
                    pins[backup_id] = pin
        return pins


def _facts(pin: Pin | None) -> JsonObject:
    return {"pin": {"by": pin.by, "reason": pin.reason} if pin else None}
