"""How well the archive of the binary log does: its window against what is wanted, and what the doctor finds."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.binlog.preflight import inspect
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.domain.places.sizes import size
from app.domain.ports import Clock
from app.domain.restores.log_archive import ArchiverState, LogCopy
from app.domain.restores.reach import Reach
from app.engine.server.server import Server
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
_WELL: Final = frozenset({ArchiverState.LIVE, ArchiverState.CATCHING_UP})
_SINCE: Final = "%Y-%m-%d %H:%M UTC"
_SEAL: Final = (
    "Who can write to the archive may have changed what is behind it, and nobody seals it: run 'backstay binlog run'"
    " beside its server, or recover to that position where the archive may have been in other hands."
)
# A store that failed is asked again after 15 minutes at the latest.
_LATE: Final = timedelta(hours=1)
_COPY: Final = "Whoever archives copies: the service, or 'backstay binlog run'; 'backstay binlog status' says of each store how it is."
_MORE: Final = "Make a full backup now; what was kept for less cannot be made up for."


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
        datetime.fromisoformat(each.began_at) for each in reach.overview.streams if each.began_at
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
            f" {since:{_SINCE}} only"
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
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, _ABOUT, lacking, _MORE))
        else:
            await self._alarm.resolve(AlertKind.BINLOG, _ABOUT, "points in time go back far enough")
        await self._look_for_archiver(reach)
        if reach.is_current:
            message = "points in time since the newest full backup can be recovered again"
            await self._alarm.resolve(AlertKind.BINLOG, BROKEN_OFF, message)

    async def _look_for_archiver(self, reach: Reach) -> None:
        """Tell of an archiver that is gone: one that is dead tells nothing itself."""
        now = self._clock.monotonic()
        grows = any(each.began_at and not each.ended_at for each in reach.overview.streams)
        if reach.overview.state is not ArchiverState.OFF or not grows:
            self._archived_at = now
            await self._alarm.resolve(AlertKind.BINLOG, _ABANDONED, "the binary log is archived")
        elif now - self._archived_at > self._lag_seconds:
            message = (
                "nothing archives the binary log: points in time from now on cannot be recovered"
            )
            await self._alarm.raise_alert(Alert(AlertKind.BINLOG, _ABANDONED, message, _GO_ON))


class BinlogChecks:
    """
    The doctor's checks of the archive; nothing where there is none and none is wanted.

    Args:
        directory: Of the archive.
        is_wanted: Whether the service shall archive.
        days: For how long points in time are wanted.
    """

    def __init__(
        self,
        server: Server,
        reach: ReachService,
        clock: Clock,
        *,
        directory: Path,
        is_wanted: bool,
        days: float,
    ) -> None:
        self._server = server
        self._reach = reach
        self._clock = clock
        self._directory = directory
        self._is_wanted = is_wanted
        self._days = days

    async def examine(self) -> Sequence[DoctorCheck]:
        """Return the findings; raises no error of this program."""
        try:
            reach = await self._reach.read()
        except AppError as exc:
            return [failed("log archive", exc)]
        if not self._is_wanted and not reach.overview.streams:
            return []
        taken = await asyncio.to_thread(_size_of, self._directory)
        return [
            *(await self._source() if self._server.is_set else ()),
            _state_of(reach),
            *_damage_of(reach),
            *_signatures_of(reach),
            self._window(reach),
            *copies_of(reach, self._clock.now()),
            DoctorCheck("log archive size", CheckState.OK, f"{size(taken)} on disk"),
        ]

    async def _source(self) -> Sequence[DoctorCheck]:
        """Look at rights and settings of the server, as the archiver does."""
        try:
            async with self._server.session() as session:
                inspection = await inspect(session, self._server.where)
            inspection.require()
        except AppError as exc:
            return [failed("log source", exc)]
        warnings = [each for each in inspection.findings if each.severity == "warning"]
        if not warnings:
            return [DoctorCheck("log source", CheckState.OK, "rights and settings are complete")]
        return [DoctorCheck("log source", CheckState.WARN, w.message, w.hint) for w in warnings]

    def _window(self, reach: Reach) -> DoctorCheck:
        if lacking := shortfall(reach, self._days, self._clock.now()):
            return DoctorCheck("log window", CheckState.WARN, lacking, _MORE)
        if not reach.spans:
            detail = "no backup stands in the archive yet"
            return DoctorCheck("log window", CheckState.WARN, detail, "Make a full backup now.")
        span = reach.spans[-1]
        detail = f"every point from {span.begin:{_SINCE}} to {span.end:{_SINCE}}"
        return DoctorCheck("log window", CheckState.OK, detail)


def _state_of(reach: Reach) -> DoctorCheck:
    overview = reach.overview
    lag = (
        "" if overview.lag_seconds is None else f", {overview.lag_seconds:.0f} s behind the server"
    )
    detail = f"{overview.state}{lag}"
    if overview.state in _WELL and not overview.code:
        return DoctorCheck("log archive", CheckState.OK, detail)
    if overview.state is ArchiverState.OFF:
        detail = "no process archives the binary log"
        remedy = "Set BACKSTAY_BINLOG=true and start the service, or run 'backstay binlog run'."
        return DoctorCheck("log archive", CheckState.WARN, detail, remedy)
    detail = f"{detail}: {overview.message}" if overview.message else detail
    return DoctorCheck("log archive", CheckState.WARN, detail, overview.hint)


def _damage_of(reach: Reach) -> Sequence[DoctorCheck]:
    remedy = "Points in time of it need a whole copy; 'backstay binlog status' shows the streams."
    return [
        DoctorCheck("log archive", CheckState.WARN, f"stream {each.id}: {each.damage}", remedy)
        for each in reach.overview.streams
        if each.damage
    ]


def _signatures_of(reach: Reach) -> Sequence[DoctorCheck]:
    """Say of the newest stream where what is signed ends; nothing where all is, or the archive is not encrypted."""
    overview = reach.overview
    begin = overview.streams[-1].unsigned_from if overview.streams else None
    if begin is None:
        return []
    detail = f"behind {begin.file}:{begin.position} nothing is signed yet"
    if overview.state is ArchiverState.OFF:
        return [DoctorCheck("log signatures", CheckState.WARN, detail, _SEAL)]
    return [DoctorCheck("log signatures", CheckState.OK, detail)]


def copies_of(reach: Reach, now: datetime) -> Sequence[DoctorCheck]:
    """Say of each store that gets copies how far they reach."""
    return [_copy_check(copy, now) for copy in reach.overview.copies]


def _copy_check(copy: LogCopy, now: datetime) -> DoctorCheck:
    known = copy.current_as_of
    reached = (
        f"{copy.store}: everything until {known:{_SINCE}}" if known else f"{copy.store}: none yet"
    )
    if copy.code:
        return DoctorCheck("log copies", CheckState.WARN, f"{reached}; {copy.message}", copy.hint)
    is_late = known is None or now - known > _LATE
    return DoctorCheck(
        "log copies", *((CheckState.WARN, reached, _COPY) if is_late else (CheckState.OK, reached))
    )


def _size_of(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file())
