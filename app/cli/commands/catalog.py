"""Commands about the catalogue of a backup directory."""

import asyncio

import typer

from app.cli.edge import perform
from app.cli.exits import OK, exit_code
from app.cli.options import AsJson
from app.cli.output import CommandResult, note, plural, say


app = typer.Typer(
    name="catalog", help="Look after the catalogue of the backup directory.", no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Look after the catalogue of the backup directory."""


@app.command()
def rebuild(as_json: AsJson = False) -> None:
    """Make metadata.json and lost or damaged manifests again from the files; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.backups import CatalogueRebuilt

        async with open_program(load_settings(), needs_server=False) as parts:
            report = await asyncio.to_thread(parts.catalogue.rebuild)
            count = len(await asyncio.to_thread(parts.catalogue.entries))
        document = CatalogueRebuilt.of(count, report.rebuilt, report.problems)

        def show() -> None:
            say(f"The catalogue lists {plural(count, 'backup')}.")
            for backup_id in report.rebuilt:
                say(f"Manifest made again: {backup_id}")
            for problem in report.problems:
                note(f"{problem.error.title}: {problem.error}")

        return CommandResult(
            document, show, exit_code(report.problems[0].error) if report.problems else OK
        )

    perform(work, as_json=as_json)
