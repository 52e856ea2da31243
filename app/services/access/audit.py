"""The audit: written, listed, proven, and pruned by age."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.access.audit import (
    GENESIS,
    AuditCut,
    AuditEntry,
    AuditEvent,
    AuditHead,
    AuditProof,
    AuditSeals,
    CutKind,
)
from app.domain.stores import AuditFilter, AuditStore, Page
from app.errors import AppError, StorageError
from app.security.audit_keys import AuditKeys
from app.services.access.audit_proof import AuditProver
from app.services.access.refusals import OTHER_RENEWALS, Refusal, Refusals
from app.storage.audit_heads import AuditHeads


_log: Final = logging.getLogger(__name__)
# Who prunes the audit when nobody asked for it.
ACTOR: Final = "retention"


@dataclass(frozen=True, slots=True)
class AuditRules:
    """
    How much is kept.

    Attributes:
        days: Entries that are older are removed; 0 = none.
        refused_rows: Most entries an hour of refused requests.
    """

    days: float = 0
    refused_rows: int = 120


class AuditService:
    """Remembers who changed what, so that nobody can change that unnoticed."""

    def __init__(
        self,
        store: AuditStore,
        heads: AuditHeads,
        keys: AuditKeys,
        rules: AuditRules | None = None,
    ) -> None:
        self._store = store
        self._heads = heads
        self._keys = keys
        self._rules = rules or AuditRules()
        self._refusals = Refusals(self._rules.refused_rows)
        # By themselves: who is refused often hides none of them.
        self._renewals = Refusals(self._rules.refused_rows, OTHER_RENEWALS)
        self._prover = AuditProver(store, heads, keys)

    async def record(self, event: AuditEvent) -> None:
        """
        Add an event; when this returns it is in the chain.

        Raises:
            ControlUnavailableError: The database refused; nothing was added.
            InvalidRequestError: The key is not usable; nothing was added.
            StorageError: The key can neither be read nor made; nothing was added.
        """
        seals = await self._seals()
        entry = await self._store.append(event, seals)
        try:
            await asyncio.to_thread(self._heads.advance, entry.number, entry.digest, seals)
        except StorageError as exc:  # the entry is there; a later head covers it too
            _log.warning("Audit head could not be stored", extra={"facts": {"error": str(exc)}})

    async def refuse(self, refusal: Refusal) -> None:
        """Add a refused request, or count it; what cannot be written is in the log."""
        await self._write(self._refusals.admit(refusal))

    async def renew(self, renewal: Refusal) -> None:
        """Add a request that changed next to nothing, or count it, as `refuse` does."""
        await self._write(self._renewals.admit(renewal))

    async def flush(self, now: datetime | None = None) -> None:
        """Write the counts of what is collapsed and whose hour is over; all of them without an instant."""
        await self._write([*self._refusals.flush(now), *self._renewals.flush(now)])

    async def fingerprint(self, text: str) -> str:
        """Return what stands for a text that must not be in the audit; raises as `record` does."""
        return (await self._seals()).fingerprint(text)

    async def list(self, wanted: AuditFilter, page: Page) -> tuple[Sequence[AuditEntry], int]:
        """Return a page, and how many entries there are in all."""
        return await self._store.list(wanted, page)

    async def verify(self, known: AuditHead | None = None) -> AuditProof:
        """
        Prove what is there; see `AuditProver.prove`.

        Args:
            known: A head that was kept elsewhere; its entry must be there as well.

        Returns:
            What was proven, and nothing more.
        """
        return await self._prover.prove(known)

    async def prune(self, now: datetime, elapsed: datetime) -> AuditProof:
        """
        Remove entries that are too old, once everything is proven.

        Args:
            now: When this is, for the audit.
            elapsed: By what entries are old.

        Returns:
            What was proven before that.

        Raises:
            AuditBrokenError: It is not whole; nothing was removed.
            ControlUnavailableError: As everywhere.
        """
        proof = await self.verify()
        oldest = elapsed - timedelta(days=self._rules.days)
        last = await self._store.newest_before(oldest) if self._rules.days else None
        if last is not None and last.number > (proof.cut.number if proof.cut else 0):
            target = f"entries up to {last.number}"
            await self.record(AuditEvent(now, ACTOR, "", "", "prune_audit", target, 0, "ok"))
            await self._cut(AuditCut(last.number, last.digest, now, CutKind.REMOVED))
        cut = await self._store.find_cut()
        if cut is not None and cut.kind is CutKind.REMOVED:  # also what a killed process has left
            await self._store.remove(cut.number)
        return proof

    async def accept(self, event: AuditEvent) -> AuditCut:
        """
        Let the proof begin anew behind what is there, whatever is wrong with it; nothing is removed.

        Args:
            event: Who accepts it; the first entry that is proven from then on.

        Returns:
            The checkpoint.

        Raises:
            ControlUnavailableError: As everywhere.
        """
        seals = await self._seals()
        newest, _ = await self._store.list(AuditFilter(), Page(1, sort="-number"))
        number, digest = (newest[0].number, newest[0].digest) if newest else (0, GENESIS)
        cut = await self._cut(AuditCut(number, digest, event.at, CutKind.ACCEPTED))
        head = seals.head(AuditHead(number, digest, number))
        await asyncio.to_thread(self._heads.reset, head)
        await self.record(event)
        return cut

    async def _cut(self, cut: AuditCut) -> AuditCut:
        seals = await self._seals()
        sealed = seals.cut(cut)
        await self._store.cut(sealed)
        advance = self._heads.advance
        await asyncio.to_thread(advance, cut.number, cut.digest, seals, cut=cut.number)
        return sealed

    async def _seals(self) -> AuditSeals:
        return await asyncio.to_thread(self._keys.load)

    async def _write(self, events: Sequence[AuditEvent]) -> None:
        for event in events:
            try:
                await self.record(event)
            except AppError as exc:
                facts = {"error": str(exc), "count": event.count}
                _log.warning("Refused requests are not in the audit", extra={"facts": facts})
