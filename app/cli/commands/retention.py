"""Commands that say which backups are kept: pins, and the deletion of old ones."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from app.bootstrap.program import Program
from app.cli.backup_names import named
from app.cli.execution import execute_with_program
from app.cli.exits import exit_code_of
from app.cli.options import AsJson, BackupIdArgument, InStore
from app.cli.output import CommandResult, minute, plural, print_error, print_line, print_status
from app.cli.rules import KeepOption, policy_of
from app.cli.runs import actor, audited, run_job
from app.cli.tables import print_table
from app.documents.retention import PrintedPinChanged, Pruned, PrunePlan
from app.domain.access.audit import ChangeNote
from app.domain.backups.check_notes import Notes
from app.domain.backups.pruning import LogPruning, PruneResult, RetentionPlan
from app.domain.places.sizes import size
from app.domain.schedule import Schedule
from app.errors import InvalidRequestError
from app.services.backups.pins import PinService


def pin(
    backup_id: BackupIdArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Free text, one line.")
    ] = "",
    store: InStore = "",
    as_json: AsJson = False,
) -> None:
    """Keep a backup: nobody can delete it until it is unpinned; needs no server."""
    _change_pin(
        backup_id,
        "pin_backup",
        lambda pins, found, note: pins.pin(found, actor(), reason, note),
        result="is pinned",
        store=store,
        as_json=as_json,
    )


def unpin(backup_id: BackupIdArgument, store: InStore = "", as_json: AsJson = False) -> None:
    """Unpin a backup, so that it can be deleted; needs no server."""
    _change_pin(
        backup_id,
        "unpin_backup",
        lambda pins, found, note: pins.unpin(found, note),
        result="is not pinned",
        store=store,
        as_json=as_json,
    )


def _change_pin(
    backup_id: str,
    action: str,
    change: Callable[[PinService, str, ChangeNote], Awaitable[Notes]],
    *,
    result: str,
    store: str,
    as_json: bool,
) -> None:
    async def work(program: Program) -> CommandResult:
        found = await named(program, backup_id)
        async with audited(program.audit, action, found) as note:
            notes = await change(program.pins, found, note)
        return CommandResult(
            PrintedPinChanged.of(found, notes), lambda: print_line(f"Backup {found} {result}.")
        )

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True, store=store)


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would go, and why.")
    ] = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="Accept the time that the clock shows now.")
    ] = False,
    schedule: Annotated[
        str,
        typer.Option(
            "--schedule",
            metavar="NAME",
            help="With --dry-run: as if this schedule kept what --keep says.",
            show_default=False,
        ),
    ] = "",
    keep: KeepOption = None,
    store: InStore = "",
    as_json: AsJson = False,
) -> None:
    """Delete the backups that no rule keeps; needs no server."""

    async def work(program: Program) -> CommandResult:
        if (schedule or keep) and not dry_run:
            raise InvalidRequestError("--schedule and --keep are for --dry-run")
        if (schedule or keep) and store:
            raise InvalidRequestError(
                "--schedule and --keep are for the backup directory",
                hint="The rules of a store stand where it is defined.",
            )
        if dry_run:
            plan = await program.retention.plan(await _wanted(program, schedule, keep))
            return CommandResult(PrunePlan.of(plan), lambda: _show_plan(plan))
        job = await program.jobs.prune(actor(), accept_clock=accept_clock)
        result = await run_job(program, job, silent=as_json)
        return CommandResult(
            Pruned.of(result),
            lambda: _show_result(result),
            exit_code_of([result.error] if result.error else []),
        )

    execute_with_program(
        work, as_json=as_json, needs_server=False, records_runs=not dry_run, store=store
    )


async def _wanted(program: Program, name: str, keep: Sequence[str] | None) -> Schedule | None:
    """
    Find a schedule and give it rules that are only tried.

    Returns:
        It; None = all are as they are.

    Raises:
        InvalidRequestError: Rules make no sense, or nobody knows whose they are.
        ScheduleNotFoundError: There is none of this name.
    """
    if not name:
        if keep:
            raise InvalidRequestError("--keep is about a --schedule")
        return None
    known = await program.schedules.get(name)
    return replace(known, retention=policy_of(keep) if keep else None)


def _show_plan(plan: RetentionPlan) -> None:
    rows = [
        (
            decision.item.backup_id,
            minute(decision.item.created_at),
            decision.item.schedule or "-",
            "stays" if decision.is_kept else "goes",
            decision.reason,
            size(decision.item.size),
        )
        for decision in plan.decisions
    ]
    if rows:
        print_table(("Backup", "Created (UTC)", "Schedule", "Plan", "Why", "Size"), rows, right=1)
    gone = [decision.item.size for decision in plan.decisions if not decision.is_kept]
    stays = len(plan.decisions) - len(gone)
    print_line(f"{plural(len(gone), 'backup')} would go ({size(sum(gone))}), {stays:,} would stay.")
    _show_log(plan.log, "would go")
    if plan.clock is not None:
        print_error("Warning: nothing would be deleted", str(plan.clock), plan.clock.hint)


def _show_result(result: PruneResult) -> None:
    for decision in result.deleted:
        item = decision.item
        print_line(f"Deleted: {item.backup_id}, {size(item.size)}: {decision.reason}")
    freed = size(sum(decision.item.size for decision in result.deleted))
    print_line(f"{plural(len(result.deleted), 'backup')} deleted ({freed}), {result.kept:,} kept.")
    _show_log(result.log, "deleted")
    for decision, error in result.failed:
        print_status(f"Not deleted: {decision.item.backup_id}: {error.title}: {error}")


def _show_log(log: Sequence[LogPruning], verb: str) -> None:
    for pruning in log:
        what = f"Binary log {pruning.stream}"
        if pruning.error is not None:
            print_status(f"{what}: nothing goes: {pruning.error}")
            continue
        rest = f"begins at {pruning.begins_at} then" if pruning.begins_at else "nothing of it stays"
        gone = f"{plural(pruning.segments, 'segment')} {verb} ({size(pruning.size)})"
        print_line(f"{what}: {gone}, {rest}.")
