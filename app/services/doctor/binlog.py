"""The doctor's checks of the archive of the binary log; nothing where there is none and none is wanted."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.binlog.preflight import inspect
from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.domain.places.sizes import size
from app.domain.ports import Clock
from app.domain.restores.log_archive import ArchiverState, LogCopy
from app.domain.restores.reach import Reach
from app.engine.server.server import Server
from app.errors import AppError
from app.services.monitoring.binlog import SHORTFALL_HINT, shortfall
from app.services.point_in_time.reach import ReachService


_WELL: Final = frozenset({ArchiverState.LIVE, ArchiverState.CATCHING_UP})
_SINCE: Final = "%Y-%m-%d %H:%M UTC"
_SEAL: Final = (
    "Who can write to the archive may have changed what is behind it, and nobody seals it: run 'backstay binlog run'"
    " beside its server, or recover to that position where the archive may have been in other hands."
)
# A store that failed is asked again after 15 minutes at the latest.
_LATE: Final = timedelta(hours=1)
_COPY: Final = "Whoever archives copies: the service, or 'backstay binlog run'; 'backstay binlog status' says of each store how it is."


class BinlogChecks:
    """
    Examines one archive.

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
        warnings = [finding for finding in inspection.findings if finding.severity == "warning"]
        if not warnings:
            return [DoctorCheck("log source", CheckState.OK, "rights and settings are complete")]
        return [DoctorCheck("log source", CheckState.WARN, w.message, w.hint) for w in warnings]

    def _window(self, reach: Reach) -> DoctorCheck:
        if lacking := shortfall(reach, self._days, self._clock.now()):
            return DoctorCheck("log window", CheckState.WARN, lacking, SHORTFALL_HINT)
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
        DoctorCheck("log archive", CheckState.WARN, f"stream {stream.id}: {stream.damage}", remedy)
        for stream in reach.overview.streams
        if stream.damage
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
