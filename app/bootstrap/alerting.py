"""Alerts and pings, put together."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from app.config import Settings
from app.control.absent import NoAlerts
from app.control.alerts import AlertRecords
from app.control.database import ControlDatabase
from app.domain.alerts.notice import Sender
from app.domain.ports import Clock
from app.errors import AppError
from app.notices.addresses import parse_alert_urls, parse_ping_urls
from app.notices.messenger import AppriseMessenger
from app.notices.pings import Pings
from app.services.alerts.delivery import RetryPolicy
from app.services.alerts.service import AlertService
from app.storage.run_locks import RunLocks


@asynccontextmanager
async def open_alerts(settings: Settings, clock: Clock) -> AsyncIterator[AlertService]:
    """
    Open the alerts for the length of a block; without a control database they are only sent.

    Yields:
        The alerts.

    Raises:
        InvalidRequestError: An address makes no sense.
    """
    control = ControlDatabase(settings.control_address, settings.state_dir)
    try:
        try:
            await control.prepare()
        except AppError:
            yield build_alerts(settings, None, clock)
        else:
            yield build_alerts(settings, control, clock)
    finally:
        await control.close()


def build_alerts(settings: Settings, control: ControlDatabase | None, clock: Clock) -> AlertService:
    """
    Make the alerts; without a control database they are sent at once or not at all.

    Returns:
        The service; its `load` checks the addresses.

    Raises:
        InvalidRequestError: An address is of a scheme that is not allowed, or is none.
    """
    addresses = parse_alert_urls(settings.alert_urls.get_secret_value(), settings.alert_schemes)
    # Machines that share a server for it look at directories, stores and schedules of their own.
    owner = RunLocks(settings.state_dir).owner if control and control.schema else None
    return AlertService(
        AlertRecords(control, owner) if control else NoAlerts(),
        AppriseMessenger(addresses),
        clock,
        Sender(socket.gethostname(), settings.public_url.rstrip("/")),
        RetryPolicy(repeat_after=timedelta(hours=settings.alert_repeat_hours)),
    )


def build_pings(settings: Settings) -> Pings:
    """Make the pings of dead-man services; raises InvalidRequestError for what is no address."""
    return Pings(parse_ping_urls(settings.ping_urls.get_secret_value()))
