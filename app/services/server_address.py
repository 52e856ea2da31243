"""
The address of the server, given in the pages: examined, used from then on, and kept for the next start.

The setting wins over it. An address is kept when the server lets us in; what else is missing, such as
rights, is found by the doctor afterwards as always.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from app.domain.access.audit import ChangeNote
from app.domain.monitoring import CheckState, DoctorCheck
from app.engine.server.address import STORED, VARIABLE, ServerLogin, make_address, split_address
from app.engine.server.server import Server
from app.errors import ConflictError
from app.security.servers import ServersFile
from app.services.doctor.service import DoctorService
from app.services.runs.service import RunService


# What messages about the form call what was typed.
_TYPED: Final = "this address"
# Somebody waits for the page.
_EXAMINE_SECONDS: Final = 15.0


class ServerAddressService:
    """Connects the installation with a server."""

    def __init__(
        self, server: Server, doctor: DoctorService, runs: RunService, file: ServersFile
    ) -> None:
        self._server = server
        self._doctor = doctor
        self._runs = runs
        self._file = file
        self._turn = asyncio.Lock()

    @property
    def is_set(self) -> bool:
        """Whether there is a server."""
        return self._server.is_set

    @property
    def is_given(self) -> bool:
        """Whether the setting says which server it is, so that no page can."""
        return self._server.is_set and self._server.source == VARIABLE

    async def login(self) -> ServerLogin | None:
        """Return how the server is reached, but for the password; None = it was never connected here."""
        url = await asyncio.to_thread(self._file.find)
        return split_address(url) if url else None

    async def connect(self, login: ServerLogin, note: ChangeNote) -> Sequence[DoctorCheck]:
        """
        Examine a server; when it lets us in, use it from now on and at every start.

        Args:
            login: How it is reached.
            note: Gets how another one was reached before, and this one now, without passwords.

        Returns:
            What was found; when the first check failed, nothing was changed.

        Raises:
            ConflictError: Runs go on with the server that there is, or the setting says which one it is.
            InvalidRequestError: Such an address cannot be.
            ControlUnavailableError: Nobody knows whether runs go on.
            StorageError: The address could not be kept; nothing was changed.
        """
        await self._require_free()
        url = make_address(login)
        candidate = Server(
            url,
            source=_TYPED,
            timeout_seconds=_EXAMINE_SECONDS,
            row_source=self._server.row_source,
        )
        checks = await self._doctor.examine_server(candidate)
        if checks[0].state is CheckState.FAIL:
            return checks
        async with self._turn:
            before = await self.login()
            await self._require_free()
            self._file.keep(url)  # nothing is awaited from here on: no run gets between
            self._server.set_address(url, STORED)
        note.take(_facts(before) if before else None, _facts(login))
        return checks

    async def _require_free(self) -> None:
        if self.is_given:
            raise ConflictError(
                f"{VARIABLE} says which server is backed up",
                hint="Change it there, or take it away, and start the service again.",
            )
        if self._server.is_set and await self._runs.unfinished():
            raise ConflictError("runs go on with this server", hint="Wait until they are over.")


def _facts(login: ServerLogin) -> dict[str, object]:
    return {
        "server": login.socket or f"{login.host}:{login.port or 3306}",
        "server_user": login.user,
        "database": login.database,
        "ssl_mode": login.ssl_mode,
    }
