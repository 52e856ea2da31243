"""The command that makes the catalogue of a backup directory again."""

import asyncio
from typing import Annotated

import typer

from app.archive.catalogue.rebuilding import RebuildReport
from app.bootstrap.program import Program
from app.cli.execution import execute_with_program
from app.cli.exits import exit_code_of
from app.cli.options import AcceptSigner, AsJson, InStore
from app.cli.output import (
    CommandResult,
    plural,
    print_hints,
    print_line,
    print_status,
    print_unknown,
)
from app.documents.backups import CatalogueRebuilt
from app.domain.backups.catalogue import Survey


def rebuild(
    store: InStore = "",
    unsigned: Annotated[
        bool,
        typer.Option(
            "--unsigned",
            help="Believe encrypted files whose signature is lost with their manifest.",
        ),
    ] = False,
    accept_signer: AcceptSigner = None,
    as_json: AsJson = False,
) -> None:
    """Make metadata.json and lost or damaged manifests again from the files; needs no server."""

    async def work(program: Program) -> CommandResult:
        report = await asyncio.to_thread(program.catalogue.rebuild, unsigned=unsigned)
        survey = await asyncio.to_thread(program.catalogue.survey)
        document = CatalogueRebuilt.of(len(survey.entries), report.rebuilt, report.problems)
        return CommandResult(
            document,
            lambda: _show(report, survey),
            exit_code_of([problem.error for problem in report.problems]),
        )

    execute_with_program(
        work, as_json=as_json, needs_server=False, store=store, accepted_signers=accept_signer
    )


def _show(report: RebuildReport, survey: Survey) -> None:
    print_line(f"The catalogue lists {plural(len(survey.entries), 'backup')}.")
    if survey.locked:
        print_line(f"{plural(len(survey.locked), 'backup')} more, encrypted for others, as before.")
    for backup_id in report.rebuilt:
        print_line(f"Manifest made again: {backup_id}")
    for problem in report.problems:
        print_status(f"{problem.error.title}: {problem.error}")
    print_hints(report.problems)
    print_unknown(survey.unknown)
