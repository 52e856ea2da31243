"""
A run's progress on stderr: a bar on a terminal, otherwise a plain line every few seconds.

The engine changes the counters thousands of times a second; a timer reads them.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from app.cli.output import duration, plural, print_status, printable
from app.domain.places.sizes import size
from app.domain.runs.progress import Pace, Progress, ProgressReport


class _Display(Protocol):
    """Shows the counters of one run."""

    interval_seconds: float

    def draw(self, report: ProgressReport, text: str) -> None:
        """Show them as they are now, and in words."""

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
    pace = Pace(time.monotonic())
    while True:
        await asyncio.sleep(display.interval_seconds)
        report = pace.report(progress, time.monotonic())
        display.draw(report, describe(report))


class _Lines:
    """Plain lines, for logs."""

    interval_seconds = 3.0

    def draw(self, report: ProgressReport, text: str) -> None:  # noqa: ARG002 - as a bar needs it
        """Print a line."""
        print_status(text)

    def close(self) -> None:
        """Nothing to do: every line is complete."""


class _Bar:
    """A bar on a terminal, gone when the run is over."""

    interval_seconds = 0.2

    def __init__(self) -> None:
        # Here, because crontabs need none: it takes as long as a small table.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            Progress as RichProgress,
            TaskProgressColumn,
            TextColumn,
        )
        from rich.table import Column  # noqa: PLC0415

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

    def draw(self, report: ProgressReport, text: str) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            description=text,
            total=max(report.bytes_total, report.bytes_done) or None,
            completed=report.bytes_done,
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
