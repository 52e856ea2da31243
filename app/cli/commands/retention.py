"""Commands that say which backups are kept: pins, and the deletion of old ones."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.edge import perform
from app.cli.exits import OK, exit_code
from app.cli.options import AsJson, BackupIdArgument
from app.cli.output import CommandResult, note, plural, say, size, table
from app.cli.runs import actor, perform_run, record


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.bootstrap.program import Program
    from app.domain.backups.check_notes import Notes
    from app.domain.backups.pruning import PruneResult, RetentionPlan
    from app.services.backups.pins import PinService


def pin(
    backup_id: BackupIdArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Words for people, one line.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Keep a backup: nobody can delete it until it is unpinned; needs no server."""

    def change(pins: "PinService") -> "Awaitable[Notes]":
        return pins.pin(backup_id, actor(), reason)

    _change(backup_id, "pin_backup", change, f"Backup {backup_id} is pinned.", as_json=as_json)


def unpin(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Let a backup be deleted again; needs no server."""

    def change(pins: "PinService") -> "Awaitable[Notes]":
        return pins.unpin(backup_id)

    told = f"Backup {backup_id} is not pinned."
    _change(backup_id, "unpin_backup", change, told, as_json=as_json)


def _change(
    backup_id: str,
    action: str,
    change: "Callable[[PinService], Awaitable[Notes]]",
    told: str,
    *,
    as_json: bool,
) -> None:
    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.retention import PrintedPinChanged

        async with open_program(load_settings(), needs_server=False, remembers=True) as parts:
            try:
                notes = await change(parts.pins)
            except BaseException as exc:
                await record(parts.audit, action, backup_id, exc)
                raise
            await record(parts.audit, action, backup_id)
        return CommandResult(PrintedPinChanged.of(backup_id, notes), lambda: say(told))

    perform(work, as_json=as_json)


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would go, and why.")
    ] = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="What the clock says now is right.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the backups that no rule keeps; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.retention import PrunePlan

        async with open_program(
            load_settings(), needs_server=False, remembers=not dry_run
        ) as parts:
            if dry_run:
                plan = await parts.retention.plan()
                return CommandResult(PrunePlan.of(plan), lambda: _show_plan(plan))
            return await _prune(parts, silent=as_json, accept_clock=accept_clock)

    perform(work, as_json=as_json)


async def _prune(parts: "Program", *, silent: bool, accept_clock: bool) -> CommandResult:
    from app.documents.retention import Pruned

    order = parts.jobs.prune(actor(), accept_clock=accept_clock)
    result = await perform_run(parts, order, silent=silent)
    bad = [error for _, error in result.unexpected]
    return CommandResult(
        Pruned.of(result),
        lambda: _show_result(result),
        exit_code(bad[0]) if bad else OK,
    )


def _show_plan(plan: "RetentionPlan") -> None:
    gone = [verdict for verdict in plan.decisions if not verdict.is_kept]
    rows = [
        (
            verdict.item.backup_id,
            f"{verdict.item.created_at:%Y-%m-%d %H:%M:%S}",
            verdict.item.schedule or "-",
            "stays" if verdict.is_kept else "goes",
            verdict.reason,
            size(verdict.item.size),
        )
        for verdict in plan.decisions
    ]
    if rows:
        table(("Backup", "Created (UTC)", "Schedule", "", "Why", "Size"), rows, right=1)
    stays = len(plan.decisions) - len(gone)
    freed = size(sum(one.item.size for one in gone))
    say(f"{plural(len(gone), 'backup')} would go ({freed}), {stays:,} would stay.")
    if plan.clock is not None:
        note(f"Warning: nothing would be deleted: {plan.clock}")
        note(f"Hint: {plan.clock.hint}")


def _show_result(result: "PruneResult") -> None:
    for one in result.deleted:
        say(f"Deleted: {one.item.backup_id}, {size(one.item.size)}: {one.reason}")
    freed = size(sum(one.item.size for one in result.deleted))
    say(f"{plural(len(result.deleted), 'backup')} deleted ({freed}), {result.kept:,} kept.")
    for one, error in result.failed:
        note(f"Not deleted: {one.item.backup_id}: {error.title}: {error}")
