"""The command for crontabs: a scheduled backup, when it is due."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final

import typer

from app.bootstrap.program import Program
from app.cli.execution import execute_with_program
from app.cli.options import AsJson, FrequencyName
from app.cli.output import CommandResult, print_line, print_warnings
from app.cli.runs import run_job
from app.documents.backups import ScheduledBackupCreated
from app.documents.schedules import NotDue
from app.domain.backups.manifest import Manifest
from app.domain.schedule import Frequency
from app.errors import AlreadyRunningError, AppError, NotDueError
from app.scheduling.clock import SystemClock
from app.services.schedules import DueStatus


# A backup that takes longer than this has a problem of its own, and somebody should hear of it.
_MAX_WAIT_SECONDS: Final = 4 * 3600.0
# Locks are let go a moment after a run is over.
_PAUSE_SECONDS: Final = 0.5


def cron(
    frequency: Annotated[
        FrequencyName | None,
        typer.Option(
            "--frequency",
            metavar="FREQUENCY",
            help="hourly, daily or weekly, instead of the schedule's own.",
        ),
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

    async def work(program: Program) -> CommandResult:
        every = Frequency(frequency) if frequency else await _default_frequency(program, name)

        async def find_due() -> DueStatus:
            return await program.schedules.due(every, name=name, force=force)

        result = await _back_up_when_due(program, find_due, silent=as_json)
        await _copy(program)
        return result

    execute_with_program(work, as_json=as_json, records_runs=True)


async def _default_frequency(program: Program, name: str) -> Frequency | None:
    """Back up daily where nobody has set anything."""
    known = {schedule.name for schedule in await program.schedules.list()}
    return None if name in known else Frequency.DAILY


async def _back_up_when_due(
    program: Program, find_due: Callable[[], Awaitable[DueStatus]], *, silent: bool
) -> CommandResult:
    """
    Make what is due, after whatever else is being backed up: nobody calls again before tomorrow.

    Returns:
        What was made, or that there was nothing to do any more.

    Raises:
        AlreadyRunningError: Another run was in the way for hours.
    """
    clock = SystemClock()
    deadline = clock.monotonic() + _MAX_WAIT_SECONDS
    while (due := await find_due()).job is not None:
        try:
            manifest = await run_job(program, due.job, silent=silent or not sys.stderr.isatty())
        except NotDueError:
            break
        except AlreadyRunningError as exc:
            if clock.monotonic() > deadline:
                raise
            await _wait_for(program, exc.run_id)
        else:
            return _result(manifest, due.next_due)
    return _result(None, due.next_due)


async def _copy(program: Program) -> None:
    """Make the copies that are missing, also of an earlier backup; what was made is there in any case."""
    try:
        results = await program.scheduled_copies.run_due()
    except AppError as exc:
        print_warnings([f"copies were not made: {exc}"])
        return
    print_warnings([
        f"the copy to {result.store} failed: {result.failure}"
        for result in results
        if result.failure is not None
    ])


async def _wait_for(program: Program, run_id: str) -> None:
    """Wait until another run is over, as far as the history knows of it."""
    await asyncio.sleep(_PAUSE_SECONDS)
    with suppress(AppError):
        await program.runs.wait(run_id, _MAX_WAIT_SECONDS)


def _result(manifest: Manifest | None, next_due: datetime | None) -> CommandResult:
    if manifest is None:
        return CommandResult(NotDue.of(next_due), lambda: None)

    def show() -> None:
        if sys.stdout.isatty():
            print_line(f"Backup {manifest.backup_id} created.")

    return CommandResult(ScheduledBackupCreated.of(manifest, due=True), show)
