"""
How a command runs: signals cancel it, and its result or its error is printed once.

SIGINT, SIGTERM and SIGHUP cancel the task, which cleans up after itself; further ones change
nothing, so an impatient second Ctrl-C cannot interrupt the cleaning.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, NoReturn

from app.cli import output
from app.cli.output import CommandResult
from app.errors import AppError


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def execute(work: Callable[[], Awaitable[CommandResult]], *, as_json: bool) -> NoReturn:
    """
    Run a command to its end, print its result and leave the program.

    Args:
        work: The command; a cancelled one leaves nothing behind.
        as_json: Whether one JSON document is all that may appear on stdout.
    """
    if as_json:
        sys.excepthook = _json_excepthook
    try:
        result = asyncio.run(_cancelled_by_signals(work))
    except (AppError, asyncio.CancelledError, KeyboardInterrupt) as exc:
        sys.exit(output.report_failure(exc, as_json=as_json))
    if as_json:
        output.print_document(result.document.model_dump(mode="json"))
    else:
        result.show()
    sys.exit(result.code)


def call_on_signals(stop: Callable[[], None]) -> None:
    """
    Call a function for each signal that asks to stop, as long as the event loop runs.

    The handlers are never removed: the closing loop does that, when there is nothing left to
    interrupt. Signals that are ignored stay so: `nohup` ignores SIGHUP for us, and shells ignore
    SIGINT for background jobs.
    """
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)


async def _cancelled_by_signals(work: Callable[[], Awaitable[CommandResult]]) -> CommandResult:
    task = asyncio.current_task()
    cancelled = False

    def cancel() -> None:
        nonlocal cancelled
        if cancelled or task is None:
            output.print_status("Still cleaning up.")
            return
        cancelled = True
        task.cancel()

    call_on_signals(cancel)
    return await work()


def _json_excepthook(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print a bug: the document on stdout, the traceback on stderr; Python then exits with 1."""
    with suppress(OSError):  # the bug may be that stdout is closed
        output.print_document(
            output.error_document(
                AppError.code, AppError.title, kind.__name__, "Please report it.", retryable=False
            )
        )
    sys.__excepthook__(kind, error, traceback)
