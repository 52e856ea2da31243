"""
Where lines go.

A log that cannot be written never disturbs the work: lines are lost, and one warning says so.
"""

import logging
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, TextIO


_MODE: Final = 0o600


class Stderr(logging.StreamHandler[TextIO]):
    """Lines on stderr."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in logging
        """Lose a line: there is nowhere to tell of it."""


class LogFile(RotatingFileHandler):
    """
    Lines in a file that only its owner reads, rotated by size.

    Whoever moves the file away, such as logrotate or another process of ours, gets a new one made.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self._is_failing = False
        self._was_told = False
        super().__init__(
            path, maxBytes=max_bytes, backupCount=keep, encoding="utf-8", errors="backslashreplace"
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self._is_failing = False
        with suppress(OSError):
            self._follow()
        super().emit(record)
        self._was_told = self._was_told and self._is_failing

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as in logging
        """Lose a line, and with it what is left of it in memory."""
        self._is_failing = True
        self._tell(sys.exc_info()[1])
        stream, self.stream = self.stream, None  # emit opens it anew
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802 - its name in logging
        """Tell whether a line has no room; Python 3.13 asks a pipe for its position, which it has none of."""
        is_special = os.path.exists(self.baseFilename) and not os.path.isfile(self.baseFilename)  # noqa: PTH110, PTH113 - as in logging
        return not is_special and super().shouldRollover(record)

    def doRollover(self) -> None:  # noqa: N802 - its name in logging
        """Begin a new file; the old one goes on where that is refused."""
        try:
            super().doRollover()
        except OSError as exc:
            self._is_failing = True
            self._tell(exc)
        if self.stream is None:
            self.stream = self._open()
        if self.backupCount == 0:
            self.stream.truncate(0)

    def _open(self) -> TextIOWrapper:
        is_torn = _is_torn(self.baseFilename)
        stream = open(  # noqa: SIM115 - with an opener; closed by the handler
            self.baseFilename,
            "a",
            encoding=self.encoding,
            errors=self.errors,
            # Nobody waits for whoever reads from a pipe: what it does not take is lost.
            opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK, _MODE),
        )
        if is_torn:
            stream.write("\n")
        return stream

    def _follow(self) -> None:
        """Open the file anew when its name means another one by now."""
        if self.stream is None:
            return
        mine = os.fstat(self.stream.fileno())
        try:
            there = os.stat(self.baseFilename)  # noqa: PTH116 - as in logging
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(mine, there):
            self.stream.close()
            self.stream = self._open()

    def _tell(self, error: BaseException | None) -> None:
        if self._was_told:
            return
        self._was_told = True
        reason = getattr(error, "strerror", None) or type(error).__name__
        with suppress(OSError, ValueError):
            sys.stderr.write(f"Warning: the log cannot be written: {reason.lower()}\n")


def _is_torn(path: str) -> bool:
    """Tell whether a file ends within a line: a crash, or a disk that was full."""
    if not Path(path).is_file():  # a terminal or a pipe
        return False
    with suppress(OSError), Path(path).open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
    return False
