"""The command for crontabs: a scheduled backup, when it is due."""

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.commands.schedule import FrequencyName
from app.cli.edge import perform
from app.cli.options import AsJson
from app.cli.output import CommandResult, say
from app.cli.runs import perform_run


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from app.bootstrap.program import Program
    from app.domain.backups.manifest import Manifest
    from app.domain.schedule import Frequency
    from app.services.schedules import DueStatus

# A backup that takes longer than this has a problem of its own, and somebody should hear of it.
_PATIENCE_SECONDS: Final = 4 * 3600.0
# Locks are let go a moment after a run is over.
_PAUSE_SECONDS: Final = 0.5


def cron(
    frequency: Annotated[
        FrequencyName | None,
        typer.Option("--frequency", help="In the place of the schedule's own."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the schedule.")
    ] = "default",
    force: Annotated[
        bool, typer.Option("--force", help="Back up even when it is not due.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Make a scheduled backup when it is due; silent, unless it fails or a person looks on.

    It is due when a due time has passed since the last backup that succeeded. Without a schedule of
    that name, --frequency makes one, daily without it.
    """

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.domain.schedule import Frequency

        async with open_program(load_settings(), remembers=True) as parts:
            often = Frequency(frequency) if frequency else await _default(parts, name)

            async def look() -> "DueStatus":
                return await parts.schedules.due(often, name=name, force=force)

            return await _serve(parts, look, silent=as_json)

    perform(work, as_json=as_json)


async def _default(parts: "Program", name: str) -> "Frequency | None":
    """Back up daily where nobody has set anything, as the customer's own script does."""
    from app.domain.schedule import Frequency

    known = {one.name for one in await parts.schedules.list()}
    return None if name in known else Frequency.DAILY


async def _serve(
    parts: "Program", look: "Callable[[], Awaitable[DueStatus]]", *, silent: bool
) -> CommandResult:
    """
    Make what is due, after whatever else is being backed up: nobody calls again before tomorrow.

    Returns:
        What was made, or that there was nothing to do any more.

    Raises:
        AlreadyRunningError: Another run was in the way for hours.
    """
    from app.bootstrap.program import SystemClock
    from app.errors import AlreadyRunningError, NotDueError

    clock = SystemClock()
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    while (due := await look()).job is not None:
        try:
            manifest = await perform_run(parts, due.job, silent=silent or not sys.stderr.isatty())
        except NotDueError:
            break
        except AlreadyRunningError as exc:
            if clock.monotonic() > deadline:
                raise
            await _wait_for(parts, exc.run_id)
        else:
            return _told(manifest, due.next_due)
    return _told(None, due.next_due)


async def _wait_for(parts: "Program", run_id: str) -> None:
    """Wait until another run is over, as far as the history knows of it."""
    from app.errors import AppError

    await asyncio.sleep(_PAUSE_SECONDS)
    with suppress(AppError):
        await parts.runs.wait(run_id, _PATIENCE_SECONDS)


def _told(manifest: "Manifest | None", next_due: "datetime | None") -> CommandResult:
    from app.documents.backups import ScheduledBackupCreated
    from app.documents.schedules import NotDue

    if manifest is None:
        return CommandResult(NotDue.of(next_due), lambda: None)

    def show() -> None:
        if sys.stdout.isatty():
            say(f"Backup {manifest.backup_id} created.")

    return CommandResult(ScheduledBackupCreated.of(manifest, due=True), show)
