"""The program, open for the length of a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from app.bootstrap.program import Program
from app.config import Settings
from app.errors import AppError


if TYPE_CHECKING:
    from app.control.database import ControlDatabase


# How long a command that is done waits for messages to leave.
_NOTIFY_SECONDS: Final = 10.0


@asynccontextmanager
async def open_program(
    settings: Settings,
    *,
    needs_server: bool = True,
    remembers: bool = False,
    store: str = "",
    accepted_signers: tuple[str, ...] = (),
) -> AsyncIterator[Program]:
    """
    Put the program together for the length of a block.

    Args:
        settings: Of this installation.
        needs_server: False for work on the backup directory alone.
        remembers: Whether runs are written down; where that is not possible, work goes on without.
        store: Name of the store that it is about; empty = the backup directory.
        accepted_signers: Ids of signers that are believed besides those of the settings.

    Yields:
        The program.

    Raises:
        InvalidRequestError: The server's URL is missing or makes no sense.
    """
    program = Program(settings, store=store, accepted_signers=accepted_signers)
    if needs_server:
        program.require_server()  # what makes no sense is said before anything is done
    try:
        if remembers:
            program.unwritten = await _prepare(program.control)
            await _write_ends(program)
        try:
            yield program
        finally:
            if remembers:  # the others do nothing that an alert is about
                await _write_ends(program)
                await program.send_notices(_NOTIFY_SECONDS)
    finally:
        await program.close()


async def _write_ends(program: Program) -> None:
    """Write down and tell how earlier runs ended, where that could not be done then."""
    runs = program.runs
    with suppress(AppError):  # whoever comes next does it
        await runs.write_ends()
        await runs.listeners.tell_left()


async def _prepare(control: "ControlDatabase") -> AppError | None:
    try:
        await control.prepare()
    except AppError as exc:
        return exc
    return None
