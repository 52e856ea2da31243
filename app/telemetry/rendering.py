"""
What a line looks like: for people on a terminal, or as JSON for programs.

A line is one line: text of a user that holds line ends or control characters cannot forge another.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from app.telemetry import context
from app.telemetry.masking import Masker


# Ends of lines in any alphabet, what terminals obey, and what turns the direction of writing.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_INDENT: Final = "    "


def formatter(masker: Masker, *, as_json: bool) -> logging.Formatter:
    """
    Make what turns a record into a line.

    Args:
        masker: Takes secrets out of it.
        as_json: JSON, or else `[time] LEVEL: event {facts}`.

    Returns:
        A formatter for the handlers of the root logger.
    """

    def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        masked: EventDict = {key: masker.value(value) for key, value in event.items()}
        return masked

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_collect],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask,
            json_line if as_json else plain_line,
        ],
    )


def _collect(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take from a record what a line is made of."""
    record: logging.LogRecord = event["_record"]
    found = getattr(record, "facts", None) or {}
    event["facts"] = dict(found) if isinstance(found, Mapping) else {"facts": found}
    event["context"] = dict(context.facts())
    event["time"] = datetime.fromtimestamp(record.created, UTC).isoformat("T", "milliseconds")
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    return event


def json_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render one event as one JSON object; keys in a steady order, nothing empty."""
    line = {
        "time": event["time"].replace("+00:00", "Z"),
        "level": event["level"],
        "event": event["event"],
        "logger": event["logger"],
        **event["context"],
        "facts": event["facts"],
        "exception": event.get("exception"),
    }
    return json.dumps({key: value for key, value in line.items() if value not in (None, {})})


def plain_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render one event for people; a traceback follows, further to the right."""
    moment = event["time"][:19].replace("T", " ")
    text = f"[{moment}] {event['level'].upper()}: {_printable(event['event'])}"
    if facts := {**event["facts"], **_others(event)}:
        text += " " + json.dumps(facts, separators=(",", ":"))
    for line in (event.get("exception") or "").splitlines():
        text += f"\n{_INDENT}{_printable(line)}"
    return text


def _others(event: EventDict) -> dict[str, object]:
    """Return what the task knows and the facts do not say themselves."""
    return {key: fact for key, fact in event["context"].items() if key not in event["facts"]}


def _printable(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))
