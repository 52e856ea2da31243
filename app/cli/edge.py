"""
The edge of the program: a command runs, is cancelled by signals, and its error is told once.

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

from app.cli import exits, output
from app.cli.output import CommandResult
from app.errors import AppError


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def perform(work: Callable[[], Awaitable[CommandResult]], *, as_json: bool) -> NoReturn:
    """
    Run a command to its end, print its answer and leave the program.

    Args:
        work: The command; a cancelled one leaves nothing behind.
        as_json: Whether one JSON document is all that may appear on stdout.
    """
    if as_json:
        sys.excepthook = _json_excepthook
    try:
        answer = asyncio.run(_stoppable(work))
    except (AppError, asyncio.CancelledError, KeyboardInterrupt) as exc:
        sys.exit(output.fail(exc, as_json=as_json))
    if as_json:
        output.deliver(answer.document.model_dump(mode="json"))
    else:
        answer.show()
    sys.exit(answer.code)


async def _stoppable(work: Callable[[], Awaitable[CommandResult]]) -> CommandResult:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked or task is None:
            output.note("Still cleaning up.")
            return
        asked = True
        task.cancel()

    for number in _SIGNALS:
        # `nohup` ignores SIGHUP for us, and shells ignore SIGINT for background jobs.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    # Never removed here: the closing loop does that, when there is nothing left to interrupt.
    return await work()


def _json_excepthook(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Tell of a bug: the document on stdout, the traceback on stderr; Python then exits with 1."""
    with suppress(OSError):  # the bug may be that stdout is closed
        output.deliver(
            output.failure(
                AppError.code, AppError.title, kind.__name__, "Please report it.", retryable=False
            )
        )
    sys.__excepthook__(kind, error, traceback)


def usage(message: str) -> int:
    """Print the document of a command that was not understood."""
    hint = "Try 'backstay --help'."
    output.deliver(output.failure("usage", "Usage", message, hint, retryable=False))
    return exits.USAGE
