"""
What can be proven of the audit, and nothing more.

1. The proof begins at the newest checkpoint, which must be sealed, or at the first entry. 2. Each entry
must follow the one before it, and be what was sealed. 3. Entries without a key may only come first: none
may follow one that has a key. 4. The head outside of the database must be there, sealed, and among the
entries; so must a head that was kept elsewhere.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from app.domain.access.audit import (
    GENESIS,
    AuditCut,
    AuditEntry,
    AuditHead,
    AuditProof,
    AuditSeals,
    seal,
)
from app.domain.stores import AuditStore
from app.errors import AuditBrokenError, InvalidRequestError
from app.security.audit_keys import KEY_FILE, AuditKeys
from app.storage.audit_heads import HEAD_FILE, AuditHeads


_BATCH: Final = 1000
_HINT: Final = (
    "Keep the control database as it is, and find out who else can write to it;"
    " 'backstay audit accept' begins anew behind what is there."
)
_KEY_HINT: Final = f"Put the older key back into {KEY_FILE}, behind the one that is there."


class AuditProver:
    """Reads the whole audit, and believes nothing."""

    def __init__(self, store: AuditStore, heads: AuditHeads, keys: AuditKeys) -> None:
        self._store = store
        self._heads = heads
        self._keys = keys

    async def prove(self, known: AuditHead | None = None) -> AuditProof:
        """
        Prove the whole chain; nothing is written.

        Args:
            known: A head that was kept elsewhere.

        Returns:
            What is proven.

        Raises:
            AuditBrokenError: An entry is missing, or is not what was written; or that cannot be told,
                since the head or a key is missing.
            ControlUnavailableError: The database cannot be read.
            InvalidRequestError: The head from elsewhere is of an entry that is not proven any more.
            StorageError: The state directory cannot be read.
        """
        head = await asyncio.to_thread(self._heads.read)
        while True:
            cut = await self._store.find_cut()
            try:
                return await self._prove_from(cut, head, known)
            except AuditBrokenError:
                if await self._store.find_cut() == cut:
                    raise
                # Entries were removed by age meanwhile: the proof begins later now.

    async def _prove_from(
        self, cut: AuditCut | None, head: AuditHead | None, known: AuditHead | None
    ) -> AuditProof:
        seals = await asyncio.to_thread(self._load)
        _require_cut(cut, head, seals)
        if known is not None and cut is not None and known.number < cut.number:
            raise InvalidRequestError(f"the proof begins after entry {cut.number}")
        walk = _Walk(cut, seals, [found for found in (head, known) if found])
        while entries := await self._store.read(after=walk.last, limit=_BATCH):
            await asyncio.to_thread(walk.take, entries)
        _require_head(head, walk, seals)
        last = walk.last if walk.first else 0
        return AuditProof(walk.first, last, walk.digest, walk.unkeyed, cut)

    def _load(self) -> AuditSeals | None:
        return self._keys.load() if self._keys.exist() else None


class _Walk:
    """
    The way from the checkpoint to the newest entry.

    Attributes:
        first: First entry on it; 0 = none yet.
        last: Where it has come.
        digest: Of that entry.
        key_id: Of that entry's key; empty = it has none.
        unkeyed: How many entries had none.
    """

    def __init__(
        self, cut: AuditCut | None, seals: AuditSeals | None, heads: Iterable[AuditHead]
    ) -> None:
        self.first = self.unkeyed = 0
        self.last, self.digest = (cut.number, cut.digest) if cut else (0, GENESIS)
        self.key_id = ""
        self._seals = seals
        self._heads = list(heads)
        self._compare()

    def take(self, entries: Sequence[AuditEntry]) -> None:
        """Prove the next entries; raises AuditBrokenError."""
        for entry in entries:
            self._prove(entry)
            self.first = self.first or entry.number
            self.last, self.digest, self.key_id = entry.number, entry.digest, entry.key_id
            self.unkeyed += not entry.key_id
            self._compare()

    def _prove(self, entry: AuditEntry) -> None:
        if entry.number != self.last + 1:
            raise _broken(f"entry {self.last + 1} is missing")
        if self.key_id and not entry.key_id:
            raise _broken(f"entry {entry.number} has no key")
        if entry.key_id and (self._seals is None or not self._seals.knows(entry.key_id)):
            raise _broken(f"entry {entry.number}: its key {entry.key_id} is not here", _KEY_HINT)
        if not self._is_whole(entry):
            raise _broken(f"entry {entry.number} was changed")

    def _is_whole(self, entry: AuditEntry) -> bool:
        if entry.key_id and self._seals is not None:
            return self._seals.is_whole(entry, self.digest)
        # What there was not when it was written, nothing covers.
        is_plain = (entry.event.count, entry.event.changes) == (1, "")
        return is_plain and seal(entry.number, entry.event, self.digest).digest == entry.digest

    def _compare(self) -> None:
        """Compare with the heads of this entry; raises AuditBrokenError."""
        for head in self._heads:
            if head.number == self.last and head.number and head.digest != self.digest:
                raise _broken(f"entry {self.last} was written anew")

    def require_all(self) -> None:
        """Require everything up to the heads; raises AuditBrokenError."""
        newest = max((head.number for head in self._heads), default=0)
        if newest > self.last:
            raise _broken(f"everything after entry {self.last} is missing, up to {newest}")


def _require_cut(cut: AuditCut | None, head: AuditHead | None, seals: AuditSeals | None) -> None:
    """Require a checkpoint that is sealed, and the one that the head knows, or a later one."""
    if cut is not None and (seals is None or not seals.is_cut(cut)):
        raise _broken(f"the checkpoint at entry {cut.number} is not sealed with a key that is here")
    if head is not None and head.cut > (cut.number if cut else 0):
        raise _broken(f"the checkpoint at entry {head.cut} is missing")


def _require_head(head: AuditHead | None, walk: _Walk, seals: AuditSeals | None) -> None:
    """Require a head that is sealed, and nothing missing before it."""
    if head is None and walk.last:
        raise _broken(
            f"{HEAD_FILE} is missing: nobody can tell whether entries after {walk.last} were cut off"
        )
    walk.require_all()
    if head is None:
        return
    if not head.seal and walk.key_id:
        raise _broken(f"{HEAD_FILE} is not sealed")
    if head.seal and (seals is None or not seals.is_head(head)):
        raise _broken(f"{HEAD_FILE} is not sealed with a key that is here")
    if walk.first and seals is not None and not walk.key_id:
        raise _broken(f"entry {walk.last} has no key, although there is one here")


def _broken(message: str, hint: str = _HINT) -> AuditBrokenError:
    return AuditBrokenError(message, hint=hint)
