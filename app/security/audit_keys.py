"""The keys that seal the audit, from a setting or from `audit.key` in the state directory."""

import threading
from pathlib import Path
from typing import Final

from app.domain.access.audit import AuditKey, AuditSeals
from app.security.keys import read_secrets, require_secret
from app.storage.local import LocalDirectory


KEY_FILE: Final = "audit.key"
VARIABLE: Final = "BACKSTAY_AUDIT_KEY"


class AuditKeys:
    """Reads the keys when they are first needed: a command whose state directory is away goes on."""

    def __init__(self, given: str, state_directory: Path) -> None:
        """Take the keys of a setting, separated by white space; empty = those of the file, one a line."""
        self._given = given
        self._directory = LocalDirectory(state_directory)
        self._seals: AuditSeals | None = None
        self._lock = threading.Lock()

    def load(self) -> AuditSeals:
        """
        Return what seals; makes a key where there is none. It blocks.

        Returns:
            The same in every process of this installation.

        Raises:
            InvalidRequestError: A key is too short, or others may read the file.
            StorageError: The file can neither be read nor made.
        """
        with self._lock:
            if self._seals is None:
                self._seals = AuditSeals([AuditKey(secret) for secret in self._secrets()])
            return self._seals

    def exist(self) -> bool:
        """Tell whether there is a key, without making one; raises StorageError."""
        return bool(self._given) or self._directory.exists(KEY_FILE)

    def _secrets(self) -> list[bytes]:
        if self._given:
            # Of blanks alone nothing is left, which is too short.
            words = self._given.split() or [""]
            secrets = [text.encode(errors="surrogateescape") for text in words]
            for secret in secrets:
                require_secret(secret, VARIABLE)
            return secrets
        found = read_secrets(self._directory, KEY_FILE)
        for secret in found:
            require_secret(secret, KEY_FILE)
        return found
