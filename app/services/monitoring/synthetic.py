"""
Backups that are recovered, and not read from the server: whether anything shows that they are right.

Each is made of the one before it and the binary log. What is changed past the log is in none of them, and
nothing but a backup that reads the server, and a drill with it, ever shows that.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.ports import Clock
from app.domain.schedule import Schedule, ScheduleKind
from app.errors import AppError
from app.services.monitoring.health import BackupHealth, HealthService


_log: Final = logging.getLogger(__name__)
ABOUT: Final = "synthetic backups"
# Once a month, and some days for what may come between.
MOST_DAYS: Final = 35
_READ: Final = "Keep a schedule beside it that reads the server, such as once a week, and make a full backup now."
_DRILL: Final = (
    "Keep two backups that read the server, with the binary log between them, and run"
    " 'backstay recover --drill latest'."
)


def unproven(
    schedules: Sequence[Schedule], health: BackupHealth, now: datetime, drill_days: float
) -> tuple[str, str]:
    """
    Say why nobody can know that synthetic backups are right.

    Args:
        schedules: All of them.
        health: Of the backups in the directory.
        now: Aware instant.
        drill_days: How often recoveries are drilled; 0 = never, and nothing is said of it.

    Returns:
        What is so and what to do; empty = nothing, or no schedule makes such backups.
    """
    meant = [
        schedule
        for schedule in schedules
        if schedule.enabled and schedule.kind is ScheduleKind.SYNTHETIC
    ]
    names = [schedule.name for schedule in meant]
    entries = health.survey.entries
    if not any(entry.recovered_from for entry in entries if entry.schedule in names):
        return "", ""
    whole = [
        entry
        for entry in entries
        if entry.is_whole and not entry.recovered_from and entry.backup_id not in health.faults
    ]
    newest = max((entry.created_at for entry in whole), default=None)
    behind = f"synthetic backups of the schedule {', '.join(names)} rest on"
    if newest is None:
        return f"{behind} none that was read from the server any more", _READ
    if now - newest > timedelta(days=MOST_DAYS):
        return (
            f"{behind} a backup that was read from the server {(now - newest).days} days ago",
            _READ,
        )
    shown = health.recovery_proven_at or min(schedule.updated_at for schedule in meant)
    if drill_days and now - shown > timedelta(days=max(MOST_DAYS, 2 * drill_days)):
        what = "a binary log that no drill has ever proven whole"
        if health.recovery_proven_at:
            what = f"a binary log that was last proven whole {(now - shown).days} days ago"
        return f"{behind} {what}", _DRILL
    return "", ""


class SyntheticMonitor:
    """
    Alerts people when synthetic backups rest on nothing that was looked at.

    Args:
        schedules: Lists them.
        drill_days: How often recoveries are drilled; 0 = never.
    """

    def __init__(
        self,
        schedules: Callable[[], Awaitable[Sequence[Schedule]]],
        health: HealthService,
        alarm: Alarm,
        clock: Clock,
        *,
        drill_days: float,
    ) -> None:
        self._schedules = schedules
        self._health = health
        self._alarm = alarm
        self._clock = clock
        self._drill_days = drill_days

    async def check(self) -> None:
        """Check once; never raises an error of this program."""
        try:
            schedules, health = await self._schedules(), await self._health.read()
        except AppError as exc:
            facts = {"error": str(exc)}
            _log.warning("Synthetic backups could not be checked", extra={"facts": facts})
            return
        message, hint = unproven(schedules, health, self._clock.now(), self._drill_days)
        if message:
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, ABOUT, message, hint))
        else:
            await self._alarm.resolve(AlertKind.BINLOG, ABOUT, "they rest on what was looked at")
