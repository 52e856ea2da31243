"""
How well the archive of the binary log does: whether it still grows, and its window against what is wanted.

It changes nothing; what the doctor says of the archive is `app.services.doctor.binlog`.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.ports import Clock
from app.domain.restores.log_archive import ArchiverState
from app.domain.restores.reach import Reach
from app.errors import AppError
from app.services.binlog.service import BROKEN_OFF
from app.services.point_in_time.reach import ReachService


_log: Final = logging.getLogger(__name__)
_ABOUT: Final = "binary log window"
_ABANDONED: Final = "binary log archiver"
_GO_ON: Final = (
    "Run 'backstay binlog run' under a supervisor, or set BACKSTAY_BINLOG=true for the service. Where points in time"
    " are not wanted any more, move the folder 'binlog' away from the backup directory."
)
# A base has to be made first.
_GRACE: Final = timedelta(days=1)
SHORTFALL_HINT: Final = "Make a full backup now; what was kept for less cannot be made up for."


def shortfall(reach: Reach, days: float, now: datetime) -> str:
    """
    Say what is lacking of the points in time that are wanted.

    Args:
        reach: What can be recovered.
        days: For how long points are wanted; 0 = for as long as there are.
        now: Aware instant.

    Returns:
        For people; empty = nothing is, or the archive is younger than what is wanted.
    """
    began = [
        datetime.fromisoformat(stream.began_at)
        for stream in reach.overview.streams
        if stream.began_at
    ]
    if not days or not began:
        return ""
    since = reach.spans[-1].begin if reach.is_current else None
    if since is None and now > min(began) + _GRACE:
        return (
            f"points in time of the last {days:g} days are wanted, and none of now can be recovered"
        )
    if since and since > max(now - timedelta(days=days), min(began) + _GRACE):
        return (
            f"points in time of the last {days:g} days are wanted, and without a gap they go back to"
            f" {since:%Y-%m-%d %H:%M UTC} only"
        )
    return ""


class BinlogMonitor:
    """
    Alerts people when fewer points in time can be recovered than are wanted, or when nothing archives any more.

    Args:
        days: For how long they are wanted.
        lag_seconds: How long nobody may archive a stream that has not ended.
    """

    def __init__(
        self, reach: ReachService, alarm: Alarm, clock: Clock, *, days: float, lag_seconds: float
    ) -> None:
        self._reach = reach
        self._alarm = alarm
        self._clock = clock
        self._days = days
        self._lag_seconds = lag_seconds
        self._archived_at = clock.monotonic()

    async def check(self) -> None:
        """Check once; never raises an error of this program."""
        try:
            reach = await self._reach.read()
        except AppError as exc:
            _log.warning("Binary log could not be checked", extra={"facts": {"error": str(exc)}})
            return
        if lacking := shortfall(reach, self._days, self._clock.now()):
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, _ABOUT, lacking, SHORTFALL_HINT))
        else:
            await self._alarm.resolve(AlertKind.BINLOG, _ABOUT, "points in time go back far enough")
        await self._look_for_archiver(reach)
        if reach.is_current:
            message = "points in time since the newest full backup can be recovered again"
            await self._alarm.resolve(AlertKind.BINLOG, BROKEN_OFF, message)

    async def _look_for_archiver(self, reach: Reach) -> None:
        """Tell of an archiver that is gone: one that is dead tells nothing itself."""
        now = self._clock.monotonic()
        grows = any(stream.began_at and not stream.ended_at for stream in reach.overview.streams)
        if reach.overview.state is not ArchiverState.OFF or not grows:
            self._archived_at = now
            await self._alarm.resolve(AlertKind.BINLOG, _ABANDONED, "the binary log is archived")
        elif now - self._archived_at > self._lag_seconds:
            message = (
                "nothing archives the binary log: points in time from now on cannot be recovered"
            )
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, _ABANDONED, message, _GO_ON))
