"""The command that ends a run of which nothing is heard any more."""

from typing import Annotated

import typer

from app.bootstrap.monitoring import build_lost_runs
from app.bootstrap.program import Program
from app.cli.execution import execute_with_program
from app.cli.options import AsJson
from app.cli.output import CommandResult, print_line
from app.cli.runs import actor, audited
from app.documents.runs import RunEnded


def end(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the history and the audit.")
    ],
    as_json: AsJson = False,
) -> None:
    """End a run in the history whose installation is gone; needs no server."""

    async def work(program: Program) -> CommandResult:
        if program.unwritten is not None:
            raise program.unwritten
        words = " ".join(reason.split())
        async with audited(program.audit, "end_run", run_id) as note:
            run = await build_lost_runs(program).end(run_id, actor(), words)
            note.take({"state": "running"}, {"state": run.state.value, "reason": words})
        line = f"{run.run_id} has ended in the history. Nobody here knows what became of it."
        return CommandResult(RunEnded.of(run), lambda: print_line(line))

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True)
