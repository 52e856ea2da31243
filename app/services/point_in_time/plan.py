"""
Which backup a recovery begins with, and where in the binary log it ends.

1. Backups are tried in their order. One that was made after the point is passed over in silence, one
   that is no base with the reason.
2. A base stands in the stream, and nothing between it and the point was kept out of the log, or would become
   something else in a replay. Where breaks lie is told by positions, which no clock moves.
3. One during whose run a definition was changed may hold that already, and it cannot be changed so again: it is
   a base where there is no other, and none of a point before that change.
4. From the base on transactions are read until the first one that is out; the cut is behind the one before.
   Where the times of the log cannot tell on which side of a moment one lies, the moment is refused.

A recovery never begins inside a transaction and never ends there.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, NoReturn

from app.binlog.archive.parts import Part
from app.binlog.archive.reading import ArchivedStream
from app.binlog.events import headers
from app.binlog.events.headers import Malformed
from app.binlog.status import ArchiverStatus
from app.domain.backups.base import databases_of, unfitness
from app.domain.backups.manifest import Manifest
from app.domain.restores.log_archive import LoggedTransaction, LogPlace
from app.domain.restores.points import (
    Cut,
    Place,
    Point,
    PointKind,
    RecoverPlan,
    RecoverRequest,
)
from app.errors import (
    AppError,
    BaseUnfitError,
    DatabaseNotFoundError,
    InvalidRequestError,
    PointNotCoveredError,
)
from app.services.binlog.cut import find_cut, gtid_of
from app.services.point_in_time.archive_end import current_until
from app.services.point_in_time.standing import (
    break_place,
    breaks_since,
    end_of_archive,
    first_of,
    foreignness,
    gtids_at,
    place_in,
    place_of,
    state_of,
)


_SHOWN: Final = 3


def plan_recovery(
    stream: ArchivedStream,
    backups: Iterator[Manifest],
    request: RecoverRequest,
    told: ArchiverStatus | None = None,
) -> RecoverPlan:
    """
    Choose a base and find the cut; blocks.

    Args:
        stream: The archived binary log.
        backups: Manifests, those first that shall be taken first; consumed until one is a base.
        request: What is asked for.
        told: By whoever archives, before the stream was opened; None = nobody was asked.

    Returns:
        The plan.

    Raises:
        PointNotCoveredError: The archive does not reach to the point, or no backup before it.
        PointInsideTransactionError: A position lies inside a transaction.
        BaseUnfitError: Backups are old enough, and none is a base.
        BinlogDamagedError: The archive is not what was written.
        DatabaseNotFoundError: The base is limited to other databases.
    """
    _require_known(stream, request.point, until := current_until(stream, told))
    search = _Search(stream, request)
    for manifest in backups:
        place = place_of(stream, manifest)
        if place is not None and _is_later(manifest, place, stream, request.point):
            continue
        # Those that hold not all that is wanted come last.
        if not _holds(manifest, request) and (plan := search.settle()):
            return plan
        reason = (
            unfitness(manifest)
            or _shortness(manifest, request)
            or foreignness(stream, manifest, place)
        )
        if reason or place is None:
            search.passed_over.append((manifest.backup_id, reason))
        elif changed := tuple(_changed_while_made(stream, manifest)):
            search.put_off(manifest, place, changed)
        elif plan := search.take(manifest, place):
            return plan
    return search.settle() or _refuse_without_base(stream, request.point, search, until)


class _Doubtful(NamedTuple):
    """A backup during whose run definitions were changed, and what was passed over before it."""

    base: Manifest
    place: Place
    changed: tuple[LoggedTransaction, ...]
    passed_over: tuple[tuple[str, str], ...]


class _Search:
    """
    A search for a base.

    Attributes:
        passed_over: What is none, and why.
        is_missed: Whether the transaction that is named was looked for behind one, and is not there.
    """

    def __init__(self, stream: ArchivedStream, request: RecoverRequest) -> None:
        self.passed_over: list[tuple[str, str]] = []
        self.is_missed = False
        self._stream = stream
        self._request = request
        self._doubtful: list[_Doubtful] = []

    def take(self, base: Manifest, place: Place) -> RecoverPlan | None:
        """Plan with a base; None where it is none, for which the reason is noted."""
        return self._plan(_Doubtful(base, place, (), tuple(self.passed_over)))

    def put_off(self, base: Manifest, place: Place, changed: tuple[LoggedTransaction, ...]) -> None:
        """Take one only where there is no other; the log behind it is not read for that yet."""
        self._doubtful.append(_Doubtful(base, place, changed, tuple(self.passed_over)))
        where = f"{changed[0].file}:{changed[0].start}"
        reason = f"a definition was changed while it was made, at {where}"
        self.passed_over.append((base.backup_id, reason))

    def settle(self) -> RecoverPlan | None:
        """Plan with the first one of those that were put off; None where none of them is a base."""
        found, self._doubtful = self._doubtful, []
        return next(filter(None, map(self._plan, found)), None)

    def _plan(self, found: _Doubtful) -> RecoverPlan | None:
        point = self._request.point
        wanted = place_in(self._stream, point.file, point.position) or Place(0, 0)
        cut = find_cut(self._stream, found.base, found.place, self._request, wanted)
        if cut is None:
            self.is_missed = True
            return None
        if reason := _against(self._stream, found, cut, point):
            self.passed_over.append((found.base.backup_id, reason))
            return None
        return _planned(
            self._stream, found.base, found.place, cut, self._request, found.passed_over
        )


def _planned(
    stream: ArchivedStream,
    base: Manifest,
    place: Place,
    cut: Cut,
    request: RecoverRequest,
    passed_over: tuple[tuple[str, str], ...],
) -> RecoverPlan:
    plan = RecoverPlan(
        request=request,
        stream=stream.id,
        base=base,
        cut=cut,
        databases=_chosen(base, request),
        log_bytes=_size_between(stream, place, cut.place),
        passed_over=passed_over,
        unsigned_from=_unsigned(stream, cut),
    )
    return replace(plan, problems=tuple(_filtered_xa(stream, plan)))


def _unsigned(stream: ArchivedStream, cut: Cut) -> LogPlace | None:
    """Find the place behind which a replay is not signed, of a log that is encrypted; None = all of it is."""
    begin = stream.unsigned_from
    place = begin and place_in(stream, begin.name, begin.position)
    return LogPlace(*begin) if begin and place and place < cut.place else None


def _begin(base: Manifest) -> headers.Place:
    return headers.Place(base.position.binlog_file, base.position.binlog_position)


def _changed_while_made(stream: ArchivedStream, base: Manifest) -> Iterator[LoggedTransaction]:
    """Find what changed a definition while a base was made, which may hold that already."""
    if base.recovered_from:
        return
    end = place_in(stream, base.position.end_file, base.position.end_position)
    done = base.created_at + timedelta(seconds=base.duration)
    for found in stream.transactions(_begin(base), counts=False):
        at = Place(found.number, found.start)
        if found.committed_at > done if end is None else at >= end:
            return
        if found.redefines:
            yield found


def _require_known(stream: ArchivedStream, point: Point, until: datetime) -> None:
    """Refuse a point that the archive does not reach."""
    is_covered = False
    match point.kind:
        case PointKind.TIME:
            is_covered = point.at is not None and point.at <= until
            if point.at and stream.went_back_over(round(point.at.timestamp() * 1000)):
                raise PointNotCoveredError(
                    f"{point.text[:80]} was twice: the clock of the archiver was set back over it",
                    hint="Name a transaction or a position; 'backstay binlog transactions' shows what there is.",
                )
        case PointKind.POSITION:
            place = place_in(stream, point.file, point.position)
            is_covered = place is not None and first_of(stream) <= place <= end_of_archive(stream)
        case PointKind.GTID | PointKind.BEFORE_GTID:
            try:
                state = gtids_at(stream, end_of_archive(stream))
                is_covered = state is not None and state.has(gtid_of(point))
            except (Malformed, ValueError) as exc:
                raise InvalidRequestError(f"{point.text[:80]!r} is no GTID") from exc
    if not is_covered:
        _refuse_unknown(stream, point, until)


def _refuse_unknown(stream: ArchivedStream, point: Point, until: datetime) -> NoReturn:
    wanted = _told(point.at) if point.at else point.text[:80]
    raise PointNotCoveredError(
        f"the archive of the binary log does not hold {wanted}: {_window(stream, until)}",
        hint="'backstay binlog status' shows what can be recovered.",
    )


def _window(stream: ArchivedStream, until: datetime) -> str:
    if stream.window is None:
        return "it is empty"
    first, last = (f"{place.name}:{place.position}" for place in stream.window)
    return f"it reaches from {first} to {last}, of {_told(until)}"


def _told(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"


def _is_later(manifest: Manifest, place: Place, stream: ArchivedStream, point: Point) -> bool:
    """Tell whether a backup holds more than is wanted; of a time all that its run may have seen counts."""
    match point.kind:
        case PointKind.TIME:
            return point.at is not None and (
                manifest.created_at + timedelta(seconds=manifest.duration) > point.at
                or _holds_later(stream, place, point.at)
            )
        case PointKind.POSITION:
            return place > (place_in(stream, point.file, point.position) or place)
        case PointKind.GTID | PointKind.BEFORE_GTID:
            return state_of(manifest).has(gtid_of(point))


def _holds_later(stream: ArchivedStream, place: Place, moment: datetime) -> bool:
    """Tell whether the log before a place has something of behind a moment, whatever clock a backup went by."""
    border = stream.border_at(place.number, place.position)
    return border is not None and border.committed_ms > moment.timestamp() * 1000


def _against(stream: ArchivedStream, base: _Doubtful, cut: Cut, point: Point) -> str:
    """Say what was kept out of the log up to the cut, or at it before the moment wanted, or is replayed wrong."""
    for broken in breaks_since(stream, base.base):
        is_wanted = point.at is not None and datetime.fromisoformat(broken.at) <= point.at
        if break_place(broken) < cut.place or (break_place(broken) == cut.place and is_wanted):
            return f"the binary log since it lacks something: {broken.reason}"
    for changed in base.changed:
        # Nothing would come to change it back.
        if Place(changed.number, changed.start) >= cut.place:
            where = f"{changed.file}:{changed.start}"
            return f"it may hold a definition of behind that point, changed at {where} while it was made"
    return cut.hindrance


def _holds(manifest: Manifest, request: RecoverRequest) -> bool:
    """Tell whether a backup holds all that is wanted."""
    if not request.databases:
        return not databases_of(manifest)
    return {*request.databases} <= {database.name for database in manifest.databases}


def _shortness(manifest: Manifest, request: RecoverRequest) -> str:
    """Say what alone a backup holds where all is wanted and nobody looks at what comes of it; empty = all."""
    limited = databases_of(manifest) if request.is_whole and not request.databases else ()
    return f"it holds {', '.join(limited)} alone" if limited else ""


def _chosen(manifest: Manifest, request: RecoverRequest) -> tuple[str, ...]:
    """Return the databases that are recovered; empty = all."""
    limited = databases_of(manifest)
    there = {database.name for database in manifest.databases}
    for name in request.databases:
        if name not in there:
            raise DatabaseNotFoundError(
                f"backup {manifest.backup_id}, from which it would be recovered, holds no database {name!r}"
            )
    return (*dict.fromkeys(request.databases),) or tuple(limited)


def _filtered_xa(stream: ArchivedStream, plan: RecoverPlan) -> Iterator[AppError]:
    """Find the XA transaction that MySQL would not replay because of the databases that are left out."""
    if stream.is_mariadb or not plan.databases:
        return
    end = plan.cut.place

    def is_passed(part: Part) -> bool:
        return Place(part.number, part.size) <= end

    for found in stream.stretches(_begin(plan.base), is_passed, counts=True):
        if isinstance(found, Part):
            continue
        if Place(found.number, found.end) > end:
            return
        others = {table.database for table in found.tables} - {*plan.databases}
        if found.caveats.prepares_xa and others:
            yield BaseUnfitError(
                f"MySQL replays no XA transaction of a database that is left out: {found.gtid or 'one'} at"
                f" {found.file}:{found.start} changes {min(others)}",
                hint=f"Recover {min(others)} as well, or all databases.",
            )
            return


def _size_between(stream: ArchivedStream, start: Place, end: Place) -> int:
    return sum(
        (end.position if file.number == end.number else file.end)
        - (start.position if file.number == start.number else file.start)
        for file in stream.files
        if start.number <= file.number <= end.number
    )


def _refuse_without_base(
    stream: ArchivedStream, point: Point, search: _Search, until: datetime
) -> NoReturn:
    if search.is_missed:
        _refuse_unknown(stream, point, until)
    if not search.passed_over:
        raise PointNotCoveredError(
            f"no backup was made before {point.text[:80]}, from which it could be recovered",
            hint=f"A point needs a backup between it and the begin of the archive: {_window(stream, until)}.",
        )
    reasons = "; ".join(
        f"{backup_id}: {reason}" for backup_id, reason in search.passed_over[:_SHOWN]
    )
    raise BaseUnfitError(
        f"no backup can be the base of a recovery to {point.text[:80]}: {reasons}",
        hint="Make a backup of all databases now: points from then on can be recovered.",
    )
