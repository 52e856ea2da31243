"""What commands run with: the program; their work is a run, and is written into the audit."""

import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar

from app.bootstrap.program import Program, SystemClock, open_program
from app.cli import exits
from app.cli.execution import execute
from app.cli.output import CommandResult, print_warnings
from app.cli.progress import shown
from app.config import load_settings
from app.domain.access.audit import AuditEvent
from app.domain.runs.run import Origin, Requester
from app.errors import AppError
from app.services.access.audit import AuditService
from app.services.runs.job import Job


T = TypeVar("T")


def execute_with_program(
    work: Callable[[Program], Awaitable[CommandResult]],
    *,
    as_json: bool,
    needs_server: bool = True,
    records_runs: bool = False,
) -> NoReturn:
    """
    Run a command that uses the program, as the settings describe it.

    Args:
        work: The command; the program is open until it returns.
        as_json: Whether one JSON document is all that may appear on stdout.
        needs_server: False for work on the backup directory alone.
        records_runs: Whether history and audit are written, where that is possible.
    """

    async def opened() -> CommandResult:
        async with open_program(
            load_settings(), needs_server=needs_server, remembers=records_runs
        ) as program:
            return await work(program)

    execute(opened, as_json=as_json)


async def run_job(program: Program, job: Job[T], *, silent: bool) -> T:
    """
    Run a job and show its progress.

    Args:
        program: The program, opened to record runs.
        job: The work.
        silent: Whether nothing is shown.

    Returns:
        What came of it.
    """
    warn_without_history(program)
    target = job.backup_id or " ".join(resource.label for resource in job.resources)
    async with audited(program.audit, job.kind, target), shown(silent=silent) as progress:
        return await program.runs.perform(job, Requester(actor(), Origin.CLI), progress)


def warn_without_history(program: Program) -> None:
    """Say so when what is done now will not be in the history."""
    if program.unwritten is not None:
        print_warnings([f"the history is not written: {program.unwritten}"])


@asynccontextmanager
async def audited(audit: AuditService | None, action: str, target: str) -> AsyncIterator[None]:
    """Write into the audit how a block has ended."""
    try:
        yield
    except BaseException as exc:
        await record(audit, action, target, exc)
        raise
    await record(audit, action, target)


async def record(
    audit: AuditService | None, action: str, target: str, error: BaseException | None = None
) -> None:
    """Write into the audit what a command did; what is done stays done when that fails."""
    if audit is None:
        return
    event = AuditEvent(
        at=SystemClock().now(),
        actor=actor(),
        role="",
        address="",
        action=action,
        target=target,
        status=exits.OK if error is None else exits.exit_code(error),
        result=_result(error),
    )
    try:
        await audit.record(event)
    except AppError as exc:
        print_warnings([f"the audit is not written: {exc}"])


def actor() -> str:
    """Name whoever runs this program, as the operating system knows them."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        name = str(os.getuid())
    return f"os:{name}"[:128]


def _result(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    if exits.exit_code(error) == exits.CANCELLED:
        return "cancelled"
    return error.code if isinstance(error, AppError) else AppError.code
