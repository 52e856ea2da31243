"""The form of a schedule: from fields to a change and back, and what a schedule would do."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from starlette.datastructures import ImmutableMultiDict

from app.api.bodies import ScheduleBody
from app.domain.backups.pruning import RetentionPlan
from app.domain.backups.retention import RetentionDecision
from app.domain.schedule import Schedule, ScheduleChange, due_times
from app.errors import InvalidScheduleError
from app.web.forms.tables import lines_of, with_ticks


TIMES_SHOWN: Final = 5
# More than that nobody reads; the sums count all.
_DECISIONS_SHOWN: Final = 30
_GIGABYTE: Final = 1_000_000_000
_WHOLE: Final = re.compile(r"-?\d{1,18}")
_CRON: Final = "cron"
_LISTS: Final = ("databases", "tables", "exclude_tables", "copies")
_COUNTS: Final = ("count", "hourly", "daily", "weekly", "monthly", "yearly")
_DAYS: Final = ("days", "max_days")
# An answer that the settings may give instead.
_CHOICES: Final = {"": None, "yes": True, "no": False}
_FIELDS: Final = (
    "name", "kind", "when", _CRON, "timezone", "enabled", "external", *_LISTS, "schema_only", "description", "store",
    "compress", "level", "verify", "keeping", *(f"keep_{rule}" for rule in (*_COUNTS, *_DAYS, "max_bytes")),
)  # fmt: skip
# Which field is to be changed, by what an error is about.
_PLACES: Final = {
    "copies": "copies",
    "kind": "kind",
    "level": "level",
    "retention": "store",
    "store": "store",
}
_NAME_RULE: Final = "1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit."
_LEVEL_RULE: Final = "A whole number: gzip has the levels 1 to 9, zstd 1 to 19."
_COUNT_RULE: Final = "A whole number from 0 to 100 000."
_DAYS_RULE: Final = "A number of days, from 0 to 36 500."
_BYTES_RULE: Final = "A number of gigabytes, 0 or more."


def typed_in(form: Mapping[str, object]) -> dict[str, str]:
    """Return what was typed into the form, by field; what was not sent is empty."""
    typed = {name: str(form.get(name, "")) for name in _FIELDS}
    if isinstance(form, ImmutableMultiDict):  # a tick each
        typed["copies"] = "\n".join(map(str, form.getlist("copies")))
        typed |= with_ticks(form, typed)
    return typed


def typed_anew(timezone: str) -> dict[str, str]:
    """Return what the form of a new schedule holds."""
    empty = typed_in({})
    first = {"kind": "backup", "when": "daily", "enabled": "on", "keeping": "settings"}
    return {**empty, **first, "timezone": timezone}


def typed_of(schedule: Schedule) -> dict[str, str]:
    """Return what the form of a schedule holds."""
    options, policy = schedule.options, schedule.retention
    typed = typed_anew(schedule.timezone) | {
        "name": schedule.name,
        "kind": schedule.kind.value,
        "when": schedule.frequency.value if schedule.frequency else _CRON,
        "cron": schedule.cron,
        "enabled": "on" if schedule.enabled else "",
        "external": "on" if schedule.external else "",
        "schema_only": "" if options.include_data else "on",
        "description": options.description,
        "store": options.store,
        "compress": _chosen(options.compress),
        "level": "" if options.level is None else str(options.level),
        "verify": _chosen(options.verify),
        "keeping": "own" if policy else "settings",
    }
    typed |= {name: "\n".join(getattr(options, name)) for name in _LISTS}
    if policy:
        typed |= {f"keep_{rule}": _exact(getattr(policy, rule)) for rule in (*_COUNTS, *_DAYS)}
        typed["keep_max_bytes"] = f"{policy.max_bytes / _GIGABYTE:.9f}".rstrip("0").rstrip(".")
    return typed


def _exact(count: float) -> str:
    """Return a number that is read as the same: a rule that nobody has touched is saved as it was."""
    return repr(count).removesuffix(".0")


def _chosen(value: bool | None) -> str:  # noqa: FBT001 - a value of the form
    return next(name for name, known in _CHOICES.items() if known is value)


def change_of(typed: Mapping[str, str], *, may_keep_less: bool) -> ScheduleChange:
    """
    Read what was typed, with the rules of the API.

    Args:
        typed: By field.
        may_keep_less: Whether retention is in the form; else it stays as it was.

    Returns:
        The change; whether its times make sense is not known yet.

    Raises:
        ValidationError: It is not right; see `errors_of`.
    """
    when = typed["when"]
    wanted: dict[str, object] = {
        "name": typed["name"].strip(),
        "kind": typed["kind"] or "backup",
        "frequency": None if when == _CRON else when,
        "cron": typed["cron"].strip() if when == _CRON else "",
        "timezone": typed["timezone"].strip(),
        "enabled": bool(typed["enabled"]),
        "external": bool(typed["external"]),
        "options": {
            **{name: lines_of(typed[name]) for name in _LISTS},
            "include_data": not typed["schema_only"],
            "description": " ".join(typed["description"].split()),
            "store": typed["store"].strip(),
            "compress": _CHOICES.get(typed["compress"]),
            "level": _whole(typed["level"]) if typed["level"].strip() else None,
            "verify": _CHOICES.get(typed["verify"]),
        },
    }
    if may_keep_less:
        wanted["retention"] = _rules(typed) if typed["keeping"] == "own" else None
    return ScheduleBody.model_validate(wanted).as_change()


def _rules(typed: Mapping[str, str]) -> dict[str, object]:
    counts = {rule: _whole(typed[f"keep_{rule}"]) for rule in _COUNTS}
    days = {rule: _decimal(typed[f"keep_{rule}"]) for rule in _DAYS}
    return {**counts, **days, "max_bytes": _bytes_of(_decimal(typed["keep_max_bytes"]))}


def _bytes_of(gigabytes: float | str) -> int | str:
    """Return bytes; what is no size stays, and is refused as such."""
    if isinstance(gigabytes, str) or not abs(gigabytes) < _GIGABYTE:
        return str(gigabytes)
    return round(gigabytes * _GIGABYTE)


def _whole(text: str) -> int | str:
    """Return a whole number; what is none stays, and is refused as such."""
    text = text.strip() or "0"
    return int(text) if _WHOLE.fullmatch(text) else text


def _decimal(text: str) -> float | str:
    try:
        return float(text.strip() or "0")
    except ValueError:
        return text


def errors_of(error: ValidationError) -> dict[str, str]:
    """Return what is wrong, by field of the form."""
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        parts = [part for part in problem["loc"] if isinstance(part, str)]
        is_rule = parts[0] == "retention"
        field = f"keep_{parts[-1]}" if is_rule else parts[1] if parts[0] == "options" else parts[0]
        found.setdefault("when" if field == "frequency" else field, _words(parts, problem["msg"]))
    return found


def _words(parts: Sequence[str], message: str) -> str:
    match parts:
        case ["name"]:
            return _NAME_RULE
        case ["frequency" | "level" as field] | ["options", "level" as field]:
            return _LEVEL_RULE if field == "level" else "Choose how often."
        case ["retention", "max_bytes"]:
            return _BYTES_RULE
        case ["retention", rule]:
            return _DAYS_RULE if rule in _DAYS else _COUNT_RULE
        case _:
            return f"{message}."


def field_of(error: InvalidScheduleError) -> str:
    """Return which field is wrong when a schedule has no due times, or places that do not go together."""
    about = str(error).partition(":")[0]
    if about in _PLACES:
        return _PLACES[about]
    return "timezone" if "time zone" in str(error) else _CRON


@dataclass(frozen=True, slots=True)
class DueTime:
    """
    One time at which a backup would be made.

    Attributes:
        at: Aware UTC.
        local: The same in the schedule's zone.
        clocks: What the clocks of that zone have done since the time before; empty = nothing.
    """

    at: datetime
    local: datetime
    clocks: str


def next_times(schedule: Schedule, now: datetime) -> list[DueTime]:
    """Return the next due times of a schedule, by what its scheduler goes by; also of one that is off."""
    zone, found = ZoneInfo(schedule.timezone), []
    offset = now.astimezone(zone).utcoffset()
    for at in islice(due_times(schedule.expression, schedule.timezone, now), TIMES_SHOWN):
        local = at.astimezone(zone)
        found.append(DueTime(at.astimezone(UTC), local, _clocks(offset, local.utcoffset())))
        offset = local.utcoffset()
    return found


def _clocks(before: timedelta | None, after: timedelta | None) -> str:
    if before is None or after is None or before == after:
        return ""
    minutes = round(abs((after - before).total_seconds()) / 60)
    shown = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    return f"clocks go {'forward' if after > before else 'back'} by {shown} before it"


@dataclass(frozen=True, slots=True)
class RetentionPreview:
    """
    What rules that are not saved yet would do.

    Attributes:
        changes: Of each backup of the schedule, or whose fate changes: whether it stays now, and what
            would become of it; those that go are first. The first hundred.
        total: How many there are.
        goes: Those that would go.
        freed_bytes: Of these.
        stays: Those that would stay.
        kept_bytes: Of these.
        clock: Why nothing would be deleted at all; empty = it would.
    """

    changes: tuple[tuple[bool, RetentionDecision], ...]
    total: int
    goes: int
    freed_bytes: int
    stays: int
    kept_bytes: int
    clock: str


def compare(now: RetentionPlan, then: RetentionPlan, name: str) -> RetentionPreview:
    """Compare what would become of backups by the rules that are kept and by others of one schedule."""
    kept = {decision.item.backup_id for decision in now.kept}
    known = {decision.item.backup_id for decision in now.decisions}
    concerned = [
        decision
        for decision in then.decisions
        if decision.item.schedule == name
        or (
            decision.item.backup_id in known
            and decision.is_kept != (decision.item.backup_id in kept)
        )
    ]
    goes = [decision for decision in concerned if not decision.is_kept]
    stays = [decision for decision in concerned if decision.is_kept]
    return RetentionPreview(
        changes=tuple(
            (decision.item.backup_id in kept, decision)
            for decision in (*goes, *stays)[:_DECISIONS_SHOWN]
        ),
        total=len(concerned),
        goes=len(goes),
        freed_bytes=_bytes(goes),
        stays=len(stays),
        kept_bytes=_bytes(stays),
        clock=str(then.clock) if then.clock else "",
    )


def _bytes(decisions: Iterable[RetentionDecision]) -> int:
    return sum(decision.item.size for decision in decisions)
