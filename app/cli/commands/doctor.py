"""The command that looks for what would make a backup fail."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from app.bootstrap.program import Program
from app.cli.exits import exit_code_of
from app.cli.options import AsJson
from app.cli.output import CommandResult, print_line
from app.cli.runs import execute_with_program
from app.domain.document import Document
from app.services.monitoring.doctor import DoctorCheck
from app.services.restores.crash_recovery import Repair


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
        repairs = await program.recoveries.repair() if repair else []
        checks = await program.doctor.examine()
        return _result(repairs, checks, repaired=repair)

    execute_with_program(work, as_json=as_json, needs_server=repair)


def _result(
    repairs: Sequence[Repair], checks: Sequence[DoctorCheck], *, repaired: bool
) -> CommandResult:
    document: Document = {
        "success": all(check.error is None for check in checks),
        "repairs": [
            {
                "restore_id": repair.journal.restore_id,
                "databases": repair.journal.targets,
                "outcome": repair.outcome,
                "message": str(repair.error or ""),
            }
            for repair in repairs
        ],
        "checks": [
            {
                "name": check.name,
                "state": check.state,
                "detail": check.detail,
                "remedy": check.remedy,
            }
            for check in checks
        ],
    }
    errors = [check.error for check in checks if check.error is not None]

    def show() -> None:
        if repaired:
            _show_repairs(repairs)
        _show_checks(checks)

    return CommandResult(document, show, exit_code_of(errors))


def _show_repairs(repairs: Sequence[Repair]) -> None:
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
