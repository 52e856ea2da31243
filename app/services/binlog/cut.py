"""
Where in the binary log a recovery from a base ends.

Transactions are read until the first one that is out; the cut is behind the one before. Segments of which is known
that none of their transactions needs a look are passed over, unread: their bytes are proven, and what they add is
told by their documents.
"""

from datetime import UTC, datetime

from app.binlog.archive.parts import Part
from app.binlog.archive.reading import ArchivedStream
from app.binlog.events import headers
from app.domain.backups.manifest import Manifest, PositionEntry
from app.domain.restores.log_archive import LoggedTransaction
from app.domain.restores.points import Cut, Place, Point, PointKind, RecoverRequest
from app.errors import PointInsideTransactionError, PointNotCoveredError
from app.services.binlog.followed import Followed


def find_cut(
    stream: ArchivedStream,
    base: Manifest,
    place: Place,
    request: RecoverRequest,
    wanted: Place,
) -> Cut | None:
    """
    Read transactions from a base on until one is out.

    Args:
        stream: The archived binary log.
        base: The backup.
        place: Where it stands.
        request: What is asked for.
        wanted: Where a position is that is asked for; any place for other points.

    Returns:
        The cut; None when the transaction that is named does not follow the base.

    Raises:
        PointInsideTransactionError: A position lies inside a transaction.
        PointNotCoveredError: The log cannot tell what was committed by then.
    """
    point, followed = request.point, Followed(stream, base, place, request)
    begin = headers.Place(base.position.binlog_file, base.position.binlog_position)
    following = _follow(stream, begin, followed, point, wanted)
    last = followed.last
    if not _is_found(last, following, point):
        return None
    _require_told(last, following, point)
    file, end = (last.file, Place(last.number, last.end)) if last else (begin.name, place)
    return Cut(
        place=end,
        file=file,
        last=last,
        following=following,
        transactions=followed.count,
        applied=followed.applied,
        position=PositionEntry(file, end.position, followed.gtids),
        hindrance=followed.hindrance,
        definers=frozenset(followed.definers),
    )


def _follow(
    stream: ArchivedStream, begin: headers.Place, followed: Followed, point: Point, wanted: Place
) -> LoggedTransaction | None:
    """Take what is wanted; return the first transaction that is not, None where the archive ends before."""

    def is_passed(part: Part) -> bool:
        return not _ends_with(followed.newest, point) and _is_in(part, point, wanted)

    for found in stream.stretches(begin, is_passed, statements=followed.takes_statements):
        if isinstance(found, Part):
            followed.pass_over(found)
        elif _ends_with(followed.newest, point) or _is_out(found, point, wanted):
            return found
        else:
            followed.accept(found)
    return None


def _is_in(part: Part, point: Point, wanted: Place) -> bool:
    """Tell whether all of a plain part is wanted, and nothing in it is the point."""
    match point.kind:
        case PointKind.TIME:
            # Its last transaction may have been committed late in that millisecond.
            return point.at is not None and _moment(part.after.committed_ms + 1) <= point.at
        case PointKind.POSITION:
            return Place(part.number, part.size) <= wanted
        case PointKind.GTID | PointKind.BEFORE_GTID:
            before, after = part.before.gtids, part.after.gtids
            return not (after and after.has(gtid_of(point))) or bool(
                before and before.has(gtid_of(point))
            )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _is_out(transaction: LoggedTransaction, point: Point, wanted: Place) -> bool:
    """Tell whether a transaction is the first one that is not wanted."""
    match point.kind:
        case PointKind.TIME:
            return point.at is not None and transaction.committed_at > point.at
        case PointKind.BEFORE_GTID:
            return transaction.gtid == gtid_of(point)
        case PointKind.GTID:
            return False
        case PointKind.POSITION:
            if Place(transaction.number, transaction.start) >= wanted:
                return True
            if Place(transaction.number, transaction.end) > wanted:
                raise PointInsideTransactionError(
                    f"{point.text} lies inside the transaction from {transaction.start} to"
                    f" {transaction.end}",
                    hint=f"Give {point.file}:{transaction.start} for the state before it, or"
                    f" {point.file}:{transaction.end} for that behind it.",
                )
            return False


def _ends_with(last: LoggedTransaction | None, point: Point) -> bool:
    return bool(last and point.kind is PointKind.GTID and last.gtid == gtid_of(point))


def _is_found(
    last: LoggedTransaction | None, following: LoggedTransaction | None, point: Point
) -> bool:
    if point.kind is PointKind.GTID:
        return _ends_with(last, point)
    if point.kind is PointKind.BEFORE_GTID:
        return following is not None
    return True


def _require_told(
    last: LoggedTransaction | None, following: LoggedTransaction | None, point: Point
) -> None:
    """Refuse a moment on whose other side the transaction before or behind it may have been committed."""
    if point.kind is not PointKind.TIME or point.at is None:
        return
    moment_ms = point.at.timestamp() * 1000
    if last and last.latest_ms > moment_ms:
        raise _doubtful(last, point, "earlier than that of the commit before it")
    if following and following.earliest_ms <= moment_ms < following.committed_ms:
        raise _doubtful(following, point, "later than that when it was archived")


def _doubtful(found: LoggedTransaction, point: Point, why: str) -> PointNotCoveredError:
    return PointNotCoveredError(
        f"{point.text[:80]} lies before or behind the transaction {found.gtid} at {found.file}:{found.start}:"
        f" its time in the log is {why}",
        hint=f"Give {found.file}:{found.start} for the state before it, or {found.file}:{found.end} for that behind it.",
    )


def gtid_of(point: Point) -> str:
    """Return the GTID of a point, as logs are read here."""
    return point.text.lower()
