"""Who may use the service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.bootstrap.auditing import build_audit
from app.config import Settings
from app.control.database import ControlDatabase
from app.control.users import UserRecords
from app.scheduling.clock import SystemClock
from app.security.passwords import Passwords
from app.services.access.audit import AuditService
from app.services.access.users import UserService


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the service, and what they did."""

    users: UserService
    audit: AuditService


@asynccontextmanager
async def open_access(settings: Settings) -> AsyncIterator[Access]:
    """Open the control database for the length of a block; raises ControlUnavailableError."""
    control = ControlDatabase(settings.control_address, settings.state_dir)
    try:
        await control.prepare()
        yield build_access(control, Passwords(), build_audit(settings, control))
    finally:
        await control.close()


def build_access(control: ControlDatabase, passwords: Passwords, audit: AuditService) -> Access:
    """Make the users of a database."""
    return Access(UserService(UserRecords(control), passwords, SystemClock()), audit)
