"""Points in time: what somebody wants to go back to, and what that means in the binary log."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Manifest, PositionEntry
from app.domain.restores.dry_run import Space
from app.domain.restores.log_archive import LoggedTransaction, LogPlace
from app.errors import AppError, InvalidRequestError


class PointKind(StrEnum):
    """How a point is named."""

    TIME = "time"
    GTID = "gtid"
    BEFORE_GTID = "before-gtid"
    POSITION = "position"


@dataclass(frozen=True, slots=True)
class Point:
    """
    A point that somebody wants to go back to.

    Attributes:
        kind: How it is named.
        text: As it was given; of a time ISO 8601 in UTC.
        at: The instant, aware; of a position that of what is wanted there, None where any will do.
        file: Server's name of a file; empty unless it is a position.
        position: Offset in that.
    """

    kind: PointKind
    text: str
    at: datetime | None = None
    file: str = ""
    position: int = 0

    @property
    def words(self) -> str:
        """Says it to people: `just before transaction 0-1-4711`."""
        match self.kind:
            case PointKind.TIME:
                return self.text.replace("T", " ").replace("+00:00", " UTC")
            case PointKind.GTID:
                return f"behind transaction {self.text}"
            case PointKind.BEFORE_GTID:
                return f"just before transaction {self.text}"
            case PointKind.POSITION:
                return self.text


class Place(NamedTuple):
    """
    A place in the binary log; those of one stream are ordered.

    Attributes:
        number: Of the server's file, such as 12 of `binlog.000012`.
        position: Offset in it.
    """

    number: int
    position: int


@dataclass(frozen=True, slots=True)
class Cut:
    """
    Where a replay ends.

    Attributes:
        place: Behind the last transaction.
        file: Server's name of that file.
        last: The last transaction that is in; None when none follows the base.
        following: The first one that is out; None at the end of what is archived.
        transactions: How many there are from the base to the cut.
        applied: GTIDs of these, as the vendor's applier tells them.
        position: What a backup of that state has as its position.
        hindrance: Why a replay up to there would be wrong; empty = nothing is against it.
        definers: Accounts to which belongs what is defined in between, quoted as SHOW CREATE does.
    """

    place: Place
    file: str
    last: LoggedTransaction | None
    following: LoggedTransaction | None
    transactions: int
    applied: str
    position: PositionEntry
    hindrance: str = ""
    definers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RecoverRequest:
    """
    What to recover, and how.

    Attributes:
        databases: Exact names; empty = all that the base holds.
        threads: Connections.
        backup: How the recovered backup is made; None = as any.
        is_whole: Whether a base of some databases alone is none where all are wanted.
    """

    point: Point
    databases: tuple[str, ...] = ()
    threads: int = 2
    backup: BackupRequest | None = None
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class RecoverPlan:
    """
    What a recovery will do; nothing was changed yet.

    Attributes:
        request: What is asked for.
        stream: Id of the archived binary log.
        base: Backup that it starts from.
        cut: Where it ends.
        databases: Databases that are recovered; empty = all.
        log_bytes: How much of the binary log is replayed.
        passed_over: Newer backups that are no base, and why.
        space: Disk that it needs here; None while nobody has looked.
        problems: Why it would be refused.
        unsigned_from: Place behind which the log is not signed, though it is encrypted; None where all is.
    """

    request: RecoverRequest
    stream: str
    base: Manifest
    cut: Cut
    databases: tuple[str, ...]
    log_bytes: int
    passed_over: tuple[tuple[str, str], ...]
    space: Space | None = None
    problems: tuple[AppError, ...] = ()
    unsigned_from: LogPlace | None = None

    @property
    def cautions(self) -> tuple[str, ...]:
        """What whoever relies on the result should know."""
        said = "is not signed yet: who can write to the archive may have changed it"
        begin = self.unsigned_from
        return (f"the binary log behind {begin.file}:{begin.position} {said}",) if begin else ()

    def require_possible(self) -> None:
        """Raise what it would be refused with."""
        for problem in self.problems:
            raise problem


# As many digits as the largest offset has: Python refuses to read numbers of thousands.
_OFFSET: Final = re.compile(r"[0-9]{1,20}")
_HINT: Final = "Give exactly one of --to-time, --to-gtid, --before-gtid and --to-position."


def parse_point(time: datetime | None, gtid: str, before_gtid: str, position: str) -> Point:
    """
    Make a point of what a user gave.

    Args:
        time: Aware instant.
        gtid: The last transaction that is to be in.
        before_gtid: The first one that is not.
        position: `FILE:OFFSET`.

    Returns:
        The one point; empty texts and None are not given.

    Raises:
        InvalidRequestError: None or several were given, or one makes no sense.
    """
    found = [
        *([Point(PointKind.TIME, time.isoformat(), at=time)] if time else []),
        *([Point(PointKind.GTID, gtid.strip())] if gtid else []),
        *([Point(PointKind.BEFORE_GTID, before_gtid.strip())] if before_gtid else []),
        *([_position(position)] if position else []),
    ]
    if len(found) != 1:
        raise InvalidRequestError("a recovery has one point", hint=_HINT)
    return found[0]


def _position(text: str) -> Point:
    file, _, offset = text.rpartition(":")
    if not file or not _OFFSET.fullmatch(offset):
        raise InvalidRequestError(
            f"{text[:80]!r} is no position",
            hint="Write it as FILE:OFFSET, such as binlog.000012:4711.",
        )
    return Point(PointKind.POSITION, text, file=file, position=int(offset))


@dataclass(frozen=True, slots=True)
class RecoveryDrill:
    """
    What a drill has shown: a backup is what an older one and the binary log between them give.

    Attributes:
        base: Id of the older one.
        backup_id: Id of the newer one.
        transactions: How many were replayed.
        tables_count: How many tables were compared.
        rows_count: How many rows are in them.
        duration: Seconds.
    """

    base: str
    backup_id: str
    transactions: int
    tables_count: int
    rows_count: int
    duration: float
