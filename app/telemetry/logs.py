"""
Logs: one line an event, for people or as JSON, on stderr or in a file.

Modules log through `logging.getLogger(__name__)` and put facts into `extra={"facts": {...}}`;
structlog renders them. Libraries are heard from warnings on.
"""

import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.errors import InvalidRequestError
from app.telemetry.handlers import LogFile, Stderr
from app.telemetry.masking import Masker
from app.telemetry.rendering import formatter
from app.telemetry.repeats import Repeats


# What these say at the level that is wanted is for operators; of all others only warnings are.
_OURS: Final = ("app", "uvicorn")
_LOUD: Final = ("apscheduler",)


@dataclass(frozen=True, slots=True)
class LogPlan:
    """
    How to log.

    Attributes:
        level: The least that is logged: `debug`, `info`, `warning` or `error`.
        form: `line`, `json`, or `auto`: lines on a terminal, JSON otherwise.
        file: None = stderr.
        max_bytes: Size at which a file is rotated.
        keep: How many old files are kept.
        repeats: How many lines of a kind are logged in a minute; 0 = all.
        secrets: What must never stand in it.
    """

    level: str = "info"
    form: str = "line"
    file: Path | None = None
    max_bytes: int = 10 << 20
    keep: int = 5
    repeats: int = 0
    secrets: Iterable[str] = ()


def start_logging(plan: LogPlan) -> None:
    """
    Send every line of this process, and of its libraries, where the plan says.

    Raises:
        InvalidRequestError: The file cannot be opened; lines go where they went before.
    """
    handler = _handler(plan)
    is_terminal = plan.file is None and sys.stderr.isatty()
    as_json = plan.form == "json" or (plan.form == "auto" and not is_terminal)
    handler.setFormatter(formatter(Masker(plan.secrets), as_json=as_json))
    if plan.repeats:
        handler.addFilter(Repeats(plan.repeats))
    root = logging.getLogger()
    for earlier in list(root.handlers):
        if isinstance(earlier, Stderr | LogFile):
            root.removeHandler(earlier)
            earlier.close()
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[plan.level.upper()]
    root.setLevel(max(level, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name in _LOUD:
        logging.getLogger(name).setLevel(level if level == logging.DEBUG else logging.NOTSET)


def _handler(plan: LogPlan) -> Stderr | LogFile:
    if plan.file is None:
        return Stderr()
    try:
        return LogFile(plan.file.expanduser().absolute(), max_bytes=plan.max_bytes, keep=plan.keep)
    except OSError as exc:
        reason = (exc.strerror or type(exc).__name__).lower()
        raise InvalidRequestError(
            f"BACKSTAY_LOG_FILE: cannot be opened: {reason}",
            hint="Name a file in a directory that exists and that the service may write to.",
        ) from exc
