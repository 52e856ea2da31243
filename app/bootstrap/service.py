"""The service behind the API, put together."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from app.bootstrap import Program, SystemClock, program_of, server_of
from app.bootstrap.health import chores_of, watch_of
from app.bootstrap.monitoring import metrics_of
from app.bootstrap.people import People, people_of
from app.config import Settings
from app.control.database import ControlDatabase
from app.control.users import UserRecords
from app.errors import InvalidRequestError
from app.scheduling.scheduler import Scheduler
from app.security.attempts import Attempts
from app.security.keys import load_key_ring
from app.security.passwords import Passwords
from app.security.tokens import AccessTokens
from app.services.metrics import MetricsService
from app.services.signins import SignInService
from app.services.status import StatusService
from app.services.upkeep import Upkeep
from app.services.users import UserService
from app.services.watch import Watch


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that the API is made of."""

    program: Program
    people: People
    sign_ins: SignInService
    status: StatusService
    upkeep: Upkeep
    scheduler: Scheduler
    watch: Watch
    metrics: MetricsService


@asynccontextmanager
async def service(settings: Settings, *, certificate: Path | None = None) -> AsyncIterator[Service]:
    """
    Put the service together for the length of a block.

    Args:
        settings: Of this installation.
        certificate: That of the service, whose end people are told of; None = it has none.

    Yields:
        The service, not working yet.

    Raises:
        InvalidRequestError: A URL or a secret makes no sense.
        ControlUnavailableError: The control database does not answer.
    """
    control = ControlDatabase(settings.control_address, settings.state_dir)
    server = server_of(settings, needed=True)
    clock = SystemClock()
    try:
        await control.prepare()
        passwords = Passwords()  # one: it says how many hashes may be in memory
        people = people_of(settings, control, passwords)
        await _ensure_admin(settings, people.users)
        sign_ins = _sign_ins(settings, control, passwords)
        parts = program_of(settings, server, control, None)
        await parts.alerts.load()
        schedules = parts.schedules
        watch = watch_of(parts, certificate)
        start = partial(parts.runs.start, needs_history=False)
        scheduler = Scheduler(schedules, start, clock, chores_of(parts, watch))
        yield Service(
            program=parts,
            people=people,
            sign_ins=sign_ins,
            status=StatusService(server, parts.catalogue, parts.runs, schedules, clock),
            upkeep=Upkeep(parts.runs, parts.recoveries, parts.catalogue, sign_ins),
            scheduler=scheduler,
            watch=watch,
            metrics=metrics_of(parts, control, lambda: scheduler.lag_seconds),
        )
    finally:
        await server.close()
        await control.close()


async def _ensure_admin(settings: Settings, users: UserService) -> None:
    """Make the first admin, if one is wanted, and say when nobody can log in."""
    password = settings.admin_password.get_secret_value()
    try:
        made = bool(password) and await users.ensure_first_admin(password)
    except InvalidRequestError as exc:
        raise InvalidRequestError(f"BACKSTAY_ADMIN_PASSWORD: {exc}") from exc
    if made:
        _log.info("The user 'admin' was made with BACKSTAY_ADMIN_PASSWORD")
    elif not await users.count():
        _log.warning("Nobody can log in yet: run 'backstay user create NAME'")


def _sign_ins(settings: Settings, control: ControlDatabase, passwords: Passwords) -> SignInService:
    clock = SystemClock()
    keys = load_key_ring(
        settings.jwt_secret.get_secret_value(),
        settings.jwt_old_secrets.get_secret_value(),
        settings.state_dir,
    )
    lifetime = timedelta(minutes=settings.access_minutes)
    tokens = AccessTokens(keys, settings.jwt_issuer, settings.jwt_audience, clock, lifetime)
    return SignInService(
        UserRecords(control),
        tokens,
        passwords,
        Attempts(),
        clock,
        timedelta(days=settings.session_days),
    )
