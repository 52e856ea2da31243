"""The command that looks for what would make a backup fail."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from app.bootstrap.program import Program
from app.cli.execution import execute_with_program
from app.cli.exits import exit_code_of
from app.cli.options import AsJson
from app.cli.output import CommandResult, print_line, print_warnings
from app.documents.monitoring import DoctorReport
from app.domain.monitoring import DoctorCheck
from app.domain.restores.repair import RepairResult
from app.errors import AppError


_MARKS: Final = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def doctor(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="First finish or undo restores that were interrupted."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check server, rights, directory and programs, and say what to do about each finding."""

    async def work(program: Program) -> CommandResult:
        repairs = await _repair(program) if repair else []
        checks = await program.doctor.examine()
        return _result(repairs, checks, repaired=repair)

    execute_with_program(work, as_json=as_json, needs_server=repair, records_runs=repair)


async def _repair(program: Program) -> list[RepairResult]:
    """Repair, and have the history say how what had failed has ended."""
    repairs = await program.recoveries.repair()
    if program.unwritten is None:
        try:
            await program.settlement.settle()
        except AppError as exc:  # the service does it within a minute
            print_warnings([f"the history is not corrected: {exc}"])
    return repairs


def _result(
    repairs: Sequence[RepairResult], checks: Sequence[DoctorCheck], *, repaired: bool
) -> CommandResult:
    errors = [check.error for check in checks if check.error is not None]

    def show() -> None:
        if repaired:
            _show_repairs(repairs)
        _show_checks(checks)

    return CommandResult(DoctorReport.of(repairs, checks), show, exit_code_of(errors))


def _show_repairs(repairs: Sequence[RepairResult]) -> None:
    if not repairs:
        print_line("Nothing to repair.")
    for repair in repairs:
        journal = repair.journal
        reason = f": {repair.error}" if repair.error else ""
        print_line(
            f"{journal.kind} {journal.restore_id} of {', '.join(journal.targets)}:"
            f" {repair.outcome}{reason}"
        )


def _show_checks(checks: Sequence[DoctorCheck]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        print_line(f"{_MARKS[check.state]}  {check.name:<{width}}  {check.detail}")
        for line in check.remedy.splitlines():
            print_line(f"{'':<{width + 8}}-> {line}")
