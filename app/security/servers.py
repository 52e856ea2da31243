"""
`servers.json` in the state directory: addresses of servers that were connected in the pages.

Each has an id; today there is one, `default`. Addresses hold passwords, so only the owner of the file may
read it. All calls block.
"""

import json
import stat
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from app.errors import InvalidRequestError
from app.storage.local import LocalDirectory


SERVERS_FILE: Final = "servers.json"
DEFAULT_SERVER: Final = "default"
_VERSION: Final = 1
_MAX_BYTES: Final = 64 << 10


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, StringConstraints(min_length=1)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version: Annotated[int, "of the format"]
    servers: dict[str, _Entry]


class ServersFile:
    """The addresses of one installation."""

    def __init__(self, directory: LocalDirectory) -> None:
        self._directory = directory

    def find(self, server_id: str = DEFAULT_SERVER) -> str:
        """
        Read the address of a server.

        Returns:
            It, with the password; empty = none is kept.

        Raises:
            InvalidRequestError: Others may read the file, or it cannot be understood.
            StorageError: It cannot be read.
        """
        entry = self._read().get(server_id)
        return entry.url if entry else ""

    def keep(self, url: str, server_id: str = DEFAULT_SERVER) -> None:
        """
        Keep the address of a server in place of the one before; when it returns, it survives a power cut.

        Raises:
            InvalidRequestError: The file that is there cannot be understood; it is left as it is.
            StorageError: The medium refused; the old file is still there.
        """
        self._directory.prepare()
        with self._directory.locked():
            servers = self._read() | {server_id: _Entry(url=url)}
            document = _Document(version=_VERSION, servers=servers).model_dump()
            data = json.dumps(document, indent=2).encode() + b"\n"
            self._directory.replace(SERVERS_FILE, data)

    def _read(self) -> dict[str, _Entry]:
        data = self._directory.find(SERVERS_FILE, _MAX_BYTES)
        if data is None:
            return {}
        facts = self._directory.stat(SERVERS_FILE)
        if facts is not None and stat.S_IMODE(facts.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise InvalidRequestError(
                f"{SERVERS_FILE}: others than its owner may read or write it",
                hint="Run 'chmod 600' on it, and change the password of the server's user.",
            )
        try:
            document = _Document.model_validate_json(data)
        except ValidationError:
            document = None
        if document is None or document.version != _VERSION:
            raise InvalidRequestError(
                f"{SERVERS_FILE}: it cannot be understood",
                hint="Remove it and connect the server again, or set BACKSTAY_DATABASE_URL.",
            )
        return document.servers
