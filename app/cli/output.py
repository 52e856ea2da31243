"""
What the command line prints: one JSON document or text for people on stdout, the rest on stderr.

Names come from servers and files, so control characters in them never reach the terminal.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from app.cli import exits
from app.domain.document import JsonObject
from app.domain.places.sizes import size
from app.domain.runs.run import Failure
from app.errors import AppError


if TYPE_CHECKING:  # help needs no models of documents
    from app.documents.base import Document
    from app.domain.backups.catalogue import DamagedFile


_SECONDS_PER_MINUTE: Final = 60
_MINUTES_PER_HOUR: Final = 60


@dataclass(frozen=True, slots=True)
class CommandResult:
    """
    What a command found out.

    Attributes:
        document: For `--json`.
        show: Prints the same for people.
        code: Exit code.
    """

    document: "Document"
    show: Callable[[], None]
    code: int = exits.OK


def printable(text: str) -> str:
    """Show what a terminal would obey instead of print."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def print_line(text: str) -> None:
    """Print a line of the result, on stdout."""
    print(printable(text))


def print_status(text: str) -> None:
    """Print a line that is not part of the result, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print what somebody should know although the command succeeds."""
    for warning in warnings:
        print_status(f"Warning: {warning}")


def print_error(title: str, message: str, hint: str) -> None:
    """Print what is wrong, and what to do about it where that is known."""
    print_status(f"{title}: {message}")
    if hint:
        print_status(f"Hint: {hint}")


def print_document(document: JsonObject) -> None:
    """Print the one document of a command."""
    print(json.dumps(document, indent=2), flush=True)


def print_pairs(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print_line(f"{name:<{width}}  {value}")


def print_bytes_read(count: int | None) -> None:
    """Say what came from a store, which may ask money for it; nothing of a backup that lies here."""
    if count is not None:
        print_line(f"Read from the store: {size(count)}.")


def report_failure(error: BaseException, *, as_json: bool) -> int:
    """
    Print why a command ended early, once: an error of the program, or a cancellation.

    Returns:
        The exit code.
    """
    code, title, message, hint, retryable = (
        (error.code, error.title, str(error), error.hint, error.is_passing)
        if isinstance(error, AppError)
        else ("cancelled", "Cancelled", "nothing was left behind", "", False)
    )
    if as_json:
        print_document(error_document(code, title, message, hint, retryable=retryable))
    else:
        print_error(title, message, hint)
    return exits.exit_code(error)


def error_document(
    code: str, title: str, message: str, hint: str, *, retryable: bool
) -> JsonObject:
    """Make the document of a failed command."""
    return {"success": False, "error": asdict(Failure(code, title, message, hint, retryable))}


def duration(seconds: float) -> str:
    """Return a time for people: `0.35 s`, `12.1 s`, `3:05`, `1:02:03`."""
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - digits
    minutes, rest = divmod(round(seconds), _SECONDS_PER_MINUTE)
    hours, minutes = divmod(minutes, _MINUTES_PER_HOUR)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(at: datetime | None, absent: str = "-") -> str:
    """Return a moment for people, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else absent


def minute(at: datetime | None, absent: str = "-") -> str:
    """Return a moment for people, to the minute."""
    return f"{at:%Y-%m-%d %H:%M}" if at else absent


def day(at: datetime | None, absent: str = "-") -> str:
    """Return the day of a moment for people."""
    return f"{at:%Y-%m-%d}" if at else absent


def plural(count: int, noun: str) -> str:
    """Return `1 table`, `2,000 tables`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def print_unknown(unknown: "Sequence[DamagedFile]") -> None:
    """Print which backups are of a signer that is not known here, and once for each what to do about it."""
    for found in unknown:
        print_status(f"Not known here: {found.file}: {found.error}")
    print_hints(unknown)


def print_hints(found: "Sequence[DamagedFile]") -> None:
    """Print what to do about some files, once where it is the same."""
    for hint in dict.fromkeys(file.error.hint for file in found if file.error.hint):
        print_status(f"Hint: {hint}")
