"""The numbers of the service, put together."""

from collections.abc import Callable
from datetime import timedelta

from app.bootstrap.program import Program, SystemClock
from app.control.alerts import AlertRecords
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.stores import AlertFilter, Page
from app.services.monitoring.health import HealthService
from app.services.monitoring.metrics import Asked, Limits, MetricsService


def build_metrics(
    parts: Program, control: ControlDatabase, lag_seconds: Callable[[], float]
) -> MetricsService:
    """Make the numbers of what they are about."""
    settings = parts.settings
    alerts = AlertRecords(control)

    async def alerts_open() -> int:
        _, total = await alerts.list(AlertFilter(is_open=True), Page(1, sort="-opened_at"))
        return total

    return MetricsService(
        RunRecords(control),
        HealthService(parts.catalogue),
        parts.schedules,
        SystemClock(),
        Limits(timedelta(minutes=settings.overdue_minutes), settings.disk_floor_bytes),
        Asked(lag_seconds, alerts_open),
    )
