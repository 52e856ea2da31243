"""
A run's progress on stderr: a bar on a terminal, otherwise a plain line every few seconds.

The engine changes the counters thousands of times a second; they are looked at by a timer.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from app.cli.output import duration, note, plural, printable, size
from app.domain.runs.progress import Pace, Progress, ProgressReport


_BAR_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 3.0


class _Display(Protocol):
    """Shows the counters of one run."""

    interval_seconds: float

    def draw(self, progress: Progress) -> None:
        """Show them as they are now."""

    def close(self) -> None:
        """Leave the terminal as it was."""


@asynccontextmanager
async def shown(*, silent: bool) -> AsyncIterator[Progress]:
    """
    Show the progress of a block.

    Args:
        silent: Whether nothing at all is shown.

    Yields:
        The counters to hand to a service.
    """
    progress = Progress()
    if silent:
        yield progress
        return
    display: _Display = _Bar() if sys.stderr.isatty() else _Lines()
    timer = asyncio.create_task(_refresh(display, progress))
    try:
        yield progress
    finally:
        timer.cancel()
        display.close()


async def _refresh(display: _Display, progress: Progress) -> None:
    while True:
        await asyncio.sleep(display.interval_seconds)
        display.draw(progress)


class _Lines:
    """Plain lines, for logs."""

    interval_seconds = _LINE_SECONDS

    def __init__(self) -> None:
        self._pace = Pace(time.monotonic())

    def draw(self, progress: Progress) -> None:
        """Print a line."""
        note(describe(self._pace.report(progress, time.monotonic())))

    def close(self) -> None:
        """Nothing to do: every line is complete."""


class _Bar:
    """A bar on a terminal, gone when the run is over."""

    interval_seconds = _BAR_SECONDS

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress as RichProgress,
            TaskProgressColumn,
            TextColumn,
        )
        from rich.table import Column

        self._pace = Pace(time.monotonic())
        self._bar = RichProgress(
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn(
                "{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)
            ),
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def draw(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            description=describe(self._pace.report(progress, time.monotonic())),
            total=max(progress.bytes_total, progress.bytes_done) or None,
            completed=progress.bytes_done,
            refresh=True,
        )

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()


def describe(report: ProgressReport) -> str:
    """
    Put the counters into words: phase, table, tables, rows, bytes, rate, time left.

    Returns:
        One line; what is not known yet is left out.
    """
    parts = [f"{report.phase}: {report.table}" if report.table else report.phase]
    if report.tables_total:
        parts.append(f"{report.tables_done:,}/{plural(report.tables_total, 'table')}")
    if report.rows_done:
        parts.append(plural(report.rows_done, "row"))
    if report.bytes_done:
        parts += [size(report.bytes_done), f"{size(int(report.bytes_per_second))}/s"]
    if report.seconds_left is not None:
        parts.append(f"{duration(report.seconds_left)} left")
    return printable(", ".join(parts))
