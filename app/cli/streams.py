"""
Standard input, output and error: whatever is wrong with them, it never ends in a traceback.

Work that is done stays done when nobody can be told: what cannot be written is lost, and
`lost_output` says why.
"""

import io
import os
import select
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import typer

from app.cli.signals import interruptible
from app.errors import InvalidRequestError


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# No secret that is asked for is longer in bytes; whatever follows is not read.
_MAX_LINE_BYTES: Final = 8 << 10


class Outlet(io.FileIO):
    """
    A descriptor that is written to until that fails once; afterwards everything is lost.

    Attributes:
        failure: Why; None as long as it works.
    """

    failure: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write some bytes, or lose them."""
        while self.failure is None:
            try:
                written: int | None = super().write(data)
            except OSError as exc:
                self.failure = exc
                break
            if written is not None:
                return written
            select.select([], [self], [])  # whoever started us does not wait for it, we do
        return len(memoryview(data))


def open_streams() -> None:
    """Open what is closed, and print every text whatever the encoding: what it lacks appears as an escape."""
    if sys.stdin is None:
        sys.stdin = open(_nothing(), encoding="utf-8")  # noqa: SIM115 - a descriptor, for good
    sys.stdout, sys.stderr = _outlet(sys.stdout), _outlet(sys.stderr)


def _outlet(stream: TextIO | None) -> io.TextIOWrapper:
    if stream is not None:
        stream.flush()
    descriptor = _nothing() if stream is None else stream.fileno()
    return io.TextIOWrapper(
        io.BufferedWriter(Outlet(descriptor, "w", closefd=False)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors="backslashreplace",
        line_buffering=getattr(stream, "line_buffering", False),
    )


def _nothing() -> int:
    """Open nothing under the lowest number, which is the closed one: no other file gets it by accident."""
    return os.open(os.devnull, os.O_RDWR)


def lost_output() -> OSError | None:
    """Write what is still to be written, and tell why not all of the result could be."""
    sys.stderr.flush()
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, Outlet) else None


def begin_line() -> None:
    """End the last line of a file that stdout is added to, where it has no end: what comes would be a part of it."""
    with suppress(OSError, ValueError):
        descriptor = sys.stdout.fileno()
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or not facts.st_size:
            return
        # It may only be written to under the descriptor itself.
        with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                print()


def read_secret(name: str, *, from_stdin: bool) -> str:
    """
    Ask twice on a terminal, on stderr; read one line where nobody can be asked.

    Args:
        name: What is asked for, such as `Password`.
        from_stdin: Whether nobody is asked although there is a terminal.

    Returns:
        The line without its end.

    Raises:
        InvalidRequestError: It is not UTF-8.
        KeyboardInterrupt: Whoever was asked does not want to.
    """
    if sys.stdin.isatty() and not from_stdin:
        try:
            with interruptible():
                typed: str = typer.prompt(
                    name, hide_input=True, confirmation_prompt="Once more", err=True
                )
        except typer.Abort:
            raise KeyboardInterrupt from None
        return typed
    line = sys.stdin.buffer.readline(_MAX_LINE_BYTES)
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as exc:
        raise InvalidRequestError(f"the {name.lower()} on stdin is not UTF-8") from exc
