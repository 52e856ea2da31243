"""Who may use the service, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.bootstrap import SystemClock, audit_of
from app.config import Settings
from app.control.database import ControlDatabase
from app.control.users import UserRecords
from app.security.passwords import Passwords
from app.services.audit import AuditService
from app.services.users import UserService


@dataclass(frozen=True, slots=True)
class People:
    """Who may use the service, and what they did."""

    users: UserService
    audit: AuditService


@asynccontextmanager
async def people(settings: Settings) -> AsyncIterator[People]:
    """Open the control database for the length of a block; raises ControlUnavailableError."""
    control = ControlDatabase(settings.control_address, settings.state_dir)
    try:
        await control.prepare()
        yield people_of(settings, control, Passwords())
    finally:
        await control.close()


def people_of(settings: Settings, control: ControlDatabase, passwords: Passwords) -> People:
    """Make people of their database."""
    return People(
        users=UserService(UserRecords(control), passwords, SystemClock()),
        audit=audit_of(settings, control),
    )
