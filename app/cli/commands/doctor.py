"""The command that looks for what would make a backup fail."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.edge import perform
from app.cli.exits import OK, exit_code
from app.cli.options import AsJson
from app.cli.output import CommandResult, say


if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.monitoring import DoctorCheck
    from app.domain.restores.repair import RepairResult

_MARKS: Final = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def doctor(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="First finish or undo restores that were interrupted."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check server, rights, directory and programs, and say what to do about each finding."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings

        async with open_program(load_settings(), needs_server=repair) as parts:
            repairs = await parts.recoveries.repair() if repair else []
            checks = await parts.doctor.examine()
        return _answer(repairs, checks, repaired=repair)

    perform(work, as_json=as_json)


def _answer(
    repairs: "Sequence[RepairResult]", checks: "Sequence[DoctorCheck]", *, repaired: bool
) -> CommandResult:
    from app.documents.monitoring import DoctorReport

    errors = [check.error for check in checks if check.error is not None]

    def show() -> None:
        if repaired and not repairs:
            say("Nothing to repair.")
        for repair in repairs:
            what = f"{repair.journal.kind} {repair.journal.restore_id} of {', '.join(repair.journal.targets)}"
            say(f"{what}: {repair.outcome}" + (f": {repair.error}" if repair.error else ""))
        width = max(len(check.name) for check in checks)
        for check in checks:
            say(f"{_MARKS[check.state]}  {check.name:<{width}}  {check.detail}")
            for line in check.remedy.splitlines():
                say(f"{'':<{width + 8}}-> {line}")

    return CommandResult(
        DoctorReport.of(repairs, checks), show, exit_code(errors[0]) if errors else OK
    )
