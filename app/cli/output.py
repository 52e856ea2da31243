"""
What the command line prints: one JSON document or text for people on stdout, the rest on stderr.

Names come from servers and files, so control characters in them never reach the terminal.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from app.cli import exits
from app.domain.document import JsonObject
from app.domain.runs.run import Failure
from app.errors import AppError


if TYPE_CHECKING:
    from app.documents.base import Document

# Wide enough for a whole line when nobody looks, so that pipes see no wrapped text.
_PIPE_WIDTH: Final = 240
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
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


def prepare() -> None:
    """Print every text whatever the terminal's encoding: what it lacks appears as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """Show what a terminal would obey instead of print."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def say(text: str) -> None:
    """Print a line for people."""
    print(printable(text))


def note(text: str) -> None:
    """Print a line that is not part of the answer."""
    print(printable(text), file=sys.stderr, flush=True)


def deliver(document: JsonObject) -> None:
    """Print the one document of a command."""
    print(json.dumps(document, indent=2), flush=True)


def fail(error: BaseException, *, as_json: bool) -> int:
    """
    Tell of an error, once.

    Returns:
        The exit code.
    """
    cancelled = exits.exit_code(error) == exits.CANCELLED
    title = "Cancelled" if cancelled else getattr(error, "title", AppError.title)
    message = "nothing was left behind" if cancelled else str(error)
    hint = getattr(error, "hint", "")
    if as_json:
        code = "cancelled" if cancelled else getattr(error, "code", AppError.code)
        deliver(failure(code, title, message, hint, retryable=getattr(error, "retryable", False)))
    else:
        note(f"{title}: {message}")
        if hint:
            note(f"Hint: {hint}")
    return exits.exit_code(error)


def failure(code: str, title: str, message: str, hint: str, *, retryable: bool) -> JsonObject:
    """Make the document of a failed command."""
    return {"success": False, "error": asdict(Failure(code, title, message, hint, retryable))}


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0) -> None:
    """
    Print a table.

    Args:
        headings: One a column.
        rows: Texts, as many in each as headings.
        right: How many of the last columns hold numbers.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        numeric = number >= len(headings) - right
        grid.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=_PIPE_WIDTH)
    console.print(grid)


def pairs(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        say(f"{name:<{width}}  {value}")


def size(count: int) -> str:
    """Return bytes for people, in powers of 1000 as disks are sold."""
    if count < _STEP:
        return f"{count} B"
    amount = float(count)
    for unit in _UNITS:
        amount /= _STEP
        if amount < _STEP - 0.05 or unit == _UNITS[-1]:
            return f"{amount:.1f} {unit}"
    raise AssertionError(amount)


def duration(seconds: float) -> str:
    """Return a time for people: `0.35 s`, `12.1 s`, `3:05`, `1:02:03`."""
    if seconds < _SECONDS_PER_MINUTE:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - digits
    minutes, rest = divmod(round(seconds), _SECONDS_PER_MINUTE)
    hours, minutes = divmod(minutes, _MINUTES_PER_HOUR)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plural(count: int, noun: str) -> str:
    """Return `1 table`, `2,000 tables`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
