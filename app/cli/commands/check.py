"""The command that checks the stored backups that are due."""

from collections.abc import Sequence
from typing import Annotated

import typer

from app.bootstrap.monitoring import build_checks
from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.cli.execution import execute, read_settings
from app.cli.exits import exit_code_of
from app.cli.options import AsJson
from app.cli.output import CommandResult, plural, print_bytes_read, print_line, print_status
from app.cli.runs import record, warn_without_history
from app.documents.monitoring import ChecksMade
from app.domain.checks import CheckResult


def check(
    all_due: Annotated[
        bool, typer.Option("--all-due", help="All that is due, not only the share of one day.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check the stored backups that are due, and restore one for proof when that is due."""

    async def work() -> CommandResult:
        settings = read_settings()
        async with open_program(
            settings, needs_server=settings.drill_days > 0, remembers=True
        ) as program:
            return await _run_due(program, everything=all_due)

    execute(work, as_json=as_json)


async def _run_due(program: Program, *, everything: bool) -> CommandResult:
    warn_without_history(program)
    results = await build_checks(program).run_due(everything=everything)
    failures = [result.failure for result in results if result.failure is not None]
    await record(program.audit, "check_backups", "", failures[0] if failures else None)
    return CommandResult(ChecksMade.of(results), lambda: _show(results), exit_code_of(failures))


def _show(results: Sequence[CheckResult]) -> None:
    for result in results:
        if result.failure is not None:
            place = f" in {result.store}" if result.store else ""
            print_status(
                f"Damaged: {result.backup_id}{place}: {result.what}:"
                f" {result.failure.title}: {result.failure}"
            )
    good = sum(result.failure is None for result in results)
    print_line(
        f"{plural(len(results), 'check')} made, {good:,} good." if results else "No check is due."
    )
    read = [result.bytes_read for result in results if result.bytes_read is not None]
    print_bytes_read(sum(read) if read else None)
