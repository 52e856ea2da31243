"""
The head of the audit: number and digest of its newest entry, sealed, outside of the database.

It is what shows that entries were cut off the end. All calls block; async callers use threads.
"""

import json
from pathlib import Path
from typing import Final

from app.domain.access.audit import AuditHead, AuditSeals
from app.errors import AuditBrokenError
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory


HEAD_FILE: Final = "head.json"
_MAX_BYTES: Final = 1024


class AuditHeads:
    """The head that one state directory keeps."""

    def __init__(self, state_directory: Path, kernel: Kernel = KERNEL) -> None:
        self._directory = LocalDirectory(state_directory / "audit", kernel)

    def read(self) -> AuditHead | None:
        """
        Return the head; its seal is not looked at.

        Returns:
            None where no entry was ever made.

        Raises:
            AuditBrokenError: The file is no head.
            StorageError: It cannot be read.
        """
        data = self._directory.find(HEAD_FILE, _MAX_BYTES)
        if data is None:
            return None
        try:
            head = json.loads(data)
            return AuditHead(
                int(head["number"]),
                str(head["digest"]),
                int(head.get("cut", 0)),
                str(head.get("key_id", "")),
                str(head.get("seal", "")),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise AuditBrokenError(
                f"{HEAD_FILE}: not the head of an audit", hint="Find out who has written to it."
            ) from exc

    def advance(self, number: int, digest: str, seals: AuditSeals, *, cut: int = 0) -> None:
        """
        Keep a head, unless a newer one is kept.

        Args:
            number: Of the newest entry that is known to be there.
            digest: Its digest.
            seals: Seals it.
            cut: A checkpoint that is there, if it is new.

        Raises:
            StorageError: The medium refused; the old one is still there.
        """
        self._directory.prepare()
        with self._directory.locked():
            try:
                known = self.read() or AuditHead(0, "")
            except AuditBrokenError:
                return  # kept as it is: it is what `verify` finds
            if known.seal and not seals.is_head(known):
                return  # the same
            newest = (number, digest) if number > known.number else (known.number, known.digest)
            self._replace(seals.head(AuditHead(*newest, max(cut, known.cut))))

    def reset(self, head: AuditHead) -> None:
        """Keep a head whatever was kept before; raises StorageError."""
        self._directory.prepare()
        with self._directory.locked():
            self._replace(head)

    def _replace(self, head: AuditHead) -> None:
        facts = {
            "number": head.number,
            "digest": head.digest,
            "cut": head.cut,
            "key_id": head.key_id,
            "seal": head.seal,
        }
        self._directory.replace(HEAD_FILE, json.dumps(facts).encode())
