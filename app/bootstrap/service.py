"""The service behind the API, put together."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from app.bootstrap.access import Access, build_access
from app.bootstrap.monitoring import (
    build_binlog_jobs,
    build_environment_monitor,
    build_metrics,
    build_periodic_jobs,
)
from app.bootstrap.program import Program
from app.bootstrap.restores import SCRATCH
from app.config import Settings
from app.control.database import ControlDatabase
from app.control.users import UserRecords
from app.domain.access.audit import AuditEvent, ChangeNote
from app.domain.ports import Clock
from app.errors import AppError, InvalidRequestError
from app.sandbox.scratch import sweep
from app.scheduling.clock import SystemClock
from app.scheduling.scheduler import Scheduler
from app.security.attempts import Attempts
from app.security.keys import load_key_ring
from app.security.passwords import Passwords
from app.security.tokens import AccessTokens
from app.services.access.audit import AuditService
from app.services.access.browser_logins import BrowserLogins
from app.services.access.first_admin import FirstAdminService
from app.services.access.sign_ins import SignInService
from app.services.access.users import FIRST_ADMIN
from app.services.backups.inventory import InventoryService
from app.services.backups.retention_rules import policy_of
from app.services.binlog.service import BinlogService
from app.services.monitoring.environment import EnvironmentMonitor
from app.services.monitoring.metrics import MetricsService
from app.services.monitoring.overview import OverviewService
from app.services.monitoring.status import StatusService
from app.services.point_in_time.reach import ReachService
from app.services.reconcile import Reconciler
from app.services.server_address import ServerAddressService
from app.storage.free_space import FreeSpaceFile
from app.storage.local import LocalDirectory


_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that the API is made of."""

    program: Program
    access: Access
    sign_ins: SignInService
    browser_logins: BrowserLogins
    first_admin: FirstAdminService
    server_address: ServerAddressService
    status: StatusService
    overview: OverviewService
    reconciler: Reconciler
    scheduler: Scheduler
    environment_monitor: EnvironmentMonitor
    metrics: MetricsService
    binlog: BinlogService
    reach: ReachService
    inventory: InventoryService


@asynccontextmanager
async def open_service(
    settings: Settings,
    *,
    certificate: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Service]:
    """
    Put the service together for the length of a block.

    Args:
        settings: Of this installation.
        certificate: That of the service, whose end an alert is sent of; None = it has none.
        announce: Tells whoever started the service the token that makes the first admin.

    Yields:
        The service, not working yet.

    Raises:
        InvalidRequestError: A URL or a secret makes no sense.
        ControlUnavailableError: The control database does not answer.
    """
    program = Program(settings, backup_settings=_beside_requests(settings))
    try:
        await program.control.prepare()
        await asyncio.to_thread(sweep, settings.state_dir / SCRATCH)
        yield await _build(program, certificate, announce)
    finally:
        await program.close()


def _beside_requests(settings: Settings) -> Settings:
    """Let backups take no more connections than cores, unless somebody has said how many: requests wait for them."""
    cores = os.cpu_count() or 1
    if "threads" in settings.model_fields_set or settings.threads <= cores:
        return settings
    return settings.model_copy(update={"threads": cores})


async def _build(
    program: Program, certificate: Path | None, announce: Callable[[str], None]
) -> Service:
    """Put the service together around a program whose control database is ready."""
    settings, control, clock = program.settings, program.control, SystemClock()
    passwords, attempts = Passwords(), Attempts()  # one: it says how many hashes may be in memory
    access = build_access(control, passwords, program.audit_service)
    await _ensure_admin(settings, access, clock)
    sign_ins = _build_sign_ins(settings, control, passwords, attempts)
    logins = BrowserLogins(UserRecords(control), sign_ins, clock)
    await _record_start(settings, access.audit, clock)
    await program.alerts.load()
    environment_monitor = build_environment_monitor(program, certificate)
    status = _build_status(program)
    scheduler = _build_scheduler(program, environment_monitor)
    return Service(
        program=program,
        access=access,
        sign_ins=sign_ins,
        browser_logins=logins,
        first_admin=FirstAdminService(access.users, logins, attempts, clock, announce),
        server_address=_build_server_address(program),
        status=status,
        overview=_build_overview(program, status),
        reconciler=_build_reconciler(program, sign_ins),
        scheduler=scheduler,
        environment_monitor=environment_monitor,
        binlog=program.binlog,
        reach=program.reach,
        inventory=InventoryService(program.server, clock),
        metrics=build_metrics(program, control, lambda: scheduler.lag_seconds),
    )


def _build_scheduler(program: Program, environment_monitor: EnvironmentMonitor) -> Scheduler:
    start = partial(program.runs.start, needs_history=False)
    periodic_jobs = (
        *build_periodic_jobs(program, environment_monitor),
        *build_binlog_jobs(program),
    )
    return Scheduler(program.schedules, start, SystemClock(), periodic_jobs)


def _build_server_address(program: Program) -> ServerAddressService:
    return ServerAddressService(program.server, program.doctor, program.runs, program.servers_file)


def _build_reconciler(program: Program, sign_ins: SignInService) -> Reconciler:
    return Reconciler(
        program.runs,
        program.recoveries,
        program.catalogue,
        sign_ins,
        program.settlement,
        program.catalogue_of,
    )


def _build_overview(program: Program, status: StatusService) -> OverviewService:
    return OverviewService(
        server=program.server,
        status=status,
        health=program.health,
        schedules=program.schedules,
        alerts=program.alerts,
        history=program.history,
        free_space=FreeSpaceFile(program.settings.state_dir),
        reach=program.reach,
        clock=SystemClock(),
        zone=ZoneInfo(program.settings.timezone),
    )


def _build_status(program: Program) -> StatusService:
    return StatusService(
        server=program.server,
        health=program.health,
        runs=program.runs,
        schedules=program.schedules,
        clock=SystemClock(),
        state=LocalDirectory(program.settings.state_dir / "runs"),
        store_watch=program.store_watch,
    )


async def _ensure_admin(settings: Settings, access: Access, clock: Clock) -> None:
    """Make the first admin, if one is wanted, and say when nobody can log in."""
    password, note = settings.admin_password.get_secret_value(), ChangeNote()
    try:
        made = bool(password) and await access.users.ensure_first_admin(password, note)
    except InvalidRequestError as exc:
        raise InvalidRequestError(f"BACKSTAY_ADMIN_PASSWORD: {exc}") from exc
    if made:
        _log.info("The user 'admin' was made with BACKSTAY_ADMIN_PASSWORD")
        await _record(access.audit, clock, "create_user", FIRST_ADMIN, note)
    elif not await access.users.count():
        _log.warning("There is no user yet: nobody can log in")


async def _record_start(settings: Settings, audit: AuditService, clock: Clock) -> None:
    """Write into the audit by which settings old backups and entries go from now on."""
    note = ChangeNote()
    note.take(
        None,
        {
            **asdict(policy_of(settings)),
            "recovery_point_days": settings.recovery_point_days,
            "audit_days": settings.audit_days,
        },
    )
    await _record(audit, clock, "start_service", version("backstay"), note)


async def _record(
    audit: AuditService, clock: Clock, action: str, target: str, note: ChangeNote
) -> None:
    """Write into the audit what nobody has asked for but the settings."""
    event = AuditEvent(
        clock.now(), "service", "", "", action, target, 0, "ok", changes=note.text
    )  # fmt: skip
    try:
        await audit.record(event)
    except AppError as exc:
        _log.warning("The audit cannot be written", extra={"facts": {"error": str(exc)}})


def _build_sign_ins(
    settings: Settings, control: ControlDatabase, passwords: Passwords, attempts: Attempts
) -> SignInService:
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
        attempts,
        clock,
        timedelta(days=settings.session_days),
    )
