"""
The head of the audit: number and digest of its newest entry, kept outside of the database.

It is what shows that entries were cut off the end. All calls block; async callers use threads.
"""

import json
from pathlib import Path
from typing import Final

from app.errors import AuditBrokenError
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory


_NAME: Final = "head.json"
_MAX_BYTES: Final = 1024


class AuditHeads:
    """The head that one state directory keeps."""

    def __init__(self, state_directory: Path, kernel: Kernel = KERNEL) -> None:
        self._directory = LocalDirectory(state_directory / "audit", kernel)

    def read(self) -> tuple[int, str]:
        """
        Return number and digest.

        Returns:
            0 and nothing where no entry was ever made.

        Raises:
            AuditBrokenError: The file is no head.
            StorageError: It cannot be read.
        """
        data = self._directory.find(_NAME, _MAX_BYTES)
        if data is None:
            return 0, ""
        try:
            head = json.loads(data)
            return int(head["number"]), str(head["digest"])
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            raise AuditBrokenError(f"{_NAME}: not the head of an audit") from exc

    def advance(self, number: int, digest: str) -> None:
        """
        Keep a head, unless a newer one is kept.

        Raises:
            StorageError: The medium refused; the old one is still there.
        """
        self._directory.prepare()
        with self._directory.locked():
            try:
                newest, _ = self.read()
            except AuditBrokenError:
                return  # kept as it is: it is what `verify` finds
            if number > newest:
                data = json.dumps({"number": number, "digest": digest}).encode()
                self._directory.replace(_NAME, data)
