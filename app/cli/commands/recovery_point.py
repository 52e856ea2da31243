"""The command that makes a point to go back to."""

from typing import Annotated

import typer

from app.cli.commands.backup import create_backup
from app.cli.edge import perform
from app.cli.options import AsJson, Databases, Threads
from app.cli.output import CommandResult


app = typer.Typer(
    name="recovery-point",
    help="Backups to go back to, outside of every plan of backups.",
    no_args_is_help=True,
)


@app.callback()
def group() -> None:
    """Backups to go back to, outside of every plan of backups."""


@app.command()
def create(
    database: Databases = None,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="Words for people, one line.")
    ] = "Recovery point",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Back up what is there now, before something risky; never counted against other backups."""

    async def work() -> CommandResult:
        from app.services.jobs import BackupOptions

        wish = BackupOptions(
            databases=tuple(database or ()),
            description=description,
            recovery_point=True,
            threads=threads,
        )
        return await create_backup(wish, silent=as_json)

    perform(work, as_json=as_json)
