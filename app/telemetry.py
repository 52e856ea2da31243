"""
Logs: one line an event on stderr, as `[YYYY-MM-DD HH:MM:SS] INFO: message {"key": value}` in UTC.

Modules log through `logging.getLogger(__name__)` and put facts into `extra={"facts": {...}}`;
structlog renders them. Secrets are masked here once more, whoever forgot to.
"""

import json
import logging
import re
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger


_MASK: Final = "***"
# What stands between `//user:` and the last `@` of an address; passwords may hold `@` and `/`.
_PASSWORD_IN_URL: Final = re.compile(r"(\w+://[^\s:/@]*:)[^\s]+(@)")
_SECRET_KEY: Final = re.compile(r"passw|secret|token|authorization|database_url", re.IGNORECASE)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send every log line of the program to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(allow=["facts"]),
                structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask_secrets,
                line,
            ],
        )
    )
    for name in ("app", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what looks like a secret, by key and in the text of addresses."""
    facts = event.get("facts") or {}
    event["facts"] = {
        key: _MASK if _SECRET_KEY.search(key) else _masked(value) for key, value in facts.items()
    }
    event["event"] = _masked(event["event"])
    return event


def line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render one event."""
    facts = event["facts"]
    text = f"[{event['timestamp']}] {event['level'].upper()}: {event['event']}"
    if facts:
        text += " " + json.dumps(facts, default=str, separators=(",", ":"))
    if error := event.get("exception"):
        text += f"\n{_masked(error)}"
    return text


def _masked(value: object) -> object:
    return _PASSWORD_IN_URL.sub(rf"\1{_MASK}\2", value) if isinstance(value, str) else value
