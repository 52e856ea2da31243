"""What looks after stored backups, put together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.bootstrap.program import Program, SystemClock
from app.domain.schedule import require_cron
from app.errors import InvalidRequestError, InvalidScheduleError
from app.scheduling.scheduler import PeriodicJob
from app.scheduling.trigger import DueTrigger, Every
from app.services.monitoring.checks import CheckService
from app.services.monitoring.environment import EnvironmentMonitor
from app.storage.schedules import ScheduleFile


_WATCH_SECONDS: Final = 300.0


def checks_of(parts: Program) -> CheckService:
    """Make what checks the backups that are due."""
    return CheckService(
        parts.settings, parts.backup_monitor, parts.backups, parts.orders, parts.runs, SystemClock()
    )


def build_environment_monitor(parts: Program, certificate: Path | None) -> EnvironmentMonitor:
    """Make what looks out for what backups need; the certificate is that of the service."""
    return EnvironmentMonitor(
        parts.settings,
        parts.server,
        parts.backup_monitor,
        ScheduleFile(parts.catalogue.directory),
        SystemClock(),
        certificate,
    )


def build_periodic_jobs(parts: Program, watch: EnvironmentMonitor) -> Sequence[PeriodicJob]:
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
        PeriodicJob("checks", at, checks_of(parts).run_due),
        PeriodicJob("watch", Every(_WATCH_SECONDS), watch.look),
    )
