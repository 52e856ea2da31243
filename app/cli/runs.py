"""How commands do their work: as runs, which the service knows of, and written into the audit."""

import getpass
import os
from typing import TYPE_CHECKING, TypeVar

from app.cli import exits
from app.cli.output import note
from app.cli.progress import shown
from app.errors import AppError


if TYPE_CHECKING:
    from app.bootstrap.program import Program
    from app.services.access.audit import AuditService
    from app.services.runs.job import Job

T = TypeVar("T")


async def perform_run(parts: "Program", order: "Job[T]", *, silent: bool) -> T:
    """
    Do a piece of work and show its progress.

    Args:
        parts: The program.
        order: The work.
        silent: Whether nothing is shown.

    Returns:
        What came of it.
    """
    from app.domain.runs.run import Origin, Requester

    if parts.unwritten is not None:
        note(f"Warning: the history is not written: {parts.unwritten}")
    target = order.backup_id or " ".join(resource.label for resource in order.resources)
    try:
        async with shown(silent=silent) as progress:
            value = await parts.runs.perform(order, Requester(actor(), Origin.CLI), progress)
    except BaseException as exc:
        await record(parts.audit, order.kind, target, exc)
        raise
    await record(parts.audit, order.kind, target)
    return value


async def record(
    audit: "AuditService | None", action: str, target: str, error: BaseException | None = None
) -> None:
    """Write down what a command did; one that is done stays done when that fails."""
    from app.bootstrap.program import SystemClock
    from app.domain.access.audit import AuditEvent

    if audit is None:
        return
    cancelled = error is not None and exits.exit_code(error) == exits.CANCELLED
    event = AuditEvent(
        at=SystemClock().now(),
        actor=actor(),
        role="",
        address="",
        action=action,
        target=target,
        status=exits.OK if error is None else exits.exit_code(error),
        result="cancelled" if cancelled else "ok" if error is None else _code(error),
    )
    try:
        await audit.record(event)
    except AppError as exc:
        note(f"Warning: the audit is not written: {exc}")


def actor() -> str:
    """Name whoever runs this program, as the operating system knows them."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        name = str(os.getuid())
    return f"os:{name}"[:128]


def _code(error: BaseException) -> str:
    return error.code if isinstance(error, AppError) else AppError.code
