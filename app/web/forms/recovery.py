"""
The forms of a recovery: around which moment somebody looks, and to which point they want back.

A point travels as its kind and its text, `before-gtid 0-1-4711`, from a button to the dry run and from
there to the recovery.
"""

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, field_validator, model_validator
from starlette.datastructures import FormData

from app.domain.restores.log_archive import LoggedTransaction, TransactionQuery
from app.domain.restores.points import Point, PointKind, RecoverRequest, parse_point
from app.domain.runs.run import Run
from app.errors import InvalidRequestError


SHOWN: Final = 10
WITHIN: Final = {
    "10m": ("10 minutes", timedelta(minutes=10)),
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
}
# Moments before and after them are none in other zones.
_FIRST: Final = datetime(1970, 1, 9, tzinfo=UTC)
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)
_TEXT = Annotated[str, Field(max_length=200)]
_OPTIONS: Final = {
    PointKind.TIME: ("--to-time", "to_time"),
    PointKind.GTID: ("--to-gtid", "to_gtid"),
    PointKind.BEFORE_GTID: ("--before-gtid", "before_gtid"),
    PointKind.POSITION: ("--to-position", "to_position"),
}


class NearQuery(BaseModel):
    """Which transactions are looked for; an empty time = the newest, other empty texts = no condition."""

    at: Annotated[str, Field(max_length=40)] = ""
    zone: Annotated[str, Field(max_length=64)] = "UTC"
    within: Literal["10m", "1h", "1d", "7d"] = "1d"
    database: _TEXT = ""
    table: _TEXT = ""
    match: _TEXT = ""

    @field_validator("zone")
    @classmethod
    def _require_zone(cls, zone: str) -> str:
        try:
            return ZoneInfo(zone).key
        except (KeyError, OSError) as exc:  # none, or a directory of them
            raise ValueError(zone) from exc

    @field_validator("at")
    @classmethod
    def _require_time(cls, at: str) -> str:
        if at:
            _instant(at, ZoneInfo("UTC"))
        return at

    @model_validator(mode="after")
    def _require_once(self) -> "NearQuery":
        """Refuse a time that was twice, when summer ended, or never, when it began: nobody can say which is meant."""
        at = datetime.fromisoformat(self.at) if self.at else None
        if at is not None and at.tzinfo is None:
            local = at.replace(tzinfo=ZoneInfo(self.zone))
            both = [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
            if both[0] != both[1]:
                raise ValueError(self.at)
        return self

    def moment(self, newest: datetime) -> datetime:
        """Return the moment in UTC; a time without an offset is one of the zone."""
        return _instant(self.at, ZoneInfo(self.zone)) if self.at else newest

    @property
    def span(self) -> timedelta:
        """How far from it is looked."""
        return WITHIN[self.within][1]

    @property
    def wanted(self) -> TransactionQuery:
        """What is looked for on either side."""
        return TransactionQuery(
            database=self.database, table=self.table, match=self.match, limit=SHOWN
        )

    def at_moment(self, moment: datetime) -> str:
        """Return the address of the same around another moment, relative to this one."""
        asked = self.model_dump(exclude={"at", "zone"})
        return "?" + urlencode({"at": moment.isoformat(), **{k: v for k, v in asked.items() if v}})


def _instant(text: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(text)
    at = (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)
    if not _FIRST <= at <= _LAST:
        raise ValueError(text)
    return at


def text_of(point: Point) -> str:
    """Return what a button sends for a point."""
    return f"{point.kind} {point.text}"


def before(found: LoggedTransaction) -> str:
    """Return what a button sends for the point just before a transaction."""
    if found.gtid:
        return f"{PointKind.BEFORE_GTID} {found.gtid}"
    return f"{PointKind.POSITION} {found.file}:{found.start}"


def point_of(text: str) -> Point:
    """Read what a button has sent; raises InvalidRequestError."""
    kind, _, named = text.partition(" ")
    given = {known: named if known == kind else "" for known in PointKind}
    try:
        time = given[PointKind.TIME] and _instant(given[PointKind.TIME], ZoneInfo("UTC"))
    except (ValueError, OverflowError) as exc:
        raise InvalidRequestError(f"{named[:80]!r} is no time") from exc
    return parse_point(
        time or None,
        given[PointKind.GTID],
        given[PointKind.BEFORE_GTID],
        given[PointKind.POSITION],
    )


def request_of(form: FormData, threads: int) -> RecoverRequest:
    """
    Read what is to be recovered.

    Args:
        form: What was sent.
        threads: Connections.

    Returns:
        Point and databases.

    Raises:
        InvalidRequestError: There is no point, or it is not said of which databases; an empty choice is
            never taken for everything.
    """
    names = tuple(map(str, form.getlist("database")))
    scope = str(form.get("scope", ""))
    if scope not in {"all", "databases"} or (scope == "databases") != bool(names):
        raise InvalidRequestError(
            "the form does not say which databases are to be recovered; nothing was begun",
            hint="Go back, and choose all of them, or those that are wanted.",
        )
    return RecoverRequest(point_of(str(form.get("point", ""))), names, threads)


def fields_of(request: RecoverRequest) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form that asks for the same once more."""
    yield "point", text_of(request.point)
    yield "scope", "databases" if request.databases else "all"
    for name in request.databases:
        yield "database", name


def request_again(run: Run, threads: int) -> RecoverRequest:
    """Return what a recovery or its dry run was asked for."""
    asked = run.request or {}
    to, names = asked.get("to"), asked.get("databases")
    kind, text = next(iter(to.items()), ("", "")) if isinstance(to, dict) else ("", "")
    databases = tuple(map(str, names)) if isinstance(names, list | tuple) else ()
    return RecoverRequest(point_of(f"{kind} {text}"), databases, threads)


def command_of(request: RecoverRequest) -> str:
    """Return the command that does the same, for a shell."""
    words = ["backstay", "recover", _OPTIONS[request.point.kind][0], request.point.text]
    for name in request.databases:
        words += ["--database", name]
    return shlex.join(words)


def body_of(request: RecoverRequest) -> str:
    """Return the body of a request to the API that asks for the same."""
    named = {_OPTIONS[request.point.kind][1]: request.point.text}
    return json.dumps(named | ({"databases": request.databases} if request.databases else {}))
