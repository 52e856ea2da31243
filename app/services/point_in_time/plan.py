"""
Which backup a recovery begins with, and where in the binary log it ends.

1. Backups are tried in their order. One that was made after the point is passed over in silence, one
   that is no base with the reason.
2. A base stands in the stream, and nothing between it and the point was kept out of the log, or would become
   something else in a replay. Where breaks lie is told by positions, which no clock moves.
3. One during whose run a definition was changed may hold that already, and it cannot be changed so again: it is
   a base where there is no other.
4. From the base on transactions are read until the first one that is out; the cut is behind the one before.
   Where the times of the log cannot tell on which side of a moment one lies, the moment is refused.

A recovery never begins inside a transaction and never ends there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NoReturn

from app.binlog.archive.reading import ArchivedStream
from app.binlog.events import headers
from app.binlog.events.gtids import parsed_state
from app.binlog.events.headers import Malformed
from app.binlog.status import ArchiverStatus
from app.domain.backups.base import databases_of, unfitness
from app.domain.backups.manifest import Manifest, PositionEntry
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
    PointInsideTransactionError,
    PointNotCoveredError,
)
from app.services.binlog.hindrances import Hindrances
from app.services.point_in_time.archive_end import current_until
from app.services.point_in_time.replay import told as told_by_applier
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


_MARIADB: Final = "mariadb"
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
    passed_over: list[tuple[str, str]] = []
    doubtful: RecoverPlan | None = None
    for manifest in backups:
        place = place_of(stream, manifest)
        if place is not None and _is_later(manifest, place, stream, request.point):
            continue
        reason = unfitness(manifest) or foreignness(stream, manifest, place)
        cut = None if reason or place is None else find_cut(stream, manifest, place, request)
        if not reason and cut is None:
            continue
        reason = reason or (_against(stream, manifest, cut, request.point) if cut else "")
        if reason or place is None or cut is None:
            passed_over.append((manifest.backup_id, reason))
            continue
        if doubtful is not None and not _holds(manifest, request):
            break
        plan = _planned(stream, manifest, place, cut, request, tuple(passed_over))
        if cut.redefined is None:
            return plan
        doubtful = doubtful or plan
        passed_over.append((manifest.backup_id, _doubt(cut.redefined)))
    if doubtful is None:
        _refuse_without_base(stream, request.point, passed_over, until)
    return doubtful


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


def find_cut(
    stream: ArchivedStream, base: Manifest, place: Place, request: RecoverRequest
) -> Cut | None:
    """
    Read transactions from a base on until one is out.

    Args:
        stream: The archived binary log.
        base: The backup.
        place: Where it stands.
        request: What is asked for.

    Returns:
        The cut; None when the transaction that is named does not follow the base.

    Raises:
        PointInsideTransactionError: A position lies inside a transaction.
        PointNotCoveredError: The log cannot tell what was committed by then.
    """
    point, hindrances = request.point, Hindrances(stream, base, place, request)
    state, applied = state_of(base), parsed_state("", is_mariadb=stream.is_mariadb)
    last: LoggedTransaction | None = None
    following: LoggedTransaction | None = None
    redefined: LoggedTransaction | None = None
    count = 0
    follow = stream.transactions(_begin(base), counts=False)
    for transaction, gtid in told_by_applier(follow, base):
        redefined = redefined or (transaction if _may_be_in(stream, base, transaction) else None)
        if (last and _ends_with(last, point)) or _is_out(transaction, stream, point):
            following = transaction
            break
        hindrances.accept(transaction)
        last, count = transaction, count + 1
        state.add(transaction.gtid)
        applied.add(gtid)
    if not _is_found(last, following, point):
        return None
    _require_told(last, point)
    file, end = (last.file, Place(last.number, last.end)) if last else (_begin(base).name, place)
    return Cut(
        place=end,
        file=file,
        last=last,
        following=following,
        transactions=count,
        applied=applied.position,
        position=PositionEntry(file, end.position, state.position),
        redefined=redefined,
        hindrance=hindrances.reason,
    )


def _begin(base: Manifest) -> headers.Place:
    return headers.Place(base.position.binlog_file, base.position.binlog_position)


def _may_be_in(stream: ArchivedStream, base: Manifest, found: LoggedTransaction) -> bool:
    """Tell whether a base may hold already what a transaction behind it does to a definition."""
    if base.recovered_from or not found.redefines:
        return False
    end = place_in(stream, base.position.end_file, base.position.end_position)
    if end is None:
        return found.committed_at <= base.created_at + timedelta(seconds=base.duration)
    return Place(found.number, found.start) < end


def _doubt(found: LoggedTransaction) -> str:
    return f"a definition was changed while it was made, at {found.file}:{found.start}"


def _is_out(transaction: LoggedTransaction, stream: ArchivedStream, point: Point) -> bool:
    """Tell whether a transaction is the first one that is not wanted."""
    match point.kind:
        case PointKind.TIME:
            return point.at is not None and transaction.committed_at > point.at
        case PointKind.BEFORE_GTID:
            return transaction.gtid == _gtid(point)
        case PointKind.GTID:
            return False
        case PointKind.POSITION:
            place = place_in(stream, point.file, point.position) or Place(0, 0)
            if Place(transaction.number, transaction.start) >= place:
                return True
            if Place(transaction.number, transaction.end) > place:
                raise PointInsideTransactionError(
                    f"{point.text} lies inside the transaction from {transaction.start} to"
                    f" {transaction.end}",
                    hint=f"Give {point.file}:{transaction.start} for the state before it, or"
                    f" {point.file}:{transaction.end} for that behind it.",
                )
            return False


def _ends_with(last: LoggedTransaction, point: Point) -> bool:
    return point.kind is PointKind.GTID and last.gtid == _gtid(point)


def _is_found(
    last: LoggedTransaction | None, following: LoggedTransaction | None, point: Point
) -> bool:
    if point.kind is PointKind.GTID:
        return last is not None and last.gtid == _gtid(point)
    if point.kind is PointKind.BEFORE_GTID:
        return following is not None
    return True


def _require_told(last: LoggedTransaction | None, point: Point) -> None:
    """Refuse a moment that the last transaction before it may have been committed behind."""
    if last is None or point.kind is not PointKind.TIME or point.at is None:
        return
    if last.latest_ms > point.at.timestamp() * 1000:
        raise PointNotCoveredError(
            f"{point.text[:80]} lies before or behind the transaction {last.gtid} at {last.file}:{last.start}:"
            " its time in the log is earlier than that of the commit before it",
            hint=f"Give {last.file}:{last.start} for the state before it, or {last.file}:{last.end} for that behind it.",
        )


def _gtid(point: Point) -> str:
    return point.text.lower()


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
                is_covered = state is not None and state.has(_gtid(point))
            except (Malformed, ValueError) as exc:
                raise InvalidRequestError(f"{point.text[:80]!r} is no GTID") from exc
    if not is_covered:
        raise PointNotCoveredError(
            f"the archive of the binary log does not hold {point.text[:80]}: {_window(stream, until)}",
            hint="'backstay binlog status' shows what can be recovered.",
        )


def _window(stream: ArchivedStream, until: datetime) -> str:
    if stream.window is None:
        return "it is empty"
    first, last = (f"{place.name}:{place.position}" for place in stream.window)
    at = until.isoformat(timespec="milliseconds")
    return f"it reaches from {first} to {last}, of {at}"


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
            return state_of(manifest).has(_gtid(point))


def _holds_later(stream: ArchivedStream, place: Place, moment: datetime) -> bool:
    """Tell whether the log before a place has something of behind a moment, whatever clock a backup went by."""
    border = stream.border_at(place.number, place.position)
    return border is not None and border.committed_ms > moment.timestamp() * 1000


def _against(stream: ArchivedStream, manifest: Manifest, cut: Cut, point: Point) -> str:
    """Say what was kept out of the log up to the cut, or at it before the moment wanted, or is replayed wrong."""
    for found in breaks_since(stream, manifest):
        is_wanted = point.at is not None and datetime.fromisoformat(found.at) <= point.at
        if break_place(found) < cut.place or (break_place(found) == cut.place and is_wanted):
            return f"the binary log since it lacks something: {found.reason}"
    return cut.hindrance


def _holds(manifest: Manifest, request: RecoverRequest) -> bool:
    return {*request.databases} <= {database.name for database in manifest.databases}


def _chosen(manifest: Manifest, request: RecoverRequest) -> tuple[str, ...]:
    """Return the databases that are recovered; empty = all."""
    limited = databases_of(manifest)
    there = {database.name for database in manifest.databases}
    for name in request.databases:
        if name not in there:
            raise DatabaseNotFoundError(
                f"backup {manifest.backup_id}, from which it would be recovered, holds no database {name!r}"
            )
    return request.databases or tuple(limited)


def _filtered_xa(stream: ArchivedStream, plan: RecoverPlan) -> Iterator[AppError]:
    """Find the XA transaction that MySQL would not replay because of the databases that are left out."""
    if stream.is_mariadb or not plan.databases:
        return
    end = headers.Place(plan.cut.file, plan.cut.place.position)
    for found in stream.transactions(_begin(plan.base), end):
        others = {table.database for table in found.tables} - {*plan.databases}
        if found.prepares and others:
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
    stream: ArchivedStream, point: Point, passed_over: Sequence[tuple[str, str]], until: datetime
) -> NoReturn:
    if not passed_over:
        raise PointNotCoveredError(
            f"no backup was made before {point.text[:80]}, from which it could be recovered",
            hint=f"A point needs a backup between it and the begin of the archive: {_window(stream, until)}.",
        )
    reasons = "; ".join(f"{backup_id}: {reason}" for backup_id, reason in passed_over[:_SHOWN])
    raise BaseUnfitError(
        f"no backup can be the base of a recovery to {point.text[:80]}: {reasons}",
        hint="Make a backup of all databases now: points from then on can be recovered.",
    )
