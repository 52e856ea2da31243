"""
How a command runs: with the program, cancelled by signals, its result or error printed once.

SIGINT, SIGTERM and SIGHUP cancel the task, which cleans up after itself; further ones change
nothing, so an impatient second Ctrl-C cannot interrupt the cleaning.
"""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, NoReturn

from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.cli import exits, output
from app.cli.output import CommandResult, print_warnings
from app.cli.signals import call_on_signals, end_on_signals
from app.config import Settings, load_settings
from app.errors import AppError
from app.setting_facts import misspelt_settings


# Whatever is over sooner has imported and ended: it leaves no garbage worth a look at all that it made.
_SHORT_SECONDS: Final = 2.0


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
    except (AppError, asyncio.CancelledError) as exc:
        end_on_signals(exits.exit_code(exc))
        sys.exit(output.report_failure(exc, as_json=as_json))
    end_on_signals(result.code)
    if as_json:
        output.print_document(result.document.model_dump(mode="json"))
    else:
        result.show()
    sys.exit(result.code)


def stop_on_signals(stop: Callable[[], None]) -> None:
    """
    Call a function in the event loop for each signal that asks to stop.

    The handlers stay when the loop is over: from then on there is nothing left to interrupt, and what
    is done is not called cancelled.
    """
    loop = asyncio.get_running_loop()

    def forward() -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(stop)

    call_on_signals(forward)


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

    stop_on_signals(cancel)
    asyncio.get_running_loop().call_later(_SHORT_SECONDS, _collect)
    return await work()


def _collect() -> None:
    """Collect garbage from now on, but never among what the start has made, which lives to the end."""
    gc.freeze()
    gc.enable()


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


def read_settings() -> Settings:
    """Read the settings, and warn of those that mean nothing; raises InvalidRequestError."""
    settings = load_settings()
    print_warnings(misspelt_settings())
    return settings


def execute_with_program(
    work: Callable[[Program], Awaitable[CommandResult]],
    *,
    as_json: bool,
    needs_server: bool = True,
    records_runs: bool = False,
    store: str = "",
    accepted_signers: Sequence[str] | None = None,
) -> NoReturn:
    """
    Run a command that uses the program, as the settings describe it.

    Args:
        work: The command; the program is open until it returns.
        as_json: Whether one JSON document is all that may appear on stdout.
        needs_server: False for work on the backup directory alone.
        records_runs: Whether history and audit are written, where that is possible.
        store: Name of the store that it is about; empty = the backup directory.
        accepted_signers: Ids of signers that are believed besides those of the settings.
    """

    async def opened() -> CommandResult:
        async with open_program(
            read_settings(),
            needs_server=needs_server,
            remembers=records_runs,
            store=store,
            accepted_signers=tuple(accepted_signers or ()),
        ) as program:
            return await work(program)

    execute(opened, as_json=as_json)
