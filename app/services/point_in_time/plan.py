"""
Which backup a recovery begins with, and where in the binary log it ends.

1. Backups are tried from the newest on. One that was made after the point is passed over in silence, one
   that is no base with the reason.
2. A base stands in the stream: its GTIDs are what the archive has at its position, and nothing between it
   and the point was kept out of the log. Where breaks lie is told by positions, which no clock moves.
3. From the base on transactions are read until the first one that is out; the cut is behind the one before.

A recovery never begins inside a transaction and never ends there.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from app.binlog.archive.layout import file_number
from app.binlog.archive.reading import ArchivedStream
from app.binlog.events import headers
from app.binlog.events.gtids import GtidState, parsed_state
from app.binlog.events.headers import Malformed
from app.binlog.status import ArchiverStatus
from app.domain.backups.base import databases_of, unfitness
from app.domain.backups.manifest import Manifest, PositionEntry
from app.domain.restores.log_archive import LogBreak, LoggedTransaction
from app.domain.restores.points import (
    Cut,
    Place,
    Point,
    PointKind,
    RecoverPlan,
    RecoverRequest,
)
from app.errors import (
    BaseUnfitError,
    DatabaseNotFoundError,
    InvalidRequestError,
    PointInsideTransactionError,
    PointNotCoveredError,
)
from app.services.point_in_time.archive_end import current_until


_MARIADB: Final = "mariadb"
_SHOWN: Final = 3
_OTHER_HISTORY: Final = (
    "its GTIDs are not those that the archive has at its position, or there are none and it is older than the"
    " archive: it is of another history"
)


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
        backups: Manifests, newest first; consumed until one is a base.
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
    for manifest in backups:
        place = place_of(stream, manifest)
        if place is not None and _is_later(manifest, place, stream, request.point):
            continue
        reason = unfitness(manifest) or foreignness(stream, manifest, place)
        cut = None if reason or place is None else find_cut(stream, manifest, place, request.point)
        if not reason and cut is None:
            continue
        reason = reason or (_broken(stream, manifest, cut, request.point) if cut else "")
        if reason or place is None or cut is None:
            passed_over.append((manifest.backup_id, reason))
            continue
        return RecoverPlan(
            request=request,
            stream=stream.id,
            base=manifest,
            cut=cut,
            databases=_chosen(manifest, request),
            log_bytes=_size_between(stream, place, cut.place),
            passed_over=tuple(passed_over),
        )
    error = _without_base(stream, request.point, passed_over, until)
    raise error


def find_cut(stream: ArchivedStream, base: Manifest, place: Place, point: Point) -> Cut | None:
    """
    Read transactions from a base on until one is out.

    Args:
        stream: The archived binary log.
        base: The backup.
        place: Where it stands.
        point: What is asked for.

    Returns:
        The cut; None when the transaction that is named does not follow the base.

    Raises:
        PointInsideTransactionError: A position lies inside a transaction.
    """
    state = parsed_state(base.position.gtid, is_mariadb=stream.is_mariadb)
    applied = parsed_state("", is_mariadb=stream.is_mariadb)
    last: LoggedTransaction | None = None
    following: LoggedTransaction | None = None
    count = 0
    begin = headers.Place(base.position.binlog_file, place.position)
    for transaction in stream.transactions(begin, counts=False):
        if last and _ends_with(last, point):
            following = transaction
            break
        if _is_out(transaction, stream, point):
            following = transaction
            break
        last, count = transaction, count + 1
        state.add(transaction.gtid)
        applied.add(transaction.gtid)
    if not _is_found(last, following, point):
        return None
    end = Place(last.number, last.end) if last else place
    file = last.file if last else base.position.binlog_file
    return Cut(
        place=end,
        file=file,
        last=last,
        following=following,
        transactions=count,
        applied=applied.position,
        position=PositionEntry(file, end.position, state.position),
    )


def describe_failed(
    stream: ArchivedStream, base: Manifest, file: str, position: int, applied: str
) -> str:
    """
    Name the transaction that an applier did not take; blocks.

    Args:
        stream: The archived binary log.
        base: Where the replay began.
        file: Where it has ended, by the applier; MariaDB's is exact.
        position: Offset in it.
        applied: GTIDs that were applied; MySQL's are exact.

    Returns:
        GTID, place and what it did, without any value.
    """
    state = parsed_state(applied, is_mariadb=stream.is_mariadb)
    begin = headers.Place(base.position.binlog_file, base.position.binlog_position)
    for found in stream.transactions(begin):
        here = (found.number, found.start) >= (file_number(file) or 0, position)
        if here if stream.is_mariadb else found.gtid and not state.has(found.gtid):
            did = found.statement or ", ".join(f"{t.database}.{t.table}" for t in found.tables)
            return f"transaction {found.gtid} at {found.file}:{found.start} ({did})"
    return f"the transaction behind {file}:{position}"


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
            place = _placed(stream, point.file, point.position) or Place(0, 0)
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


def _gtid(point: Point) -> str:
    return point.text.lower()


def _require_known(stream: ArchivedStream, point: Point, until: datetime) -> None:
    """Refuse a point that the archive does not reach."""
    is_covered = False
    match point.kind:
        case PointKind.TIME:
            is_covered = point.at is not None and point.at <= until
        case PointKind.POSITION:
            place = _placed(stream, point.file, point.position)
            is_covered = place is not None and _first(stream) <= place <= _end(stream)
        case PointKind.GTID | PointKind.BEFORE_GTID:
            try:
                state = _gtids_at(stream, _end(stream))
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


def _first(stream: ArchivedStream) -> Place:
    return Place(stream.files[0].number, stream.files[0].start) if stream.files else Place(0, 0)


def _end(stream: ArchivedStream) -> Place:
    return Place(stream.files[-1].number, stream.files[-1].end) if stream.files else Place(0, 0)


def _gtids_at(stream: ArchivedStream, place: Place) -> GtidState | None:
    border = stream.border_at(place.number, place.position)
    return border and border.gtids


def _placed(stream: ArchivedStream, file: str, position: int) -> Place | None:
    found = stream.file_named(file)
    return Place(found.number, position) if found else None


def place_of(stream: ArchivedStream, manifest: Manifest) -> Place | None:
    """Return where a backup stands in a stream; None when that has not the file."""
    return _placed(stream, manifest.position.binlog_file, manifest.position.binlog_position)


def unfit_in(stream: ArchivedStream, manifest: Manifest) -> str:
    """Say why a recovery from a stream cannot begin with a backup; empty = it can. Raises what reading raises."""
    return unfitness(manifest) or foreignness(stream, manifest, place_of(stream, manifest))


def holds_position(stream: ArchivedStream, manifest: Manifest) -> bool:
    """Tell whether a stream holds the position of a backup, of whatever history that is."""
    place = place_of(stream, manifest)
    return place is not None and _first(stream) <= place <= _end(stream)


def _is_later(manifest: Manifest, place: Place, stream: ArchivedStream, point: Point) -> bool:
    """Tell whether a backup holds more than is wanted; of a time all that its run may have seen counts."""
    match point.kind:
        case PointKind.TIME:
            done = manifest.created_at + timedelta(seconds=manifest.duration)
            return point.at is not None and done > point.at
        case PointKind.POSITION:
            return place > (_placed(stream, point.file, point.position) or place)
        case PointKind.GTID | PointKind.BEFORE_GTID:
            return _state(manifest).has(_gtid(point))


def _state(manifest: Manifest) -> GtidState:
    return parsed_state(manifest.position.gtid, is_mariadb=manifest.server.vendor == _MARIADB)


def foreignness(stream: ArchivedStream, manifest: Manifest, place: Place | None) -> str:
    """
    Say why a backup does not stand in a stream; blocks.

    Returns:
        The reason; empty = it does.

    Raises:
        BinlogDamagedError: The archive is not what was written.
    """
    document = stream.document
    if manifest.server.vendor != stream.identity.vendor:
        return f"it is of {manifest.server.vendor}, the binary log of {stream.identity.vendor}"
    if place is None or not _first(stream) <= place <= _end(stream):
        return "the archive of the binary log does not hold its position"
    if document.ended_at and manifest.created_at > datetime.fromisoformat(document.ended_at):
        return "it was made after this archive of the binary log had ended"
    gtids = _gtids_at(stream, place)
    is_same = gtids is not None and gtids.position == _state(manifest).position
    if is_same and not manifest.position.gtid:  # two histories may both have none
        is_same = manifest.created_at >= datetime.fromisoformat(document.began_at)
    return "" if is_same else _OTHER_HISTORY


def breaks_since(stream: ArchivedStream, manifest: Manifest) -> tuple[LogBreak, ...]:
    """Return what was changed past the log since what a backup holds; where it was recovered, that is old."""
    place = place_of(stream, manifest)
    return tuple(
        found
        for found in stream.breaks
        if place is not None
        and (
            place < _break_place(found)
            or (place == _break_place(found) and _may_lack(manifest, found))
        )
    )


def _break_place(found: LogBreak) -> Place:
    return Place(found.number, found.position)


def _may_lack(manifest: Manifest, found: LogBreak) -> bool:
    return bool(manifest.recovered_from) or datetime.fromisoformat(found.at) > manifest.created_at


def _broken(stream: ArchivedStream, manifest: Manifest, cut: Cut, point: Point) -> str:
    """Say what was changed past the log between a base and the cut, or at the cut before the moment wanted."""
    for found in breaks_since(stream, manifest):
        is_wanted = point.at is not None and datetime.fromisoformat(found.at) <= point.at
        if _break_place(found) < cut.place or (_break_place(found) == cut.place and is_wanted):
            return f"the binary log since it lacks something: {found.reason}"
    return ""


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


def _size_between(stream: ArchivedStream, start: Place, end: Place) -> int:
    return sum(
        (end.position if file.number == end.number else file.end)
        - (start.position if file.number == start.number else file.start)
        for file in stream.files
        if start.number <= file.number <= end.number
    )


def _without_base(
    stream: ArchivedStream, point: Point, passed_over: Sequence[tuple[str, str]], until: datetime
) -> PointNotCoveredError | BaseUnfitError:
    if not passed_over:
        return PointNotCoveredError(
            f"no backup was made before {point.text[:80]}, from which it could be recovered",
            hint=f"A point needs a backup between it and the begin of the archive: {_window(stream, until)}.",
        )
    reasons = "; ".join(f"{backup_id}: {reason}" for backup_id, reason in passed_over[:_SHOWN])
    return BaseUnfitError(
        f"no backup can be the base of a recovery to {point.text[:80]}: {reasons}",
        hint="Make a backup of all databases now: points from then on can be recovered.",
    )
