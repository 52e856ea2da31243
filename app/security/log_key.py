"""The identity that reads the growing end of an encrypted archive of the binary log, in the state directory."""

from pathlib import Path
from typing import Final

from app.age.malformed import MalformedError
from app.age.x25519 import Identity
from app.errors import InvalidRequestError
from app.security.keys import require_private
from app.storage.local import LocalDirectory


KEY_FILE: Final = "binlog.key"
_MOST_BYTES: Final = 4096
_HINT: Final = "Put the file back, or remove it: then a new stream of the binary log begins."


class LogKey:
    """Reads it when it is first needed; nobody but this directory knows even its recipient."""

    def __init__(self, state_directory: Path) -> None:
        self._directory = LocalDirectory(state_directory)
        self._found: Identity | None = None

    def find(self) -> Identity | None:
        """
        Look for it; blocks.

        Returns:
            It; None when there is none.

        Raises:
            InvalidRequestError: It cannot be understood, or others may read it.
            StorageError: It cannot be read.
        """
        if self._found is None and self._directory.exists(KEY_FILE):
            self._found = self._read()
        return self._found

    def make(self) -> Identity:
        """Return it, and make it where there is none; raises as `find`."""
        found = self.find()
        if found is not None:
            return found
        self._directory.prepare()
        with self._directory.locked():
            if not self._directory.exists(KEY_FILE):
                text = Identity.new().secret_text()
                self._directory.replace(KEY_FILE, text.encode() + b"\n")
        self._found = self._read()
        return self._found

    def _read(self) -> Identity:
        require_private(self._directory, KEY_FILE, hint="Run 'chmod 600' on it.")
        text = self._directory.read(KEY_FILE, _MOST_BYTES).decode(errors="replace")
        try:
            return Identity.parse(text.strip())
        except MalformedError as exc:
            raise InvalidRequestError(f"{KEY_FILE}: {exc}", hint=_HINT) from exc
