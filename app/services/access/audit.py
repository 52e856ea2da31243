"""The audit: written, listed and proven."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from app.domain.access.audit import GENESIS, AuditEntry, AuditEvent, seal
from app.domain.stores import AuditFilter, AuditStore, Page
from app.errors import AuditBrokenError, StorageError
from app.storage.audit_heads import AuditHeads


_log: Final = logging.getLogger(__name__)
_BATCH: Final = 1000
_HINT: Final = "Keep the control database as it is, and find out who else can write to it."


class AuditService:
    """Remembers who changed what, so that nobody can change that."""

    def __init__(self, store: AuditStore, heads: AuditHeads) -> None:
        self._store = store
        self._heads = heads

    async def record(self, event: AuditEvent) -> None:
        """
        Add an event; when this returns it is in the chain.

        Raises:
            ControlUnavailableError: The database refused; nothing was added.
        """
        entry = await self._store.append(event)
        try:
            await asyncio.to_thread(self._heads.advance, entry.number, entry.digest)
        except StorageError as exc:  # the entry is there; a later head covers it too
            _log.warning("Audit head could not be stored", extra={"facts": {"error": str(exc)}})

    async def list(self, wanted: AuditFilter, page: Page) -> tuple[Sequence[AuditEntry], int]:
        """Return a page, and how many entries there are in all."""
        return await self._store.list(wanted, page)

    async def verify(self) -> int:
        """
        Prove the whole chain.

        Returns:
            How many entries it has.

        Raises:
            AuditBrokenError: An entry is missing, or is not what was written.
            ControlUnavailableError: The database cannot be read.
        """
        kept_number, kept_digest = await asyncio.to_thread(self._heads.read)
        last, digest = 0, GENESIS
        while entries := await self._store.read(after=last, limit=_BATCH):
            for entry in entries:
                if entry.number != last + 1:
                    raise AuditBrokenError(f"entry {last + 1} is missing", hint=_HINT)
                if seal(entry.number, entry.event, digest).digest != entry.digest:
                    raise AuditBrokenError(f"entry {entry.number} was changed", hint=_HINT)
                if entry.number == kept_number and entry.digest != kept_digest:
                    raise AuditBrokenError(f"entry {entry.number} was written anew", hint=_HINT)
                last, digest = entry.number, entry.digest
        if last < kept_number:
            raise AuditBrokenError(
                f"everything after entry {last} is missing, up to {kept_number}", hint=_HINT
            )
        return last
