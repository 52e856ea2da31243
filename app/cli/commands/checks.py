"""The command that checks the stored backups that are due."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.edge import perform
from app.cli.exits import OK, exit_code
from app.cli.options import AsJson
from app.cli.output import CommandResult, note, plural, say
from app.cli.runs import record


if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.checks import CheckResult


def check(
    all_due: Annotated[
        bool, typer.Option("--all-due", help="All that is due, not only the share of one day.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the stored backups that are due, and restore one for proof when that is due."""

    async def work() -> CommandResult:
        from app.bootstrap.monitoring import build_checks
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.monitoring import ChecksMade

        settings = load_settings()
        async with open_program(
            settings, needs_server=settings.drill_days > 0, remembers=True
        ) as parts:
            if parts.unwritten is not None:
                note(f"Warning: the history is not written: {parts.unwritten}")
            found = await build_checks(parts).run_due(everything=all_due)
            bad = [one.failure for one in found if one.failure is not None]
            await record(parts.audit, "check_backups", "", bad[0] if bad else None)
        return CommandResult(
            ChecksMade.of(found),
            lambda: _show(found),
            exit_code(bad[0]) if bad else OK,
        )

    perform(work, as_json=as_json)


def _show(found: "Sequence[CheckResult]") -> None:
    for one in found:
        if one.failure is not None:
            note(f"Damaged: {one.backup_id}: {one.what}: {one.failure.title}: {one.failure}")
    good = sum(one.failure is None for one in found)
    say(f"{plural(len(found), 'check')} made, {good:,} good." if found else "No check is due.")
