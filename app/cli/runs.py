"""What a command leaves behind: its run in the history, and what it did in the audit."""

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from app.bootstrap.program import Program
from app.cli import exits
from app.cli.output import print_warnings
from app.cli.progress import shown
from app.domain.access.audit import AuditEvent, ChangeNote
from app.domain.runs.run import Origin, Requester
from app.errors import AppError
from app.scheduling.clock import SystemClock
from app.services.access.audit import AuditService
from app.services.runs.job import Job


T = TypeVar("T")


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
async def audited(
    audit: AuditService | None, action: str, target: str
) -> AsyncIterator[ChangeNote]:
    """Write into the audit how a block has ended, and what it has noted as changed."""
    note = ChangeNote()
    try:
        yield note
    except BaseException as exc:
        await record(audit, action, target, exc, note=note)
        raise
    await record(audit, action, target, note=note)


async def record(
    audit: AuditService | None,
    action: str,
    target: str,
    error: BaseException | None = None,
    *,
    note: ChangeNote | None = None,
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
        changes=note.text if note else "",
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
