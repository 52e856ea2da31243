"""What looks after stored backups, put together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.bootstrap import Program, SystemClock
from app.domain.schedule import require_cron
from app.errors import InvalidRequestError, InvalidScheduleError
from app.scheduling.scheduler import Chore
from app.scheduling.trigger import DueTrigger, Every
from app.services.checks import CheckService
from app.services.watch import Watch
from app.storage.schedules import ScheduleFile


_WATCH_SECONDS: Final = 300.0


def checks_of(parts: Program) -> CheckService:
    """Make what checks the backups that are due."""
    return CheckService(
        parts.settings, parts.findings, parts.backups, parts.orders, parts.runs, SystemClock()
    )


def watch_of(parts: Program, certificate: Path | None) -> Watch:
    """Make what looks out for what backups need; the certificate is that of the service."""
    return Watch(
        parts.settings,
        parts.server,
        parts.findings,
        ScheduleFile(parts.catalogue.directory),
        SystemClock(),
        certificate,
    )


def chores_of(parts: Program, watch: Watch) -> Sequence[Chore]:
    """
    Say what the service does by itself besides scheduled backups.

    Returns:
        The checks of stored backups, and the watch.

    Raises:
        InvalidRequestError: The settings name no times for the checks.
    """
    settings = parts.settings
    try:
        require_cron(settings.check_cron, settings.timezone)
    except InvalidScheduleError as exc:
        raise InvalidRequestError(f"BACKSTAY_CHECK_CRON: {exc}", hint=exc.hint) from exc
    at = DueTrigger(settings.check_cron, settings.timezone)
    return (
        Chore("checks", at, checks_of(parts).run_due),
        Chore("watch", Every(_WATCH_SECONDS), watch.look),
    )
