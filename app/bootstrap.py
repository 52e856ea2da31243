"""The only place that picks implementations."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from app.archive.catalogue import Catalogue
from app.config import Settings
from app.engine.connection import Server
from app.errors import InvalidRequestError
from app.services.backups import BackupService
from app.services.doctor import DoctorService
from app.services.recoveries import RecoveryService
from app.storage.journals import Journals


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the aware UTC instant."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Program:
    """Everything a command or a request may use."""

    settings: Settings
    server: Server
    catalogue: Catalogue
    backups: BackupService
    recoveries: RecoveryService
    doctor: DoctorService


@asynccontextmanager
async def program(settings: Settings, *, needs_server: bool = True) -> AsyncIterator[Program]:
    """
    Put the program together for the length of a block.

    Args:
        settings: Of this installation.
        needs_server: False for work on the backup directory alone.

    Yields:
        The program.

    Raises:
        InvalidRequestError: The server's URL is missing or makes no sense.
    """
    url = settings.database_url.get_secret_value()
    if not url and needs_server:
        raise InvalidRequestError(
            "BACKSTAY_DATABASE_URL is not set",
            hint="Set it to mysql://user:password@host:3306/database; leave the database out for all.",
        )
    server = Server(url or "mysql://localhost", timeout_seconds=settings.timeout)
    catalogue = Catalogue(settings.backup_dir)
    journals = Journals(settings.state_dir)
    clock = SystemClock()
    try:
        yield Program(
            settings=settings,
            server=server,
            catalogue=catalogue,
            backups=BackupService(server, catalogue, clock),
            recoveries=RecoveryService(
                server,
                catalogue,
                clock,
                journals,
                undo_minutes=settings.undo_minutes,
            ),
            doctor=DoctorService(server if url else None, catalogue, journals),
        )
    finally:
        await server.close()
